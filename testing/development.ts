import { check, ConfigurationError, environmentOf, EnvironmentSchema, Problems, Type, type Static } from '../lib/config/index.ts'
import { DEVELOPMENT_ISSUER, type IssuerOptions } from '../lib/tokens/index.ts'
import { DevelopmentStore } from './development-store.ts'

/** The `aud` of development tokens where nothing else is said. */
export const DEVELOPMENT_AUDIENCE = 'api://development'

const DevelopmentIssuerOptionsSchema = Type.Object({
  /**
   * The project's folder; the key lies in `.secure-api` in it.
   * @default the working directory
   */
  directory: Type.Optional(Type.String()),
  /**
   * What the application calls itself in `aud`. `secure-api token` remembers it.
   * @default 'api://development'
   */
  audience: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })])),
  /**
   * `'production'` refuses; `'development'` goes on.
   * @default NODE_ENV, and production when that is unset
   */
  environment: Type.Optional(EnvironmentSchema)
})

/** Options of {@link developmentIssuer}. */
export type DevelopmentIssuerOptions = Static<typeof DevelopmentIssuerOptionsSchema>

/**
 * An entry of `auth.issuers` for the tokens that `secure-api token` makes. There is no server behind it: the public key
 * stands in the entry, the private one in `.secure-api/key.pem` of the project, made with the first use.
 *
 * Rejects with a `ConfigurationError`: `SECURE_API_ISSUER_DEVELOPMENT` unless NODE_ENV (or `environment`) is
 * development or test, `SECURE_API_DEVELOPMENT_KEY` when the key cannot be read or stored.
 *
 * @example
 * const audience = 'api://orders'
 * const development = process.env.NODE_ENV === 'development'
 * await app.register(secureApi, {
 *   auth: { issuers: [development ? await developmentIssuer({ audience }) : { issuer: 'https://login.example.com', audience }] }
 * })
 */
export async function developmentIssuer (options: DevelopmentIssuerOptions = {}): Promise<IssuerOptions> {
  const problems = new Problems()
  check(DevelopmentIssuerOptionsSchema, options, 'developmentIssuer', problems)
  problems.throwIfAny()
  refuseInProduction(options)
  const { directory = process.cwd(), audience = DEVELOPMENT_AUDIENCE } = options
  const store = new DevelopmentStore(directory)
  const { publicJwk } = await store.key()
  await store.rememberAudience(audience)
  return { issuer: DEVELOPMENT_ISSUER, audience, algorithms: ['ES256'], profile: 'at+jwt', jwks: { keys: [publicJwk] } }
}

function refuseInProduction ({ environment }: DevelopmentIssuerOptions): void {
  if (environmentOf(environment) === 'development') return
  throw new ConfigurationError([{
    code: 'SECURE_API_ISSUER_DEVELOPMENT',
    path: 'developmentIssuer',
    why: 'this is production, which it also is when NODE_ENV is not set, and anyone with the project folder can make its tokens',
    fix: 'Set NODE_ENV=development on your own machine; elsewhere configure a real issuer.'
  }])
}
