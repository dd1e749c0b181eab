-- Prolongs a lock for who has it.
-- KEYS: lock
-- ARGV: owner milliseconds
-- Result: 1, or 0 if it is not the owner's
-- Invariant: a lock that was lost is not taken; a full Redis does not refuse to prolong one.
local lock = KEYS[1]
local owner, milliseconds = ARGV[1], ARGV[2]

if redis.call('GET', lock) ~= owner then return 0 end
return redis.call('PEXPIRE', lock, milliseconds)
