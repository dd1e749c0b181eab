-- Leases the first items of the lanes whose turn it is: a quantum of each in turn, all that a lane has if it is alone, but
-- no more than its limits allow. While something is due or expired that is not in its lane, or a limit is to be looked
-- after, it leases nothing: advance goes first, unless it just went.
-- KEYS: items lane ring delayed leased wake limits slots starts parked waits sharers timers epoch depths
-- ARGV: now max expiry quantum advanced token visitsMax
-- Result: {id, value, ...}, next due time, next expiry, next of a limit ('' if none), 1 if the lanes have more, 1 if take has
-- Invariant: Q2, what is leased is out of its lane; Q4; Q5; Q8; the ring has the lanes with items that wait for no limit;
-- whoever took the wake token and leaves work puts it back.
local items, lane, ring, delayed, leased, wake, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local slots, starts, parked, waits, sharers, timers, epoch = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local depths = KEYS[15]
local now, max, expiry, quantum = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local advanced, token, visitsMax, apart = ARGV[5], ARGV[6], tonumber(ARGV[7]), 0

local function first(key) return redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or '' end
local due, expires, limited = first(delayed), first(leased), first(timers)
local soonest = math.min(tonumber(due) or math.huge, tonumber(expires) or math.huge, tonumber(limited) or math.huge)
if advanced ~= '1' and soonest <= now then return {{}, due, expires, limited, 0} end

local limiter = limiter({lane = lane, ring = ring, limits = limits, slots = slots, starts = starts, parked = parked, waits = waits,
  sharers = sharers, timers = timers, epoch = epoch, depths = depths}, now)
-- Every lane gives at least one item, or waits for a limit; so those whose turn is next are enough most often.
local line = redis.call('ZRANGE', ring, 0, max)
local lanes, turn, taken, counted, full, gone, back = #line, 1, {}, {}, {}, {}, {}
limiter.learn(line)
while #taken < max and line[turn] and (lanes <= max or turn <= lanes) and turn <= visitsMax do
  local name, n, popped, ids = line[turn], math.min(quantum, max - #taken), {}, {}
  if lanes <= max and turn == #line then n = max - #taken end
  local room, place, at, limit = limiter.room(name, n)
  if room > 0 then popped = redis.call('ZPOPMIN', lane .. name, room) end
  for i = 1, #popped, 2 do ids[#ids + 1], taken[#taken + 1], counted[popped[i]] = popped[i], popped[i], limiter.counts(name) end
  if #ids > 0 then limiter.moved(name, -#ids) end
  if #ids > 0 and limiter.counts(name) then limiter.take(name, ids, expiry) end
  full[name] = nil
  if #ids < room or (place and redis.call('EXISTS', lane .. name) == 0) then
    gone[#gone + 1] = name
  elseif place then
    limiter.park(name, place, at, limit)
    if place == 'c' then apart = 1 end
  else
    -- If there was room for a part of the last one's quantum only, it is the first next time.
    line[#line + 1], full[name] = name, turn == lanes and n < quantum and 0 or turn
  end
  if place or limiter.limited(name) then limiter.kick(name) end
  for _, woken in ipairs(limiter.takeLate()) do line[#line + 1], full[woken], back[woken] = woken, #line + 1, true end
  turn = turn + 1
end

-- Whoever gave all it was asked for goes to the end of the ring, unless that was its last item; so does who came back.
local last, later = next(full) and tonumber(redis.call('ZRANGE', ring, -1, -1, 'WITHSCORES')[2] or 0), {}
for name, at in pairs(full) do
  if redis.call('EXISTS', lane .. name) == 0 then
    gone[#gone + 1] = name
  elseif lanes > 1 or back[name] then
    later[#later + 1], later[#later + 2] = last + at, name
  end
end
if #gone > 0 then redis.call('ZREM', ring, unpack(gone)) end
limiter.keep()
if #later > 0 then redis.call('ZADD', ring, unpack(later)) end
local more = redis.call('EXISTS', ring)
if token == '1' and more == 1 then redis.call('ZADD', wake, 0, 'wake') end
limited = first(timers)
if #taken == 0 then return {{}, due, expires, limited, more, apart} end

local answer, expiries = {}, {}
for i, value in ipairs(redis.call('HMGET', items, unpack(taken))) do
  if value then
    local race, leases, rest = value:match('^%a(!?)(%d+)(.*)$')
    local state = counted[taken[i]] and 'm' or 'l'
    answer[#answer + 1], answer[#answer + 2] = taken[i], state .. race .. (leases + 1) .. rest
    expiries[#expiries + 1], expiries[#expiries + 2] = expiry, taken[i]
  end
end
if #answer > 0 then redis.call('HSET', items, unpack(answer)) end
if #answer > 0 then redis.call('ZADD', leased, unpack(expiries)) end
return {answer, due, expires, limited, more, apart}
