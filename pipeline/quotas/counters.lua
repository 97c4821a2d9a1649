-- The request, and the counters that it names: read in bulk, moved in memory, written once each.
--
-- ARGV[1] = {prefix, call_id, ledger_s, late_s, began, settings, sections}; `ledger.lua` tells what follows. `began` is the
-- caller's clock when its attempt at the batch began.
-- A counter has a name, `stem:slot`, and a definition: {limit, ends, reason, reserve, kind, ...}. Its kind says how it limits:
--   nil                              a fixed window: at most `limit` while the window lasts (-1: counted only)
--   'spike', factor, windows, minimum, keep_s
--                                    the limit is `factor` times the mean of the last `windows` windows, at least `minimum`
--   'bucket', refill_per_s           at most `limit` at once; what was taken comes back over time
--   'fair', part, keep_s             an organization's window, of which `part` is kept for projects within their equal share

local options = cmsgpack.unpack(ARGV[1])
local prefix, call_id, ledger_s, late_s, began = options[1], options[2], options[3], options[4], options[5]
local settings, sections = options[6], options[7]
local redis_now = tonumber(redis.call('TIME')[1])
local CEILING = 2 ^ 62 -- a counter stops here: past 2^63 INCRBY fails, and a script does not roll back

local counters = {} -- in the order in which they were named
local by_name = {}

