-- Takes a lock, or prolongs it for who has it.
-- KEYS: lock
-- ARGV: owner milliseconds
-- Result: 1, or 0 if it is another's
-- Invariant: a lock has one owner.
local lock = KEYS[1]
local owner, milliseconds = ARGV[1], ARGV[2]

local holder = redis.call('GET', lock)
if holder and holder ~= owner then return 0 end
redis.call('SET', lock, owner, 'PX', milliseconds)
return 1
