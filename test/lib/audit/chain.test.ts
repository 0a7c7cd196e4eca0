import { generateKeyPairSync, hash, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { addLine, Chain } from '../../../lib/audit/chain.ts'
import {
  chainVerifier, readChainKey, verifyChain, type Finding, type FindingKind, type Verification, type VerifyOptions
} from '../../../lib/audit/index.ts'
import { LineBuffer, Lines } from '../../../lib/audit/line-buffer.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const keys = verifiers(publicKey)

function verifiers (key: KeyObject) {
  const verifier = chainVerifier(key)
  return verifier === undefined ? [] : [verifier]
}

function written (encode: (into: LineBuffer) => unknown): string {
  const into = new LineBuffer()
  encode(into)
  return into.content.toString()
}

function linesOf (texts: readonly string[]): Lines {
  const lines = new Lines()
  for (const text of texts) lines.add(text)
  return lines
}

/** Makes files of a chain in memory. */
async function chainOf (
  documents: readonly object[], { every = 5, files = 1, key = privateKey, end = true, batch = 1 } = {}
): Promise<string[]> {
  const chain = new Chain({ key: readChainKey(key, 'key'), every, now: () => Date.UTC(2026, 0, 1) })
  const size = Math.ceil(documents.length / files)
  const texts: string[] = []
  for (let file = 0; file < files; file++) {
    await chain.begin(0, async () => Buffer.alloc(0))
    const isLast = file === files - 1
    const own = documents.slice(file * size, (file + 1) * size).map(document => JSON.stringify(document))
    let text = ''
    for (let at = 0; at < own.length || at === 0; at += batch) {
      const isEnd = isLast && end && at + batch >= own.length
      text += written(into => chain.encode(linesOf(own.slice(at, at + batch)), isEnd, into))
      chain.written()
    }
    texts.push(isLast ? text : text + written(into => chain.leave(into)))
    chain.written()
  }
  return texts
}

async function check (texts: readonly string[] | string | Buffer, options: VerifyOptions = {}, size = 1000): Promise<Verification> {
  const list = Array.isArray(texts) ? texts : [texts]
  return await verifyChain(list.map((text, index) => ({ name: `audit.${index}`, chunks: chunks(Buffer.from(text), size) })),
    { keys, ...options })
}

async function * chunks (bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield Buffer.from(bytes.subarray(start, start + size))
}

function kinds ({ findings }: Verification): FindingKind[] {
  return [...new Set(findings.filter(({ severity }) => severity === 'error').map(({ kind }: Finding) => kind))].sort()
}

const documents = Array.from({ length: 23 }, (_, n) => ({ n, who: `caller "${n}"`, chain2: { chain: { seq: 1, hash: 'x' } } }))

t.test('what was not touched is intact, whatever the documents and the chunks', async t => {
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.constant({ chain: { seq: 3, hash: 'a' } }))
  await fc.assert(fc.asyncProperty(fc.array(fc.dictionary(fc.string(), value), { maxLength: 20 }), fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 20 }), async (given, files, size, batch) => {
      const own = given.map(({ chain, ...rest }) => rest)
      const found = await check(await chainOf(own, { files, batch }), {}, size)
      t.strictSame([kinds(found), found.findings.length, found.more], [[], 0, 0])
    }), { numRuns: 60 })
})

t.test('each signature is counted, and the last good checkpoint is named', async t => {
  const found = await check(await chainOf(documents))
  t.match(found, { lines: 29, signatures: 6, checkpoint: { line: 29, seq: 28, time: '2026-01-01T00:00:00.000Z' }, last: { seq: 28 } })
})

/** Mutations of the lines of a trail that ends with its signed end, with the kinds that may be reported and the one that must be. */
type Mutation = (lines: string[], at: number, other: number) => { readonly lines: string[], readonly must: FindingKind[] } | undefined

