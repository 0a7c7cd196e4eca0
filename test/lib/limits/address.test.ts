import fc from 'fast-check'
import { isIPv6, SocketAddress } from 'node:net'
import t from 'tap'
import { addressKey, unknownAddress } from '../../../lib/limits/index.ts'

t.test('IPv4 is its own key', async t => {
  for (const address of ['203.0.113.7', '0.0.0.0', '255.255.255.255', '127.0.0.1']) t.equal(addressKey(address), address)
})

t.test('IPv6 counts by /64', async t => {
  const cases = {
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:DB8:1:2::': '2001:db8:1:2::/64',
    '2001:0db8:0001:0002:ffff:ffff:ffff:ffff': '2001:db8:1:2::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    '::1': '0:0:0:0::/64',
    '::': '0:0:0:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    'fe80::2%25': 'fe80:0:0:0::/64',
    '1:2:3:4:5:6:7::': '1:2:3:4::/64',
    '::2:3:4:5:6:7:8': '0:2:3:4::/64'
  }
  for (const [address, key] of Object.entries(cases)) t.equal(addressKey(address), key, address)
})

t.test('an address that carries IPv4 counts as that one, however it is written', async t => {
  const spellings = [
    '::ffff:203.0.113.7', '::FFFF:203.0.113.7', '::ffff:cb00:7107', '0:0:0:0:0:ffff:cb00:7107',
    '0000:0000:0000:0000:0000:ffff:203.0.113.7', '::0:ffff:203.0.113.7',
    '::ffff:203.0.113.7%lo', '::ffff:0:203.0.113.7', '64:ff9b::203.0.113.7', '64:ff9b::cb00:7107', '0064:ff9b:0:0:0:0:cb00:7107',
    '2002:cb00:7107::', '2002:cb00:7107:1::9', '::203.0.113.7'
  ]
  for (const address of spellings) t.equal(addressKey(address), '203.0.113.7', address)
})

t.test('neighbouring prefixes are no IPv4', async t => {
  for (const address of ['64:ff9b:1::203.0.113.7', '2003:cb00:7107::', '::fffe:203.0.113.7',
    '1::ffff:203.0.113.7']) t.match(addressKey(address), /::\/64$/, address)
})

t.test('14 C3: a port, as gateways write it into X-Forwarded-For, is no part of the address', async t => {
  for (const text of ['203.0.113.7:4711', '203.0.113.7:1', '[::ffff:203.0.113.7]:4711', '[203.0.113.7]:80',
    '[64:ff9b::203.0.113.7]']) t.equal(addressKey(text), '203.0.113.7', text)
  for (const text of ['[2001:db8:1:2::9]:443', '[2001:db8:1:2::9]', '[2001:DB8:1:2:3:4:5:6%eth0]:65535']) {
    t.equal(addressKey(text),
      '2001:db8:1:2::/64', text)
  }
})

t.test('no address, and what is none, share one key', async t => {
  const garbage = [undefined, '', 'unknown', '1.2.3.4:', '1.2.3.4:444444', '1.2.3.4:a', '1.2.3:80', '999.1.1.1:80', '01.2.3.4', '1.2.3',
    '[::1', '[::1]:', '[::1]x', '[[::1]]', '[1.2.3]:80', '[]:80', '::1]', ':', ':::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::', '1::2::3',
    '12345::', 'g::', '::1.2.3', '::1.2.3.4.5', '1:2:3:4:5:6:7:1.2.3.4', '::1:', '1:', '2001:db8::1/64', ' ::1', '::1 ', 'é::', '%',
    '::256.1.1.1', '1.2.3.4::']
  for (const address of garbage) t.equal(addressKey(address), unknownAddress, String(address))
})

const anyGroup = fc.integer({ min: 0, max: 0xffff })
const eightGroups = fc.array(anyGroup, { minLength: 8, maxLength: 8 })

t.test('every spelling of an address has one key', async () => {
  fc.assert(fc.property(eightGroups, fc.boolean(), (groups, upper) => {
    const full = groups.map(group => group.toString(16).padStart(4, '0')).join(':')
    const short = groups.map(group => group.toString(16)).join(':')
    const system = new SocketAddress({ address: full, family: 'ipv6' }).address
    const keys = [full, short, system, `${short}%eth0`].map(text => addressKey(upper ? text.toUpperCase() : text))
    return new Set(keys).size === 1 && keys[0] !== unknownAddress
  }), { numRuns: 2000 })
})

t.test('accepts exactly what the system accepts', async () => {
  const characters = fc.string({ unit: fc.constantFrom(...'01af:::..:g'), maxLength: 24 })
  const mutated = fc.tuple(eightGroups, fc.nat(38), fc.constantFrom(':', '::', '.', 'f', '')).map(([groups, at, insert]) => {
    const text = groups.map(group => (group % 3).toString(16)).join(':')
    return text.slice(0, at) + insert + text.slice(at + 1)
  })
  fc.assert(fc.property(fc.oneof(characters, mutated), text => text.includes('.') ||
    isIPv6(text) === (addressKey(text) !== unknownAddress)), { numRuns: 20_000 })
})