local counter_of
function counter_of(name, definition) -- with its reserve, a counter of its own
  local counter = by_name[name]
  if not counter then
    counter = {name = name, definition = definition, limit = definition[1], stored = false, used = 0, delta = 0}
    by_name[name] = counter
    counters[#counters + 1] = counter
    if definition[5] then counter.kind = definition[5] end
    if definition[4] > 0 then counter.reserve = counter_of('reserve/' .. name, {definition[4], definition[2], '', 0}) end
  end
  return counter
end

local function stem_and_slot(counter)
  local stem, slot = string.match(counter.name, '^(.*):(.-)$')
  return stem, tonumber(slot)
end

-- A key of ours that somebody else has written to. The caller waits until a person has looked, and nothing is written before.
local function foreign(key, what)
  error('FOREIGN ' .. key .. ' holds ' .. what, 0)
end

local function read(command, key, ...)
  local value = redis.pcall(command, key, ...)
  if type(value) == 'table' and value.err then
    if string.find(value.err, 'WRONGTYPE', 1, true) == 1 then foreign(key, 'another type') end
    error(value.err, 0)
  end
  return value
end

local function number(value, key)
  if not value then return 0 end
  local parsed = tonumber(value)
  if not parsed then foreign(key, 'no number') end
  return parsed
end

-- MGET says nil of a key of another type, too.
local function check_absent(keys)
  if #keys == 0 or redis.call('EXISTS', unpack(keys)) == 0 then return end
  for _, key in ipairs(keys) do read('GET', key) end
end

local function has(mask, at) -- whether the bit of the counter at that place is set
  return math.floor(mask / 2 ^ (at - 1)) % 2 == 1
end

-- Reading -----------------------------------------------------------------------------------------------------------------

local function load_spike(counter)
  local _, _, _, _, _, factor, windows, minimum, keep_s = unpack(counter.definition)
  local stem, slot = stem_and_slot(counter)
  local keys, sum = {}, 0
  for back = 1, windows do keys[back] = prefix .. 'quota:' .. stem .. ':' .. (slot - back) end
  for at, value in ipairs(redis.call('MGET', unpack(keys))) do sum = sum + number(value, keys[at]) end
  counter.limit = math.max(minimum, math.floor(factor * sum / windows))
  counter.keep_s = keep_s
end

local function load_bucket(counter)
  counter.key = prefix .. 'bucket:' .. stem_and_slot(counter)
  local saved = read('HMGET', counter.key, 'debt', 'at')
  counter.used, counter.at = math.max(0, number(saved[1], counter.key)), number(saved[2], counter.key)
end

local function share_key(counter, back)
  local stem, slot = stem_and_slot(counter)
  return prefix .. 'share:' .. stem .. ':' .. (slot - back)
end

-- A project is active that was charged in this window or in the one before; '' is the pool that is open to all.
local function load_fair(counter)
  local now_key, before_key = share_key(counter, 0), share_key(counter, 1)
  counter.shares, counter.share_deltas = {}, {}
  counter.active_now = read('HLEN', now_key) - redis.call('HEXISTS', now_key, '')
  counter.active_before = read('HLEN', before_key) - redis.call('HEXISTS', before_key, '')
  counter.keep_s = counter.definition[7]
end

local loaders = {spike = load_spike, bucket = load_bucket, fair = load_fair}

-- Reads every counter that was named since the last time. Two commands for each thousand of them.
local loaded = 0
local function load_counters()
  while loaded < #counters do
    local from, upto = loaded + 1, math.min(loaded + 1000, #counters)
    local keys = {}
    for i = from, upto do
      local at = 2 * (i - from) + 1
      keys[at] = prefix .. 'quota:' .. counters[i].name
      keys[at + 1] = prefix .. 'r:quota:' .. counters[i].name
    end
    local values, absent = redis.call('MGET', unpack(keys)), {}
    for at, key in ipairs(keys) do
      if not values[at] then absent[#absent + 1] = key end
    end
    check_absent(absent)
    for i = from, upto do
      local counter, at = counters[i], 2 * (i - from) + 1
      counter.stored = values[at] and number(values[at], keys[at]) -- false where there is no key
      counter.used = (counter.stored or 0) - number(values[at + 1], keys[at + 1])
      if counter.kind then loaders[counter.kind](counter) end
    end
    loaded = upto
  end
end

local function share_of(counter, project)
  local share = counter.shares[project]
  if not share then
    local saved = redis.call('HGET', share_key(counter, 0), project)
    if not saved and project ~= '' then counter.active_now = counter.active_now + 1 end
    share = number(saved, counter.name)
    counter.shares[project] = share
  end
  return share
end

-- Asking and charging -----------------------------------------------------------------------------------------------------

-- Whether a quantity fits. Second: whether it fits only in what is open to every project, beyond the project's fair share.
local function fits(counter, quantity, over_accept_once, project, arrival)
  if counter.kind == 'bucket' and arrival > counter.at then
    counter.used = math.max(0, counter.used - (arrival - counter.at) * counter.definition[6])
    counter.at = arrival
  end
  local limit, used = counter.limit, counter.used
  if limit < 0 then return true end
  if quantity == 0 or over_accept_once then
    if used >= limit then return false end
  elseif used + quantity > limit then
    return false
  end
  if counter.kind ~= 'fair' then return true end
  local kept = limit * counter.definition[6]
  local own = share_of(counter, project)
  if own + quantity <= kept / math.max(counter.active_now, counter.active_before, 1) then return true end
  return share_of(counter, '') + quantity <= limit - kept, true
end

local function charge(counter, quantity, project, is_beyond)
  counter.used = counter.used + quantity
  counter.delta = counter.delta + quantity
  if counter.kind == 'bucket' then
    counter.used = math.max(0, counter.used)
  elseif counter.kind == 'fair' then
    local pool = is_beyond and '' or project
    counter.shares[pool] = share_of(counter, pool) + quantity
    counter.share_deltas[pool] = (counter.share_deltas[pool] or 0) + quantity
  end
end

local function drop(counter, quantity)
  counter.dropped = (counter.dropped or 0) + quantity
end

-- Writing -----------------------------------------------------------------------------------------------------------------

local function text(value) -- Redis would write a large number with an exponent
  return math.abs(value) < 1e15 and value or string.format('%.0f', value)
end

-- Keys live by Redis's own clock. A window that was over before we got to it stays for `late_s`, or its count would be lost.
local function expire(key, ends)
  redis.call('EXPIREAT', key, math.max(ends + 60, redis_now + late_s))
end

local function write_bucket(counter)
  redis.call('HSET', counter.key, 'debt', string.format('%.17g', counter.used), 'at', text(counter.at))
  redis.call('EXPIRE', counter.key, math.ceil(counter.limit / counter.definition[6]) + late_s)
end

local function write_window(counter)
  local key = prefix .. 'quota:' .. counter.name
  redis.call('INCRBY', key, text(math.min(counter.delta, math.max(0, CEILING - (counter.stored or 0)))))
  if not counter.stored then expire(key, counter.definition[2] + (counter.keep_s or 0)) end
  if counter.kind == 'fair' then
    local shares = share_key(counter, 0)
    for project, share in pairs(counter.share_deltas) do
      if share ~= 0 and redis.call('HINCRBY', shares, project, text(share)) == 0 then redis.call('HDEL', shares, project) end
    end
    expire(shares, counter.definition[2] + counter.keep_s)
  end
end

local function write_dropped(stem, quantity) -- for people to see, by day
  local key = prefix .. 'dropped:' .. stem .. ':' .. math.floor(began / 86400)
  redis.call('INCRBY', key, text(quantity))
  redis.call('EXPIRE', key, 172800)
end

local function write_counters()
  for _, counter in ipairs(counters) do
    if counter.delta ~= 0 then
      if counter.kind == 'bucket' then
        write_bucket(counter)
      elseif counter.stored or counter.delta > 0 then -- what has expired needs no taking back
        write_window(counter)
      end
    end
    if counter.dropped then write_dropped((stem_and_slot(counter)), counter.dropped) end
  end
end
