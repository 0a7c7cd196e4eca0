import t from 'tap'

/** The benchmark is plain JavaScript, which the project's types do not reach. */
async function load <Exports> (name: string): Promise<Exports> {
  return await import(new URL(`../../bench/lib/${name}.mjs`, import.meta.url).href) as Exports
}

interface Call { functionName: string, url: string, lineNumber: number }
interface Profile { nodes: { id: number, callFrame: Call, children?: number[] }[], samples: number[], timeDeltas: number[] }
interface SelfTime { name: string, place: string, part: number }
interface Frame { total: number, children: ReadonlyMap<string, Frame> }
interface Pair { variant: string, rate: number, busy: number }
interface Row { variant: string, versus: string, rate: { median: number } }

t.test('statistics', async t => {
  const { median, quantile, slope } = await load<{
    median (values: readonly number[]): number
    quantile (values: readonly number[], part: number): number
    slope (points: readonly { x: number, y: number }[]): number
  }>('stats')

  t.equal(median([5, 1, 3]), 3)
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.equal(quantile([10, 20, 30, 40, 50], 0.99).toFixed(1), '49.6')
  t.ok(Number.isNaN(median([])))
  t.equal(slope([{ x: 0, y: 1 }, { x: 1, y: 3 }, { x: 2, y: 5 }]), 2)
  t.equal(slope([{ x: 1, y: 3 }]), 0)
})

t.test('arguments', async t => {
  const { parseArguments, parts } = await load<{
    parseArguments (given: readonly string[]): {
      only?: string[], merge: boolean, length: { launches: number, rounds: number, seconds: number }
    }
    parts: readonly (readonly string[])[]
  }>('arguments')

  t.same(parseArguments([]).length.launches, 2)
  t.match(parseArguments(['--quick', '--rounds', '7', '--seconds', '0.5', '--only', 'RS256,start', '--only', 'flood']), {
    only: ['RS256', 'start', 'flood'], merge: false, length: { rounds: 7, seconds: 0.5 }
  })
  t.match(parseArguments(['--part', '1']), { only: parts[0], merge: false }, 'the first part begins anew')
  t.match(parseArguments(['--part', '2']), { only: parts[1], merge: true }, 'the others are merged')
  for (const bad of [['--rounds', '0'], ['--rounds', '1.5'], ['--launches', 'many'], ['--seconds', '-1'], ['--unknown'], ['positional'],
    ['--part', '0'], ['--part', '99']]) t.throws(() => parseArguments(bad), bad.join(' '))
})

t.test('the parts are the whole', async t => {
  const { parts } = await load<{ parts: readonly (readonly string[])[] }>('arguments')
  const { full } = await load<{ full: readonly { name: string }[] }>('groups')
  const { sections } = await load<{ sections: object }>('run')
  const [named, all] = [parts.flat(), [...full.map(({ name }) => name), ...Object.keys(sections)]]

  t.same(all.filter(name => !named.some(part => name === part || name.startsWith(`${part}-`))), [])
})

t.test('the guard against decay', async t => {
  const { compare } = await load<{ compare (now: object, committed: object): { figure: string, worse: boolean }[] }>('check')
  const figure = (median: number, low = median, high = median) => ({ median, low, high })
  const committed = { 'RS256-1 suite': { cost: figure(2), bytes: figure(3), js: figure(2, 1.8, 2.2) } }
  const worse = (figures: object) => compare({ 'RS256-1 suite': figures }, committed).filter(one => one.worse).map(({ figure }) => figure)

  t.same(worse({ cost: figure(2.29), bytes: figure(3.08) }), [])
  t.same(worse({ cost: figure(2.31), bytes: figure(3) }), ['cost'])
  t.same(worse({ cost: figure(1), bytes: figure(3.1) }), ['bytes'])
  t.same(worse({ js: figure(2.79) }), [], 'what varied when it was committed may vary')
  t.same(worse({ js: figure(2.81) }), ['js'])
  t.same(worse({ cost: figure(NaN) }), ['cost'], 'a figure that could not be had is no success')
  t.same(compare({ 'a new case': { cost: figure(1) } }, committed).map(one => one.worse), [true])
})

t.test('results are merged', async t => {
  const { merged } = await load<{
    merged (before: object | undefined, fresh: object): {
      machine: { busyBefore: number }, groups: { name: string, rows: unknown }[], js?: unknown
    }
  }>('results')
  const machine = { processor: 'AMD EPYC', cores: 2, node: 'v20.20.2', busyBefore: 0.3 }
  const before = { machine, groups: [{ name: 'ES256-1', rows: [1] }, { name: 'metrics', rows: [1] }], js: 'earlier' }
  const fresh = { machine: { ...machine, node: 'v20.21.0' }, groups: [{ name: 'metrics', rows: [2] }, { name: 'RS256-1', rows: [2] }] }

  t.same(merged(before, fresh).groups.map(({ name, rows }) => [name, rows]), [['RS256-1', [2]], ['ES256-1', [1]], ['metrics', [2]]])
  t.equal(merged(before, fresh).js, 'earlier')
  const calmly = { ...fresh, machine: { ...machine, busyBefore: 0.1 } }
  t.equal(merged(before, calmly).machine.busyBefore, 0.3, 'the worst of all parts')
  t.equal(merged({ ...before, machine: { ...machine, cores: 8 } }, fresh).js, undefined, 'figures of another machine are no part of it')
  t.same(merged(undefined, fresh), fresh)
})

