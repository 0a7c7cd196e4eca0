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
  const { parseArguments } = await load<{
    parseArguments (given: readonly string[]): { only?: string[], length: { launches: number, rounds: number, seconds: number } }
  }>('arguments')

  t.same(parseArguments([]).length.launches, 3)
  t.same(parseArguments(['--quick']).length.launches, 1)
  t.match(parseArguments(['--quick', '--rounds', '7', '--seconds', '0.5', '--only', 'RS256,start', '--only', 'flood']), {
    only: ['RS256', 'start', 'flood'], length: { rounds: 7, seconds: 0.5 }
  })
  for (const bad of [['--rounds', '0'], ['--rounds', '1.5'], ['--launches', 'many'], ['--seconds', '-1'], ['--unknown'], ['positional']]) {
    t.throws(() => parseArguments(bad), bad.join(' '))
  }
})

t.test('the guard against decay', async t => {
  const { compare } = await load<{ compare (now: object, committed: object): { figure: string, worse: boolean }[] }>('check')
  const committed = { tolerance: { cpu: 1.2, bytes: 1.05 }, figures: { 'RS256-1 suite': { cpu: 2, bytes: 3 } } }
  const worse = (figures: object) => compare(figures, committed).filter(one => one.worse).map(({ figure }) => figure)

  t.same(worse({ 'RS256-1 suite': { cpu: 2.39, bytes: 3.14 } }), [])
  t.same(worse({ 'RS256-1 suite': { cpu: 2.41, bytes: 3 } }), ['cpu'])
  t.same(worse({ 'RS256-1 suite': { cpu: 1, bytes: 3.16 } }), ['bytes'])
  t.same(worse({ 'RS256-1 suite': { cpu: NaN, bytes: 3 } }), ['cpu'], 'a figure that could not be had is no success')
  t.same(worse({ 'a new case': { cpu: 1, bytes: 1 } }), ['cpu', 'bytes'])
})

t.test('pairs that something disturbed are left out while there are others', async t => {
  const { undisturbed } = await load<{ undisturbed (pairs: readonly Pair[]): Pair[] }>('pairs')
  const pair = (rate: number, busy: number) => ({ variant: 'suite', rate, busy })

  t.same(undisturbed([pair(0.3, 0.4), pair(0.8, 0.98)]).map(({ rate }) => rate), [0.8])
  t.same(undisturbed([pair(0.3, 0.4), pair(0.5, 0.6)]).map(({ rate }) => rate), [0.3, 0.5])
})

t.test('the chart has a bar for each server but the one that all are compared with', async t => {
  const { chart } = await load<{ chart (groups: readonly { name: string, pairs: readonly Pair[] }[]): string }>('chart')
  const pairs = [{ variant: 'bare', rate: 1, busy: 1 }, { variant: 'suite', rate: 0.25, busy: 1 }, { variant: 'hono', rate: 0.05, busy: 1 }]
  const svg = chart([{ name: 'RS256-1', pairs }, { name: 'RS256-20000', pairs: pairs.slice(0, 2) }])
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
