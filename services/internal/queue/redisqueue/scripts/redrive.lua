-- Makes a dead item due at now, as if no lease of it had expired. advance puts it into its lane.
-- KEYS: items delayed dead reasons wake
-- ARGV: id now
-- Result: 1, or 0 if no such item is dead
-- Invariant: Q2, generations go on.
local items, delayed, dead, reasons, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, now = ARGV[1], ARGV[2]

local value = redis.call('HGET', items, id) or ''
local claim, rest = value:match('^x(!?%d+);%d+;%-?%d+;(.*)$')
if not claim then return 0 end
redis.call('ZREM', dead, id)
redis.call('HDEL', reasons, id)
redis.call('HSET', items, id, 'd' .. claim .. ';0;' .. now .. ';' .. rest)
redis.call('ZADD', delayed, now, id)
redis.call('ZADD', wake, 0, 'wake')
return 1
