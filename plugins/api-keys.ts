import type { FastifyInstance } from 'fastify'
import {
  ApiKeyScheme, KeyFile, KeyList, KeyLookup, Usage, type ApiKeysOptions, type KeyFileEvent, type KeyStore
} from '../lib/api-keys/index.ts'
import { milliseconds, type Clock, type ConfigurationCode } from '../lib/config/index.ts'
import { decorating } from './decorators.ts'
import type { Frame } from './ports.ts'
import { warn } from './warn.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** With `auth.apiKeys`. */
    apiKeys: ApiKeys
  }
}

/** Makes a change of a key count at once. */
export interface ApiKeys {
  /** Drops what is remembered of an id: after a revocation in the store behind `lookup`. In this process only. */
  forget (id: string): void
  /** Reads the file again, or drops all that `lookup` found. False: the file cannot be used, and what was read before counts on. */
  refresh (): Promise<boolean>
}

/** What the keys need of the application. */
export interface ApiKeysContext {
  readonly app: FastifyInstance
  readonly pipeline: Frame
  readonly development: boolean
  readonly clock: Clock | undefined
}

/** The scheme for API keys, where they are configured. */
export function apiKeySchemes (options: ApiKeysOptions | undefined, context: ApiKeysContext): ApiKeyScheme[] {
  if (options === undefined) return []
  const { app, pipeline, clock } = context
  const now = clock?.now ?? Date.now
  const header = (options.header ?? 'x-api-key').toLowerCase()
  const store = storeOf(options, context, now)
  const usage = usageOf(options, context)
  pipeline.offer({ apiKeyHeader: header })
  pipeline.report('apiKeys', () => ({ ...store.status(), ...(usage && { unreported: usage.size }) }))
  const api: ApiKeys = { forget: id => store.forget(id), refresh: () => store.refresh() }
  decorating(app).decorate('apiKeys', Object.freeze(api))
  app.addHook('onClose', async () => {
    store.close()
    await usage?.close()
  })
  return [new ApiKeyScheme({ prefix: options.prefix, header, store, usage, now })]
}

function storeOf (options: ApiKeysOptions, context: ApiKeysContext, now: () => number): KeyStore {
  const { keys, file, lookup, refresh = '5 seconds' } = options
  if (lookup !== undefined) return new KeyLookup(lookup, options, now)
  if (file === undefined) return new KeyList(keys ?? [])
  const { app, development, clock } = context
  const store = new KeyFile({
    file, now, schedule: clock?.schedule, strict: !development, refresh: milliseconds(refresh), onEvent: event => logFile(app, event)
  })
  store.open('auth.apiKeys.file')
  return store
}

function logFile (app: FastifyInstance, event: KeyFileEvent): void {
  if (event.type === 'apiKeys.replaced') return app.log.info(event, 'secure-api: API keys were read again')
  warn(app, { code: 'SECURE_API_API_KEYS_FILE' satisfies ConfigurationCode, ...event },
    'secure-api: the file of API keys cannot be used; the keys that were read before stay in use, also those that it revokes')
}

function usageOf ({ onUse }: ApiKeysOptions, { app, clock }: ApiKeysContext): Usage | undefined {
  const onFailure = (err: unknown) =>
    warn(app, { err }, 'secure-api: `auth.apiKeys.onUse` failed; the last uses of API keys are not recorded')
  return onUse && new Usage({ onUse, onFailure, schedule: clock?.schedule })
}
