-- Admit: refuse duplicates and what is over a quota. Only an admitted event claims its id and charges its counters.
-- Columns of events: offsets, combos, quantities, ids (16 bytes each), tokens (8 bytes, then 4 of arrival), flags (or nil).
-- A combo is {project, counters}. Reads everything first and writes last: a script does not roll back.

local duplicate_s = settings[1] -- 0: duplicates are not looked for
local OVER_ACCEPT_ONCE = 1

local opened = open_sections('admit')
if not opened then return 'STALE' end

-- Duplicates ----------------------------------------------------------------------------------------------------------

local claims = {} -- by key: {stored = token and arrival, or false; now = the same after this call}

local function duplicate_key(section, combo, id)
  return prefix .. 'dup:{' .. section.organization .. '}' .. combo[1] .. ':' .. id
end

local function load_claims(keys)
  for from = 1, #keys, 2000 do
    local upto = math.min(from + 1999, #keys)
    local values = redis.call('MGET', unpack(keys, from, upto))
    for i = from, upto do claims[keys[i]] = {stored = values[i - from + 1], now = values[i - from + 1]} end
  end
end

local function arrival(claim)
  return struct.unpack('<I4', claim, 9)
end

-- Taking back ---------------------------------------------------------------------------------------------------------

local function take_back(section, entry)
  local verdict, combo = entry.verdict, entry.combo
  for at, index in ipairs(combo[2]) do
    local counter = counter_of(entry.tables[1][index])
    if verdict == ACCEPTED then
      charge(counter, -entry.quantity)
    elseif verdict >= REJECTED and math.floor((verdict - REJECTED) / 2 ^ (at - 1)) % 2 == 1 then
      counter.dropped = counter.dropped - entry.quantity
    end
  end
  if duplicate_s > 0 and (verdict == ACCEPTED or verdict == UNCHARGED) then
    local key = duplicate_key(section, combo, entry.id)
    if not claims[key] then load_claims({key}) end
    local claim = claims[key]
    if claim.now and string.sub(claim.now, 1, 8) == string.sub(entry.token, 1, 8) then claim.now = false end
  end
end

-- Deciding ------------------------------------------------------------------------------------------------------------

-- Returns the verdict for an event that no ledger knows, and charges it where it is accepted.
local function decide(charged, quantity, over_accept_once, claim, token)
  if claim and claim.now then
    if string.sub(claim.now, 1, 8) == string.sub(token, 1, 8) then return UNCHARGED end
    if math.abs(arrival(claim.now) - arrival(token)) < duplicate_s then return DUPLICATE end
  end
  local rejecting = 0
  for at = 1, #charged do
    local counter = charged[at]
    local limit, used = counter.limit, counter.used
    if limit >= 0 then
      local is_over
      if quantity == 0 or over_accept_once then is_over = used >= limit else is_over = used + quantity > limit end
      if is_over then rejecting = rejecting + 2 ^ (at - 1) end
    end
  end
  if rejecting > 0 then
    for at = 1, #charged do
      if math.floor(rejecting / 2 ^ (at - 1)) % 2 == 1 then charged[at].dropped = charged[at].dropped + quantity end
    end
    return REJECTED + rejecting
  end
  for at = 1, #charged do
    local counter = charged[at]
    counter.used = counter.used + quantity
    counter.delta = counter.delta + quantity
  end
  if claim then claim.now = token end
  return ACCEPTED
end

-- The call ------------------------------------------------------------------------------------------------------------

local keys = {}
for _, section in ipairs(opened) do
  local combos = section.tables[2]
  section.combo_counters = {}
  for c, combo in ipairs(combos) do
    local charged = {}
    for at, index in ipairs(combo[2]) do charged[at] = section.charged[index] end
    section.combo_counters[c] = charged
  end
  for _, ledger in ipairs(section.partitions) do
    for _, entry in pairs(ledger.known) do
      for _, index in ipairs(entry.combo[2]) do counter_of(entry.tables[1][index]) end
    end
    if duplicate_s > 0 then
      local events, first = ledger.events, #keys
      local stems = {}
      for c, combo in ipairs(combos) do stems[c] = duplicate_key(section, combo, '') end
      for i, c in ipairs(events[2]) do keys[first + i] = stems[c] .. string.sub(events[4], 16 * i - 15, 16 * i) end
      ledger.first_key = first
    end
  end
end
load_counters()
load_claims(keys)

local sticky = {} -- by ledger: the reasons of rejections that were decided before
for _, section in ipairs(opened) do
  for _, ledger in ipairs(section.partitions) do
    local events, known = ledger.events, ledger.known
    local has_known = next(known) ~= nil
    ledger.reasons = {}
    ledger.claimed = {}
    if has_known then
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
  local combo_counters = section.combo_counters
  for _, ledger in ipairs(section.partitions) do
    local events, claimed, verdicts = ledger.events, ledger.claimed, ledger.verdicts
    local combos, quantities, tokens, flags, first = events[2], events[3], events[5], events[6], ledger.first_key
    for i = 1, #combos do
      local entry = claimed[i]
      if entry then
        verdicts[i] = entry.verdict
        adopt(section, ledger, i, entry)
        if entry.verdict >= REJECTED then
          local at = 1
          while math.floor((entry.verdict - REJECTED) / 2 ^ (at - 1)) % 2 == 0 do at = at + 1 end
          local reason = entry.tables[1][entry.combo[2][at]][5]
          ledger.reasons[#ledger.reasons + 1] = {i, reason}
        end
      else
        local over_accept_once = flags and flags[i] % 2 == OVER_ACCEPT_ONCE
        local claim = first and claims[keys[first + i]]
        local token = string.sub(tokens, 12 * i - 11, 12 * i)
        verdicts[i] = decide(combo_counters[combos[i]], quantities[i], over_accept_once, claim, token)
      end
    end
  end
end

write_counters()
for key, claim in pairs(claims) do
  if claim.now ~= claim.stored then
    if claim.now then redis.call('SET', key, claim.now, 'EX', duplicate_s + late_s) else redis.call('DEL', key) end
  end
end
local reply = {}
for s, section in ipairs(opened) do
  local partitions, full = {}, {}
  for p, ledger in ipairs(section.partitions) do
    write_ledger(section, ledger)
    partitions[p] = {ledger.high, decided_until(ledger), ledger.verdicts, ledger.reasons}
  end
  for i, counter in ipairs(section.charged) do
    if counter.limit >= 0 and counter.used >= counter.limit then full[#full + 1] = {i, counter.used} end
  end
  reply[s] = {data_epoch(section.organization), partitions, full}
end
return cmsgpack.pack(reply)
