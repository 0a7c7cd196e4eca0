import type { PresetName } from '../lib/tokens/index.ts'

/** Who calls, in a test. */
export interface TestCaller {
  /** `sub`. @default 'test-user'; for a service, its client */
  readonly subject?: string
  /** The application that asked for the token. @default 'test-client' */
  readonly client?: string
  /** @default none */
  readonly scopes?: readonly string[]
  /** @default none */
  readonly roles?: readonly string[]
  /** Of Entra ID: `tid`. */
  readonly tenant?: string
  /** Any other claims, over those above; `undefined` leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>
}

export type CallerKind = 'user' | 'service'
type Claims = Readonly<Record<string, unknown>>

interface Named extends Required<Pick<TestCaller, 'subject' | 'client' | 'scopes' | 'roles'>>, Pick<TestCaller, 'tenant'> {}

/** What a provider makes of a caller: where scopes and roles are, and what tells a user from an application. */
interface Shape {
  /** `typ` of the header; undefined for a provider that sends none. */
  readonly typ: string | undefined
  /** The client, where it has to be the one that the API names as its audience. */
  readonly client?: 'audience'
  /** What tokens of this provider do not hold. */
  readonly lacks?: Readonly<Partial<Record<CallerKind, ReadonlyArray<'scopes' | 'roles'>>>>
  readonly common: (caller: Named) => Claims
  readonly user: (caller: Named) => Claims
  readonly service: (caller: Named) => Claims
}

const nothing = () => ({})
/** A claim is left out where there is nothing to say, so that one of the issuer's own options shows. */
const spaced = (claim: string, names: readonly string[]) => names.length === 0 ? {} : { [claim]: names.join(' ') }
const listed = (claim: string, names: readonly string[]) => names.length === 0 ? {} : { [claim]: names }

/** RFC 9068 §2.2: where there is no user, `sub` names the client. */
const standard: Shape = {
  typ: 'at+jwt',
  common: ({ subject, client, scopes, roles }) =>
    ({ sub: subject, client_id: client, ...spaced('scope', scopes), ...listed('roles', roles) }),
  user: nothing,
  service: nothing
}

/** As the documentation of each provider shows them; `test/fixtures/preset-samples.ts` has one of each. */
const shapes: Readonly<Record<PresetName, Shape>> = {
  entra: {
    typ: 'JWT',
    lacks: { service: ['scopes'] },
    common: ({ subject, client, roles, tenant }) =>
      ({
        sub: subject,
        oid: subject,
        azp: client,
        client_id: undefined,
        ...listed('roles', roles),
        ...(tenant === undefined ? {} : { tid: tenant }),
        ver: '2.0'
      }),
    user: ({ scopes }) => ({ scp: scopes.join(' '), azpacr: '0' }),
    service: () => ({ idtyp: 'app', azpacr: '1' })
  },
  auth0: {
    typ: 'JWT',
    common: ({ subject, client, scopes, roles }) =>
      ({ sub: subject, azp: client, client_id: undefined, ...spaced('scope', scopes), ...listed('permissions', roles) }),
    user: nothing,
    service: ({ subject }) => ({ sub: `${subject}@clients`, gty: 'client-credentials' })
  },
  keycloak: {
    typ: 'JWT',
    common: ({ subject, client, scopes, roles }) =>
      ({
        sub: subject,
        typ: 'Bearer',
        azp: client,
        client_id: undefined,
        ...spaced('scope', scopes),
        ...(roles.length === 0 ? {} : { realm_access: { roles } })
      }),
    user: ({ subject }) => ({ sid: `session-of-${subject}`, preferred_username: subject }),
    service: ({ client }) => ({ client_id: client, preferred_username: `service-account-${client.toLowerCase()}` })
  },
  okta: {
    typ: undefined,
    common: ({ subject, client, scopes, roles }) =>
      ({ ver: 1, sub: subject, cid: client, client_id: undefined, ...listed('scp', scopes), ...listed('groups', roles) }),
    user: ({ subject }) => ({ uid: `00u-${subject}` }),
    service: nothing
  },
  cognito: {
    typ: undefined,
    client: 'audience',
    common: ({ subject, client, scopes, roles }) =>
      ({
        sub: subject,
        aud: undefined,
        client_id: client,
        token_use: 'access',
        version: 2,
        ...spaced('scope', scopes),
        ...listed('cognito:groups', roles)
      }),
    user: ({ subject }) => ({ username: subject }),
    service: nothing
  },
  google: {
    typ: 'JWT',
    lacks: { user: ['scopes', 'roles'], service: ['scopes', 'roles'] },
    common: ({ subject }) => ({ sub: subject, client_id: undefined, email_verified: true }),
    user: ({ subject, client }) => ({ azp: client, email: `${subject}@example.com` }),
    service: ({ subject }) => ({ azp: subject, email: `${subject}@project.iam.gserviceaccount.com` })
  }
}

/** The claims of a caller as the provider writes them, and the `typ` of its tokens. */
export function callerToken (kind: CallerKind, caller: TestCaller, audience: string | string[], preset?: PresetName): {
  claims: Claims,
  typ: string | undefined
} {
  const shape = preset === undefined ? standard : shapes[preset]
  for (const name of shape.lacks?.[kind] ?? []) {
    if (caller[name] !== undefined) {
      throw new Error(`${preset} puts no ${name} into the token of a ${kind}; give them in \`claims\`, or take another preset`)
    }
  }
  const named = nameOf(kind, caller, shape.client === 'audience' ? String([audience].flat()[0]) : 'test-client')
  return { claims: { ...shape.common(named), ...shape[kind](named), ...caller.claims }, typ: shape.typ }
}

function nameOf (kind: CallerKind, { subject, client, scopes = [], roles = [], tenant }: TestCaller, fallback: string): Named {
  const known = client ?? fallback
  return {
    subject: subject ?? (kind === 'service' ? known : 'test-user'),
    client: known,
    scopes,
    roles,
    ...(tenant === undefined ? undefined : { tenant })
  }
}
