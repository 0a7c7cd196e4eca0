import { setTimeout } from 'node:timers/promises'
import { failureOf, type Failure } from './failure.ts'
import { takeInventory, type Inventory } from './inventory.ts'
import { takeStock } from '../init/stock.ts'
import type { Stock } from '../init/types.ts'
import { watchApplication } from '../init/watch.ts'
import { loadApplication, type LoadOptions } from './load.ts'
import { recordRoutes } from './record.ts'

/** What the process of the application answers. */
export type Answer =
  | { readonly inventory: Inventory, readonly stock?: Stock }
  | { readonly failure: Failure }

/** What is asked of it: `init` wants to know more than the routes. */
export interface Wish extends LoadOptions {
  readonly stock: boolean
}

/** How long an application may take to close, in milliseconds; nobody waits for what it says then. */
const patience = 2000

/**
 * A process of its own for the application: what it prints goes to standard error, and a hanging one can be ended.
 * Loads it, looks at its routes, answers once, and ends.
 */
process.once('message', (options: Wish) => {
  probe(options).finally(() => process.exit())
})

async function probe (options: Wish): Promise<void> {
  recordRoutes()
  if (options.stock) watchApplication()
  try {
    const app = await loadApplication(options)
    await app.ready()
    await answer({ inventory: takeInventory(app), ...(options.stock && { stock: await takeStock(app) }) })
    await Promise.race([app.close(), setTimeout(patience)])
  } catch (error) {
    await answer({ failure: failureOf(error, process.cwd()) })
  }
}

async function answer (answer: Answer): Promise<void> {
  await new Promise<void>(resolve => process.send?.(plain(answer), () => resolve()))
}

/** Options of a route may hold functions, which cannot be sent. */
function plain (answer: Answer): Answer {
  return JSON.parse(JSON.stringify(answer, (_key, value: unknown) => typeof value === 'function' ? 'function' : value)) as Answer
}
