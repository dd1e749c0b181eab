-- Tells where ready items wait. A place is '' if the lane is in the ring.
-- KEYS: items lane waits
-- ARGV: id*
-- Result: {id, place, number of items before it in its lane, ...} of those that are ready
-- Invariant: it changes nothing.
local items, lane, waits = KEYS[1], KEYS[2], KEYS[3]

local answer = {}
for i, value in ipairs(redis.call('HMGET', items, unpack(ARGV))) do
  local name = (value or ''):match('^r.-;.-;.-;.-;(.*)$')
  if name then
    answer[#answer + 1] = ARGV[i]
    answer[#answer + 1] = redis.call('HGET', waits .. name:match('^[^/]*'), name) or ''
    answer[#answer + 1] = redis.call('ZRANK', lane .. name, ARGV[i]) or 0
  end
end
return answer
