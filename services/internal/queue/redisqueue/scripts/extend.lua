-- Prolongs leases.
-- KEYS: items leased slots
-- ARGV: expiry [id generation]*
-- Result: the numbers, from 1, of the leases that are lost
-- Invariant: Q2, only the holder of the latest lease of an item prolongs it; Q8, it counts as long.
local items, leased, slots = KEYS[1], KEYS[2], KEYS[3]
local expiry = ARGV[1]
local limiter = limiter({slots = slots}, 0)

local ids, kept, expiries, lost, counted = {}, {}, {}, {}, {}
for at = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
for i, value in ipairs(redis.call('HMGET', items, unpack(ids))) do
  local state, generation, name = (value or ''):match('^([lm])!?(%d+);.-;.-;.-;(.*)$')
  if generation == ARGV[2 * i + 1] then
    kept[#kept + 1] = ids[i]
    expiries[#expiries + 1], expiries[#expiries + 2] = expiry, ids[i]
    if state == 'm' then counted[ids[i]] = name end
  else
    lost[#lost + 1] = i
  end
end
if #kept > 0 then
  -- A full Redis refuses a script that begins with more data; a lease must not be lost for that.
  redis.call('ZREM', leased, unpack(kept))
  redis.call('ZADD', leased, unpack(expiries))
  for id, name in pairs(counted) do limiter.extend(name, id, expiry) end
end
return lost
