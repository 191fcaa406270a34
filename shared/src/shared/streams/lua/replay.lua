#!lua
-- Put a dead letter's event back into its stream, once.
--
-- KEYS[1]  the stream
-- KEYS[2]  the dead-letter stream
-- KEYS[3]  the event's marker: {stream}:id:<event id>
-- ARGV[1]  the dead letter's entry id
-- ARGV[2]  how long the marker lives, in milliseconds
-- ARGV[3]  the entry's field name
-- ARGV[4]  the entry's field value
-- ARGV[5]  the id of the entry that a group could not handle, or nothing
--
-- Returns the new entry's id, or false where the dead letter is gone: replayed or dropped before.
-- The entry that could not be handled goes, so that the stream holds the event once.
if redis.call('XDEL', KEYS[2], ARGV[1]) == 0 then
  return false
end
if ARGV[5] ~= '' then
  redis.call('XDEL', KEYS[1], ARGV[5])
end
local entry = redis.call('XADD', KEYS[1], '*', ARGV[3], ARGV[4])
redis.call('SET', KEYS[3], entry, 'PX', ARGV[2])
return entry
