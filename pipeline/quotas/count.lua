-- Count: apply group quotas, count the groups, and name the first event of each.
-- This file is long because group quotas, counts and the first of a group change together or not at all.
--
-- Columns of events (counters.lua has an example of a call):
--   1 to 5         offsets, combos, quantities, ids and tokens, as for admit
--   6 times        {1795348799.25}, event time in epoch seconds
--   7 users        {'id:12'}, '' for none
--   8 flags        {0}; 1: kept if the group's excess is sampled; 2: admitted on a reserve; 3: both
-- A combo's label is {group, hashes, day, hour, retention_s}: {'7:1234', {'a5..', '0c..'}, 20779, 11, 7776000}. The group is
-- `project:group id`. Its counters are those of the group quotas.
--
-- Keys:
--   group:{1}7:1234                  {seen, dropped, first, last}, a hash; first and last are event times
--   hours:{1}7:1234:20779            {hour = times seen}, a hash for each day
--   users:{1}7:1234                  distinct users, a HyperLogLog
--   hash:{1}7:a5..                   8 bytes of the token of the event that brought the hash, then when its group was first seen
--                                    (a double). Older versions wrote the token alone.
--
-- The file is long because groups, hashes and outer charges are all changed by the same two functions: decide and take_back.

local NEW, SAMPLED, NOT_NEW = 1, 2, 4 -- codes of decisions: 0 is counted; NEW and SAMPLED add up; NOT_NEW and REJECTED refuse

local opened = open_sections('count')
if not opened then return 'STALE' end

-- Groups --------------------------------------------------------------------------------------------------------------

local groups = {} -- by name: what this call adds to each
local function group_of(section, label)
  local name = '{' .. section.organization .. '}' .. label[1]
  local group = groups[name]
  if not group then
    group = {name = name, seen = 0, dropped = 0, hours = {}, users = {}, retention_s = 0}
    groups[name] = group
  end
  return group
end

local function add(group, label, quantity)
  local day, hour = label[3], label[4]
  group.seen = group.seen + quantity
  group.retention_s = math.max(group.retention_s, label[5])
  group.hours[day] = group.hours[day] or {}
  group.hours[day][hour] = (group.hours[day][hour] or 0) + quantity
end

local function load_group(group)
  local key = prefix .. 'group:' .. group.name
  local saved = read('HMGET', key, 'seen', 'dropped', 'first', 'last')
  group.key = key
  group.seen_before, group.dropped_before = number(saved[1], key), number(saved[2], key)
  group.first_before, group.last_before = saved[3] and number(saved[3], key), saved[4] and number(saved[4], key)
end

