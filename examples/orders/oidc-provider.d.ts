/** The part of oidc-provider 9 (which ships no types) that the example uses. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface Grant {
    addOIDCScope (scope: string): void
    addResourceScope (resource: string, scope: string): void
    save (): Promise<string>
  }

  export interface Context {
    readonly oidc: {
      readonly client: { readonly clientId: string }
      readonly session: { readonly accountId: string }
      readonly params: { readonly scope?: string }
    }
  }

  export interface Token {
    readonly accountId?: string
  }

  export interface Adapter {
    upsert (id: string, payload: object, expiresIn?: number): Promise<void>
    find (id: string | undefined): Promise<object | undefined>
    findByUid (uid: string): Promise<object | undefined>
    findByUserCode (userCode: string): Promise<object | undefined>
    consume (id: string): Promise<void>
    destroy (id: string): Promise<void>
    revokeByGrantId (grantId: string): Promise<void>
  }

  export default class Provider {
    constructor (issuer: string, configuration: object)
    readonly Grant: new (owner: { clientId: string, accountId: string }) => Grant
    callback (): (request: IncomingMessage, response: ServerResponse) => void
    interactionDetails (request: IncomingMessage, response: ServerResponse): Promise<{ params: { login_hint?: string } }>
    interactionFinished (request: IncomingMessage, response: ServerResponse, result: object): Promise<void>
  }
}
