import { cores } from './children.mjs'
import { full } from './groups.mjs'
import { costOf, launch, loadOn, surroundings, warm } from './measure.mjs'
import { bare } from './variants.mjs'

const compared = ['bare+token', 'suite', 'suite+server']
const groups = ['RS256-1', 'RS256-20000']
const ROUNDS = 6

/**
 * CPU of a request while server and load share a core. On a virtual machine each answer of a server that is slower than its load wakes the
 * load's own core, which may cost the server more than the request. Here neither wakes another core, and the server answers all requests
 * that are there before the load has its turn.
 */
export async function measureOneCore (_, { launches, seconds, warmup }) {
  const around = await surroundings(cores.server)
  try {
    const rows = []
    for (let count = 0; count < launches; count++) {
      for (const name of groups) rows.push(...await besideBare(full.find(group => group.name === name), around, { seconds, warmup }))
    }
    return rows
  } finally {
    await around.stop()
  }
}

async function besideBare (group, around, { seconds, warmup }) {
  const servers = []
  try {
    for (const variant of [bare, ...compared]) servers.push(await launch(variant, group.setting, around))
    for (const server of servers) await warm(server, group, around, warmup)
    const rows = []
    for (let round = 0; round < ROUNDS; round++) {
      const costs = []
      for (const server of servers) costs.push(costOf(await loadOn(server, group, around, seconds)))
      const [reference, ...others] = costs
      rows.push(...others.map((us, index) => (
        { variant: compared[index], group: group.name, title: group.title, cost: us / reference, us, bareUs: reference })))
    }
    return rows
  } finally {
    await Promise.all(servers.map(server => server.stop()))
  }
}