const mutations: Readonly<Record<string, Mutation>> = {
  'a byte changed' (lines, at, other) {
    const line = lines[at] ?? ''
    const place = other % line.length
    const changed = line[place] === 'x' ? 'y' : 'x'
    return { lines: lines.with(at, line.slice(0, place) + changed + line.slice(place + 1)), must: ['changed'] }
  },
  'a digit of the number changed' (lines, at, other) {
    const changed = (lines[at] ?? '').replace(/"chain":\{"seq":\d/, `"chain":{"seq":${other % 10}`)
    return changed === lines[at] ? undefined : { lines: lines.with(at, changed), must: ['changed'] }
  },
  'a byte removed' (lines, at, other) {
    const line = lines[at] ?? ''
    const place = other % line.length
    return { lines: lines.with(at, line.slice(0, place) + line.slice(place + 1)), must: ['changed'] }
  },
  'a line break in a line' (lines, at, other) {
    const line = lines[at] ?? ''
    const place = 1 + other % (line.length - 1)
    return { lines: lines.toSpliced(at, 1, line.slice(0, place), line.slice(place)), must: ['changed'] }
  },
  'a line break removed' (lines, at) {
    if (at === lines.length - 1) return undefined
    return { lines: lines.toSpliced(at, 2, `${lines[at]}x${lines[at + 1]}`), must: ['changed'] }
  },
  'a line removed' (lines, at) {
    return { lines: lines.toSpliced(at, 1), must: [at === lines.length - 1 ? 'truncated' : 'removed'] }
  },
  'lines removed' (lines, at, other) {
    const count = 1 + other % 9
    return { lines: lines.toSpliced(at, count), must: [at + count >= lines.length ? 'truncated' : 'removed'] }
  },
  'the end cut' (lines, at) {
    return { lines: lines.slice(0, at), must: ['truncated'] }
  },
  'a line copied' (lines, at, other) {
    return { lines: lines.toSpliced(other % (lines.length + 1), 0, lines[at] ?? ''), must: ['inserted'] }
  },
  'a foreign line added' (lines, at, other) {
    const foreign = ['', 'x', '{"n":1}', '{"n":1,"chain":{"seq":7,"hash":"mN0VvWmzTGZ8l6tZjZ7H4cV3gNqzMpkN0VvWmzTGZ8l"}}'][other % 4] ?? ''
    return { lines: lines.toSpliced(at, 0, foreign), must: ['inserted'] }
  },
  'two lines exchanged' (lines, at, other) {
    const second = other % lines.length
    if (at === second) return undefined
    return { lines: lines.with(at, lines[second] ?? '').with(second, lines[at] ?? ''), must: ['reordered'] }
  },
  'a line moved' (lines, at, other) {
    const to = other % lines.length
    return at === to ? undefined : { lines: lines.toSpliced(at, 1).toSpliced(to, 0, lines[at] ?? ''), must: ['reordered'] }
  }
}

for (const [name, mutate] of Object.entries(mutations)) {
  t.test(`one mutation, told for what it is: ${name}`, async t => {
    const text = (await chainOf(documents)).join('')
    const lines = text.trimEnd().split('\n')
    await fc.assert(fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(100_000), async (at, other) => {
      const mutated = mutate(lines, at, other)
      if (mutated === undefined) return
      const found = await check(mutated.lines.map(line => `${line}\n`).join(''))
      // Where the signed end itself is not in its place, that is said too.
      const reported = kinds(found).filter(kind => kind !== 'truncated' || mutated.must.includes('truncated'))
      fc.pre(mutated.lines.join('\n') !== lines.join('\n'))
      if (JSON.stringify(reported) !== JSON.stringify(mutated.must)) {
        throw new Error(`${name} at ${at}, ${other}: ${JSON.stringify(found.findings.map(({ kind, line, text }) => [kind, line, text]))}`)
      }
    }), { numRuns: 60 })
    t.pass()
  })
}

const many = Array.from({ length: 45 }, (_, n) => ({ n, who: `caller "${n}"`, chain2: { chain: { seq: 1, hash: 'x' } } }))

