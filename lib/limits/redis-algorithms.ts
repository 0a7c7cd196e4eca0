/**
 * The state machines of `algorithms.ts` in Lua, included by the script, which defines `now` (µs), the constants, and short names of
 * functions. Each has `load` (drop expired state), `spend`, `wait` and `reset` (µs), and `refund`; `p` is a shape. States are packed: 20
 * bytes per cell of a sliding window, 16 bytes for a fixed window or a bucket; permits are a sorted set by expiry.
 */
export const algorithms = `
local function store (key, value, life) call('SET', key, value, 'PX', math.ceil(life / 1000)) end

local sliding, fixed, bucket, permits = {}, {}, {}, {}

local function shifted (log, by)
  local moved = {}
  for at = 1, #log, CELL do
    local first, last, count = unpacked('>ddI4', log, at)
    moved[#moved + 1] = packed('>ddI4', first - by, last - by, count)
  end
  return table.concat(moved)
end

function sliding.load (key, p)
  local raw = call('GET', key)
  if not raw then return { used = 0, log = '' } end
  local used, at, size = unpacked('>d', raw), 9, #raw
  while at <= size do
    local _, last, count = unpacked('>ddI4', raw, at)
    if last + p.window > now then break end
    used = used - count
    at = at + CELL
  end
  local state = { used = used, log = sub(raw, at) }
  if state.log == '' then return state end
  state.first, state.last = unpacked('>dd', raw, size - CELL + 1)
  if state.last > now then
    state.log = shifted(state.log, state.last - now)
    state.first, state.last = state.first - (state.last - now), now
    sliding.save(key, p, state)
  end
  return state
end

function sliding.save (key, p, state)
  if state.log == '' then call('DEL', key) return end
  store(key, packed('>d', state.used) .. state.log, p.window)
end

function sliding.spend (key, p, state, units)
  local first, count = now, units
  if state.log ~= '' and now - state.first <= p.detail then
    local _, _, merged = unpacked('>ddI4', state.log, #state.log - CELL + 1)
    first, count = state.first, merged + units
    state.log = sub(state.log, 1, -CELL - 1)
  end
  state.log = state.log .. packed('>ddI4', first, now, count)
  state.first, state.last, state.used = first, now, state.used + units
  sliding.save(key, p, state)
end

function sliding.wait (p, state, excess)
  local freed = 0
  for at = 1, #state.log, CELL do
    local _, last, count = unpacked('>ddI4', state.log, at)
    freed = freed + count
    if freed >= excess then return last + p.window - now end
  end
  return p.window
end

function sliding.reset (p, state) return state.log == '' and 0 or state.last + p.window - now end

function sliding.refund (key, p, mark)
  local state = sliding.load(key, p)
  local stamp = tonumber(mark)
  for at = 1, #state.log, CELL do
    local first, last, count = unpacked('>ddI4', state.log, at)
    if first <= stamp and stamp <= last then
      local back = min(p.cost, count)
      state.log = sub(state.log, 1, at - 1) .. packed('>ddI4', first, last, count - back) .. sub(state.log, at + CELL)
      state.used = state.used - back
      return sliding.save(key, p, state)
    end
  end
end

function fixed.load (key, p)
  local raw = call('GET', key)
  if not raw then return { used = 0 } end
  local start, used = unpacked('>dd', raw)
  if start + p.window <= now then return { used = 0 } end
  local state = { used = used, start = min(start, now) }
  if start > now then fixed.save(key, p, state) end
  return state
end

function fixed.save (key, p, state) store(key, packed('>dd', state.start, state.used), state.start + p.window - now) end

function fixed.spend (key, p, state, units)
  state.start, state.used = state.start or now, state.used + units
  fixed.save(key, p, state)
end

function fixed.wait (p, state) return state.start and state.start + p.window - now or p.window end
function fixed.reset (p, state) return state.start and state.start + p.window - now or 0 end

function fixed.refund (key, p, mark)
  local state = fixed.load(key, p)
  if not state.start or state.start > tonumber(mark) then return end
  state.used = max(0, state.used - p.cost)
  fixed.save(key, p, state)
end

function bucket.load (key, p)
  local raw = call('GET', key)
  if not raw then return { used = 0 } end
  local since, level = unpacked('>dd', raw)
  local state = { used = max(0, level - max(0, now - since) / p.detail) }
  if since > now then bucket.save(key, p, state) end
  return state
end

function bucket.save (key, p, state)
  if state.used <= 0 then call('DEL', key) return end
  store(key, packed('>dd', now, state.used), state.used * p.detail)
end

function bucket.spend (key, p, state, units)
  state.used = state.used + units
  bucket.save(key, p, state)
end

function bucket.wait (p, _, excess) return excess * p.detail end
function bucket.reset (p, state) return state.used * p.detail end

function bucket.refund (key, p, mark)
  local state = bucket.load(key, p)
  state.used = max(0, state.used - p.cost)
  bucket.save(key, p, state)
end

function permits.load (key)
  call('ZREMRANGEBYSCORE', key, '-inf', now)
  return { used = call('ZCARD', key) }
end

function permits.spend (key, p, state, _, mark)
  call('ZADD', key, now + p.window, mark)
  call('PEXPIRE', key, math.ceil(p.window / 1000))
  state.used = state.used + 1
end

function permits.wait () return 1000000 end
function permits.reset () return 0 end
function permits.refund (key, _, mark) call('ZREM', key, mark) end
`
