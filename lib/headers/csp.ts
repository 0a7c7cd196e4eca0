import type { Directives } from './options.ts'

/** Directives by kebab-case name, each with its sources; empty for a directive without a value. */
export type Policy = ReadonlyMap<string, readonly string[]>

/** `imgSrc` and `img-src` are the same directive. */
export function directiveName (name: string): string {
  return name.replace(/[A-Z]/g, capital => `-${capital.toLowerCase()}`)
}

/** Sources of a directive as a list; a string may contain several, separated by spaces as in the header. */
export function sources (value: string | readonly string[]): readonly string[] {
  const list = typeof value === 'string' ? [value] : value
  return list.flatMap(source => source.split(' ')).filter(source => source !== '')
}

/** Lays directives over a policy one by one; the others stay (helmetjs/helmet#487). */
export function layer (base: Policy, directives: Directives = {}): Policy {
  const policy = new Map(base)
  for (const [name, value] of Object.entries(directives)) {
    if (value === false) policy.delete(directiveName(name))
    else policy.set(directiveName(name), value === true ? [] : sources(value))
  }
  return policy
}

const nonced = ['script-src', 'style-src']

/** The policy with the nonce as a source of scripts and styles. */
export function withNonceSource (policy: Policy, nonce: string): Policy {
  const result = new Map(policy)
  for (const name of nonced) {
    const listed = policy.get(name) ?? policy.get('default-src') ?? []
    result.set(name, [...listed.filter(source => source !== "'none'"), nonce])
  }
  return result
}

/** The sources that decide which scripts run. */
export function scriptSources (policy: Policy): readonly string[] {
  return policy.get('script-src') ?? policy.get('default-src') ?? []
}