t.test('rows that agree become one', async t => {
  const { collapsed } = await load<{ collapsed (rows: readonly object[], keys: readonly string[]): unknown }>('rows')

  const rows = [{ variant: 'a', ms: 1, text: 'x' }, { variant: 'b', ms: 9, text: 'x' }, { variant: 'a', ms: 3, text: 'y' }]
  t.same(collapsed(rows, ['variant']), [
    { variant: 'a', ms: { median: 2, low: 1.5, high: 2.5, count: 2 }, text: 'y' },
    { variant: 'b', ms: { median: 9, low: 9, high: 9, count: 1 }, text: 'x' }
  ])
})

t.test('who has its turn beside whom', async t => {
  const { turns } = await load<{ turns (group: object, round: number): string[][] }>('measure')
  const couples = [['pino', 'none'], ['chain', 'none']]

  t.same(turns({ variants: ['a', 'b', 'c', 'd'] }, 1), [['b', 'c', 'd'], ['a']])
  t.same(turns({ variants: ['pino', 'none', 'chain'], couples }, 0), [['pino', 'none', 'chain']])
  t.same(turns({ variants: ['pino', 'none', 'chain'], couples }, 1), [['none', 'pino', 'chain']])
})

t.test('instructions, where the processor tells them', async t => {
  const { counted } = await load<{ counted (output: string): number | undefined }>('perf')

  t.equal(counted('7204051,,instructions:u,1283000,100.00,,'), 7204051)
  t.equal(counted('<not supported>,,instructions:u,0,100.00,,'), undefined)
  t.equal(counted(''), undefined)
})

t.test('pairs that something disturbed are left out while there are others', async t => {
  const { undisturbed } = await load<{ undisturbed (pairs: readonly Pair[]): Pair[] }>('pairs')
  const pair = (rate: number, busy: number) => ({ variant: 'suite', rate, busy })

  t.same(undisturbed([pair(0.3, 0.4), pair(0.8, 0.98)]).map(({ rate }) => rate), [0.8])
  t.same(undisturbed([pair(0.3, 0.4), pair(0.5, 0.6)]).map(({ rate }) => rate), [0.3, 0.5])
})

t.test('the chart has a bar for each server but the one that all are compared with', async t => {
  const { chart } = await load<{ chart (groups: readonly { name: string, rows: readonly Row[] }[]): string }>('chart')
  const row = (variant: string, median: number): Row => ({ variant, versus: 'bare', rate: { median } })
  const rows = [row('bare', 1), row('suite', 0.25), row('hono', 0.05)]
  const svg = chart([{ name: 'RS256-1', rows }, { name: 'RS256-20000', rows: rows.slice(0, 2) }])
  const bars = [...svg.matchAll(/<rect class="(\w+)" x="300"[^>]* width="([\d.]+)"/g)].map(([, series, width]) => [series, Number(width)])

  t.same(bars, [['first', 125], ['second', 125], ['first', 25]])
  t.match(svg, /prefers-color-scheme: dark/)
})

t.test('a flame graph', async t => {
  const { fold, selfTimes, flameGraph } = await load<{
    fold (profile: Profile): Frame
    selfTimes (root: Frame): SelfTime[]
    flameGraph (root: Frame, title: string): string
  }>('flame')
  const call = (functionName: string, url = '', lineNumber = 0) => ({ functionName, url, lineNumber })
  const profile = {
    nodes: [
      { id: 1, callFrame: call('(root)'), children: [2, 3, 4] },
      { id: 2, callFrame: call('(idle)') },
      { id: 3, callFrame: call('handle', 'file:///home/someone/project/dist/plugins/pipeline.js', 9), children: [5] },
      { id: 4, callFrame: call('route', '/home/someone/project/node_modules/fastify/lib/route.js', 4) },
      { id: 5, callFrame: call('a < b', 'node:http', 1) }
    ],
    samples: [2, 3, 5, 5, 4],
    timeDeltas: [1000, 100, 200, 200, 500]
  }
  const root = fold(profile)

  t.equal(root.total, 1000, 'idle time is not counted')
  t.match(selfTimes(root).map(({ name, place, part }) => [name, place, part]), [
    ['route', 'fastify/lib/route.js:5', 0.5],
    ['a < b', 'node:http:2', 0.4],
    ['handle', 'plugins/pipeline.js:10', 0.1]
  ])
  const svg = flameGraph(root, 'here')
  t.notMatch(svg, /someone/, 'no folder of the machine')
  t.match(svg, /a &lt; b/)
})

t.test('responses are complete when their length says so', async t => {
  const { isComplete } = await load<{ isComplete (text: string): boolean }>('connection')
  const head = (lines: string) => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n`

  t.equal(isComplete('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n'), false)
  t.equal(isComplete(`${head('Content-Length: 2')}a`), false)
  t.equal(isComplete(`${head('Content-Length: 2')}ab`), true)
  t.equal(isComplete(`${head('transfer-encoding: chunked')}2\r\nab\r\n`), false)
  t.equal(isComplete(`${head('transfer-encoding: chunked')}2\r\nab\r\n0\r\n\r\n`), true)
  t.equal(isComplete('HTTP/1.1 204 No Content\r\n\r\n'), true)
})
