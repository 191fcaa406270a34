#!lua
-- Move dead letters that stand under another key to where they belong, oldest first.
--
-- KEYS[1]  where they stand
-- KEYS[2]  where they belong
-- KEYS[3]  {stream}:buried: since when the event of a dead letter has been there
-- ARGV[1]  how many to move at most
--
-- Returns how many were moved; call it until that is 0. A letter keeps its id unless a younger one
-- is there already: a stream takes ids in their order only.
local letters = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])
for _, letter in ipairs(letters) do
  local id, fields = letter[1], letter[2]
  local kept = redis.pcall('XADD', KEYS[2], id, unpack(fields))
  if type(kept) == 'table' and kept.err then
    kept = redis.call('XADD', KEYS[2], '*', unpack(fields))
  end
  for i = 1, #fields, 2 do
    local since = fields[i] == 'entry_id' and string.match(fields[i + 1], '^%d+')
    if since then redis.call('ZADD', KEYS[3], since, kept) end
  end
  redis.call('XDEL', KEYS[1], id)
end
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return #letters
