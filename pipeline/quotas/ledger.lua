-- What admit and count share: the request, the counters, and the ledger that makes both repeatable (design, section 6).
--
-- A ledger is one string per organization and partition: {floor, high, chunks}. `floor` is the highest committed offset that
-- a caller named, `high` the end of the furthest call. A chunk holds the decisions of one call, as that call sent it:
-- {from, to, tables, events, verdicts}, valid for offsets in [from, to). A chunk is only unpacked where a call covers its
-- offsets again, so that in quiet times an event costs the ledger one number.
--
-- ARGV[1] = {prefix, epoch, ledger_s, late_s, day, settings..., sections}, a section being {organization, {{partition, base, upto}, ...}};
-- then, for each section, its tables {counters, combos} and the events of each of its partitions, as columns.
-- A counter is {stem, slot, limit, ends, reason, kind, ...}; a combo's second field lists the counters that an event charges.

local options = cmsgpack.unpack(ARGV[1])
local prefix, epoch_if_none, ledger_s, late_s, day = options[1], options[2], options[3], options[4], options[5]
local settings, sections = options[6], options[7]
local redis_now = tonumber(redis.call('TIME')[1])

local ACCEPTED, DUPLICATE, ON_RESERVE, UNCHARGED = 0, 1, 2, 3
local REJECTED = 8 -- plus a bit for each counter of the combo that said no
local CEILING = 2 ^ 62 -- a counter stops here: past 2^63 INCRBY fails, and a script does not roll back

-- Counters ------------------------------------------------------------------------------------------------------------

local counters = {} -- by stem and slot, whichever section or ledger names them

