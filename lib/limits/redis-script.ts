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
 * Then one for each key: the number of its shape, or `shape,group,mark`:
 *
 *   group      takes of one group, which stand together, are all taken or none; empty for an item that stands alone
 *   mark       take: how many requests ask for `cost` each, by default one; refund: the stamp (µs) of what was taken; concurrency: the
 *              name of the permit
 *
 * The reply has four numbers per item (how many of the requests are admitted, remaining, µs to wait, µs to reset), then the server's
 * time. Times are µs of the server's clock, because callers' clocks differ; doubles are exact until the year 2255. Every key has an
 * expiry, and every state its own times. When the server's clock steps back (a failover), times in the future are moved to now and
 * written back.
 */
export const limitScript = script(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local SHAPE, CELL, TOLERANCE = 7, 20, 1e-9
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
local items = ARGV[1] * SHAPE + 1

local function itemOf (index)
  local stated = ARGV[items + index]
  local plain = shapes[stated]
  if plain then return plain, '', '1' end
  local number, group, mark = string.match(stated, '^(%d+),(%d*),(.*)$')
  return shapes[number], group, mark
end

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
  local shape, marks, states, admitted, refused = {}, {}, {}, {}, false
  for index = first, last do
    local p, _, mark = itemOf(index)
    shape[index], marks[index], states[index] = p, mark, p.kind.load(KEYS[index], p)
    admitted[index] = min(asking(p, mark), fitting(p, states[index]))
    refused = refused or p.operation == 'take' and admitted[index] == 0 and not p.dry
  end
  for index = first, last do
    local p, mark, state, count = shape[index], marks[index], states[index], admitted[index]
    if p.operation == 'take' and count > 0 and not refused then p.kind.spend(KEYS[index], p, state, count * p.cost, mark) end
    answer(p, state, count, count < asking(p, mark))
  end
end

local function decideOne (key, p, mark)
  local state, asked = p.kind.load(key, p), asking(p, mark)
  local count = min(asked, fitting(p, state))
  if p.operation == 'take' and count > 0 then p.kind.spend(key, p, state, count * p.cost, mark) end
  answer(p, state, count, count < asked)
end

local function lastOf (group, index)
  while index < #KEYS and select(2, itemOf(index + 1)) == group do index = index + 1 end
  return index
end

local index = 1
while index <= #KEYS do
  local p, group, mark = itemOf(index)
  local last = index
  if group ~= '' then
    last = lastOf(group, index)
    decide(index, last)
  elseif p.operation == 'take' or p.operation == 'peek' then decideOne(KEYS[index], p, mark)
  else
    if p.operation == 'reset' then call('DEL', KEYS[index]) else p.kind.refund(KEYS[index], p, mark) end
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
    const args = keys.map(() => '1')
    await breaker.run(limitScript, keys, ['1', 'peek', 'fixed-window', '1', '1000000', '0', '1', '', ...args])
    return undefined
  } catch (error) {
    return asStoreFailure(error)
  }
}
