-- Makes a leased item dead.
-- KEYS: items lane ring leased dead reasons wake limits slots starts parked waits sharers timers epoch depths
-- ARGV: id generation now reason
-- Result: 1, or 0 if the lease is lost
-- Invariant: Q2, only the holder of the latest lease of an item buries it; Q8.
local items, lane, ring, leased, dead, reasons, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local limits, slots, starts, parked, waits, sharers, timers = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local epoch, depths = KEYS[15], KEYS[16]
local id, generation, now, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limiter = limiter({lane = lane, ring = ring, limits = limits, slots = slots, starts = starts, parked = parked, waits = waits,
  sharers = sharers, timers = timers, epoch = epoch, depths = depths}, now)

local value = redis.call('HGET', items, id) or ''
local state, holder, name = value:match('^([lm])!?(%d+);.-;.-;.-;(.*)$')
if holder ~= generation then return 0 end
redis.call('ZREM', leased, id)
redis.call('HSET', items, id, 'x' .. value:sub(2))
redis.call('ZADD', dead, now, id)
redis.call('HSET', reasons, id, reason)
if state == 'm' then
  limiter.free(name, {id})
  limiter.kick(name)
  if limiter.settle() > 0 then redis.call('ZADD', wake, 0, 'wake') end
end
return 1
