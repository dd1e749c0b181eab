-- Lists dead items, the latest first.
-- KEYS: items dead reasons
-- ARGV: max
-- Result: {id, value, time, reason, ...}
-- Invariant: it changes nothing.
local items, dead, reasons = KEYS[1], KEYS[2], KEYS[3]
local max = tonumber(ARGV[1])

local deaths, ids, answer = redis.call('ZREVRANGE', dead, 0, max - 1, 'WITHSCORES'), {}, {}
for i = 1, #deaths, 2 do ids[#ids + 1] = deaths[i] end
if #ids == 0 then return {} end
local values, why = redis.call('HMGET', items, unpack(ids)), redis.call('HMGET', reasons, unpack(ids))
for i, id in ipairs(ids) do
  for _, part in ipairs({id, values[i] or '', deaths[2 * i], why[i] or ''}) do answer[#answer + 1] = part end
end
return answer
