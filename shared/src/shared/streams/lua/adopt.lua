#!lua
-- Move dead letters that stand under another key to where they belong, oldest first.
--
-- KEYS[1]  where they stand
-- KEYS[2]  where they belong
-- ARGV[1]  how many to move at most
--
-- Returns how many were moved; call it until that is 0. A letter keeps its id unless a younger one
-- is there already: a stream takes ids in their order only.
local letters = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])
for _, letter in ipairs(letters) do
  local kept = redis.pcall('XADD', KEYS[2], letter[1], unpack(letter[2]))
  if type(kept) == 'table' and kept.err then
    redis.call('XADD', KEYS[2], '*', unpack(letter[2]))
  end
  redis.call('XDEL', KEYS[1], letter[1])
end
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return #letters
