-- Admit: refuse duplicates and what is over a quota. Only an admitted event claims its id and is charged to its counters.
--
-- Columns of events (counters.lua has an example of a call):
--   1 offsets      {40, 41}
--   2 combos       {1, 1}, numbers of combos; a combo's label is the project, '7'
--   3 quantities   {1, 1}
--   4 ids          16 bytes for each event
--   5 tokens       12 bytes for each event: 8 of the token, 4 of the arrival (epoch seconds), little-endian
--   6 flags        {0, 1}; 1 lets a quantity pass that does not fit, if the limit was not reached before. May be shorter
--   7 signatures   8 bytes for each event, of use to quotas with a reserve. May be shorter
--
-- Keys:
--   dup:{1}<8 bytes of the project><16 bytes of the event id>    who claimed the id, a number (see "Duplicates")
--   signatures:new{1}7:29922479      signatures that were seen in the window of a quota with a reserve, a set
--   quota:reserve/new{1}7:29922479   what was taken of its reserve, a number
--
-- Everything is read first and written last, because a script does not roll back.

local duplicate_s = settings[1] -- 0 if duplicates are not refused
local SIGNATURES = 100000 -- how many signatures are remembered in a window

local opened = open_sections('admit')
if not opened then return 'STALE' end

-- Duplicates ----------------------------------------------------------------------------------------------------------------
--
-- The key of an id holds its claim, one whole number, for which Redis needs half the memory of a text: 21 bits of the arrival in
-- seconds (24 days, and a duplicate window is at most half of that), then 32 bits of the token. Two tokens of one partition
-- always differ in these bits. Of two from different partitions one pair in four billion does not, and that duplicate passes.

local TOKENS, ARRIVALS = 2 ^ 32, 2 ^ 21
local claims = {} -- by key: {stored = what Redis holds, now = what it will hold}

