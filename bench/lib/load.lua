-- The load of the benchmark: `wrk -s load.lua URL -- METHOD [FILE]`. FILE has one token a line; they go round, whichever connection is next.
-- Without `request` wrk sends the same bytes always, which is cheaper: one token, or none, need no more.

function init (args)
  wrk.method = args[1]
  if args[2] ~= nil then rotate(args[2]) end
  io.stderr:write('ready\n')
end

function rotate (file)
  local tokens = {}
  for token in io.lines(file) do tokens[#tokens + 1] = token end
  if #tokens == 1 then
    wrk.headers['Authorization'] = 'Bearer ' .. tokens[1]
    return
  end
  local requests, next = {}, 0
  for index, token in ipairs(tokens) do
    wrk.headers['Authorization'] = 'Bearer ' .. token
    requests[index] = wrk.format()
  end
  request = function ()
    next = next % #requests + 1
    return requests[next]
  end
end

function done (summary, latency)
  local errors = summary.errors
  io.write(string.format('\n{"answered":%d,"us":%d,"refused":%d,"lost":%d,"p50":%.3f,"p99":%.3f}\n', summary.requests, summary.duration,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000))
end
