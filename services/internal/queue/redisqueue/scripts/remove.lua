-- Takes items out, whatever their state.
-- KEYS: items lane ring delayed leased dead reasons wake limits slots starts parked waits sharers timers epoch depths
-- ARGV: id*
-- Result: the ids that are not in
-- Invariant: an item that is out is nowhere; Q8; the ring has the lanes with items that wait for no limit.
local items, lane, ring, delayed, leased, dead, reasons = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local wake, limits, slots, starts, parked, waits, sharers = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local timers, epoch, depths = KEYS[15], KEYS[16], KEYS[17]
local limiter = limiter({lane = lane, ring = ring, limits = limits, slots = slots, starts = starts, parked = parked, waits = waits,
  sharers = sharers, timers = timers, epoch = epoch, depths = depths}, 0) -- windows of throttles stay as they are

local unknown, known, deaths, lanes, freed = {}, {}, {}, {}, {}
local places = {d = {delayed}, l = {leased}, m = {leased}, x = {dead}}
for i, value in ipairs(redis.call('HMGET', items, unpack(ARGV))) do
  local id, state, name = ARGV[i], (value or ''):match('^(%a).-;.-;.-;.-;(.*)$')
  local place = value and (places[state] or lanes[name])
  if state == 'r' and not place then
    place = {lane .. name}
    lanes[name] = place
  end
  if place then place[#place + 1] = id end
  if state == 'x' then deaths[#deaths + 1] = id end
  if state == 'm' then
    limiter.free(name, {id})
    freed[name] = true
  end
  local list = value and known or unknown
  list[#list + 1] = id
end

for _, place in pairs(places) do
  if #place > 1 then redis.call('ZREM', unpack(place)) end
end
for name, place in pairs(lanes) do
  limiter.removed(name, redis.call('ZREM', unpack(place)))
  if redis.call('EXISTS', lane .. name) == 0 then
    limiter.drop(name)
    freed[name] = true
  end
end
for name in pairs(freed) do limiter.kick(name) end
if #deaths > 0 then redis.call('HDEL', reasons, unpack(deaths)) end
if #known > 0 then redis.call('HDEL', items, unpack(known)) end
if limiter.settle() > 0 then redis.call('ZADD', wake, 0, 'wake') end
return unknown
