-- Marks the shard as rebuilt.
-- KEYS: lock epoch
-- ARGV: owner now limitedFrom
-- Result: 1, or 0 if the lock is not the owner's
-- Invariant: Q7, the shard was not lost since the owner took the lock, or the lock would be lost with it; Q8.
local lock, epoch = KEYS[1], KEYS[2]
local owner, now, limitedFrom = ARGV[1], ARGV[2], ARGV[3]

if redis.call('GET', lock) ~= owner then return 0 end
redis.call('SET', epoch, now .. ';' .. limitedFrom)
return 1
