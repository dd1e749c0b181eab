-- Makes a leased item dead.
-- KEYS: items leased dead reasons
-- ARGV: id generation now reason
-- Result: 1, or 0 if the lease is lost
-- Invariant: Q2, only the holder of the latest lease of an item buries it.
local items, leased, dead, reasons = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, generation, now, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local value = redis.call('HGET', items, id) or ''
if value:match('^l!?(%d+);') ~= generation then return 0 end
redis.call('ZREM', leased, id)
redis.call('HSET', items, id, 'x' .. value:sub(2))
redis.call('ZADD', dead, now, id)
redis.call('HSET', reasons, id, reason)
return 1
