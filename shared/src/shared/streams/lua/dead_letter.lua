#!lua flags=allow-oom
-- Move an entry that could not be handled from a group's pending list to the dead-letter stream.
--
-- KEYS[1]  the stream
-- KEYS[2]  the dead-letter stream
-- ARGV[1]  the consumer group
-- ARGV[2]  the entry's id
-- ARGV[3…] the dead letter's fields and values
--
-- Returns 1 when the entry was moved, 0 when somebody has already finished with it.
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  return 0
end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
return 1
