#!lua
-- Put an event that can never be published into the dead-letter stream, once.
--
-- KEYS[1]  the dead-letter stream
-- KEYS[2]  the event's marker: {stream}:id:<event id>
-- ARGV[1]  how long the marker lives, in milliseconds
-- ARGV[2]  the reason
-- ARGV[3…] the dead letter's fields and values
--
-- Returns {"refused", reason}, or {"duplicate", entry id} where the event was published before:
-- one event is never both.
local marker = redis.call('GET', KEYS[2])
if not marker then
  redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3))
  redis.call('SET', KEYS[2], 'refused:' .. ARGV[2], 'PX', ARGV[1])
  return {'refused', ARGV[2]}
elseif string.sub(marker, 1, 8) == 'refused:' then
  return {'refused', string.sub(marker, 9)}
end
return {'duplicate', marker}
