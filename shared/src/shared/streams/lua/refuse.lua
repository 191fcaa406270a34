#!lua
--+ marker
-- Put an event that can never be published into the dead-letter stream, once.
--
-- KEYS[1]  the dead-letter stream
-- KEYS[2]  the event's marker: {stream}:id:<event id>
-- ARGV[1]  how long the marker lives, in milliseconds
-- ARGV[2]  the reason
-- ARGV[3]  the event's source
-- ARGV[4…] the dead letter's fields and values
--
-- Returns {"refused", reason}, or {"duplicate", entry id} where the event was published before:
-- one event is never both.
local marker = redis.call('GET', KEYS[2])
local outcome = outcome_of(marker, ARGV[3])
if not outcome then
  redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
  outcome = 'refused:' .. ARGV[2]
  redis.call('SET', KEYS[2], with_outcome(marker, ARGV[3], outcome), 'PX', ARGV[1])
end
if is_refusal(outcome) then
  return {'refused', string.sub(outcome, 9)}
end
return {'duplicate', outcome}