local function write_group(group)
  for day, hours in pairs(group.hours) do
    local hours_key = prefix .. 'hours:' .. group.name .. ':' .. day
    for hour, quantity in pairs(hours) do
      if quantity ~= 0 and redis.call('HINCRBY', hours_key, hour, text(quantity)) == 0 then
        redis.call('HDEL', hours_key, hour)
      end
    end
    if group.retention_s > 0 then redis.call('EXPIRE', hours_key, group.retention_s) end
  end
  local seen, dropped = group.seen_before + group.seen, group.dropped_before + group.dropped
  if seen <= 0 and dropped <= 0 then
    redis.call('DEL', group.key)
    return
  end
  redis.call('HSET', group.key, 'seen', text(seen), 'dropped', text(dropped))
  if group.first then
    local first = math.min(group.first_before or group.first, group.first)
    local last = math.max(group.last_before or group.last, group.last)
    redis.call('HSET', group.key, 'first', string.format('%.17g', first), 'last', string.format('%.17g', last))
  end
  if group.retention_s > 0 then redis.call('EXPIRE', group.key, group.retention_s) end
  if #group.users > 0 then
    local users_key = prefix .. 'users:' .. group.name
    for from = 1, #group.users, 1000 do
      redis.call('PFADD', users_key, unpack(group.users, from, math.min(from + 999, #group.users)))
    end
    redis.call('EXPIRE', users_key, group.retention_s)
  end
end

-- Hashes ------------------------------------------------------------------------------------------------------------------
--
-- The token of the event that brought a hash tells which event was the first of a group, also when that event is taken back.

local hashes = {} -- by key: {is_stored, is_changed, now = the token or false, first = when first seen, retention_s}
local hash_keys = {}

local function hashes_of(section, label)
  local project = string.match(label[1], '^[^:]*')
  local found = {}
  for at, hash in ipairs(label[2]) do
    local key = prefix .. 'hash:{' .. section.organization .. '}' .. project .. ':' .. hash
    if not hashes[key] then
      hashes[key] = {retention_s = label[5]}
      hash_keys[#hash_keys + 1] = key
    end
    found[at] = hashes[key]
  end
  return found
end

local function load_hashes()
  for from = 1, #hash_keys, 2000 do
    local upto = math.min(from + 1999, #hash_keys)
    local values = redis.call('MGET', unpack(hash_keys, from, upto))
    for i = from, upto do
      local hash, value = hashes[hash_keys[i]], values[i - from + 1]
      hash.is_stored, hash.now = value and true, value and string.sub(value, 1, 8)
      hash.first = value and #value == 16 and struct.unpack('<d', value, 9) or nil
    end
  end
end

local function write_hashes()
  for key, hash in pairs(hashes) do
    if hash.now and hash.is_changed then
      redis.call('SET', key, hash.now .. struct.pack('<d', hash.first), 'EX', hash.retention_s)
    elseif hash.now then
      redis.call('EXPIRE', key, hash.retention_s)
    elseif hash.is_stored then
      redis.call('DEL', key)
    end
  end
end

-- Returns when the group of these hashes was first seen: what the first known hash holds, else `time`. If that hash does not hold
-- a time (an older version wrote it), the time of the group's earliest event is returned.
local function first_seen(section, label, own_hashes, time)
  for at = 1, #own_hashes do
    local hash = own_hashes[at]
    if hash.now and hash.first then return hash.first end
    if hash.now then
      local key = prefix .. 'group:{' .. section.organization .. '}' .. label[1]
      local earliest = read('HGET', key, 'first')
      return earliest and number(earliest, key) or time
    end
  end
  return time
end

-- Whether an event of another token has brought one of the hashes.
local function is_known(own_hashes, token)
  for at = 1, #own_hashes do
    local now = own_hashes[at].now
    if now and now ~= token then return true end
  end
  return false
end

-- Lets an event claim those of its hashes that nobody has brought before.
local function claim(own_hashes, token, first)
  for at = 1, #own_hashes do
    local hash = own_hashes[at]
    if not hash.first then hash.now, hash.first, hash.is_changed = hash.now or token, first, true end
  end
end

-- Returns for each combo that was sent when its group was first seen, 0 where that is not known.
local function firsts_of(section)
  local firsts = {}
  for c = 1, section.sent do
    local primary = section.hashes[c][1]
    firsts[c] = primary and primary.first or 0
  end
  return firsts
end

-- Outer charges -----------------------------------------------------------------------------------------------------------
--
-- An event that count rejects gets back what admit charged for it. If that rejection is taken back later, it is charged again.
-- The ledger of admit holds what was charged.

local outer = {} -- {counter, quantity, project, is_beyond_share}, applied when the counters have been read

local function load_admitted(admitted, key, ours)
  local value = read_ledger(key)
  if not value then return end
  admitted.values[key] = value
  for _, chunk in ipairs(value[4]) do
    local tables, events, decisions = cmsgpack.unpack(chunk[3]), cmsgpack.unpack(chunk[4]), cmsgpack.unpack(chunk[5])
    local refusals = chunk[6] and cmsgpack.unpack(chunk[6]) or {}
    for i, offset in ipairs(events[1]) do
      if offset >= chunk[1] and offset < chunk[2] and (not ours or ours[offset]) then
        admitted.entries[name_of(events, i)] = {
          chunk = chunk, decisions = decisions, i = i, refusal = refusals[refusal_in(decisions[i])] or {},
          tables = tables, combo = events[2][i], label = tables[5][events[2][i]], quantity = events[3][i],
        }
      end
    end
  end
end

local function admitted_of(section, ledger)
  if ledger.admitted then return ledger.admitted end
  ledger.admitted = {values = {}, entries = {}}
  local key = ledger_key('admit', section.organization, ledger.partition)
  if not ledger.holder then
    load_admitted(ledger.admitted, key)
  else
    for holder, ours in pairs(holders_of(key, ledger.offsets)) do load_admitted(ledger.admitted, holder, ours) end
  end
  return ledger.admitted
end

-- Charges an admitted event, or gives its charge back, unless it is in that state already.
local function settle(section, ledger, name, wants_charge)
  local admitted = admitted_of(section, ledger)
  local entry = admitted.entries[name]
  if not entry then return end
  local decision = entry.decisions[entry.i]
  if wants_charge and is_given_back(decision) then
    decision = charged_again(decision)
    entry.decisions[entry.i] = decision
  elseif not wants_charge and is_charged(decision) then
    entry.decisions[entry.i] = given_back(decision)
  else
    return
  end
  for at, counter in ipairs(charged_by(entry)) do
    if decision < 0 and is_among(entry.refusal, at) then counter = counter.reserve end
    outer[#outer + 1] = {counter, wants_charge and entry.quantity or -entry.quantity, entry.label, decision == BEYOND_SHARE}
  end
  admitted.is_changed = true
end

local function write_admitted(ledger)
  local admitted = ledger.admitted
  if not admitted or not admitted.is_changed then return end
  for _, entry in pairs(admitted.entries) do entry.chunk[5] = entry.decisions end
  for key, value in pairs(admitted.values) do
    for _, chunk in ipairs(value[4]) do
      if type(chunk[5]) == 'table' then chunk[5] = cmsgpack.pack(chunk[5]) end
    end
    redis.call('SET', key, cmsgpack.pack(value), 'KEEPTTL')
  end
end

-- Deciding and taking back ------------------------------------------------------------------------------------------------

local function decide(section, ledger, i)
  local events, c = ledger.events, ledger.events[2][i]
  local label, own_hashes, charged = section.labels[c], section.hashes[c], section.charged[c]
  local quantity, flags, token = events[3][i], events[8][i], string.sub(events[5], 12 * i - 11, 12 * i - 4)
  local group, is_new, refusal, decision = group_of(section, label), not is_known(own_hashes, token), {}, 0
  local keeps_in_sample, was_on_reserve = flags % 2 == 1, flags >= 2
  if was_on_reserve and not is_new then
    decision = NOT_NEW
  else
    for at = 1, #charged do
      if not fits(charged[at], quantity) then refusal[#refusal + 1] = at end
    end
    if #refusal > 0 then decision = keeps_in_sample and SAMPLED or REJECTED + refusal_number(ledger, refusal) end
  end
  if decision >= NOT_NEW then
    group.dropped = group.dropped + quantity
    group.retention_s = math.max(group.retention_s, label[5])
    for _, at in ipairs(refusal) do drop(charged[at], quantity) end
    settle(section, ledger, name_of(events, i), false)
    return decision
  end
  if decision == 0 then
    for at = 1, #charged do charge(charged[at], quantity) end
  end
  local time, user = events[6][i], events[7][i]
  claim(own_hashes, token, first_seen(section, label, own_hashes, time))
  add(group, label, quantity)
  group.first = math.min(group.first or time, time)
  group.last = math.max(group.last or time, time)
  if user ~= '' then group.users[#group.users + 1] = user end
  return decision + (is_new and NEW or 0)
end

-- Returns the decision of an event that an earlier attempt counted. If its group has lost its first event since, because that
-- one died after it was counted, this event becomes the first. It also claims what other hashes the dead event has left.
local function elect(section, ledger, i)
  local events, c, decision = ledger.events, ledger.events[2][i], ledger.decisions[i]
  if decision >= NOT_NEW then return decision end
  local own_hashes, time, token = section.hashes[c], events[6][i], string.sub(events[5], 12 * i - 11, 12 * i - 4)
  if decision % 2 == NEW or is_known(own_hashes, token) then
    claim(own_hashes, token, first_seen(section, section.labels[c], own_hashes, time))
    return decision
  end
  for at = 1, #own_hashes do own_hashes[at].first = nil end
  claim(own_hashes, token, time)
  return decision + NEW
end

local function take_back(section, ledger, entry)
  local label, decision, quantity, charged = entry.label, entry.decision, entry.quantity, charged_by(entry)
  local group = group_of(section, label)
  if decision >= NOT_NEW then
    group.dropped = group.dropped - quantity
    for _, at in ipairs(entry.refusal or {}) do drop(charged[at], -quantity) end
    settle(section, ledger, entry.name, true)
    return
  end
  if decision < SAMPLED then
    for _, counter in ipairs(charged) do charge(counter, -quantity) end
  end
  add(group, label, -quantity)
  for _, hash in ipairs(hashes_of(section, label)) do
    if hash.now == string.sub(entry.token, 1, 8) then hash.now, hash.first = false, nil end
  end
end

-- The call ----------------------------------------------------------------------------------------------------------------

for _, section in ipairs(opened) do
  section.hashes = {}
  for c, label in ipairs(section.labels) do section.hashes[c] = hashes_of(section, label) end
end
each_left(opened, function(section, _, entry)
  hashes_of(section, entry.label)
  charged_by(entry)
end)
load_counters()
load_hashes()

each_left(opened, take_back)
for _, section in ipairs(opened) do
  for _, ledger in ipairs(section.partitions) do
    for i, decision in pairs(ledger.decisions) do -- rejected by an earlier attempt; admit may have charged it again since
      if decision >= NOT_NEW then settle(section, ledger, name_of(ledger.events, i), false) end
    end
  end
end
decide_all(opened, decide, elect)
load_counters() -- the counters of outer charges
for _, group in pairs(groups) do load_group(group) end
for _, move in ipairs(outer) do charge(unpack(move)) end
write_counters()
write_hashes()
for _, group in pairs(groups) do write_group(group) end
for _, section in ipairs(opened) do
  for _, ledger in ipairs(section.partitions) do write_admitted(ledger) end
  section.firsts = firsts_of(section)
end
return finish(opened)
