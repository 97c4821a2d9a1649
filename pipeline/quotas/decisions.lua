-- Codes of decisions, as ledgers keep them and replies hold them. count.lua has some of its own below REJECTED.
--
--   ACCEPTED      charged to all counters of the combo
--   DUPLICATE     refused; not charged
--   UNCHARGED     admitted: a replayed dead letter whose first life was admitted and charged
--   BEYOND_SHARE  charged; it took from the part of a fair share that is open to all
--   REJECTED + n  rejected by refusal n
--   -n            admitted on the reserves of the counters of refusal n
--
-- A refusal is the list of the counters that rejected an event, by their places in its combo: {1, 3}. Each ledger numbers its
-- refusals. (A bit for each counter would not do: numbers are doubles, and a project may have 2,000 quotas.)
--
-- If count rejects an event that admit charged, the charge is given back. The event stays admitted: GIVEN_BACK or
-- RESERVE_GIVEN_BACK is added to the size of its code.

local ACCEPTED, DUPLICATE, UNCHARGED, BEYOND_SHARE, REJECTED = 0, 1, 2, 3, 8
local GIVEN_BACK, RESERVE_GIVEN_BACK = 4, 2 ^ 32

local function is_charged(decision)
  return decision == ACCEPTED or decision == BEYOND_SHARE or (decision < 0 and decision > -RESERVE_GIVEN_BACK)
end

local function is_given_back(decision)
  return decision == GIVEN_BACK + ACCEPTED or decision == GIVEN_BACK + BEYOND_SHARE or decision <= -RESERVE_GIVEN_BACK
end

local function given_back(decision)
  return decision < 0 and decision - RESERVE_GIVEN_BACK or decision + GIVEN_BACK
end

local function charged_again(decision)
  return decision < 0 and decision + RESERVE_GIVEN_BACK or decision - GIVEN_BACK
end

-- Returns the number of the refusal in a decision's code, nil if there is none.
local function refusal_in(decision)
  if decision > REJECTED then return decision - REJECTED end
  if decision < 0 then return -decision % RESERVE_GIVEN_BACK end
end

-- Returns the same decision with another number of its refusal.
local function with_refusal(decision, number)
  if decision > REJECTED then return REJECTED + number end
  return is_given_back(decision) and given_back(-number) or -number
end

-- Returns the number of a refusal in this call's ledger.
local function refusal_number(ledger, places)
  local name = table.concat(places, ',')
  local number = ledger.refusal_numbers[name]
  if not number then
    number = #ledger.refusals + 1
    ledger.refusals[number], ledger.refusal_numbers[name] = places, number
  end
  return number
end

local function is_among(places, at)
  for _, place in ipairs(places) do
    if place == at then return true end
  end
  return false
end
