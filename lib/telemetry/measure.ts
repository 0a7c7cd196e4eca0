import { channel } from 'node:diagnostics_channel'
import type { Handler, Phase } from '../pipeline/index.ts'
import type { PhaseMessage } from './messages.ts'

const messages = channel('secure-api:phase')

/** One call in so many is measured: to record all of them in a histogram costs more than the controls do. A power of two. */
const EVERY = 64

/** The handler with its time on `secure-api:phase`, at its first call and at one in {@link EVERY}. Without a listener it reads no clock. */
export function measured (handler: Handler, phase: Phase, control: string): Handler {
  const publish = (started: number) => {
    messages.publish({ phase, control, durationMs: performance.now() - started } satisfies PhaseMessage)
  }
  let calls = 0
  return (request, reply) => {
    if ((calls++ & (EVERY - 1)) !== 0 || !messages.hasSubscribers) return handler(request, reply)
    const started = performance.now()
    const verdict = handler(request, reply)
    if (!(verdict instanceof Promise)) publish(started)
    else verdict.then(() => publish(started), () => publish(started))
    return verdict
  }
}
