import { mapOperations, type Operation } from './paths.ts'
import { responsesOf, sharedComponents } from './responses.ts'
import { schemesFor, securityOf, type SchemeOptions, type Schemes } from './security.ts'
import { fieldsOf, type Fields, type RouteFacts } from './types.ts'

/** The vendor extension of an operation that says what the suite does there. */
export const extension = 'x-secure-api'

export interface DocumentOptions extends SchemeOptions {
  /** Whether the suite checks credentials: where it does not, what the application says of its own check stands. */
  readonly authenticates: boolean
  /** Whether refusals are described. */
  readonly responses: boolean
  /** Whether the suite writes the bodies of refusals itself. */
  readonly bodies: boolean
}

/** What a route's callers should know beyond `security`: roles, policies and limits have no place of their own in OpenAPI. */
export function extensionOf ({ access, rateLimit }: RouteFacts): Fields {
  return { access, ...(Array.isArray(rateLimit) && { rateLimit: rateLimit.map(fieldsOf).filter(({ dryRun }) => dryRun !== true).map(limitOf) }) }
}

/** A dry run is not told: callers would heed it. */
function limitOf ({ policy, limit: count, windowMs }: Fields): Fields {
  return { policy, limit: count, ...(typeof windowMs === 'number' && { windowSeconds: windowMs / 1000 }) }
}

export function isOpenApi3 (document: unknown): document is Fields {
  return /^3\.\d/.test(String(fieldsOf(document).openapi))
}

/**
 * The document with security schemes, and for each operation what it needs and how it refuses. Adds only what is
 * absent, and leaves the given document as it is. Operations of which `factsOf` knows nothing stay as they are.
 */
export function secureDocument (document: Fields, factsOf: (operation: Operation) => RouteFacts | undefined, options: DocumentOptions): Fields {
  const schemes = options.authenticates ? schemesFor(document, options) : undefined
  const paths = mapOperations(document, found => {
    const facts = factsOf(found)
    return facts === undefined ? found.operation : secureOperation(found.operation, facts, schemes, options)
  })
  return { ...document, components: componentsOf(fieldsOf(document.components), schemes, options), paths }
}

function secureOperation (operation: Fields, facts: RouteFacts, schemes: Schemes | undefined, { responses, bodies }: DocumentOptions): Fields {
  return {
    ...(schemes && { security: securityOf(facts.access, schemes) }),
    [extension]: extensionOf(facts),
    ...operation,
    responses: { ...fieldsOf(operation.responses), ...(responses && absent(responsesOf(facts, bodies), fieldsOf(operation.responses))) }
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

function absent (added: Fields, stated: Fields): Fields {
  return Object.fromEntries(Object.entries(added).filter(([name]) => !Object.hasOwn(stated, name)))
}
