-- Takes items out that are to be moved to another shard.
-- KEYS: items lane ring limits slots starts parked waits sharers timers epoch depths
-- ARGV: now max
-- Result: {id, value, ...}
-- Invariant: what is taken is nowhere; the ring has the lanes with items that wait for no limit.
local items, lane, ring, limits, slots, starts, parked = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local waits, sharers, timers, epoch, depths = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local now, max = ARGV[1], tonumber(ARGV[2])
local limiter = limiter({lane = lane, ring = ring, limits = limits, slots = slots, starts = starts, parked = parked, waits = waits,
  sharers = sharers, timers = timers, epoch = epoch, depths = depths}, now)

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
limiter.settle()
return answer
