-- Gives a lease back: the item is due again at due. advance puts it into its lane.
-- KEYS: items lane ring delayed leased wake limits slots starts parked waits sharers timers epoch depths
-- ARGV: now id generation due
-- Result: 1, or 0 if the lease is lost
-- Invariant: Q2, only the holder of the latest lease of an item gives it back; Q6, the lease does not count; Q9, nor does its
-- start.
local items, lane, ring, delayed, leased, wake, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local slots, starts, parked, waits, sharers, timers, epoch = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local depths = KEYS[15]
local now, id, generation, due = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limiter = limiter({lane = lane, ring = ring, limits = limits, slots = slots, starts = starts, parked = parked, waits = waits,
  sharers = sharers, timers = timers, epoch = epoch, depths = depths}, now)

local value = redis.call('HGET', items, id) or ''
local state, claim, holder, expiries, rest, name = value:match('^([lm])(!?(%d+));(%d+);%-?%d+;(%-?%d+;(.*))$')
if holder ~= generation then return 0 end
redis.call('ZREM', leased, id)
redis.call('HSET', items, id, 'd' .. claim .. ';' .. expiries .. ';' .. due .. ';' .. rest)
redis.call('ZADD', delayed, due, id)
if state == 'm' or limiter.starts(name) then
  limiter.free(name, {id}, true)
  limiter.kick(name)
end
if limiter.settle() > 0 or redis.call('ZRANGE', delayed, 0, 0)[1] == id then redis.call('ZADD', wake, 0, 'wake') end
return 1
