import { mapOperations, type Operation } from './paths.ts'
import { responsesOf, sharedComponents } from './responses.ts'
import { schemesFor, securityOf, type SchemeOptions, type Schemes } from './security.ts'
import { fieldsOf, type Fields, type RouteFacts } from './types.ts'

/** The vendor extension that describes what the suite does on an operation. */
export const extension = 'x-secure-api'

export interface DocumentOptions extends SchemeOptions {
  /** Whether the suite checks credentials; if not, the application's own description stays. */
  readonly authenticates: boolean
  /** Whether refusals are described. */
  readonly responses: boolean
  /** Whether the suite writes the bodies of refusals itself. */
  readonly bodies: boolean
}

/** What `security` cannot express: OpenAPI has no place for roles, policies and limits. */
export function extensionOf ({ access, rateLimit }: RouteFacts): Fields {
  if (!Array.isArray(rateLimit)) return { access }
  return { access, rateLimit: rateLimit.map(fieldsOf).filter(({ dryRun }) => dryRun !== true).map(limitOf) }
}

/** Dry runs are omitted: callers would obey them. */
function limitOf ({ policy, limit: count, windowMs }: Fields): Fields {
  return { policy, limit: count, ...(typeof windowMs === 'number' && { windowSeconds: windowMs / 1000 }) }
}

export function isOpenApi3 (document: unknown): document is Fields {
  return /^3\.\d/.test(String(fieldsOf(document).openapi))
}

/** A copy of the document with what is absent: schemes, requirements, refusals. Operations unknown to `factsOf` stay unchanged. */
export function secureDocument (document: Fields, factsOf: (found: Operation) => RouteFacts | undefined, options: DocumentOptions): Fields {
  const schemes = options.authenticates ? schemesFor(document, options) : undefined
  const paths = mapOperations(document, found => {
    const facts = factsOf(found)
    return facts === undefined ? found.operation : secureOperation(found.operation, facts, schemes, options)
  })
  return { ...document, components: componentsOf(fieldsOf(document.components), schemes, options), paths }
}

function secureOperation (operation: Fields, facts: RouteFacts, schemes: Schemes | undefined, options: DocumentOptions): Fields {
  return {
    ...(schemes && { security: securityOf(facts.access, schemes) }),
    [extension]: extensionOf(facts),
    ...operation,
    responses: { ...(options.responses && responsesOf(facts, options.bodies)), ...fieldsOf(operation.responses) }
  }
}

function componentsOf (stated: Fields, schemes: Schemes | undefined, { responses, bodies }: DocumentOptions): Fields {
  const shared = responses ? sharedComponents(bodies) : { schemas: {}, responses: {} }
  return {
    ...stated,
    schemas: { ...shared.schemas, ...fieldsOf(stated.schemas) },
    ...(responses && { responses: { ...shared.responses, ...fieldsOf(stated.responses) } }),
    ...(schemes && { securitySchemes: { ...fieldsOf(stated.securitySchemes), ...schemes.added } })
  }
}
