-- The arguments of a call, and the counters that it names. Counters are read in bulk, changed in memory, and written once each.
-- This file, decisions.lua, ledger.lua, and admit.lua or count.lua are joined, in this order, into one script.
--
-- KEYS and ARGV of a call of admit for one event of project 7 (organization 1), read at offset 40 of partition 0 of topic T:
--
--   KEYS[1] = 'epoch:{1}'             any key of the organization; a cluster picks the server by it
--   ARGV[1] = {                       packed by MessagePack, as all arguments are
--     '',                             prefix of every key
--     '9f86d081884c7d65',             call_id: a random word, another one for each call
--     604800, 3600,                   ledger_s and late_s, in seconds
--     1795348800.5,                   began: the caller's clock when its attempt at the batch began
--     {3600},                         settings of admit: duplicate_s; count has none
--     {{'1', {{'T:0', 40, 42}}, {}}}, sections: one for each organization, see ledger.lua
--   }
--   ARGV[2] = the tables of section 1 {{'project{1}7:29922479'}, {1}, {{100, 1795348801, 'over', 0}}, {{1}}, {'7'}}
--   ARGV[3] = the events of its first partition {{40}, {1}, {1}, <16 bytes>, <12 bytes>, {}, ''}
--   and so on: tables, then the events of each partition, for each section
--   Reply   = {{'9f86d081884c7d65', {{0, 42, {0}, {}, {}}}, {}}}, see `finish` in ledger.lua; or 'STALE'
--
-- A counter has a name, `stem:slot`, where the slot is the number of the window: 'project{1}7:29922479'.
-- Its definition is {limit, ends, reason, reserve, kind, ...}: a limit of -1 only counts, `ends` is the end of the window (epoch
-- seconds), `reason` is what an event is rejected with. The kind says how the counter limits:
--   nil                              a fixed window: at most `limit` in the window
--   'spike', factor, windows, minimum, keep_s
--                                    the limit is `factor` times the mean of the last `windows` windows, at least `minimum`
--   'bucket', refill_per_s           at most `limit` at once; what was taken is refilled over time
--   'fair', part, keep_s             an organization's window, of which `part` is kept for projects within their equal share
--
-- Keys of counters ({1} is the organization, so that all of them lie on one server of a cluster):
--   quota:project{1}7:29922479       what was charged in the window, a number
--   r:quota:project{1}7:29922479     what was refunded, a number
--   bucket:burst{1}7                 a token bucket: {debt, at (epoch seconds)}, a hash
--   share:org{1}:29922479            what each project took of a fair share, a hash by project; '' is the part open to all
--   dropped:project{1}7:20779        what was refused that day, a number, for `pipeline quotas show`

local options = cmsgpack.unpack(ARGV[1])
local prefix, call_id, ledger_s, late_s, began = options[1], options[2], options[3], options[4], options[5]
local settings, sections = options[6], options[7]
local redis_now = tonumber(redis.call('TIME')[1])
local LONGEST_AHEAD_S = 86400 -- callers move arrivals that are further ahead of their clocks; older versions did not
local CEILING = 2 ^ 62 -- no counter goes past this: INCRBY fails at 2^63, and a script does not roll back what it wrote before

local counters = {} -- in the order in which they were named
local by_name = {}

local counter_of
-- Returns the counter of that name. A counter with a reserve brings a second one, `reserve/<name>`.
function counter_of(name, definition)
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

-- Ends the call because a key does not hold what it should: somebody else has written to it. Nothing has been written yet, and
-- the caller waits until a person has looked at the key.
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

-- Checks that keys for which MGET returned nil do not exist: MGET also returns nil for a key of another type.
local function check_absent(keys)
  if #keys == 0 or redis.call('EXISTS', unpack(keys)) == 0 then return end
  for _, key in ipairs(keys) do read('GET', key) end
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
  counter.used = math.max(0, number(saved[1], counter.key))
  counter.at = math.min(number(saved[2], counter.key), began + LONGEST_AHEAD_S)
end

local function share_key(counter, back)
  local stem, slot = stem_and_slot(counter)
  return prefix .. 'share:' .. stem .. ':' .. (slot - back)
end

-- A project is active if it was charged in this window or in the one before. The field '' is not a project.
local function load_fair(counter)
  local now_key, before_key = share_key(counter, 0), share_key(counter, 1)
  counter.shares, counter.share_deltas = {}, {}
  counter.active_now = read('HLEN', now_key) - redis.call('HEXISTS', now_key, '')
  counter.active_before = read('HLEN', before_key) - redis.call('HEXISTS', before_key, '')
  counter.keep_s = counter.definition[7]
end

local loaders = {spike = load_spike, bucket = load_bucket, fair = load_fair}

-- Reads every counter that was named since the last time, with two commands for each thousand of them.
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

-- Returns whether a quantity fits, and whether it fits only into the part that is open to every project, beyond the project's
-- fair share. `arrival` (epoch seconds) refills a token bucket.
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

local function text(value) -- a large number as text, which Redis would otherwise write with an exponent
  return math.abs(value) < 1e15 and value or string.format('%.0f', value)
end

-- A counter lives for `late_s` after its window, so that a backlog of this age is counted. Expiries follow Redis's own clock. If
-- the window is already over, the counter lives for `late_s` from now: an expiry in the past would delete it.
local function expire(key, ends)
  redis.call('EXPIREAT', key, math.max(ends, redis_now) + late_s)
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

local function write_dropped(stem, quantity) -- by day, for `pipeline quotas show`
  local key = prefix .. 'dropped:' .. stem .. ':' .. math.floor(began / 86400)
  redis.call('INCRBY', key, text(quantity))
  redis.call('EXPIRE', key, 172800)
end

local function write_counters()
  for _, counter in ipairs(counters) do
    if counter.delta ~= 0 then
      if counter.kind == 'bucket' then
        write_bucket(counter)
      elseif counter.stored or counter.delta > 0 then -- nothing is taken back from a counter that has expired
        write_window(counter)
      end
    end
    if counter.dropped then write_dropped((stem_and_slot(counter)), counter.dropped) end
  end
end
