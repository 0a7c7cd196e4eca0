import { Type, type Static } from '../config/index.ts'
import { RequirementSchema } from '../rules/index.ts'

const nameHint = 'OpenAPI allows letters, digits, `.`, `-` and `_` in the name of a component.'

const PagesSchema = Type.Object({
  /**
   * Where they are: the `routePrefix` of swagger-ui, with the prefix of the scope in front.
   * @default '/documentation'
   */
  path: Type.Optional(Type.String({ pattern: '^/.*[^/]$', hint: 'Start with a slash and end without one.' })),
  /** Everyone may read the documentation. Costs: strangers see every documented route and its requirements. */
  public: Type.Optional(Type.Literal(true)),
  /** Every caller with a valid token may read it. Browsers send none with a page: for a gateway that adds it. */
  authenticated: Type.Optional(Type.Literal(true)),
  /** As `config.scope` of a route. */
  scope: Type.Optional(RequirementSchema),
  /** As `config.role` of a route. */
  role: Type.Optional(RequirementSchema),
  /** As `config.policy` of a route. */
  policy: Type.Optional(RequirementSchema)
})

/** The option `openapi`. It has no effect without the swagger plugin. */
export const OpenApiOptionsSchema = Type.Object({
  /**
   * The rule of the swagger-ui pages, which state none themselves, and with it the headers of a page.
   * @default none: the pages are closed, like every route without a rule
   */
  ui: Type.Optional(PagesSchema),
  /**
   * The name of the security scheme for access tokens. The application's own scheme of that name stays unchanged.
   * @default 'bearerAuth'
   */
  bearer: Type.Optional(Type.String({ pattern: '^[\\w.-]+$', hint: nameHint })),
  /**
   * Addresses of provider metadata, each with its own `openIdConnect` scheme; `false` for none. They carry the scopes
   * in OpenAPI 3.0, where a bearer scheme cannot.
   * @default those of the issuers whose keys are found by discovery
   */
  openIdConnect: Type.Optional(Type.Union([
    Type.Literal(false), Type.Array(Type.String({ pattern: '^https?://', hint: 'Write the whole URL.' }))
  ])),
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
})

export interface OpenApiOptions extends Static<typeof OpenApiOptionsSchema> {}
/** The rule of the documentation's own pages. */
export type Pages = Static<typeof PagesSchema>
