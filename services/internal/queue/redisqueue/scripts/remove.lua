-- Takes items out, whatever their state.
-- KEYS: items lane ring delayed leased dead reasons
-- ARGV: id*
-- Result: the ids that are not in
-- Invariant: an item that is out is nowhere; the ring has the lanes with items.
local items, lane, ring, delayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leased, dead, reasons = KEYS[5], KEYS[6], KEYS[7]

local unknown, known, deaths, lanes = {}, {}, {}, {}
local places = {d = {delayed}, l = {leased}, x = {dead}}
for i, value in ipairs(redis.call('HMGET', items, unpack(ARGV))) do
  local id, name = ARGV[i], (value or ''):match('^r!?%d+;%d+;%-?%d+;%-?%d+;(.*)$')
  local place = value and (places[value:sub(1, 1)] or (name and (lanes[name] or {lane .. name})))
  if name then lanes[name] = place end
  if place then place[#place + 1] = id end
  if value and value:sub(1, 1) == 'x' then deaths[#deaths + 1] = id end
  local list = value and known or unknown
  list[#list + 1] = id
end

for _, place in pairs(places) do
  if #place > 1 then redis.call('ZREM', unpack(place)) end
end
for name, place in pairs(lanes) do
  redis.call('ZREM', unpack(place))
  if redis.call('EXISTS', lane .. name) == 0 then redis.call('ZREM', ring, name) end
end
if #deaths > 0 then redis.call('HDEL', reasons, unpack(deaths)) end
if #known > 0 then redis.call('HDEL', items, unpack(known)) end
return unknown
