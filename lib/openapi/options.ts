import { Type, type Static } from '@sinclair/typebox'
import { RequirementSchema } from '../rules/index.ts'

const nameHint = 'OpenAPI allows letters, digits, `.`, `-` and `_` in the name of a component.'

const PagesSchema = Type.Object({
  /**
   * Where they are: the `routePrefix` of swagger-ui, with the prefix of the scope in front.
   * @default '/documentation'
   */
  path: Type.Optional(Type.String({ pattern: '^/.*[^/]$', hint: 'Start with a slash, and end without one.' })),
  /** Everybody may read the documentation. Costs: strangers see every documented route, and what it asks for. */
  public: Type.Optional(Type.Literal(true)),
  /** Whoever has a valid token may. A browser that opens a page sends none: for a gateway that adds it. */
  authenticated: Type.Optional(Type.Literal(true)),
  /** As `config.scope` of a route. */
  scope: Type.Optional(RequirementSchema),
  /** As `config.role` of a route. */
  role: Type.Optional(RequirementSchema),
  /** As `config.policy` of a route. */
  policy: Type.Optional(RequirementSchema)
}, { additionalProperties: false })

/** The option `openapi`. It does nothing in an application without the swagger plugin. */
export const OpenApiOptionsSchema = Type.Object({
  /**
   * The rule of the pages of swagger-ui, which state none themselves, and with it the headers of a page.
   * @default none: the pages are closed, like every route without a rule
   */
  ui: Type.Optional(PagesSchema),
  /**
   * The name of the security scheme for access tokens. A scheme of that name that the application states itself stays
   * as it is.
   * @default 'bearerAuth'
   */
  bearer: Type.Optional(Type.String({ pattern: '^[\\w.-]+$', hint: nameHint })),
  /**
   * Addresses of provider metadata, each a scheme `openIdConnect` of its own; `false` for none. They carry the scopes
   * in OpenAPI 3.0, where a bearer scheme cannot.
   * @default those of the issuers whose keys are found by discovery
   */
  openIdConnect: Type.Optional(Type.Union([Type.Literal(false), Type.Array(Type.String({ pattern: '^https?://', hint: 'Give the whole URL.' }))])),
  /**
   * Describe the refusals of each route. `false` leaves only the security schemes and what each route needs.
   * @default true
   */
  responses: Type.Optional(Type.Boolean()),
  /**
   * The decorators that give a document: the option `decorator` of each registration of the swagger plugin.
   * @default ['swagger']
   */
  decorators: Type.Optional(Type.Array(Type.String(), { minItems: 1 }))
}, { additionalProperties: false })

export type OpenApiOptions = Static<typeof OpenApiOptionsSchema>
/** The rule of the documentation's own pages. */
export type Pages = Static<typeof PagesSchema>
