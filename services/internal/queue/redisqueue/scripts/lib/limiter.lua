-- What scripts know of lanes and their limits. The script's text follows.
--
-- A lane is in the ring, or at a place, where it waits for a limit: the limit's set, with the function if functions share
-- it; or `FUNCTION/?` until the limits are known, `FUNCTION/p` while it is paused, `e` until the shard is rebuilt, `w` until
-- the windows of throttles are known, `c` until its items are moved, which count in another shard. So that none is forgotten,
-- somebody kicks the lane's limits whenever a lane takes or frees something, or leaves the ring: where there is room, the first
-- that waits comes back into it.
-- k are the keys: lane ring limits slots starts parked waits sharers timers epoch depths; as many as are needed
local function limiter(k, now)
  local self, lanes, known, counts, depths, from, windowed, late = {}, {}, {}, {}, {}, nil, nil, {}
  now = tonumber(now)

  local function functionOf(name) return name:match('^[^/]*') end

  -- The limits of a lane: those of its keys, and that of the whole function.
  local function limitsOf(name)
    if lanes[name] then return lanes[name] end
    local all = {func = functionOf(name), named = false, counted = false}
    lanes[name] = all
    if name:find('/!', 1, true) then return all end
    for part in name:gmatch('/([^/]+)') do
      local id = part:match('^[^=]*')
      local shared = id:sub(2, 2) ~= 'f'
      all[#all + 1] = {id = id, set = shared and part or all.func .. '/' .. part, shared = shared, starts = id:sub(1, 1) == 't'}
      all.named, all.whole = true, all.whole or id == 'cf'
    end
    if not all.whole then all[#all + 1] = {id = 'cf', set = all.func .. '/cf='} end
    return all
  end

  -- What a function is limited to; nil if nobody said.
  local function read(value)
    if not value then return false end
    local paused, apart = value:match('^%-?%d+;(p?)(c?)')
    local numbers = {paused = paused == 'p', apart = apart == 'c', any = false}
    for id, most, period in value:gmatch(';(%a%a[^=;]*)=(%d+),(%d+)') do
      numbers[id], numbers.any = {most = tonumber(most), period = tonumber(period)}, true
    end
    return numbers
  end
  local function numbersOf(func)
    if known[func] == nil then known[func] = read(redis.call('HGET', k.limits, func)) end
    return known[func]
  end
  function self.learn(names)
    local functions = {}
    for _, name in ipairs(names) do
      local func = functionOf(name)
      if known[func] == nil then functions[#functions + 1], known[func] = func, false end
    end
    if #functions == 0 then return end
    for i, value in ipairs(redis.call('HMGET', k.limits, unpack(functions))) do known[functions[i]] = read(value) end
  end

  -- When limits begin to count after a loss of the shard: at no time as long as it is not rebuilt. Finds out, too, whether
  -- the windows of throttles are known.
  local function limitedFrom()
    if not from then
      local epoch = redis.call('GET', k.epoch)
      from = epoch and tonumber(epoch:match(';(%d+)') or 0) or math.huge
      windowed = epoch and epoch:find(';w', 1, true)
    end
    return from
  end

  local function placeOf(limit, func) return limit.shared and limit.set .. '|' .. func or limit.set end

  local function count(limit, number)
    if not counts[limit.set] then
      local key = (limit.starts and k.starts or k.slots) .. limit.set
      if limit.starts then redis.call('ZREMRANGEBYSCORE', key, '-inf', now - number.period) end
      counts[limit.set] = redis.call('ZCARD', key)
    end
    return counts[limit.set]
  end

  -- When a full limit may have room by itself: a throttle's window moves on; a lease whose holder does not free it expires.
  local function roomAt(limit, number)
    local key = (limit.starts and k.starts or k.slots) .. limit.set
    local at = limit.starts and math.max(count(limit, number) - number.most, 0) or 0
    local first = redis.call('ZRANGE', key, at, at, 'WITHSCORES')[2]
    local lasts = limit.starts and number.period or 0
    -- If it has room, the lane that came back for it may fill it at once.
    return first and tonumber(first) + lasts or now + math.max(lasts, 1000000)
  end

  -- How many items of a lane may be leased, n at most; if fewer, also where it waits for more, and until when at most.
  function self.room(name, n)
    local all = limitsOf(name)
    local numbers = #all > 0 and numbersOf(all.func)
    if #all == 0 or (not numbers and not all.named) then return n end
    if not numbers then return 0, all.func .. '/?' end
    if numbers.paused then return 0, all.func .. '/p' end
    if numbers.apart and not all.named then return 0, 'c', now + 100000 end -- too many to move at once
    if not numbers.any then return n end
    if limitedFrom() > now then return 0, 'e', math.min(from, now + 1000000) end
    local tight
    for _, limit in ipairs(all) do
      local number = numbers[limit.id]
      if number then
        all.counted = true
        if limit.starts and not windowed then return 0, 'w', now + 1000000 end
        local left = math.max(number.most - count(limit, number), 0)
        if left < n then n, tight = left, limit end
      end
    end
    if not tight then return n end
    return n, placeOf(tight, all.func), nil, tight
  end
  -- Whether leases of a lane, of which room was asked, are counted; whether others may wait for what it does not take.
  function self.counts(name) return limitsOf(name).counted end
  function self.limited(name) return limitsOf(name).counted or limitsOf(name).named end
  function self.starts(name) return name:find('/t', 1, true) ~= nil end

  -- Counts leased items of a lane.
  function self.take(name, ids, expiry)
    local all = limitsOf(name)
    local numbers, leases, begun = numbersOf(all.func), {}, {}
    for i, id in ipairs(ids) do leases[2 * i - 1], leases[2 * i], begun[2 * i - 1], begun[2 * i] = expiry, id, now, id end
    for _, limit in ipairs(all) do
      local number = numbers[limit.id]
      if number and limit.starts then
        redis.call('ZADD', k.starts .. limit.set, unpack(begun))
        redis.call('PEXPIRE', k.starts .. limit.set, math.ceil(number.period / 1000))
      elseif number then
        redis.call('ZADD', k.slots .. limit.set, unpack(leases))
      end
      if number and counts[limit.set] then counts[limit.set] = counts[limit.set] + #ids end
    end
  end

  -- No longer counts items of a lane; unstarted ones have not begun either.
  function self.free(name, ids, unstarted)
    for _, limit in ipairs(limitsOf(name)) do
      if not limit.starts then redis.call('ZREM', k.slots .. limit.set, unpack(ids))
      elseif unstarted then redis.call('ZREM', k.starts .. limit.set, unpack(ids)) end
      counts[limit.set] = nil
    end
  end

  -- Counts an item of a lane that began before.
  function self.began(name, id, at)
    local all = limitsOf(name)
    local numbers = numbersOf(all.func)
    for _, limit in ipairs(all) do
      local number = numbers and numbers[limit.id]
      if number and limit.starts then
        redis.call('ZADD', k.starts .. limit.set, 'NX', at, id)
        redis.call('PEXPIRE', k.starts .. limit.set, math.ceil(number.period / 1000))
      end
    end
  end

  -- Counts an item of a lane until another expiry.
  function self.extend(name, id, expiry)
    for _, limit in ipairs(limitsOf(name)) do
      if not limit.starts then redis.call('ZADD', k.slots .. limit.set, 'XX', expiry, id) end
    end
  end

  -- Counts items of lanes that wait, and those that came into a lane or left it; to be kept.
  local function hold(n) depths.held = (depths.held or 0) + n end
  function self.moved(name, n)
    local func = functionOf(name)
    depths[func] = (depths[func] or 0) + n
  end
  function self.keep()
    for what, n in pairs(depths) do
      if n ~= 0 then redis.call('HINCRBY', k.depths, what, n) end
    end
    depths = {}
  end

  -- Has a lane wait for what room said, and not in the ring.
  function self.park(name, place, at, limit)
    local func = functionOf(name)
    redis.call('ZREM', k.ring, name) -- a full Redis refuses a script that begins with more data
    local last = redis.call('ZRANGE', k.parked .. place, -1, -1, 'WITHSCORES')[2]
    redis.call('ZADD', k.parked .. place, (last or 0) + 1, name)
    redis.call('HSET', k.waits .. func, name, place)
    hold(redis.call('ZCARD', k.lane .. name))
    if limit and limit.shared then redis.call('SADD', k.sharers .. limit.set, func) end
    if limit and not last then at = roomAt(limit, numbersOf(func)[limit.id]) end
    if at then redis.call('ZADD', k.timers, at, place) end
  end
  function self.placeOf(name) return redis.call('HGET', k.waits .. functionOf(name), name) end

  -- Brings the first lanes of a place back into the ring.
  local function wake(place, n)
    local first = redis.call('ZPOPMIN', k.parked .. place, n)
    for i = 1, #first, 2 do
      redis.call('HDEL', k.waits .. functionOf(first[i]), first[i])
      hold(-redis.call('ZCARD', k.lane .. first[i]))
      late[#late + 1] = first[i]
    end
    if #first < 2 * n then
      redis.call('ZREM', k.timers, place)
      local set, func = place:match('^(.*)|(.*)$')
      if set then redis.call('SREM', k.sharers .. set, func) end
    end
    return #first / 2
  end

  -- Brings a lane back that waits for the limit, if it has room. Lanes of functions that have the limit no more come back
  -- with tick.
  local function kick(limit, func)
    local chosen, earliest
    for _, f in ipairs(limit.shared and redis.call('SMEMBERS', k.sharers .. limit.set) or {func}) do
      local numbers, place = numbersOf(f), placeOf(limit, f)
      local number = numbers and numbers[limit.id]
      local room = number and count(limit, number) < number.most
      local first = room and redis.call('ZRANGE', k.parked .. place, 0, 0, 'WITHSCORES')[2]
      if first and tonumber(first) < (earliest or math.huge) then chosen, earliest = place, tonumber(first) end
    end
    if chosen then wake(chosen, 1) end
  end
  function self.kick(name)
    for _, limit in ipairs(limitsOf(name)) do kick(limit, functionOf(name)) end
  end

  -- Takes note that items of a lane were removed.
  function self.removed(name, n)
    self.moved(name, -n)
    if self.placeOf(name) then hold(-n) end
  end

  -- Takes a lane that has no items any more out of the ring, or from where it waits. The caller kicks its limits then.
  function self.drop(name)
    local place = self.placeOf(name)
    redis.call('ZREM', place and k.parked .. place or k.ring, name)
    if place then redis.call('HDEL', k.waits .. functionOf(name), name) end
  end

  -- Looks after places whose time has come, max at most; of those that are no limit's, max lanes come back at a time.
  function self.tick(max)
    for _, place in ipairs(redis.call('ZRANGEBYSCORE', k.timers, '-inf', now, 'LIMIT', 0, max)) do
      local set, func = place:match('^(.*)|(.*)$')
      set, func = set or place, func or functionOf(place)
      local part = set:match('([^/]*)$')
      local limit = {id = part:match('^[^=]*'), set = set, shared = set ~= place, starts = part:sub(1, 1) == 't'}
      local numbers, at = numbersOf(func), nil
      local number = numbers and numbers[limit.id]
      if not number and (numbers or not part:find('=', 1, true)) then -- there is no limit any more
        at = wake(place, max) == max and now
      elseif number then
        if not limit.starts then redis.call('ZREMRANGEBYSCORE', k.slots .. set, '-inf', now) end
        counts[set] = nil
        kick(limit, func)
        at = redis.call('EXISTS', k.parked .. place) == 1 and roomAt(limit, number) -- a place where lanes wait has a timer
      end
      if at then redis.call('ZADD', k.timers, math.max(at, now + 1), place) else redis.call('ZREM', k.timers, place) end
    end
  end

  -- Lanes that came back, which the caller puts into the ring.
  function self.takeLate()
    local those = late
    late = {}
    return those
  end

  -- Those of the lanes that are not in the ring and do not wait, to be settled. entries are what each lane got: a score and an
  -- id for each item.
  function self.fresh(names, entries)
    local those, turns = {}, #names > 0 and redis.call('ZMSCORE', k.ring, unpack(names))
    for i, name in ipairs(names) do
      self.moved(name, #entries[name] / 2)
      if not turns[i] and self.placeOf(name) then hold(#entries[name] / 2)
      elseif not turns[i] then those[#those + 1] = name end
    end
    return those
  end

  -- Puts the lanes that came back, and fresh ones, at the end of the ring, and keeps what was counted. Returns how many lanes
  -- were not in the ring.
  function self.settle(fresh)
    self.keep()
    for _, name in ipairs(fresh or {}) do late[#late + 1] = name end
    if #late == 0 then return 0 end
    local last, turns = tonumber(redis.call('ZRANGE', k.ring, -1, -1, 'WITHSCORES')[2] or 0), {}
    for i, name in ipairs(late) do turns[2 * i - 1], turns[2 * i] = last + i, name end
    return redis.call('ZADD', k.ring, 'NX', unpack(turns))
  end
  return self
end
