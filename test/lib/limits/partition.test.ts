import type { FastifyRequest } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { anonymous, type Principal } from '../../../lib/credentials/index.ts'
import { addressPartition, partitionOf } from '../../../lib/limits/partition.ts'

type Who = Partial<Pick<Principal, 'kind' | 'subject' | 'client' | 'issuer' | 'tenant'>>

function principal (who: Who): Principal {
  return {
    kind: 'user',
    credential: 'jwt',
    subject: 's',
    client: undefined,
    issuer: 'https://a.example',
    scopes: new Set(),
    roles: new Set(),
    claims: {},
    expiresAt: Infinity,
    ...who
  }
}

function request (auth?: Principal, ip = '192.0.2.1'): FastifyRequest & { readonly warned: unknown[] } {
  const warned: unknown[] = []
  return {
    auth,
    ip,
    warned,
    log: {
      warn: (entry: unknown) => { warned.push(entry) }
    }
  } as unknown as FastifyRequest & { readonly warned: unknown[] }
}

const address = 'a:192.0.2.1'
const named = ['principal', 'client', 'tenant', 'api-key'] as const

t.test('who is not known counts by address', t => {
  for (const by of [...named, 'address'] as const) {
    const partition = partitionOf(by)
    t.equal(partition(request()), address, by)
    t.equal(partition(request(anonymous)), address, by)
    t.equal(partition(request(anonymous, '2001:db8::1')), partition(request(undefined, '2001:db8::2')), 'one /64')
  }
  t.equal(addressPartition(request()), address)
  t.end()
})

t.test('a principal without the property counts by address too', t => {
  const nobody = principal({})
  for (const by of ['client', 'tenant', 'api-key'] as const) {
    const partition = partitionOf(by)
    t.equal(partition(request(nobody)), address, by)
    t.equal(partition(request(nobody, '192.0.2.2')), 'a:192.0.2.2', `${by}: no address is remembered for a principal`)
  }
  t.equal(partitionOf('api-key')(request(principal({ kind: 'user', subject: 's' }))), address, 'a subject is no API key')
  t.end()
})

t.test('issue 18: `api-key` counts by the key, not by its owner, who may have many', t => {
  const partition = partitionOf('api-key')
  const owned = { kind: 'api-key', issuer: 'i', subject: 'owner' } as const
  const of = (client?: string) => partition(request(principal({ ...owned, ...(client !== undefined && { client }) })))
  t.not(of('one'), of('other'))
  t.equal(of('one'), of('one'))
  t.not(of('owner'), of(), 'a subject alone is another name')
  t.end()
})

t.test('each budget is apart from every other', t => {
  const everything = { subject: 'n', client: 'n', tenant: 'n', kind: 'api-key' } as const
  const keys = named.map(by => partitionOf(by)(request(principal(everything))))
  t.equal(new Set([...keys, address]).size, 5)
  t.equal(partitionOf('address')(request(principal(everything))), address)
  t.equal(partitionOf('principal')(request(principal({}))), partitionOf('principal')(request(principal({}), '192.0.2.9')),
    'a caller is the same from wherever it calls')
  t.end()
})

t.test('a subject is one only together with its issuer, and no name reads like another key', t => {
  const name = fc.string({ unit: fc.constantFrom('a', ':', '1', '0') })
  fc.assert(fc.property(name, name, name, name, (issuer, subject, issuer2, subject2) => {
    const partition = partitionOf('principal')
    const same = partition(request(principal({ issuer, subject }))) === partition(request(principal({
      issuer: issuer2,
      subject: subject2
    })))
    return same === (issuer === issuer2 && subject === subject2)
  }))
  t.end()
})

t.test('a function names the caller; where it fails or names nobody, the address counts', t => {
  t.equal(partitionOf(({ ip }) => ip)(request()), 'x:192.0.2.1', 'never the key of the address itself')
  const nobody = [() => undefined, () => '', () => 7 as unknown as string, () => Promise.resolve('x') as unknown as string]
  for (const by of nobody) t.equal(partitionOf(by)(request()), address)
  const failing = request()
  t.equal(partitionOf(() => { throw new Error('boom') })(failing), address)
  t.equal(failing.warned.length, 1)
  t.end()
})
