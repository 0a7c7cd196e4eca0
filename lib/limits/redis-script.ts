import { asStoreFailure, CircuitBreaker, script, scriptRunner, type RedisLike, type StoreFailed } from '../redis/index.ts'
import { algorithms } from './redis-algorithms.ts'

/**
 * The algorithms of `algorithms.ts` in Lua. One call carries any number of items, each with a key and eight arguments:
 *
 *   group      items of one group are all taken or none
 *   operation  take, peek, refund, reset
 *   algorithm  sliding-window, fixed-window, token-bucket, concurrency
 *   burst      units that fit
 *   window     µs
 *   detail     sliding-window: granularity, token-bucket: emission interval, both µs
 *   cost       units; less than 1 never fits
 *   mark       refund: the stamp (µs) of what was taken; concurrency: the name of the permit; take: `dry` for a dry run
 *
 * The reply has four numbers per item (allowed, remaining, µs to wait, µs to reset), then the server's time. Times are µs of the
 * server's clock, because callers' clocks differ; doubles are exact until the year 2255. Every key has an expiry, and every state its
 * own times. When the server's clock steps back (a failover), times in the future are moved to now and written back.
 */
export const limitScript = script(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local FIELDS, CELL, TOLERANCE = 8, 20, 1e-9
${algorithms}
local kinds = { ['sliding-window'] = sliding, ['fixed-window'] = fixed, ['token-bucket'] = bucket, concurrency = permits }

local function item (index)
  local at = (index - 1) * FIELDS
  return {
    key = KEYS[index], group = ARGV[at + 1], operation = ARGV[at + 2], kind = kinds[ARGV[at + 3]],
    burst = tonumber(ARGV[at + 4]), window = tonumber(ARGV[at + 5]), detail = tonumber(ARGV[at + 6]),
    cost = tonumber(ARGV[at + 7]), mark = ARGV[at + 8]
  }
end

local function wait (p)
  if p.cost < 1 or p.cost > p.burst then return p.window end
  return p.kind.wait(p, p.state, p.state.used + p.cost - p.burst)
end

local reply = {}

local function answer (p)
  local size = #reply
  reply[size + 1] = p.allowed and 1 or 0
  reply[size + 2] = math.max(0, math.floor(p.burst - p.state.used + TOLERANCE))
  reply[size + 3] = p.allowed and 0 or math.ceil(wait(p))
  reply[size + 4] = math.ceil(p.kind.reset(p, p.state))
end

local function decide (group)
  local refused = false
  for _, p in ipairs(group) do
    p.state = p.kind.load(p.key, p)
    p.allowed = p.cost >= 1 and p.state.used + p.cost <= p.burst + TOLERANCE
    refused = refused or p.operation == 'take' and not p.allowed and string.sub(p.mark, 1, 3) ~= 'dry'
  end
  for _, p in ipairs(group) do
    if p.operation == 'take' and p.allowed and not refused then p.kind.spend(p.key, p, p.state) end
    answer(p)
  end
end

local index, total = 1, #KEYS
while index <= total do
  local p = item(index)
  if p.operation == 'take' or p.operation == 'peek' then
    local group, name = {}, p.group
    while p and p.group == name do
      group[#group + 1] = p
      index = index + 1
      p = index <= total and item(index)
    end
    decide(group)
  else
    if p.operation == 'reset' then redis.call('DEL', p.key) else p.kind.refund(p.key, p) end
    for _ = 1, 4 do reply[#reply + 1] = 0 end
    index = index + 1
  end
end
reply[#reply + 1] = now
return reply
`)

/** Runs the script at boot, to report a wrong setup before limits fail. Counts nothing, never rejects; undefined if all is well. */
export async function probeRedis (client: RedisLike, keyPrefix: string): Promise<StoreFailed | undefined> {
  const breaker = new CircuitBreaker({ runner: scriptRunner(client), deadline: 1000 })
  // Two keys in different slots: every node of a cluster refuses them.
  const keys = [`${keyPrefix}{boot-a}`, `${keyPrefix}{boot-b}`].slice(0, breaker.cluster ? 1 : 2)
  try {
    const args = keys.flatMap((_key, index) => [String(index), 'peek', 'fixed-window', '1', '1000000', '0', '1', ''])
    await breaker.run(limitScript, keys, args)
    return undefined
  } catch (error) {
    return asStoreFailure(error)
  }
}