local function load_claims(keys)
  for from = 1, #keys, 2000 do
    local upto = math.min(from + 1999, #keys)
    local values = redis.call('MGET', unpack(keys, from, upto))
    for i = from, upto do
      local claim = values[i - from + 1] and number(values[i - from + 1], keys[i])
      claims[keys[i]] = {stored = claim, now = claim}
    end
  end
end

-- Returns the 8 bytes of a project's id. `tonumber` would do only up to 2^53: above, two projects would share their bytes.
local function project_bytes(project)
  local low, high = 0, 0
  for digit in string.gmatch(project, '%d') do
    low = low * 10 + tonumber(digit)
    high = (high * 10 + math.floor(low / 2 ^ 32)) % 2 ^ 32
    low = low % 2 ^ 32
  end
  return struct.pack('<I4I4', low, high)
end

local function claim_stem(section, project)
  return prefix .. 'dup:{' .. section.organization .. '}' .. project_bytes(project)
end

-- Returns the claim that an event makes, and its arrival.
local function claim_of(tokens, i)
  local token, _, arrival = struct.unpack('<I4I4I4', tokens, 12 * i - 11)
  return arrival % ARRIVALS * TOKENS + token, arrival
end

local function is_same_token(one, other)
  return one % TOKENS == other % TOKENS
end

local function is_near(one, other) -- whether they arrived within duplicate_s of each other
  local apart = math.abs(math.floor(one / TOKENS) - math.floor(other / TOKENS))
  return math.min(apart, ARRIVALS - apart) < duplicate_s
end

local function write_claims()
  for key, claim in pairs(claims) do
    if claim.now and claim.now ~= claim.stored then
      redis.call('SET', key, text(claim.now), 'EX', duplicate_s + late_s)
    elseif claim.stored and not claim.now then
      redis.call('DEL', key)
    end
  end
end

-- Reserves ------------------------------------------------------------------------------------------------------------------
--
-- An event over its limits may pass if nothing like it was seen in the window, because its group may be new.

local signatures = {} -- by counter with a reserve: {signature = true where this call saw it}

local function signature_key(counter)
  return prefix .. 'signatures:' .. counter.name
end

-- Remembers an event's signature for each of its counters that has a reserve.
local function remember(charged, signature)
  for at = 1, #charged do
    local counter = charged[at]
    if counter.reserve then
      local seen = signatures[counter] or {}
      seen[signature] = true
      signatures[counter] = seen
    end
  end
end

local function is_seen(counter, signature)
  if signatures[counter] and signatures[counter][signature] then return true end
  return redis.call('SISMEMBER', signature_key(counter), signature) == 1
end

local function write_signatures()
  for counter, seen in pairs(signatures) do
    local key, list = signature_key(counter), {}
    for signature in pairs(seen) do list[#list + 1] = signature end
    if redis.call('SCARD', key) < SIGNATURES then
      for from = 1, #list, 1000 do redis.call('SADD', key, unpack(list, from, math.min(from + 999, #list))) end
      expire(key, counter.definition[2])
    end
  end
end

-- Whether each counter of a refusal has room on its reserve for the event, and has not seen its signature.
local function has_reserve(charged, refusal, quantity, signature)
  for _, at in ipairs(refusal) do
    local counter = charged[at]
    local reserve = counter.reserve
    if not reserve or reserve.used + quantity > reserve.limit or is_seen(counter, signature) then return false end
  end
  return true
end

-- Deciding ----------------------------------------------------------------------------------------------------------------

-- Returns the refusal of an event, nil if every counter takes it. This is the common case: they are all fixed windows.
local function rejecting_windows(charged, quantity, over_accept_once)
  local refusal
  for at = 1, #charged do
    local counter = charged[at]
    local limit = counter.limit
    if limit >= 0 then
      local is_over
      if quantity == 0 or over_accept_once then is_over = counter.used >= limit else is_over = counter.used + quantity > limit end
      if is_over then
        refusal = refusal or {}
        refusal[#refusal + 1] = at
      end
    end
  end
  return refusal
end

-- The same for counters of any kind. Second: whether the event takes from what is beyond a fair share.
local function rejecting(charged, quantity, over_accept_once, project, moment)
  local refusal, is_beyond = nil, false
  for at = 1, #charged do
    local does_fit, beyond = fits(charged[at], quantity, over_accept_once, project, moment)
    if not does_fit then
      refusal = refusal or {}
      refusal[#refusal + 1] = at
    end
    is_beyond = is_beyond or (beyond and does_fit) or false
  end
  return refusal, is_beyond
end

-- Changes the counters of an event with that decision by its quantity; a negative quantity takes the event back.
local function move(charged, decision, refusal, quantity, project)
  for at = 1, #charged do
    local counter = charged[at]
    if decision == ACCEPTED or decision == BEYOND_SHARE then
      charge(counter, quantity, project, decision == BEYOND_SHARE)
    elseif decision < 0 and is_charged(decision) then
      charge(is_among(refusal, at) and counter.reserve or counter, quantity, project, false)
    elseif decision > REJECTED and is_among(refusal, at) then
      drop(counter, quantity)
    end
  end
end

local function decide(section, ledger, i)
  local events, c = ledger.events, ledger.events[2][i]
  local charged, quantity, project = section.charged[c], events[3][i], section.labels[c]
  local own, moment = claim_of(events[5], i)
  local claim = ledger.claims and ledger.claims[i]
  if claim and claim.now then
    if is_same_token(claim.now, own) then return UNCHARGED end -- a replayed dead letter whose first life was admitted
    if is_near(claim.now, own) then return DUPLICATE end
  end
  local over_accept_once, decision = events[6][i] == 1, ACCEPTED
  local refusal, is_beyond
  if section.is_plain then
    refusal = rejecting_windows(charged, quantity, over_accept_once)
    if refusal then decision = REJECTED + refusal_number(ledger, refusal) end
  else
    refusal, is_beyond = rejecting(charged, quantity, over_accept_once, project, moment)
    local signature = #events[7] >= 8 * i and string.sub(events[7], 8 * i - 7, 8 * i)
    if refusal then
      local number = refusal_number(ledger, refusal)
      decision = signature and has_reserve(charged, refusal, quantity, signature) and -number or REJECTED + number
    elseif is_beyond then
      decision = BEYOND_SHARE
    end
    if signature then remember(charged, signature) end
  end
  if not refusal and not is_beyond then
    for at = 1, #charged do
      local counter = charged[at]
      if counter.kind then
        charge(counter, quantity, project, false)
      else
        counter.used = counter.used + quantity
        counter.delta = counter.delta + quantity
      end
    end
  else
    move(charged, decision, refusal, quantity, project)
  end
  if claim and decision < REJECTED then claim.now = own end
  return decision
end

local function take_back(section, _, entry)
  move(charged_by(entry), entry.decision, entry.refusal, -entry.quantity, entry.label)
  if duplicate_s > 0 and entry.decision < REJECTED and entry.decision ~= DUPLICATE then
    local claim = claims[claim_stem(section, entry.label) .. entry.id]
    if claim.now and is_same_token(claim.now, (claim_of(entry.token, 1))) then claim.now = false end
  end
end

-- The call ----------------------------------------------------------------------------------------------------------------

local keys = {}
for _, section in ipairs(opened) do
  local stems = {}
  if duplicate_s > 0 then
    for c, project in ipairs(section.labels) do stems[c] = claim_stem(section, project) end
  end
  for _, ledger in ipairs(section.partitions) do
    local ids, count = ledger.events[4], #keys
    ledger.first_key = count
    if duplicate_s > 0 then
      for i, c in ipairs(ledger.events[2]) do keys[count + i] = stems[c] .. string.sub(ids, 16 * i - 15, 16 * i) end
    end
  end
end
each_left(opened, function(section, _, entry)
  charged_by(entry)
  if duplicate_s > 0 then keys[#keys + 1] = claim_stem(section, entry.label) .. entry.id end
end)
load_counters()
load_claims(keys)
for _, section in ipairs(opened) do
  for _, ledger in ipairs(section.partitions) do
    if duplicate_s > 0 then
      ledger.claims = {}
      for i = 1, #ledger.events[1] do ledger.claims[i] = claims[keys[ledger.first_key + i]] end
    end
  end
end

each_left(opened, take_back)
decide_all(opened, decide)
write_counters()
write_claims()
write_signatures()
return finish(opened)
