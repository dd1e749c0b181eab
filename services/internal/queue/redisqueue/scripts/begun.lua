-- Counts items that began before towards throttles.
-- KEYS: lock limits starts
-- ARGV: owner [lane id at]*
-- Result: 1, or 0 if the lock is not the owner's
-- Invariant: Q9; what counts already is left as it is.
local lock, limits, starts = KEYS[1], KEYS[2], KEYS[3]
local owner = ARGV[1]
local limiter = limiter({limits = limits, starts = starts}, 0)

if redis.call('GET', lock) ~= owner then return 0 end
for at = 2, #ARGV, 3 do limiter.began(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
return 1
