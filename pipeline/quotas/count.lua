-- Count: apply group quotas, count the groups, and name the first event of each.
-- Columns of events: offsets, combos, quantities, ids, tokens, times (event time), users ('' for none), flags.
-- A combo is {group, counters, hashes, day, hour, retention_s}: group is `project:group id`, counters are the group quotas'.

local KEEP_IN_SAMPLE, ADMITTED_ON_RESERVE = 1, 2 -- flags of an event
local NEW, SAMPLED, NOT_NEW = 1, 2, 4 -- verdicts: 0 is counted; NEW and SAMPLED add up; NOT_NEW and REJECTED refuse

local opened = open_sections('count')
if not opened then return 'STALE' end

local function has(number, bit)
  return math.floor(number / bit) % 2 == 1
end

-- Groups --------------------------------------------------------------------------------------------------------------

local groups = {} -- by key: what this call adds
local function group_of(section, combo)
  local name = '{' .. section.organization .. '}' .. combo[1]
  local group = groups[name]
  if not group then
    group = {name = name, seen = 0, dropped = 0, hours = {}, users = {}, retention_s = 0}
    groups[name] = group
  end
  return group
end

local function add(group, combo, quantity)
  group.seen = group.seen + quantity
  group.retention_s = math.max(group.retention_s, combo[6])
  local days = group.hours
  days[combo[4]] = days[combo[4]] or {}
  local hours = days[combo[4]]
  hours[combo[5]] = (hours[combo[5]] or 0) + quantity
end

