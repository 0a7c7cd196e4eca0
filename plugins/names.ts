/**
 * The names of an application, so that a wrong one does not compile. Empty until the application says what they are; a key that it
 * leaves out stays open to every name. It does not change what is checked at run time.
 *
 * @example
 * declare module 'fastify-secure-api' {
 *   interface Register {
 *     scope: 'api.read' | 'api.write'
 *     role: 'admin'
 *     policy: 'order-owner'
 *     rateLimit: 'reports'
 *     credential: 'session'
 *   }
 * }
 */
export interface Register {}

type Registered<Key extends string> = Register extends { readonly [key in Key]: infer Name extends string } ? Name : string

/** A scope of `Register`, or any text. */
export type ScopeName = Registered<'scope'>
/** A role of `Register`, or any text. */
export type RoleName = Registered<'role'>
/** A policy of `Register`, or any text. */
export type PolicyName = Registered<'policy'>
/** A credential of `Register`, or any text: `jwt`, `opaque`, `api-key`, `certificate` are always there. */
export type CredentialName = Registered<'credential'> | 'jwt' | 'opaque' | 'api-key' | 'certificate'
/** A rate limit of `Register`, or any text; `read` and `write` are always there. */
export type RateLimitName = Registered<'rateLimit'> | 'read' | 'write'

/** One name, all of a list, or any of a list. */
export type Named<Name extends string> = Name | { all: Name[] } | { any: Name[] }
