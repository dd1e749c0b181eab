-- Gives a lock up.
-- KEYS: lock
-- ARGV: owner
-- Result: 1, or 0 if it is not the owner's
-- Invariant: nobody gives up what is another's.
local lock = KEYS[1]
local owner = ARGV[1]

if redis.call('GET', lock) ~= owner then return 0 end
return redis.call('DEL', lock)