local function write_group(group)
  local key = prefix .. 'group:' .. group.name
  local saved = redis.call('HMGET', key, 'seen', 'dropped', 'first', 'last')
  local seen = number(saved[1], key) + group.seen
  local dropped = number(saved[2], key) + group.dropped
  for day, hours in pairs(group.hours) do
    local hours_key = prefix .. 'hours:' .. group.name .. ':' .. day
    for hour, quantity in pairs(hours) do
      if quantity ~= 0 and redis.call('HINCRBY', hours_key, hour, string.format('%.0f', quantity)) == 0 then
        redis.call('HDEL', hours_key, hour)
      end
    end
    if group.retention_s > 0 then redis.call('EXPIRE', hours_key, group.retention_s) end
  end
  if seen <= 0 and dropped <= 0 then
    redis.call('DEL', key)
    return
  end
  local first, last = tonumber(saved[3] or nil), tonumber(saved[4] or nil)
  if group.first then
    first, last = math.min(first or group.first, group.first), math.max(last or group.last, group.last)
    redis.call('HSET', key, 'first', string.format('%.17g', first), 'last', string.format('%.17g', last))
  end
  redis.call('HSET', key, 'seen', string.format('%.0f', seen), 'dropped', string.format('%.0f', dropped))
  if group.retention_s > 0 then redis.call('EXPIRE', key, group.retention_s) end
  if #group.users > 0 then
    local users_key = prefix .. 'users:' .. group.name
    for from = 1, #group.users, 1000 do
      redis.call('PFADD', users_key, unpack(group.users, from, math.min(from + 999, #group.users)))
    end
    redis.call('EXPIRE', users_key, group.retention_s)
  end
end

-- Hashes: each holds the token of the event that brought it, so that the first of a group can be told, and taken back ---

local hashes = {} -- by key: {stored, now, retention_s}
local hash_keys = {}

local function hash_key(section, combo, hash)
  return prefix .. 'hash:{' .. section.organization .. '}' .. string.match(combo[1], '^[^:]*') .. ':' .. hash
end

local function name_hashes(section, combo)
  local keys = {}
  for at, hash in ipairs(combo[3]) do
    local key = hash_key(section, combo, hash)
    if not hashes[key] then
      hashes[key] = {retention_s = combo[6]}
      hash_keys[#hash_keys + 1] = key
    end
    keys[at] = hashes[key]
  end
  return keys
end

local function load_hashes()
  for from = 1, #hash_keys, 2000 do
    local upto = math.min(from + 1999, #hash_keys)
    local values = redis.call('MGET', unpack(hash_keys, from, upto))
    for i = from, upto do
      hashes[hash_keys[i]].stored = values[i - from + 1]
      hashes[hash_keys[i]].now = values[i - from + 1]
    end
  end
end

-- Giving an outer charge back: admit's ledger keeps it as decided, no longer charged ---------------------------------------

local function admitted_of(section, ledger)
  if ledger.admitted then return ledger.admitted end
  local key = ledger_key('admit', section.organization, ledger.partition)
  local saved = redis.call('GET', key)
  local admitted = {key = key, by_name = {}, value = saved and cmsgpack.unpack(saved)}
  ledger.admitted = admitted
  for _, chunk in ipairs(saved and admitted.value[3] or {}) do
    local tables, events, verdicts = cmsgpack.unpack(chunk[3]), cmsgpack.unpack(chunk[4]), cmsgpack.unpack(chunk[5])
    for i, offset in ipairs(events[1]) do
      if offset >= chunk[1] and offset < chunk[2] then
        local name = offset .. ':' .. string.sub(events[4], 16 * i - 15, 16 * i)
        admitted.by_name[name] = {chunk = chunk, verdicts = verdicts, i = i, tables = tables, quantity = events[3][i], combo = events[2][i]}
      end
    end
  end
  return admitted
end

local function give_back(section, ledger, name)
  local admitted = admitted_of(section, ledger)
  local entry = admitted.by_name[name]
  if not entry or entry.verdicts[entry.i] ~= ACCEPTED then return end
  for _, index in ipairs(entry.tables[2][entry.combo][2]) do charge(counter_of(entry.tables[1][index]), -entry.quantity) end
  entry.verdicts[entry.i] = UNCHARGED
  entry.chunk[5] = cmsgpack.pack(entry.verdicts)
  admitted.is_changed = true
end

-- Deciding and taking back ------------------------------------------------------------------------------------------------

local function decide(section, ledger, combo, combo_hashes, charged, i, token)
  local events = ledger.events
  local quantity, flags = events[3][i], events[8][i]
  local is_new = true
  for at = 1, #combo_hashes do
    local now = combo_hashes[at].now
    if now and now ~= token then is_new = false end
  end
  local group = group_of(section, combo)
  local verdict, rejecting = 0, 0
  if has(flags, ADMITTED_ON_RESERVE) and not is_new then
    verdict = NOT_NEW
  else
    for at = 1, #charged do
      local counter = charged[at]
      if counter.limit >= 0 and counter.used + quantity > counter.limit then rejecting = rejecting + 2 ^ (at - 1) end
    end
    if rejecting > 0 and has(flags, KEEP_IN_SAMPLE) then
      verdict = SAMPLED
    elseif rejecting > 0 then
      verdict = REJECTED + rejecting
    end
  end
  if verdict >= NOT_NEW then
    group.dropped = group.dropped + quantity
    group.retention_s = math.max(group.retention_s, combo[6])
    for at = 1, #charged do
      if has(rejecting, 2 ^ (at - 1)) then charged[at].dropped = charged[at].dropped + quantity end
    end
    give_back(section, ledger, events[1][i] .. ':' .. string.sub(events[4], 16 * i - 15, 16 * i))
    return verdict
  end
  if verdict == 0 then
    for at = 1, #charged do charge(charged[at], quantity) end
  end
  if is_new then verdict = verdict + NEW end
  for at = 1, #combo_hashes do
    if not combo_hashes[at].now then combo_hashes[at].now = token end
  end
  add(group, combo, quantity)
  local time, user = events[6][i], events[7][i]
  group.first = math.min(group.first or time, time)
  group.last = math.max(group.last or time, time)
  if user ~= '' then group.users[#group.users + 1] = user end
  return verdict
end

local function take_back(section, entry)
  local combo, verdict, quantity = entry.combo, entry.verdict, entry.quantity
  local group = group_of(section, combo)
  if verdict >= NOT_NEW then
    group.dropped = group.dropped - quantity
    for at, index in ipairs(combo[2]) do
      if verdict >= REJECTED and has(verdict - REJECTED, 2 ^ (at - 1)) then
        local counter = counter_of(entry.tables[1][index])
        counter.dropped = counter.dropped - quantity
      end
    end
    return
  end
  if not has(verdict, SAMPLED) then
    for _, index in ipairs(combo[2]) do charge(counter_of(entry.tables[1][index]), -quantity) end
  end
  add(group, combo, -quantity)
  for _, hash in ipairs(entry.hashes) do
    if hash.now == string.sub(entry.token, 1, 8) then hash.now = false end
  end
end

-- The call ------------------------------------------------------------------------------------------------------------

for _, section in ipairs(opened) do
  section.combo_hashes, section.combo_counters = {}, {}
  for c, combo in ipairs(section.tables[2]) do
    section.combo_hashes[c] = name_hashes(section, combo)
    section.combo_counters[c] = {}
    for at, index in ipairs(combo[2]) do section.combo_counters[c][at] = section.charged[index] end
  end
  for _, ledger in ipairs(section.partitions) do
    for _, entry in pairs(ledger.known) do
      entry.hashes = name_hashes(section, entry.combo)
      for _, index in ipairs(entry.combo[2]) do counter_of(entry.tables[1][index]) end
    end
  end
end
load_counters()
load_hashes()

for _, section in ipairs(opened) do
  for _, ledger in ipairs(section.partitions) do
    local events, known = ledger.events, ledger.known
    ledger.claimed, ledger.reasons = {}, {}
    if next(known) ~= nil then
      for i, offset in ipairs(events[1]) do
        local name = offset .. ':' .. string.sub(events[4], 16 * i - 15, 16 * i)
        ledger.claimed[i] = known[name]
        known[name] = nil
      end
      for _, entry in pairs(known) do take_back(section, entry) end
    end
  end
end

for _, section in ipairs(opened) do
  for _, ledger in ipairs(section.partitions) do
    local events = ledger.events
    local combos = events[2]
    for i = 1, #combos do
      local entry, c = ledger.claimed[i], combos[i]
      if entry then
        ledger.verdicts[i] = entry.verdict
        adopt(section, ledger, i, entry)
        if entry.verdict >= REJECTED then
          local at = 1
          while not has(entry.verdict - REJECTED, 2 ^ (at - 1)) do at = at + 1 end
          ledger.reasons[#ledger.reasons + 1] = {i, entry.tables[1][entry.combo[2][at]][5]}
        end
      else
        local token = string.sub(events[5], 12 * i - 11, 12 * i - 4)
        local combo = section.tables[2][c]
        ledger.verdicts[i] = decide(section, ledger, combo, section.combo_hashes[c], section.combo_counters[c], i, token)
      end
    end
  end
end

load_counters()
write_counters()
for key, hash in pairs(hashes) do
  if hash.now and hash.now ~= hash.stored then
    redis.call('SET', key, hash.now, 'EX', hash.retention_s)
  elseif hash.now then
    redis.call('EXPIRE', key, hash.retention_s)
  elseif hash.stored then
    redis.call('DEL', key)
  end
end
for _, group in pairs(groups) do write_group(group) end
local reply = {}
for s, section in ipairs(opened) do
  local partitions = {}
  for p, ledger in ipairs(section.partitions) do
    write_ledger(section, ledger)
    if ledger.admitted and ledger.admitted.is_changed then
      redis.call('SET', ledger.admitted.key, cmsgpack.pack(ledger.admitted.value), 'KEEPTTL')
    end
    partitions[p] = {ledger.high, decided_until(ledger), ledger.verdicts, ledger.reasons}
  end
  reply[s] = {data_epoch(section.organization), partitions, {}}
end
return cmsgpack.pack(reply)
