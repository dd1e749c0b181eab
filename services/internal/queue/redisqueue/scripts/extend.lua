-- Prolongs leases.
-- KEYS: items leased
-- ARGV: expiry [id generation]*
-- Result: the numbers, from 1, of the leases that are lost
-- Invariant: Q2, only the holder of the latest lease of an item prolongs it.
local items, leased = KEYS[1], KEYS[2]
local expiry = ARGV[1]

local ids, kept, expiries, lost = {}, {}, {}, {}
for at = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
for i, value in ipairs(redis.call('HMGET', items, unpack(ids))) do
  if (value or ''):match('^l!?(%d+);') == ARGV[2 * i + 1] then
    kept[#kept + 1] = ids[i]
    expiries[#expiries + 1], expiries[#expiries + 2] = expiry, ids[i]
  else
    lost[#lost + 1] = i
  end
end
if #kept > 0 then
  -- A full Redis refuses a script that begins with more data; a lease must not be lost for that.
  redis.call('ZREM', leased, unpack(kept))
  redis.call('ZADD', leased, unpack(expiries))
end
return lost
