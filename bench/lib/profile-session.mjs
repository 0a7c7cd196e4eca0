import { Session } from 'node:inspector/promises'

let session

/** V8's own sampling profiler, switched on inside the server while it is under load. */
export async function startProfile () {
  session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
}

/** @returns {Promise<import('node:inspector').Profiler.Profile>} */
export async function stopProfile () {
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return profile
}
