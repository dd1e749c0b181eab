-- Moves what became due, and what is leased beyond its expiry, into the lanes; but what expired too often is dead. Looks after
-- limits whose time has come.
-- KEYS: items lane ring delayed leased dead reasons limits slots starts parked waits sharers timers epoch depths
-- ARGV: now max expiriesMax
-- Result: how many items moved; of these, how many leases expired, and how many items are dead
-- Invariant: Q3; Q6; at most max items of each kind move, the earliest first; the ring has the lanes with items that wait
-- for no limit.
local items, lane, ring, delayed, leased, dead, reasons = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local limits, slots, starts, parked, waits, sharers, timers = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local epoch, depths = KEYS[15], KEYS[16]
local now, max, expiriesMax = ARGV[1], ARGV[2], tonumber(ARGV[3])
local fields, lanes, names, deaths, why = {}, {}, {}, {}, {}
local function append(list, a, b) list[#list + 1] = a; list[#list + 1] = b end
local limiter = limiter({lane = lane, ring = ring, limits = limits, slots = slots, starts = starts, parked = parked, waits = waits,
  sharers = sharers, timers = timers, epoch = epoch, depths = depths}, now)

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

local expired, freed = redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, max), {}
if #expired > 0 then
  redis.call('ZREM', leased, unpack(expired))
  for i, value in ipairs(redis.call('HMGET', items, unpack(expired))) do
    local state, claim, expiries, rest, due, priority, name =
      (value or ''):match('^(%a)(!?%d+);(%d+)(;(%-?%d+);(%-?%d+);(.*))$')
    expiries = (expiries or 0) + 1
    if state == 'm' then limiter.free(name, {expired[i]}); freed[name] = true end
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
for name, entries in pairs(lanes) do redis.call('ZADD', lane .. name, unpack(entries)) end
local fresh = limiter.fresh(names, lanes)
for name in pairs(freed) do limiter.kick(name) end
limiter.tick(max)
limiter.settle(fresh)
return {#dues + #expired, #expired, #deaths / 2}