t.test('19: a link binds the lines of one write, sixteen at most, and none beyond a checkpoint', async t => {
  const [text = ''] = await chainOf(many, { every: 30, batch: 20 })
  const links = text.trimEnd().split('\n').map(line => JSON.parse(line).chain).filter(chain => chain !== undefined)
  t.strictSame(links.map(({ seq, type, lines }) => [seq, type ?? lines]),
    [[0, 'start'], [1, 16], [2, 4], [3, 10], [4, 'checkpoint'], [5, 10], [6, 5], [7, 'end']])
  t.match(await check(text), { findings: [], lines: 48, signatures: 3, last: { seq: 7 } })
})

for (const [name, mutate] of Object.entries(mutations)) {
  t.test(`19: one mutation of a line that another one binds, told for what it is: ${name}`, async t => {
    const text = (await chainOf(many, { every: 30, batch: 8 })).join('')
    const lines = text.trimEnd().split('\n')
    const isBound = (index: number) => JSON.parse(lines[index % lines.length] ?? '').chain === undefined
    await fc.assert(fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(100_000), async (at, other) => {
      const mutated = mutate(lines, at, other)
      if (mutated === undefined) return
      fc.pre(mutated.lines.join('\n') !== lines.join('\n'))
      const found = await check(mutated.lines.map(line => `${line}\n`).join(''))
      const isOpen = mutated.must.includes('truncated')
      const reported = kinds(found).filter(kind => isOpen || kind !== 'truncated').filter(kind => !isOpen || kind !== 'torn')
      // What is done to the line that holds the link is seen, and may be told for more than it is.
      const isTold = isBound(at) && (name !== 'two lines exchanged' || isBound(other)) && (name !== 'a foreign line added' || other % 4 < 3)
      if (isTold ? JSON.stringify(reported) !== JSON.stringify(mutated.must) : kinds(found).length === 0) {
        throw new Error(`${name} at ${at}, ${other}: ${JSON.stringify(found.findings.map(({ kind, line, text }) => [kind, line, text]))}`)
      }
    }), { numRuns: 120 })
    t.pass()
  })
}

t.test('19: whatever is done to the lines of a trail that ended is an error, however they are bound', async t => {
  const texts = await Promise.all([1, 3, 8, 20].map(async batch => (await chainOf(many, { every: 12, batch })).join('')))
  const step = fc.tuple(fc.constantFrom(...Object.values(mutations)), fc.nat(1000), fc.nat(100_000))
  await fc.assert(fc.asyncProperty(fc.constantFrom(...texts), fc.array(step, { minLength: 1, maxLength: 4 }), async (text, steps) => {
    const lines = text.trimEnd().split('\n')
    const mutated = steps.reduce((left, [mutate, at, other]) => {
      const index = at % left.length
      return (left[index]?.length ?? 0) < 2 ? left : mutate(left, index, other)?.lines ?? left
    }, lines)
    fc.pre(mutated.length > 0 && mutated.join('\n') !== lines.join('\n'))
    const found = kinds(await check(mutated.map(line => `${line}\n`).join('')))
    if (found.length === 0) throw new Error(mutated.join('\n'))
  }), { numRuns: 300 })
  t.pass()
})

t.test('any byte changed is an error', async t => {
  for (const batch of [1, 8]) {
    const bytes = Buffer.from((await chainOf(documents, { batch })).join(''))
    await fc.assert(fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ change
      return kinds(await check(changed)).length > 0
    }), { numRuns: 150 })
    t.pass()
  }
})

