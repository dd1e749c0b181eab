-- Says what functions are limited to. advance lets their lanes that wait try again.
-- KEYS: limits waits timers wake
-- ARGV: [function limits]*
-- Result: how many functions' limits changed
-- Invariant: what was said with a later revision stays; Q10; Q2, items that were moved once are leased nowhere else.
local limits, waits, timers, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local changed = 0
for at = 1, #ARGV, 2 do
  local func, said = ARGV[at], ARGV[at + 1]
  local known = redis.call('HGET', limits, func)
  if known and known:find('^%-?%d+;p?c') then said = said:gsub('^(%-?%d+;p?)c?', '%1c') end
  local function revision(text) return tonumber(text:match('^%-?%d+')) end
  if not known or revision(known) <= revision(said) then redis.call('HSET', limits, func, said) end
  if not known or (revision(known) <= revision(said) and known:match(';.*') ~= said:match(';.*')) then
    changed = changed + 1
    local places = {}
    for _, place in ipairs(redis.call('HVALS', waits .. func)) do places[place] = true end
    for place in pairs(places) do redis.call('ZADD', timers, 0, place) end
    if next(places) then redis.call('ZADD', wake, 0, 'wake') end
  end
end
return changed
