-- Takes settled items out and puts new ones in: the delayed by their due time, the others into their lanes; but of each
-- group the first that is due and new, and that its limits allow, is leased at once, unless it begins a run that they space.
-- KEYS: items lane ring delayed leased wake limits slots starts parked waits sharers timers epoch depths
-- ARGV: now goneCount gone* [id value score group expiry]*
-- Result: {group, id, ... of what was leased}, {gone ids that were not leased but are in}
-- Invariant: Q1, an id that is in is left as it is; Q2, what is leased is its group's; Q8; the ring has the lanes with items
-- that wait for no limit.
local items, lane, ring, delayed, leased, wake, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local slots, starts, parked, waits, sharers, timers, epoch = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local depths = KEYS[15]
local now, goneCount, strays, leases, freed = ARGV[1], tonumber(ARGV[2]), {}, {}, {}
local function append(list, a, b) list[#list + 1] = a; list[#list + 1] = b end
local limiter = limiter({lane = lane, ring = ring, limits = limits, slots = slots, starts = starts, parked = parked, waits = waits,
  sharers = sharers, timers = timers, epoch = epoch, depths = depths}, now)

if goneCount > 0 then
  local gone, were = {unpack(ARGV, 3, goneCount + 2)}, {}
  redis.call('ZREM', leased, unpack(gone))
  for i, value in ipairs(redis.call('HMGET', items, unpack(gone))) do
    local state = value and value:sub(1, 1)
    if state then append(state == 'l' and were or state == 'm' and were or strays, gone[i]) end
    if state == 'm' then
      local name = value:match('^.-;.-;.-;.-;(.*)$')
      limiter.free(name, {gone[i]})
      freed[name] = true
    end
  end
  if #were > 0 then redis.call('HDEL', items, unpack(were)) end
end

local ids, known, served, fields, expiries, dues, lanes, names = {}, {}, {}, {}, {}, {}, {}, {}
for at = goneCount + 3, #ARGV, 5 do ids[#ids + 1] = ARGV[at] end
for i, value in ipairs(#ids > 0 and redis.call('HMGET', items, unpack(ids)) or {}) do known[ids[i]] = value end
for i, id in ipairs(ids) do
  if not known[id] then
    local value, score, group, expiry = unpack(ARGV, goneCount - 1 + 5 * i, goneCount + 2 + 5 * i)
    local name = value:match('^.-;.-;.-;.-;(.*)$')
    if value:sub(1, 1) == 'd' then
      append(dues, score, id)
    elseif group ~= '' and not served[group] and not limiter.starts(name) and limiter.room(name, 1) > 0 then
      served[group] = true
      append(leases, group, id)
      append(expiries, expiry, id)
      if limiter.counts(name) then limiter.take(name, {id}, expiry) end
      local state = limiter.counts(name) and 'm' or 'l'
      value = value:gsub('^r(!?)(%d+)', function(race, leases) return state .. race .. (leases + 1) end)
    else
      if not lanes[name] then lanes[name] = {}; append(names, name) end
      append(lanes[name], score, id)
    end
    append(fields, id, value)
    known[id] = 'new'
  end
end
if #fields > 0 then redis.call('HSET', items, unpack(fields)) end
if #expiries > 0 then redis.call('ZADD', leased, unpack(expiries)) end
if #dues > 0 then redis.call('ZADD', delayed, unpack(dues)) end
local wakes = #dues > 0 and known[redis.call('ZRANGE', delayed, 0, 0)[1]] == 'new'
for name, entries in pairs(lanes) do redis.call('ZADD', lane .. name, unpack(entries)) end
local fresh = limiter.fresh(names, lanes)
for name in pairs(freed) do limiter.kick(name) end
if limiter.settle(fresh) > 0 or wakes then redis.call('ZADD', wake, 0, 'wake') end
return {leases, strays}
