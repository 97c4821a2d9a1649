-- The ledger: it remembers what admit and count decided, so that a batch can be run again (docs/spec/quotas.md).
-- This file is long because the ledger of a partition is one data structure, and a script cannot be split over calls.
--
-- Arguments. A section is {organization, partitions, drops}, for instance {'1', {{'T:0', 40, 42}}, {{'project{1}7', 12}}}:
--   partitions  {name, base, upto} covers the offsets from the committed one, `base`, to just before `upto`;
--               {name, {offset, ...}} covers these replayed dead letters
--   drops       {stem, quantity}: what the caller refused by itself, because it knows that the limit is used up
-- For each section come its tables, then the events of each of its partitions as columns; the heads of admit.lua and count.lua
-- list the columns. A combo is what some events have in common: a label, and the counters that they are charged to. Tables are
--   {names,                           of the counters: {'project{1}7:29922479'}
--    definition of each counter,      as a number: {1}
--    definitions,                     {{100, 1795348801, 'over', 0}}
--    counters of each combo,          as lists of numbers: {{1}}
--    label of each combo}             {'7'}
--
-- Keys ({1} is the organization, T:0 the topic's id and the partition):
--   ledger:admit:{1}T:0               {floor, high, began, chunks}, packed; likewise `ledger:count:...`
--                                     floor: the highest committed offset that a caller named
--                                     high: the end of the furthest call
--                                     began: when the newest attempt began, by its caller's clock
--                                     chunks: {{from, to, tables, events, decisions, refusals}, ...}, what one call sent and
--                                     what it was answered, valid for the offsets in [from, to). A chunk is unpacked only if a
--                                     call covers its offsets again, so that in quiet times an event costs the ledger one number.
--   ledger:admit:{1}T:0@40            the call that decided the replayed dead letter of offset 40: 'call-9f86d081884c7d65'
--   ledger:admit:{1}T:0@call-9f86...  that call's ledger. Replayed dead letters carry the tokens of their first lives. These
--                                     lie in no polled range and are never committed, so they have ledgers of their own.
--   epoch:{1}                         a random word. If it differs from last time, Redis has lost data.
-- All but the epoch live for `ledger_s`.
--
-- This is one file although it is long: opening, repeating, taking back and writing all follow the form of a chunk.

local ZOMBIE_S = 60
local EVERY_OFFSET = 2 ^ 53

-- The name of an event in a ledger: its offset and its id, so that a record could hold several events.
local function name_of(events, i)
  return events[1][i] .. ':' .. string.sub(events[4], 16 * i - 15, 16 * i)
end

-- Adds a chunk's decisions for offsets in [from, upto) to `known`; if `ours` is given, only those of the offsets in it. Returns
-- whether the chunk holds no others.
local function recall(known, chunk, from, upto, ours)
  local tables, events, decisions = cmsgpack.unpack(chunk[3]), cmsgpack.unpack(chunk[4]), cmsgpack.unpack(chunk[5])
  local offsets, combos, quantities, ids, tokens = events[1], events[2], events[3], events[4], events[5]
  local refusals, is_all = chunk[6] and cmsgpack.unpack(chunk[6]) or {}, true
  for i, offset in ipairs(offsets) do
    if offset >= from and offset < upto and (not ours or ours[offset]) then
      local name, refusal = name_of(events, i), refusal_in(decisions[i])
      known[name] = {
        refusal = refusal and (refusals[refusal] or {1}), -- version 0.1 wrote no lists
        name = name, tables = tables, combo = combos[i], label = tables[5][combos[i]],
        quantity = quantities[i], decision = decisions[i],
        id = string.sub(ids, 16 * i - 15, 16 * i), token = string.sub(tokens, 12 * i - 11, 12 * i),
      }
    else
      is_all = false
    end
  end
  return is_all
end

local function ledger_key(call, organization, partition)
  return prefix .. 'ledger:' .. call .. ':{' .. organization .. '}' .. partition
end

-- Whether another attempt at the same offsets began after this one; it would publish what this one takes back. A difference of
-- more than ZOMBIE_S means that a clock was set back, which must not stop anybody.
local function is_overtaken(newest)
  return began < newest and newest - began <= ZOMBIE_S
end

local function read_ledger(key)
  local saved = read('GET', key)
  if not saved then return nil end
  local is_whole, value = pcall(cmsgpack.unpack, saved)
  if not is_whole or type(value) ~= 'table' or type(value[4]) ~= 'table' then foreign(key, 'no ledger') end
  return value
end

-- Opens the ledger of one partition for a call that covers [base, upto). Returns nil if the caller is a zombie: another worker
-- has committed past its base, or has begun after it.
local function open_ledger(key, base, upto)
  local ledger = {key = key, base = base, upto = upto, high = 0, known = {}, kept = {}, decided_until = upto}
  local saved = read_ledger(key)
  if not saved then return ledger end
  local floor, high, newest, chunks = unpack(saved)
  if base < floor or (base < high and is_overtaken(newest)) then return nil end
  ledger.high = high
  for _, chunk in ipairs(chunks) do
    local from, to = chunk[1], chunk[2]
    if from < upto and to > base then recall(ledger.known, chunk, math.max(from, base), math.min(to, upto)) end
    if to > upto then
      chunk[1] = math.max(from, upto)
      ledger.kept[#ledger.kept + 1] = chunk
      ledger.decided_until = math.max(ledger.decided_until, to)
    end
  end
  return ledger
end

local function token_key(key, offset)
  return key .. '@' .. string.format('%.0f', offset)
end

-- Returns the keys of the ledgers that hold replayed dead letters now, and which of the offsets each of them holds.
local function holders_of(key, offsets)
  local holders, keys = {}, {}
  for i, offset in ipairs(offsets) do keys[i] = token_key(key, offset) end
  for from = 1, #keys, 2000 do
    local upto = math.min(from + 1999, #keys)
    for at, holder in ipairs(redis.call('MGET', unpack(keys, from, upto))) do
      if holder then
        holder = key .. '@' .. holder
        holders[holder] = holders[holder] or {}
        holders[holder][offsets[from + at - 1]] = true
      end
    end
  end
  return holders
end

-- Opens a ledger for replayed dead letters of one partition. Returns nil if another call on one of them began after this one.
local function open_replayed(key, offsets)
  local holder = 'call-' .. call_id
  local ledger = {
    key = key .. '@' .. holder, holder = holder, tokens_of = key, offsets = offsets, base = 0, upto = EVERY_OFFSET, high = 0,
    known = {}, kept = {}, decided_until = 0, emptied = {},
  }
  for held_by, ours in pairs(holders_of(key, offsets)) do
    local saved = read_ledger(held_by)
    if saved then
      local _, _, newest, chunks = unpack(saved)
      if is_overtaken(newest) then return nil end
      local is_emptied = true
      for _, chunk in ipairs(chunks) do is_emptied = recall(ledger.known, chunk, 0, EVERY_OFFSET, ours) and is_emptied end
      if is_emptied then table.insert(ledger.emptied, held_by) end
    end
  end
  return ledger
end

local function definition_of(tables, index)
  return tables[3][tables[2][index]]
end

-- Returns the counters of an earlier attempt's event: those that it was charged to, or would have been.
local function charged_by(entry)
  local charged = {}
  for at, index in ipairs(entry.tables[4][entry.combo]) do
    charged[at] = counter_of(entry.tables[1][index], definition_of(entry.tables, index))
  end
  return charged
end

-- Adds a combo of some tables to other tables and returns its number there. `moved` remembers what was added before.
local function move_combo(tables, combo, into, moved)
  local list = tables[4][combo]
  if not moved[list] then
    local indices = {}
    for at, index in ipairs(list) do
      local definition = definition_of(tables, index)
      if not moved[definition] then
        table.insert(into[3], definition)
        moved[definition] = #into[3]
      end
      table.insert(into[1], tables[1][index])
      table.insert(into[2], moved[definition])
      indices[at] = #into[1]
    end
    table.insert(into[4], indices)
    table.insert(into[5], tables[5][combo])
    moved[list] = #into[4]
  end
  return moved[list]
end

local function tables_of(section) -- as they were sent, with numbers in place of counters
  section.tables = section.tables or cmsgpack.unpack(section.packed)
  return section.tables
end

-- Lets an event that was decided before keep the counters of that time: its combo is added to this call's tables.
local function adopt(section, ledger, i, entry)
  local combo = move_combo(entry.tables, entry.combo, tables_of(section), section.adopted)
  section.labels[combo] = entry.label
  ledger.events[2][i], ledger.events[3][i] = combo, entry.quantity
  ledger.packed = nil
end

-- Whether two labels are those of the same project, or of the same group and hashes. Rules that are loaded between two attempts
-- can put an event into another group.
local function is_same_label(one, other)
  if type(one) ~= 'table' then return one == other end
  return one[1] == other[1] and table.concat(one[2], ' ') == table.concat(other[2], ' ')
end

-- Repeats the decisions for the events of this call that were decided before. What remains in `known` are the events that this
-- call does not name any more, or names in another group.
local function repeat_decisions(section, ledger)
  if next(ledger.known) == nil then return end
  for i = 1, #ledger.events[1] do
    local name = name_of(ledger.events, i)
    local entry = ledger.known[name]
    if entry and is_same_label(entry.label, section.labels[ledger.events[2][i]]) then
      ledger.known[name] = nil
      ledger.decisions[i] = entry.decision
      adopt(section, ledger, i, entry)
      if entry.refusal then
        ledger.decisions[i] = with_refusal(entry.decision, refusal_number(ledger, entry.refusal))
        local first = entry.tables[4][entry.combo][entry.refusal[1]]
        ledger.reasons[#ledger.reasons + 1] = {i, definition_of(entry.tables, first)[3]} -- the reason that applied then
      end
    end
  end
end

local function epoch_key(organization)
  return prefix .. 'epoch:{' .. organization .. '}'
end

-- Opens the ledgers of all sections. Returns nil, before anything is written, if one of them shows that the caller is a zombie.
local function open_sections(call)
  local argument = 1
  local opened = {}
  for s, section in ipairs(sections) do
    local organization, partitions = section[1], section[2]
    argument = argument + 1
    local tables = cmsgpack.unpack(ARGV[argument])
    local open = {
      organization = organization, packed = ARGV[argument], partitions = {}, counters = {}, adopted = {}, is_plain = true,
      epoch = read('GET', epoch_key(organization)),
      charged = tables[4], labels = tables[5], -- by combo: the counters themselves, and the label
      sent = #tables[5], -- how many combos were sent; those of earlier attempts are added behind them
    }
    for _, definition in ipairs(tables[3]) do
      if definition[5] or definition[4] > 0 then open.is_plain = false end -- not only fixed windows
    end
    for i, name in ipairs(tables[1]) do open.counters[i] = counter_of(name, definition_of(tables, i)) end
    for _, list in ipairs(open.charged) do
      for at = 1, #list do list[at] = open.counters[list[at]] end
    end
    for p, partition in ipairs(partitions) do
      argument = argument + 1
      local key, events = ledger_key(call, organization, partition[1]), cmsgpack.unpack(ARGV[argument])
      local is_replayed = type(partition[2]) == 'table'
      local ledger = (is_replayed and open_replayed or open_ledger)(key, partition[2], partition[3])
      if not ledger then return nil end
      ledger.partition, ledger.packed, ledger.events = partition[1], ARGV[argument], events
      ledger.decisions, ledger.reasons, ledger.refusals, ledger.refusal_numbers = {}, {}, {}, {}
      open.partitions[p] = ledger
    end
    opened[s] = open
  end
  for _, section in ipairs(opened) do
    for _, ledger in ipairs(section.partitions) do repeat_decisions(section, ledger) end
  end
  return opened
end

-- Calls visit(section, ledger, entry) for every event that an earlier attempt decided and this one does not name.
local function each_left(opened, visit)
  for _, section in ipairs(opened) do
    for _, ledger in ipairs(section.partitions) do
      for _, entry in pairs(ledger.known) do visit(section, ledger, entry) end
    end
  end
end

-- Decides, in order, every event that has no decision yet. `again` may change a decision that is repeated.
local function decide_all(opened, decide, again)
  for _, section in ipairs(opened) do
    for _, ledger in ipairs(section.partitions) do
      local decisions = ledger.decisions
      for i = 1, #ledger.events[1] do
        if not decisions[i] then
          decisions[i] = decide(section, ledger, i)
        elseif again then
          decisions[i] = again(section, ledger, i)
        end
      end
    end
  end
end

-- Returns a ledger's tables and events, packed. A ledger of few events keeps only their combos. Otherwise each of many small
-- ledgers in a call would keep, and unpack again, the combos of all the others.
local function packed_chunk(section, ledger)
  local combos = ledger.events[2]
  if #combos < #section.labels then
    local own, moved = {{}, {}, {}, {}, {}}, {}
    for i, combo in ipairs(combos) do combos[i] = move_combo(tables_of(section), combo, own, moved) end
    return cmsgpack.pack(own), cmsgpack.pack(ledger.events)
  end
  local tables = section.tables and cmsgpack.pack(section.tables) or section.packed
  return tables, ledger.packed or cmsgpack.pack(ledger.events)
end

-- Makes this call's ledger the one that holds the tokens, and deletes ledgers that hold none any more. This comes before the
-- ledger is written: if the client sent a call twice, the second finds the ledger of the first and deletes it here.
local function take_over(ledger)
  for _, emptied in ipairs(ledger.emptied) do redis.call('DEL', emptied) end
  for _, offset in ipairs(ledger.offsets) do
    redis.call('SET', token_key(ledger.tokens_of, offset), ledger.holder, 'EX', ledger_s)
  end
end

local function write_ledger(section, ledger)
  local chunks = ledger.kept
  if #ledger.decisions > 0 then
    local tables, events = packed_chunk(section, ledger)
    local refusals = #ledger.refusals > 0 and cmsgpack.pack(ledger.refusals) or nil
    table.insert(chunks, 1, {ledger.base, ledger.upto, tables, events, cmsgpack.pack(ledger.decisions), refusals})
  end
  local value = cmsgpack.pack({ledger.base, math.max(ledger.high, ledger.upto), began, chunks})
  if ledger.holder then take_over(ledger) end
  redis.call('SET', ledger.key, value, 'EX', ledger_s)
end

local function data_epoch(section)
  if not section.epoch then redis.call('SET', epoch_key(section.organization), call_id) end
  return section.epoch or call_id
end

-- Writes the ledgers and returns the reply. It holds for each section
--   {epoch,
--    {{high, decided_until, decisions, reasons, refusals}, ...},  one for each partition; reasons are {event, reason} of what an
--                                                       earlier attempt rejected
--    full,                                              numbers of counters that are used up, which a caller may remember
--    firsts}                                            from count: when the group of each combo was first seen, 0 if unknown
local function finish(opened)
  local reply = {}
  for s, section in ipairs(opened) do
    local partitions, full = {}, {}
    for p, ledger in ipairs(section.partitions) do
      write_ledger(section, ledger)
      partitions[p] = {ledger.high, ledger.decided_until, ledger.decisions, ledger.reasons, ledger.refusals}
    end
    for i, counter in ipairs(section.counters) do
      if counter.limit >= 0 and counter.used >= counter.limit and counter.kind ~= 'bucket' then full[#full + 1] = i end
    end
    for _, dropped in ipairs(sections[s][3]) do write_dropped(dropped[1], dropped[2]) end
    reply[s] = {data_epoch(section), partitions, full, section.firsts}
  end
  return cmsgpack.pack(reply)
end