t.test('whoever counts the hashes anew is told by the next signature', async t => {
  const key = generateKeyPairSync('ed25519')
  const own = (await chainOf(documents)).join('').split('\n')
  const forged = (await chainOf(documents.map(document => ({ ...document, who: 'nobody' })), { key: key.privateKey })).join('').split('\n')
  // Between two signed lines of the true chain stand lines whose hashes follow each other.
  const first = await check([...own.slice(0, 1), ...forged.slice(1, 6), ...own.slice(6)].join('\n'))
  t.strictSame(kinds(first).filter(kind => kind !== 'changed'), [])
  t.ok(kinds(first).length > 0)
  t.strictSame(kinds(await check(forged.join('\n'))), ['wrong-key'])
  t.strictSame(kinds(await check(forged.join('\n'), { keys: [...keys, ...verifiers(key.publicKey)] })), [])
  t.strictSame(kinds(await check(forged.join('\n'), { keys: [] })), [], 'without a key nobody can know')
  const kid = keys[0]?.kid ?? ''
  const claimed = forged.map(line => line.replace(/"kid":"[\w-]+"/, `"kid":"${kid}"`)).join('\n')
  t.ok(kinds(await check(claimed)).includes('changed'))
})

/** What an attacker without the key can do: all hashes, those of the signed lines too, are counted anew. */
function rehashed (lines: readonly string[]): string {
  let [previous, from] = ['', 0]
  const made = [...lines]
  for (const [index, line] of lines.entries()) {
    if (!/"hash":"[\w-]{43}"\}\}$/.test(line)) continue
    const text = [...made.slice(from, index), line.slice(0, -46)].join('\n')
    previous = hash('sha256', previous + text, 'base64url')
    made[index] = `${line.slice(0, -46)}${previous}"}}`
    from = index + 1
  }
  return `${made.join('\n')}\n`
}

