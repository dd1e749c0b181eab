-- Leases the first items of the lanes whose turn it is: a quantum of each in turn, all that a lane has if it is alone. But
-- while something is due or expired that is not in its lane, it leases nothing: advance goes first, unless it just went.
-- KEYS: items lane ring delayed leased wake
-- ARGV: now max expiry quantum advanced token
-- Result: {id, value, ...}, next due time, next expiry ('' if there is none), 1 if the lanes have more
-- Invariant: Q2, what is leased is out of its lane; Q4; Q5; the ring has the lanes with items; whoever took the wake token
-- and leaves work puts it back.
local items, lane, ring, delayed, leased, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now, max, expiry, quantum = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local advanced, token = ARGV[5], ARGV[6]

local due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2] or ''
local expires = redis.call('ZRANGE', leased, 0, 0, 'WITHSCORES')[2] or ''
local soonest = math.min(tonumber(due) or math.huge, tonumber(expires) or math.huge)
if advanced ~= '1' and soonest <= now then return {{}, due, expires, 0} end

-- Every lane gives at least one item, so those whose turn is next are enough.
local turns, line, last = redis.call('ZRANGE', ring, 0, max, 'WITHSCORES'), {}, 0
for i = 1, #turns, 2 do line[#line + 1], last = turns[i], tonumber(turns[i + 1]) end
local lanes, turn, taken, full, emptied, later = #line, 1, {}, {}, {}, {}
while #taken < max and line[turn] do
  local name, n = line[turn], math.min(quantum, max - #taken)
  if lanes <= max and turn == #line then n = max - #taken end
  local popped = redis.call('ZPOPMIN', lane .. name, n)
  for i = 1, #popped, 2 do taken[#taken + 1] = popped[i] end
  if #popped == 2 * n then
    -- If there was room for a part of the last one's quantum only, it is the first next time.
    line[#line + 1], full[name] = name, turn == lanes and n < quantum and 0 or turn
  else
    emptied[#emptied + 1], full[name] = name, nil
  end
  turn = turn + 1
end

-- Whoever gave all it was asked for goes to the end of the ring, unless that was its last item.
if lanes > max and next(full) then last = tonumber(redis.call('ZRANGE', ring, -1, -1, 'WITHSCORES')[2]) end
for name, at in pairs(full) do
  if redis.call('EXISTS', lane .. name) == 0 then
    emptied[#emptied + 1] = name
  elseif lanes > 1 then
    later[#later + 1], later[#later + 2] = last + at, name
  end
end
if #later > 0 then redis.call('ZADD', ring, unpack(later)) end
if #emptied > 0 then redis.call('ZREM', ring, unpack(emptied)) end
local more = lanes > #emptied and 1 or 0
if token == '1' and more == 1 then redis.call('ZADD', wake, 0, 'wake') end
if #taken == 0 then return {{}, due, expires, more} end

local answer, expiries = {}, {}
for i, value in ipairs(redis.call('HMGET', items, unpack(taken))) do
  if value then
    local race, leases, rest = value:match('^%a(!?)(%d+)(.*)$')
    answer[#answer + 1], answer[#answer + 2] = taken[i], 'l' .. race .. (leases + 1) .. rest
    expiries[#expiries + 1], expiries[#expiries + 2] = expiry, taken[i]
  end
end
if #answer > 0 then redis.call('HSET', items, unpack(answer)) end
if #answer > 0 then redis.call('ZADD', leased, unpack(expiries)) end
return {answer, due, expires, more}
