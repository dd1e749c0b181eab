-- Counts items that began before towards throttles.
-- KEYS: lock lane ring limits slots starts parked waits sharers timers epoch depths
-- ARGV: owner now [lane id at]*
-- Result: 1, or 0 if the lock is not the owner's
-- Invariant: Q9; what counts already is left as it is.
local lock, lane, ring, limits, slots, starts, parked = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local waits, sharers, timers, epoch, depths = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local owner, now = ARGV[1], ARGV[2]
local limiter = limiter({lane = lane, ring = ring, limits = limits, slots = slots, starts = starts, parked = parked, waits = waits,
  sharers = sharers, timers = timers, epoch = epoch, depths = depths}, now)

if redis.call('GET', lock) ~= owner then return 0 end
for at = 3, #ARGV, 3 do limiter.began(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
return 1
