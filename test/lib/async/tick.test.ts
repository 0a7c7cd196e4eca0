import { spawnSync } from 'node:child_process'
import { execPath } from 'node:process'
import t from 'tap'
import { loader } from '../../helpers/loader.ts'

/** Says whether ticks have the shape of the kept one after full collections that found no other. */
const program = (suite: string) => `
  const { executionAsyncResource } = await import('node:async_hooks')
  const { keptTick } = await import(${JSON.stringify(new URL('../../../lib/async/index.ts', import.meta.url).href)})
  ${suite}
  const turn = () => new Promise(resolve => { setTimeout(resolve, 1) })
  for (let i = 0; i < 5000; i++) process.nextTick(() => {})
  for (let i = 0; i < 4; i++) {
    await turn()
    gc()
  }
  await turn()
  process.nextTick(() => {
    const tick = executionAsyncResource()
    console.log(keptTick() === undefined ? 'nothing kept' : String(tick !== keptTick() && %HaveSameMap(tick, keptTick())))
  })`

function run (suite: string): string {
  const args = [...loader, '--expose-gc', '--allow-natives-syntax', '--input-type=module', '--eval', program(suite)]
  const { stdout, stderr } = spawnSync(execPath, args, { encoding: 'utf8' })
  return stdout.trim() || stderr
}

t.test('#21: an application of the suite keeps a tick, so that collections do not make each tick slow', async t => {
  t.equal(run(''), 'nothing kept', 'the control: importing it does nothing')
  t.equal(run(`await import(${JSON.stringify(new URL('../../../plugins/cors.ts', import.meta.url).href)})`), 'true')
})
