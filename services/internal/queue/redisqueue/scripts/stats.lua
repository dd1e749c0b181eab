-- Counts the items.
-- KEYS: items lane ring delayed leased dead depths
-- ARGV: now max
-- Result: number of all, delayed, leased, dead, delayed that are due, leased that expired, held; earliest due time, or ''
-- Invariant: it changes nothing and looks at no more than max lanes, those whose turn is next.
local items, lane, ring, delayed, leased, dead, depths = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local now, max = ARGV[1], tonumber(ARGV[2])

local first = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 1)
for _, name in ipairs(redis.call('ZRANGE', ring, 0, max - 1)) do
  first[#first + 1] = redis.call('ZRANGE', lane .. name, 0, 0)[1]
end
local oldest = ''
for _, value in ipairs(#first > 0 and redis.call('HMGET', items, unpack(first)) or {}) do
  local due = (value or ''):match('^%a!?%d+;%d+;(%-?%d+);')
  if due and (oldest == '' or tonumber(due) < tonumber(oldest)) then oldest = due end
end
return {
  redis.call('HLEN', items), redis.call('ZCARD', delayed), redis.call('ZCARD', leased), redis.call('ZCARD', dead),
  redis.call('ZCOUNT', delayed, '-inf', now), redis.call('ZCOUNT', leased, '-inf', now),
  redis.call('HGET', depths, 'held') or 0, oldest,
}
