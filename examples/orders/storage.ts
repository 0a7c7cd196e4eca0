import type { Adapter } from 'oidc-provider'

interface Entry {
  readonly model: string
  readonly payload: Stored
  readonly expiresAt: number
}

interface Stored {
  readonly uid?: string
  readonly userCode?: string
  readonly grantId?: string
  consumed?: number
}

/** Keeps codes, sessions and grants in memory; one store outlives the providers that a key rotation replaces. */
export function memoryStorage (): (model: string) => Adapter {
  const entries = new Map<string, Entry>()
  return model => adapter(entries, model)
}

function adapter (entries: Map<string, Entry>, model: string): Adapter {
  const key = (id: string) => `${model}:${id}`
  const find = (id: string) => alive(entries.get(key(id)))
  const findBy = (wanted: Partial<Stored>) => [...entries.values()].map(alive).find(stored => matches(stored, wanted))
  return {
    async upsert (id, payload, expiresIn = Infinity) {
      forgetExpired(entries)
      entries.set(key(id), { model, payload, expiresAt: Date.now() + expiresIn * 1000 })
    },
    async find (id) { return id === undefined ? undefined : find(id) },
    async findByUid (uid) { return findBy({ uid }) },
    async findByUserCode (userCode) { return findBy({ userCode }) },
    async consume (id) {
      const stored = find(id)
      if (stored !== undefined) stored.consumed = Math.floor(Date.now() / 1000)
    },
    async destroy (id) { entries.delete(key(id)) },
    async revokeByGrantId (grantId) {
      for (const [at, { payload }] of entries) if (payload.grantId === grantId) entries.delete(at)
    }
  }
}

function alive (entry: Entry | undefined): Stored | undefined {
  return entry !== undefined && entry.expiresAt > Date.now() ? entry.payload : undefined
}

function matches (stored: Stored | undefined, { uid, userCode }: Partial<Stored>): boolean {
  return stored !== undefined && (uid === undefined ? stored.userCode === userCode : stored.uid === uid)
}

function forgetExpired (entries: Map<string, Entry>): void {
  for (const [at, entry] of entries) if (alive(entry) === undefined) entries.delete(at)
}
