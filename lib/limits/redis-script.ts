import { asStoreFailure, CircuitBreaker, script, scriptRunner, type RedisLike, type StoreFailed } from '../redis/index.ts'
import { algorithms } from './redis-algorithms.ts'

/**
 * The algorithms of `algorithms.ts` in Lua. One call carries any number of items. `ARGV[1]` is the number of shapes, what items have in
 * common, with seven arguments each:
 *
 *   operation  take, peek, refund, reset
 *   algorithm  sliding-window, fixed-window, token-bucket, concurrency
 *   burst      units that fit
 *   window     µs
 *   detail     sliding-window: granularity, token-bucket: emission interval, both µs
 *   cost       units; less than 1 never fits
 *   dry        1 for a dry run
 *
 * Then three for each key:
 *
 *   shape      its number
 *   group      takes of one group, which stand together, are all taken or none
 *   mark       take: how many requests ask for `cost` each; refund: the stamp (µs) of what was taken; concurrency: the name of the permit
 *
 * The reply has four numbers per item (how many of the requests are admitted, remaining, µs to wait, µs to reset), then the server's
 * time. Times are µs of the server's clock, because callers' clocks differ; doubles are exact until the year 2255. Every key has an
 * expiry, and every state its own times. When the server's clock steps back (a failover), times in the future are moved to now and
 * written back.
 */
export const limitScript = script(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local SHAPE, ITEM, CELL, TOLERANCE = 7, 3, 20, 1e-9
-- Each look-up of a global costs as much as the arithmetic around it.
local call, packed, unpacked, sub = redis.call, struct.pack, struct.unpack, string.sub
local max, min, floor, ceil = math.max, math.min, math.floor, math.ceil
${algorithms}
local kinds = { ['sliding-window'] = sliding, ['fixed-window'] = fixed, ['token-bucket'] = bucket, concurrency = permits }

local shapes = {}
for number = 1, tonumber(ARGV[1]) do
  local at = (number - 1) * SHAPE + 1
  shapes[tostring(number)] = {
    operation = ARGV[at + 1], kind = kinds[ARGV[at + 2]], burst = tonumber(ARGV[at + 3]), window = tonumber(ARGV[at + 4]),
    detail = tonumber(ARGV[at + 5]), cost = tonumber(ARGV[at + 6]), dry = ARGV[at + 7] == '1'
  }
end
local items = ARGV[1] * SHAPE + 1 - ITEM

local function shapeOf (index) return shapes[ARGV[items + index * ITEM + 1]] end
local function groupOf (index) return ARGV[items + index * ITEM + 2] end
local function markOf (index) return ARGV[items + index * ITEM + 3] end

local function asking (p, mark) return p.operation == 'take' and p.kind ~= permits and tonumber(mark) or 1 end

local function fitting (p, state)
  if p.cost < 1 then return 0 end
  return max(0, floor((p.burst - state.used + TOLERANCE) / p.cost))
end

local function wait (p, state)
  if p.cost < 1 or p.cost > p.burst then return p.window end
  return p.kind.wait(p, state, state.used + p.cost - p.burst)
end

local reply = {}

local function answer (p, state, admitted, short)
  local size = #reply
  reply[size + 1] = admitted
  reply[size + 2] = max(0, floor(p.burst - state.used + TOLERANCE))
  reply[size + 3] = short and ceil(wait(p, state)) or 0
  reply[size + 4] = ceil(p.kind.reset(p, state))
end

local function decide (first, last)
  local states, admitted, refused = {}, {}, false
  for index = first, last do
    local p, mark = shapeOf(index), markOf(index)
    states[index] = p.kind.load(KEYS[index], p)
    admitted[index] = min(asking(p, mark), fitting(p, states[index]))
    refused = refused or p.operation == 'take' and admitted[index] == 0 and not p.dry
  end
  for index = first, last do
    local p, mark, state, count = shapeOf(index), markOf(index), states[index], admitted[index]
    if p.operation == 'take' and count > 0 and not refused then p.kind.spend(KEYS[index], p, state, count * p.cost, mark) end
    answer(p, state, count, count < asking(p, mark))
  end
end

local function decideOne (index, p)
  local key, mark = KEYS[index], markOf(index)
  local state, asked = p.kind.load(key, p), asking(p, mark)
  local count = min(asked, fitting(p, state))
  if p.operation == 'take' and count > 0 then p.kind.spend(key, p, state, count * p.cost, mark) end
  answer(p, state, count, count < asked)
end

local index, total = 1, #KEYS
while index <= total do
  local p, last = shapeOf(index), index
  if p.operation == 'take' or p.operation == 'peek' then
    while last < total and groupOf(last + 1) == groupOf(index) do last = last + 1 end
    if last == index then decideOne(index, p) else decide(index, last) end
  else
    if p.operation == 'reset' then call('DEL', KEYS[index]) else p.kind.refund(KEYS[index], p, markOf(index)) end
    for _ = 1, 4 do reply[#reply + 1] = 0 end
  end
  index = last + 1
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
    const args = keys.flatMap((_key, index) => ['1', String(index), '1'])
    await breaker.run(limitScript, keys, ['1', 'peek', 'fixed-window', '1', '1000000', '0', '1', '', ...args])
    return undefined
  } catch (error) {
    return asStoreFailure(error)
  }
}
