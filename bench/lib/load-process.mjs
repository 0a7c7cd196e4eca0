import { answer } from './children.mjs'
import { exactly } from './exactly.mjs'
import { openLoop } from './open-loop.mjs'
import { saturateByAutocannon } from './autocannon.mjs'
import { saturateByWrk, wrk } from './wrk.mjs'

answer({ saturate, exactly, openLoop })

/** Answers that show which status they have, when the load itself cannot tell a 429 from a 401. */
const SAMPLE = 64

/**
 * As much as the server takes, for a time. `expected` is the part of the answers that had the status that was to come.
 *
 * @param {{ port: number, seconds: number, connections?: number, expect: number, method?: string, headers: Record<string, string>,
 *   pool?: import('./pools.mjs').Pool }} parameters
 */
async function saturate ({ connections = 64, method = 'GET', expect, ...given }) {
  const parameters = { connections, method, ...given }
  if (wrk === undefined) {
    const { statuses, ...run } = await saturateByAutocannon(parameters)
    return { ...run, expected: (statuses[expect] ?? 0) / run.answered }
  }
  const { refused, ...run } = await saturateByWrk(parameters)
  if (expect < 400) return { ...run, expected: (run.answered - refused) / run.answered }
  const { statuses, answered } = await exactly({ ...parameters, amount: SAMPLE, connections: 8 })
  return { ...run, expected: refused / run.answered * (statuses[expect] ?? 0) / answered }
}
