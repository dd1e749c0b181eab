-- Takes settled items out and puts new ones in: the delayed by their due time, the others into their lanes; but of each
-- group the first that is due and new is leased at once.
-- KEYS: items lane ring delayed leased wake
-- ARGV: goneCount gone* [id value score group expiry]*
-- Result: {group, id, ... of what was leased}, {gone ids that were not leased but are in}
-- Invariant: Q1, an id that is in is left as it is; Q2, what is leased is its group's; the ring has the lanes with items.
local items, lane, ring, delayed, leased, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local goneCount, strays, held = tonumber(ARGV[1]), {}, {}
local function append(list, a, b) list[#list + 1] = a; list[#list + 1] = b end
if goneCount > 0 then
  local gone = {unpack(ARGV, 2, goneCount + 1)}
  if redis.call('ZREM', leased, unpack(gone)) < goneCount then
    local values, were = redis.call('HMGET', items, unpack(gone)), {}
    for i, id in ipairs(gone) do
      if values[i] then append(values[i]:sub(1, 1) == 'l' and were or strays, id) end
    end
    gone = were
  end
  if #gone > 0 then redis.call('HDEL', items, unpack(gone)) end
end

local ids, known, served, fields, expiries, dues, lanes, names = {}, {}, {}, {}, {}, {}, {}, {}
for at = goneCount + 2, #ARGV, 5 do ids[#ids + 1] = ARGV[at] end
if #ids == 0 then return {held, strays} end
for i, value in ipairs(redis.call('HMGET', items, unpack(ids))) do known[ids[i]] = value end
for i, id in ipairs(ids) do
  if not known[id] then
    local value, score, group, expiry = unpack(ARGV, goneCount - 2 + 5 * i, goneCount + 1 + 5 * i)
    if value:sub(1, 1) == 'd' then
      append(dues, score, id)
    elseif group ~= '' and not served[group] then
      served[group] = true
      append(held, group, id)
      append(expiries, expiry, id)
      value = value:gsub('^r(!?)(%d+)', function(race, leases) return 'l' .. race .. (leases + 1) end)
    else
      local name = value:match('^r!?%d+;%d+;%-?%d+;%-?%d+;(.*)$')
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
if wakes or #late > 0 then redis.call('ZADD', wake, 0, 'wake') end
return {held, strays}
