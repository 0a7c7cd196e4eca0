import { channel } from 'node:diagnostics_channel'
import type { Handler, Phase } from '../pipeline/index.ts'
import type { PhaseMessage } from './messages.ts'

const messages = channel('secure-api:phase')

/** The handler with its time on `secure-api:phase`. While nobody listens it reads no clock. */
export function measured (handler: Handler, phase: Phase, control: string): Handler {
  const publish = (started: number) => {
    messages.publish({ phase, control, durationMs: performance.now() - started } satisfies PhaseMessage)
  }
  return (request, reply) => {
    if (!messages.hasSubscribers) return handler(request, reply)
    const started = performance.now()
    const verdict = handler(request, reply)
    if (!(verdict instanceof Promise)) publish(started)
    else verdict.then(() => publish(started), () => publish(started))
    return verdict
  }
}
