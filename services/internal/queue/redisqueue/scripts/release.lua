-- Gives a lease back: the item is due again at due. advance puts it into its lane.
-- KEYS: items delayed leased wake
-- ARGV: id generation due
-- Result: 1, or 0 if the lease is lost
-- Invariant: Q2, only the holder of the latest lease of an item gives it back; Q6, the lease does not count.
local items, delayed, leased, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, generation, due = ARGV[1], ARGV[2], ARGV[3]

local value = redis.call('HGET', items, id) or ''
local claim, holder, expiries, rest = value:match('^l(!?(%d+));(%d+);%-?%d+;(.*)$')
if holder ~= generation then return 0 end
redis.call('ZREM', leased, id)
redis.call('HSET', items, id, 'd' .. claim .. ';' .. expiries .. ';' .. due .. ';' .. rest)
redis.call('ZADD', delayed, due, id)
if redis.call('ZRANGE', delayed, 0, 0)[1] == id then redis.call('ZADD', wake, 0, 'wake') end
return 1