local function counter_of(row)
  local name = row[1] .. ':' .. row[2]
  local counter = counters[name]
  if not counter then
    counter = {
      name = name, stem = row[1], slot = row[2], limit = row[3], ends = row[4], kind = row[6], row = row,
      used = 0, delta = 0, dropped = 0,
    }
    counters[name] = counter
    counters[#counters + 1] = counter
  end
  return counter
end

local function number(value, key)
  if not value then return 0 end
  local parsed = tonumber(value)
  if not parsed then error({err = 'ERR ' .. key .. ' holds no number'}) end
  return parsed
end

-- Reads every counter that was named since the last call. Two commands for each thousand of them.
local loaded = 0
local function load_counters()
  while loaded < #counters do
    local from, upto = loaded + 1, math.min(loaded + 1000, #counters)
    local keys = {}
    for i = from, upto do
      local key = 'quota:' .. counters[i].name
      keys[#keys + 1] = prefix .. key
      keys[#keys + 1] = prefix .. 'r:' .. key
    end
    local values = redis.call('MGET', unpack(keys))
    for i = from, upto do
      local counter, at = counters[i], 2 * (i - from) + 1
      counter.exists = values[at] ~= false
      counter.stored = number(values[at], keys[at])
      counter.used = counter.stored - number(values[at + 1], keys[at + 1])
    end
    loaded = upto
  end
end

local function charge(counter, quantity)
  counter.used = counter.used + quantity
  counter.delta = counter.delta + quantity
end

-- Keys live by Redis's own clock. A window that was over before we got to it stays for `late_s`, or its count would be lost.
local function expire_at(key, ends)
  redis.call('EXPIREAT', key, math.max(ends + 60, redis_now + late_s))
end

local function write_counters()
  for _, counter in ipairs(counters) do
    local delta = counter.delta
    if delta ~= 0 and (counter.exists or delta > 0) then
      delta = math.min(delta, math.max(0, CEILING - counter.stored))
      local key = prefix .. 'quota:' .. counter.name
      redis.call('INCRBY', key, string.format('%.0f', delta))
      if not counter.exists then expire_at(key, counter.ends) end
    end
    if counter.dropped ~= 0 then
      local key = prefix .. 'dropped:' .. counter.stem .. ':' .. day
      redis.call('INCRBY', key, string.format('%.0f', counter.dropped))
      redis.call('EXPIRE', key, 172800)
    end
  end
end

-- The ledger ----------------------------------------------------------------------------------------------------------

-- Adds a chunk's decisions for offsets in [from, upto) to what is known.
local function recall(known, chunk, from, upto)
  local tables, events, verdicts = cmsgpack.unpack(chunk[3]), cmsgpack.unpack(chunk[4]), cmsgpack.unpack(chunk[5])
  local offsets, combos, quantities, ids, tokens = events[1], events[2], events[3], events[4], events[5]
  for i, offset in ipairs(offsets) do
    if offset >= from and offset < upto then
      local id = string.sub(ids, 16 * i - 15, 16 * i)
      known[offset .. ':' .. id] = {
        tables = tables, combo = tables[2][combos[i]], quantity = quantities[i], verdict = verdicts[i],
        id = id, token = string.sub(tokens, 12 * i - 11, 12 * i),
      }
    end
  end
end

local function ledger_key(call, organization, partition)
  return prefix .. 'ledger:' .. call .. ':{' .. organization .. '}' .. partition
end

-- Opens the ledger of one partition for a call that covers [base, upto). Nil where the caller is a zombie.
local function open_ledger(key, base, upto)
  local ledger = {key = key, base = base, upto = upto, high = 0, known = {}, kept = {}}
  local saved = redis.call('GET', key)
  if not saved then return ledger end
  local floor, high, chunks = unpack(cmsgpack.unpack(saved))
  if base < floor then return nil end
  ledger.high = high
  for _, chunk in ipairs(chunks) do
    local from, to = chunk[1], chunk[2]
    if from < upto and to > base then recall(ledger.known, chunk, math.max(from, base), math.min(to, upto)) end
    if to > upto then
      chunk[1] = math.max(from, upto)
      ledger.kept[#ledger.kept + 1] = chunk
    end
  end
  return ledger
end

-- Opens the ledgers of all sections. Nil, with nothing written yet, where one of them says that the caller is a zombie.
local function open_sections(call)
  local argument = 1
  local opened = {}
  for _, section in ipairs(sections) do
    local organization, partitions = section[1], section[2]
    argument = argument + 1
    local tables = cmsgpack.unpack(ARGV[argument])
    local open = {organization = organization, tables = tables, packed = ARGV[argument], partitions = {}, charged = {}}
    for i, row in ipairs(tables[1]) do open.charged[i] = counter_of(row) end
    for i, partition in ipairs(partitions) do
      local ledger = open_ledger(ledger_key(call, organization, partition[1]), partition[2], partition[3])
      if not ledger then return nil end
      argument = argument + 1
      ledger.partition = partition[1]
      ledger.packed = ARGV[argument]
      ledger.events = cmsgpack.unpack(ARGV[argument])
      ledger.verdicts = {}
      open.partitions[i] = ledger
    end
    opened[#opened + 1] = open
  end
  return opened
end

-- An event that was decided before keeps its old charges: its combo moves into this call's tables.
local function adopt(section, ledger, i, entry)
  local tables, combo = section.tables, {}
  for field, value in pairs(entry.combo) do combo[field] = value end
  combo[2] = {}
  for at, index in ipairs(entry.combo[2]) do
    tables[1][#tables[1] + 1] = entry.tables[1][index]
    combo[2][at] = #tables[1]
  end
  tables[2][#tables[2] + 1] = combo
  ledger.events[2][i] = #tables[2]
  ledger.events[3][i] = entry.quantity
  section.packed, ledger.packed = nil, nil
end

local function write_ledger(section, ledger)
  local chunks = ledger.kept
  if #ledger.verdicts > 0 then
    local tables = section.packed or cmsgpack.pack(section.tables)
    local events = ledger.packed or cmsgpack.pack(ledger.events)
    table.insert(chunks, 1, {ledger.base, ledger.upto, tables, events, cmsgpack.pack(ledger.verdicts)})
  end
  local value = cmsgpack.pack({ledger.base, math.max(ledger.high, ledger.upto), chunks})
  redis.call('SET', ledger.key, value, 'EX', ledger_s)
end

-- Returns the organization's data epoch: another one than last time means that Redis has lost what it knew.
local function data_epoch(organization)
  local key = prefix .. 'epoch:{' .. organization .. '}'
  if redis.call('SET', key, epoch_if_none, 'NX') then return epoch_if_none end
  return redis.call('GET', key)
end

-- What the ledger still holds past this call's end: the caller may not use its local memory for those offsets.
local function decided_until(ledger)
  local last = ledger.upto
  for _, chunk in ipairs(ledger.kept) do last = math.max(last, chunk[2]) end
  return last
end
