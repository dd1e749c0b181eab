-- Moves what became due, and what is leased beyond its expiry, into the lanes; but what expired too often is dead.
-- KEYS: items lane ring delayed leased dead reasons
-- ARGV: now max expiriesMax
-- Result: how many items moved; of these, how many leases expired, and how many items are dead
-- Invariant: Q3; Q6; at most max items of each kind move, the earliest first; the ring has the lanes with items.
local items, lane, ring, delayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leased, dead, reasons = KEYS[5], KEYS[6], KEYS[7]
local now, max, expiriesMax = ARGV[1], ARGV[2], tonumber(ARGV[3])
local fields, lanes, names, deaths, why = {}, {}, {}, {}, {}
local function append(list, a, b) list[#list + 1] = a; list[#list + 1] = b end

local function place(id, value, due, priority, name)
  append(fields, id, value)
  if not lanes[name] then lanes[name] = {}; append(names, name) end
  append(lanes[name], due - priority, id)
end

local dues = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, max)
if #dues > 0 then
  redis.call('ZREM', delayed, unpack(dues))
  for i, value in ipairs(redis.call('HMGET', items, unpack(dues))) do
    local rest, due, priority, name = (value or ''):match('^%a(!?%d+;%d+;(%-?%d+);(%-?%d+);(.*))$')
    if rest then place(dues[i], 'r' .. rest, due, priority, name) end
  end
end

local expired = redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, max)
if #expired > 0 then
  redis.call('ZREM', leased, unpack(expired))
  for i, value in ipairs(redis.call('HMGET', items, unpack(expired))) do
    local claim, expiries, rest, due, priority, name =
      (value or ''):match('^%a(!?%d+);(%d+)(;(%-?%d+);(%-?%d+);(.*))$')
    expiries = (expiries or 0) + 1
    if claim and expiries < expiriesMax then
      place(expired[i], 'r' .. claim .. ';' .. expiries .. rest, due, priority, name)
    elseif claim then
      append(fields, expired[i], 'x' .. claim .. ';' .. expiries .. rest)
      append(deaths, now, expired[i])
      append(why, expired[i], 'leased ' .. expiries .. ' times without being settled')
    end
  end
end

if #fields > 0 then redis.call('HSET', items, unpack(fields)) end
if #deaths > 0 then
  redis.call('ZADD', dead, unpack(deaths))
  redis.call('HSET', reasons, unpack(why))
end
local late, turns = {}, #names > 0 and redis.call('ZMSCORE', ring, unpack(names))
for i, name in ipairs(names) do
  redis.call('ZADD', lane .. name, unpack(lanes[name]))
  if not turns[i] then append(late, #late / 2 + 1, name) end
end
if #late > 0 then
  local last = tonumber(redis.call('ZRANGE', ring, -1, -1, 'WITHSCORES')[2] or 0)
  for i = 1, #late, 2 do late[i] = late[i] + last end
  redis.call('ZADD', ring, unpack(late))
end
return {#dues + #expired, #expired, #deaths / 2}
