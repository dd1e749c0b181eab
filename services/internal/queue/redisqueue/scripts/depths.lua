-- Counts the items that are in lanes, by function.
-- KEYS: depths
-- ARGV: function*
-- Result: {number, ...} of the functions
-- Invariant: it changes nothing.
local depths = KEYS[1]

return redis.call('HMGET', depths, unpack(ARGV))
