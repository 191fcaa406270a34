#!lua flags=allow-oom
-- Trim what every group has finished with, and forget consumers that are gone.
--
-- KEYS[1]  the stream
-- KEYS[2]  its dead letters
-- KEYS[3]  {stream}:replayed: since when the event of a replayed entry has been there
-- KEYS[4]  {stream}:buried: the same of a dead letter
-- ARGV[1]  the retention bound: an entry id; younger entries stay
-- ARGV[2]  idle time in milliseconds after which a consumer without pending entries is gone
--
-- Returns {entries trimmed, consumers forgotten}. A stream without groups keeps everything: nobody
-- has read it yet.
local function pairs_of(reply)
  local map = {}
  for i = 1, #reply, 2 do map[reply[i]] = reply[i + 1] end
  return map
end

-- Entry ids are two numbers; as text "9-1" would come after "10-1".
local function before(a, b)
  local a1, a2 = string.match(a, '(%d+)-?(%d*)')
  local b1, b2 = string.match(b, '(%d+)-?(%d*)')
  a1, b1 = tonumber(a1), tonumber(b1)
  if a1 ~= b1 then return a1 < b1 end
  return (tonumber(a2) or 0) < (tonumber(b2) or 0)
end

if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
if #groups == 0 then return {0, 0} end

local bound, forgotten = ARGV[1], 0
for _, reply in ipairs(groups) do
  local group = pairs_of(reply)
  -- XTRIM keeps the bound itself and what comes after it.
  if before(group['last-delivered-id'], bound) then bound = group['last-delivered-id'] end
  local oldest = redis.call('XPENDING', KEYS[1], group['name'])[2]
  if oldest and before(oldest, bound) then bound = oldest end
  for _, member in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group['name'])) do
    local consumer = pairs_of(member)
    if consumer['pending'] == 0 and consumer['idle'] > tonumber(ARGV[2]) then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], group['name'], consumer['name'])
      forgotten = forgotten + 1
    end
  end
end
for _, entry in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  if before(entry, bound) then redis.call('ZREM', KEYS[3], entry) end
end
if redis.call('XLEN', KEYS[2]) == 0 then
  for _, letter in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    redis.call('ZREM', KEYS[4], letter)
  end
end
return {redis.call('XTRIM', KEYS[1], 'MINID', bound), forgotten}
