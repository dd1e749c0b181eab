-- Says that the windows of throttles are known. advance lets the lanes that waited for that try again.
-- KEYS: lock epoch timers wake
-- ARGV: owner
-- Result: 1, or 0 if the lock is not the owner's
-- Invariant: Q9, the shard was not lost since the owner took the lock, or the lock would be lost with it.
local lock, epoch, timers, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner = ARGV[1]

local rebuilt = redis.call('GET', epoch)
if not rebuilt or redis.call('GET', lock) ~= owner then return 0 end
if not rebuilt:find(';w', 1, true) then redis.call('SET', epoch, rebuilt .. ';w') end
if redis.call('ZSCORE', timers, 'w') then redis.call('ZADD', timers, 0, 'w') end
redis.call('ZADD', wake, 0, 'wake')
return 1
