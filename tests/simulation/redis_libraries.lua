-- The two libraries that Redis gives its scripts, as far as ours use them: cmsgpack and struct. In Lua, because a call packs and
-- unpacks hundreds of values, and each of them would cost a step out of Lua and back.

local char, byte, sub, floor = string.char, string.byte, string.sub, math.floor
local double_to_bytes, bytes_to_double, single_to_bytes, bytes_to_single = ...

local function big_endian(value, width)
  local bytes = {}
  for at = width, 1, -1 do
    bytes[at] = value % 256
    value = floor(value / 256)
  end
  return char(unpack(bytes))
end

local function read_big_endian(text, at, width)
  local value = 0
  for i = at, at + width - 1 do value = value * 256 + byte(text, i) end
  return value
end

local pack_into

local function pack_number(value, out)
  if value ~= floor(value) or value >= 2 ^ 63 or value < -2 ^ 63 then
    local single = single_to_bytes(value)
    out[#out + 1] = single and '\202' .. single or '\203' .. double_to_bytes(value, '>')
  elseif value >= 0 then
    if value < 128 then out[#out + 1] = char(value)
    elseif value < 2 ^ 8 then out[#out + 1] = '\204' .. char(value)
    elseif value < 2 ^ 16 then out[#out + 1] = '\205' .. big_endian(value, 2)
    elseif value < 2 ^ 32 then out[#out + 1] = '\206' .. big_endian(value, 4)
    else out[#out + 1] = '\207' .. big_endian(value, 8) end
  elseif value >= -32 then out[#out + 1] = char(256 + value)
  elseif value >= -2 ^ 7 then out[#out + 1] = '\208' .. char(256 + value)
  elseif value >= -2 ^ 15 then out[#out + 1] = '\209' .. big_endian(2 ^ 16 + value, 2)
  elseif value >= -2 ^ 31 then out[#out + 1] = '\210' .. big_endian(2 ^ 32 + value, 4)
  else
    local high = floor(value / 2 ^ 32)
    out[#out + 1] = '\211' .. big_endian(2 ^ 32 + high, 4) .. big_endian(value - high * 2 ^ 32, 4)
  end
end

local function pack_text(value, out)
  local size = #value
  if size < 32 then out[#out + 1] = char(160 + size)
  elseif size < 2 ^ 8 then out[#out + 1] = '\217' .. char(size)
  elseif size < 2 ^ 16 then out[#out + 1] = '\218' .. big_endian(size, 2)
  else out[#out + 1] = '\219' .. big_endian(size, 4) end
  out[#out + 1] = value
end

local function head(size, small, wide, wider, out)
  if size < 16 then out[#out + 1] = char(small + size)
  elseif size < 2 ^ 16 then out[#out + 1] = char(wide) .. big_endian(size, 2)
  else out[#out + 1] = char(wider) .. big_endian(size, 4) end
end

local function pack_table(value, out)
  local count, highest = 0, 0
  for key in pairs(value) do
    count = count + 1
    if type(key) ~= 'number' or key < 1 or key ~= floor(key) then highest = -1 break end
    if key > highest then highest = key end
  end
  if count == highest then
    head(count, 144, 220, 221, out)
    for i = 1, count do pack_into(value[i], out) end
  else
    count = 0
    for _ in pairs(value) do count = count + 1 end
    head(count, 128, 222, 223, out)
    for key, held in pairs(value) do
      pack_into(key, out)
      pack_into(held, out)
    end
  end
end

function pack_into(value, out)
  local kind = type(value)
  if kind == 'number' then pack_number(value, out)
  elseif kind == 'string' then pack_text(value, out)
  elseif kind == 'table' then pack_table(value, out)
  elseif kind == 'boolean' then out[#out + 1] = value and '\195' or '\194'
  else out[#out + 1] = '\192' end
end

local unpack_from

local function unpack_list(text, at, count)
  local list = {}
  for i = 1, count do list[i], at = unpack_from(text, at) end
  return list, at
end

local function unpack_map(text, at, count)
  local map, key = {}, nil
  for _ = 1, count do
    key, at = unpack_from(text, at)
    map[key], at = unpack_from(text, at)
  end
  return map, at
end

local WIDTHS = {[204] = 1, [205] = 2, [206] = 4, [207] = 8}
local SIGNED = {[208] = 1, [209] = 2, [210] = 4, [211] = 8}
local TEXTS = {[196] = 1, [197] = 2, [198] = 4, [217] = 1, [218] = 2, [219] = 4}

function unpack_from(text, at)
  local kind = byte(text, at)
  if not kind then error('Missing bytes in input.') end
  at = at + 1
  if kind < 128 then return kind, at end
  if kind < 144 then return unpack_map(text, at, kind - 128) end
  if kind < 160 then return unpack_list(text, at, kind - 144) end
  if kind < 192 then return sub(text, at, at + kind - 161), at + kind - 160 end
  if kind >= 224 then return kind - 256, at end
  if kind == 192 then return nil, at end
  if kind == 194 or kind == 195 then return kind == 195, at end
  if kind == 202 then return bytes_to_single(sub(text, at, at + 3)), at + 4 end
  if kind == 203 then return bytes_to_double(sub(text, at, at + 7), '>'), at + 8 end
  local width = WIDTHS[kind]
  if width then return read_big_endian(text, at, width), at + width end
  width = SIGNED[kind]
  if width == 8 then
    local high = read_big_endian(text, at, 4)
    if high >= 2 ^ 31 then high = high - 2 ^ 32 end
    return high * 2 ^ 32 + read_big_endian(text, at + 4, 4), at + 8
  elseif width then
    local value = read_big_endian(text, at, width)
    return value >= 2 ^ (8 * width - 1) and value - 2 ^ (8 * width) or value, at + width
  end
  width = TEXTS[kind]
  if width then
    local size = read_big_endian(text, at, width)
    at = at + width
    return sub(text, at, at + size - 1), at + size
  end
  if kind == 220 then return unpack_list(text, at + 2, read_big_endian(text, at, 2)) end
  if kind == 221 then return unpack_list(text, at + 4, read_big_endian(text, at, 4)) end
  if kind == 222 then return unpack_map(text, at + 2, read_big_endian(text, at, 2)) end
  if kind == 223 then return unpack_map(text, at + 4, read_big_endian(text, at, 4)) end
  error('Bad data format in input.')
end

cmsgpack = {
  pack = function(value)
    local out = {}
    pack_into(value, out)
    return table.concat(out)
  end,
  unpack = function(text) return (unpack_from(text, 1)) end,
}

local function little_endian(value)
  return char(value % 256, floor(value / 2 ^ 8) % 256, floor(value / 2 ^ 16) % 256, floor(value / 2 ^ 24) % 256)
end

-- Formats are little-endian: '<', then 'I4' (a number of 32 bits) or 'd' (a double) any number of times.
struct = {
  pack = function(format, ...)
    local out, values, at = {}, {...}, 0
    for kind in string.gmatch(format, '%a') do
      at = at + 1
      out[at] = kind == 'd' and double_to_bytes(values[at], '<') or little_endian(values[at])
    end
    return table.concat(out)
  end,
  unpack = function(format, text, at)
    local out, count = {}, 0
    at = at or 1
    for kind in string.gmatch(format, '%a') do
      count = count + 1
      if kind == 'd' then
        out[count], at = bytes_to_double(sub(text, at, at + 7), '<'), at + 8
      else
        local a, b, c, d = byte(text, at, at + 3)
        out[count], at = a + b * 2 ^ 8 + c * 2 ^ 16 + d * 2 ^ 24, at + 4
      end
    end
    out[count + 1] = at
    return unpack(out)
  end,
}
