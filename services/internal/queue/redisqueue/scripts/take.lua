-- Takes items out that are to be moved to another shard.
-- KEYS: items lane parked waits depths
-- ARGV: max
-- Result: {id, value, ...}
-- Invariant: what is taken is nowhere; the ring has the lanes with items that wait for no limit.
local items, lane, parked, waits, depths = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local max = tonumber(ARGV[1])
local limiter = limiter({parked = parked, waits = waits, depths = depths}, 0)

local ids, answer = {}, {}
for _, name in ipairs(redis.call('ZRANGE', parked .. 'c', 0, max - 1)) do
  local popped = #ids < max and redis.call('ZPOPMIN', lane .. name, max - #ids) or {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  limiter.removed(name, #popped / 2)
  if redis.call('EXISTS', lane .. name) == 0 then limiter.drop(name) end
end
for i, value in ipairs(#ids > 0 and redis.call('HMGET', items, unpack(ids)) or {}) do
  if value then answer[#answer + 1], answer[#answer + 2] = ids[i], value end
end
if #ids > 0 then redis.call('HDEL', items, unpack(ids)) end
limiter.keep()
return answer
