import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInThisContext } from 'node:vm'
import type { FastifyInstance } from 'fastify'
import ts from 'typescript'
import * as secureApi from '../../plugins/index.ts'
import { createSigningKey, signToken, type Json } from '../fixtures/forge.ts'
import { snippets } from './snippets.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const load = createRequire(import.meta.url)

type Auth = Exclude<secureApi.SecureApiOptions['auth'], false | undefined>
type Exports = Readonly<Record<string, unknown>>

/** What a recipe finds in the application around it. */
export interface Surroundings {
  readonly app: FastifyInstance
  /** The public keys that stand for those of the provider, and whatever options a test lays over those of the page. */
  readonly suite: (options: secureApi.SecureApiOptions) => secureApi.SecureApiOptions
  /** Modules that are not loaded by `require`. */
  readonly modules?: Exports
  readonly values?: Exports
}

/** The TypeScript blocks of a page under docs/recipes. */
export function recipe (name: string): string[] {
  return snippets(root, join('docs/recipes', `${name}.md`)).filter(({ language }) => language === 'ts').map(({ code }) => code)
}

/** Runs the code of a page as it stands there. Only the options of the suite pass through `suite`, which puts keys that are known in. */
export async function runRecipe (code: string, { app, suite, modules = {}, values = {} }: Surroundings): Promise<Exports> {
  const compilerOptions = {
    module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true, experimentalDecorators: true
  }
  const { outputText } = ts.transpileModule(code, { compilerOptions })
  const exports: Exports = {}
  const known: Exports = {
    exports,
    require: (name: string) => name === 'fastify-secure-api' ? withOptions(suite) : modules[name] ?? load(name),
    app,
    handler: async () => ({ ok: true }),
    ...values
  }
  const run = runInThisContext(`(async (${Object.keys(known).join(', ')}) => {{${outputText}\n}})`) as (...all: unknown[]) => Promise<void>
  await run(...Object.values(known))
  return exports
}

/** The package, whose plugin gets other options than those that are written. */
function withOptions (suite: Surroundings['suite']): Exports {
  const plugin = async (instance: FastifyInstance, options: secureApi.SecureApiOptions) => {
    await instance.register(secureApi.default, suite(options))
  }
  return { ...secureApi, __esModule: true, default: Object.assign(plugin, { [Symbol.for('skip-override')]: true }) }
}

export type Token = (claims: Json, header?: Json) => { authorization: string }

/** A signing key that stands for the provider of a page: options in which nothing is fetched any more, and tokens that they accept. */
export function recipeIssuer (): { readonly suite: Surroundings['suite'], readonly token: Token, readonly jwks: object } {
  const key = createSigningKey()
  const jwks = { keys: [{ ...key.publicKey.export({ format: 'jwk' }), kid: key.kid, alg: key.algorithm, use: 'sig' }] }
  return {
    jwks,
    suite: ({ auth = false, ...options }) =>
      ({ ...options, auth: auth && withKeys(auth, jwks), environment: 'development', audit: options.audit ?? { sink: () => {} } }),
    token: (claims, header = {}) => {
      const seconds = Math.floor(Date.now() / 1000)
      const dated = { exp: seconds + 600, iat: seconds, ...claims }
      return { authorization: `Bearer ${signToken({ alg: 'RS256', kid: key.kid, ...header }, dated, key)}` }
    }
  }
}

/** These options with keys that a test has in place of those that the issuers publish. */
function withKeys (auth: Auth, jwks: object): Auth {
  const own = ({ jwksUri, keys, ...issuer }: object & { jwksUri?: string, keys?: unknown }) => ({ ...issuer, jwks })
  return 'issuers' in auth && auth.issuers !== undefined
    ? { ...auth, issuers: auth.issuers.map(own) } as Auth
    : own(auth) as Auth
}