for (const batch of [1, 8]) {
  t.test(`19 attack: all hashes counted anew, in writes of ${batch} lines`, async t => {
    const [text = ''] = await chainOf(documents, { batch })
    const lines = text.trimEnd().split('\n')
    t.equal(rehashed(lines), text)
    const changed = await check(rehashed(lines.map(line => line.replace('caller \\"3', 'caller \\"9'))))
    t.strictSame(kinds(changed), ['changed'])
    t.match(changed.findings[0], { kind: 'changed', checkpoint: { seq: 0 } })
    t.ok(kinds(await check(rehashed(lines.toSpliced(3, 0, '{"n":0,"chain":{"seq":3,"hash":"' + 'A'.repeat(43) + '"}}')))).length > 0)
  })

  t.test(`19 attack: members behind a signature, which it does not cover, in writes of ${batch} lines`, async t => {
    const [text = ''] = await chainOf(documents, { batch })
    const lines = text.trimEnd().split('\n')
    const at = lines.findIndex(line => line.includes('"type":"checkpoint"'))
    const withMember = (member: string) => rehashed([...lines.slice(0, at), (lines[at] ?? '').replace(',"hash"', `${member},"hash"`)])
    for (const member of [',"type":"end"', ',"type":"end","torn":7', ',"sig2":""', ' ']) {
      t.ok(kinds(await check(withMember(member))).includes('truncated'), `no checkpoint becomes an end: ${member}`)
    }
    const last = lines.at(-1) ?? ''
    const next = (character: string) => String.fromCharCode(character.charCodeAt(0) + 1)
    const spare = rehashed(lines.with(-1, last.replace(/.(?=","hash")/, next)))
    t.ok(kinds(await check(spare)).length > 0, 'bits of the signature that mean nothing')
  })
}

t.test('several files: in order, one missing, one cut, one of another chain', async t => {
  const [first = '', second = '', third = ''] = await chainOf(documents, { files: 3 })
  const [other = ''] = await chainOf(documents)
  t.strictSame((await check([first, second, third])).findings, [])
  t.strictSame((await check([second, third])).findings, [], 'older files may be gone')
  t.strictSame(kinds(await check([first, third])), ['removed'])
  t.strictSame(kinds(await check([first.split('\n').slice(0, -3).join('\n') + '\n', second, third])), ['removed'])
  t.ok(kinds(await check([first, other, third])).includes('replaced'))
  const [ended = ''] = await chainOf(documents)
  t.match((await check([ended, other])).findings, [{ kind: 'replaced', severity: 'warning' }], 'an application that began anew')
  t.match((await check([first, other])).findings, [{ kind: 'replaced', severity: 'error' }], 'the file behind a rotated one is not there')
  t.strictSame(kinds(await check([first.split('\n').slice(0, -2).join('\n') + '\n', other])), ['replaced'])
  t.strictSame((await check([first, second])).findings, [], 'a file that was rotated ends signed')
  for (const emptied of [['', second, third], [first, '', third], [first, second, '']]) {
    t.ok(kinds(await check(emptied)).includes('truncated'), 'a file that was emptied')
  }
})

t.test('anchors tell a cut and another file, which nothing else can', async t => {
  const [text = ''] = await chainOf(documents)
  const [other = ''] = await chainOf(documents)
  const { last } = await check(text)
  const anchors = last === undefined ? [] : [last]
  const cut = text.split('\n').slice(0, 7).join('\n') + '\n'
  t.strictSame(kinds(await check(text, { anchors })), [])
  t.strictSame((await check(cut, { running: true })).findings.map(({ kind, severity }) => [kind, severity]), [['truncated', 'warning']])
  t.strictSame(kinds(await check(cut, { running: true, anchors })), ['truncated'])
  t.strictSame(kinds(await check(other)), [])
  t.strictSame(kinds(await check(other, { anchors })), ['replaced'])
  const [, later = ''] = await chainOf(documents, { files: 2 })
  const older = { seq: 3, hash: 'x' }
  const { last: known = older } = await check(later)
  t.match((await check(later, { anchors: [older, known] })).findings, [{ kind: 'removed', severity: 'warning' }])
})

t.test('19 attack: a later file of an old chain in the place of one whose anchor has a lower number', async t => {
  const [, old = ''] = await chainOf(documents, { files: 2 })
  const { last } = await check(await chainOf(documents.slice(0, 3)))
  t.match((await check(old, { anchors: last && [last] })).findings, [{ kind: 'removed', severity: 'error', text: /none of the anchors/ }])
})

/** Two ends of a chain, whose file was put back between them. */
async function forked () {
  const key = readChainKey(privateKey, 'key')
  const [text = ''] = await chainOf(documents, { end: false })
  const ends = ['{"n":1}', '{"n":2}'].map(async document => {
    const chain = new Chain({ key, every: 5, now: () => 0 })
    await chain.begin(text.length, async (position, length) => Buffer.from(text).subarray(position, position + length))
    return text + written(into => chain.encode(linesOf([document]), true, into))
  })
  return await Promise.all(ends)
}

t.test('19 attack: two anchors with one number, of a file that was put back and went on otherwise', async t => {
  const files = await forked()
  const anchors = (await Promise.all(files.map(async file => (await check(file)).last ?? { seq: 0, hash: '' })))
  t.equal(anchors[0]?.seq, anchors[1]?.seq)
  for (const file of files) {
    t.strictSame(kinds(await check(file, { anchors })), ['replaced'])
    t.strictSame(kinds(await check(file, { anchors: anchors.toReversed() })), ['replaced'])
  }
})

t.test('19 attack: a document that was broken where it ends as a link does, once and twice', async t => {
  const key = readChainKey(privateKey, 'key')
  const [start = ''] = await chainOf(documents.slice(0, 3), { end: false })
  const broken = `${start}{"a":{"chain":{"seq":777,"hash":"${'A'.repeat(43)}"}}`
  const resumed = async (text: string) => {
    const chain = new Chain({ key, every: 5, now: () => 0 })
    await chain.begin(text.length, async (position, length) => Buffer.from(text).subarray(position, position + length))
    return written(into => chain.encode(linesOf(['{"n":1}']), true, into))
  }
  const once = await resumed(broken)
  const twice = broken + once.slice(0, 30)
  const found = await check(broken + once)
  t.strictSame([kinds(found), found.last?.seq], [[], 6])
  t.match((await check(twice + await resumed(twice))).last, { seq: 6 }, 'the number in the document is not gone on from')
})

t.test('an anchor may be of the first of two chains, or of the second', async t => {
  const [first = ''] = await chainOf(documents)
  const [second = ''] = await chainOf(documents)
  const anchors = (await Promise.all([first, second].map(async text => (await check(text)).last ?? { seq: 0, hash: '' })))
  for (const some of [anchors, anchors.slice(1), anchors.slice(0, 1)]) {
    t.strictSame(kinds(await check([first, second], { anchors: some })), [])
  }
  t.strictSame(kinds(await check([first], { anchors })), ['replaced'])
})

t.test('19 attack: behind a thousand warnings an error is still one', async t => {
  const key = readChainKey(privateKey, 'key')
  let text = ''
  for (let n = 0; n < 1003; n++) {
    const chain = new Chain({ key, every: 5, now: () => 0 })
    await chain.begin(Buffer.byteLength(text), async (position, length) => Buffer.from(text).subarray(position, position + length))
    text += written(into => chain.encode(linesOf(['{"n":1}']), n === 1002, into))
  }
  const [found, changed] = [await check(text, {}, 65_536), await check(text.replace(/1(?=.*\n.*\n$)/, '2'), {}, 65_536)]
  t.match(found, { more: 0, moreWarnings: 2, findings: { length: 1000 } })
  t.strictSame([kinds(found), kinds(changed)], [[], ['changed']])
})

t.test('an open end: while the process runs, after it died, in the middle of a line', async t => {
  const [text = ''] = await chainOf(documents.slice(0, 7), { end: false })
  t.match((await check(text)).findings,
    [{ kind: 'truncated', severity: 'error' }, { kind: 'unsigned-tail', severity: 'warning', seq: [7, 8] }])
  t.strictSame(kinds(await check(text, { running: true })), [])
  t.strictSame(kinds(await check(text.slice(0, -5))), ['torn', 'truncated'])
  t.strictSame(kinds(await check(text.slice(0, -5), { running: true })), [])
  t.strictSame(kinds(await check('')), ['truncated'])
  t.strictSame(kinds(await check('{"n":1}\n{"n":2}\n')), ['not-a-chain'])
})

t.test('what follows the signed end was added', async t => {
  const chain = new Chain({ key: readChainKey(privateKey, 'key'), every: 5, now: () => 0 })
  await chain.begin(0, async () => Buffer.alloc(0))
  const ended = written(into => chain.encode(linesOf(['{"n":1}']), true, into))
  const { seq = 0, hash = '' } = (await check(ended)).last ?? {}
  t.match(kinds(await check(ended + written(into => addLine(into, '{"n":2}', { seq, hash })))), ['inserted', 'truncated'])
})

t.test('19 attack: a last line full of links, and a file without lines, take time by their length and not by its square', async t => {
  const [text = ''] = await chainOf(documents)
  const hostile = `{${'"chain":{"seq":1'.repeat(200_000)},"chain":{"seq":99,"hash":"${'A'.repeat(43)}"}}\n`
  t.strictSame(kinds(await check(text + hostile, {}, 65_536)), ['removed', 'truncated'])
  t.strictSame(kinds(await check(Buffer.alloc(17 * 1024 * 1024, 0x61), {}, 65_536)), ['not-a-chain'])
})

t.test('19 attack: what was done to many small links is tried a second long, and not a minute', async t => {
  const [text = ''] = await chainOf(documents)
  const group = (seq: number) => `${'{"n":1}\n'.repeat(15)}{"n":1,"chain":{"seq":${seq},"lines":16,"hash":"${'A'.repeat(43)}"}}\n`
  const started = performance.now()
  const found = await check(text + Array.from({ length: 1000 }, (_, n) => group(n + 29)).join(''), {}, 65_536)
  t.ok(found.more > 0)
  t.ok(performance.now() - started < 8000)
})
