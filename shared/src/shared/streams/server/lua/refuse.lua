#!lua
--+ marker
-- Put an event that can never be published into the dead-letter stream, once.
--
-- KEYS[1]  the dead-letter stream
-- KEYS[2]  the event's marker: {stream}:id:<event id>
-- ARGV[1]  how long the marker lives, in milliseconds
-- ARGV[2]  the time on this server's clock after which nothing is refused any more, in
--          milliseconds: a marker that was there may have run out since
-- ARGV[3]  the reason
-- ARGV[4]  the event's source
-- ARGV[5…] the dead letter's fields and values
--
-- Returns {"refused", reason}; {"duplicate", entry id} where the event was published before: one
-- event is never both; or {"late", ""}.
-- A script that fails is not undone, so a right that was taken away is asked for before the first write.
if not redis.acl_check_cmd('SET', KEYS[2], '') then
  return redis.error_reply('NOPERM this user may not mark ids')
end
local marker = redis.call('GET', KEYS[2])
local outcome = outcome_of(marker, ARGV[4])
if not outcome then
  if redis.call('TIME')[1] * 1000 > tonumber(ARGV[2]) then return {'late', ''} end
  redis.call('XADD', KEYS[1], '*', unpack(ARGV, 5))
  outcome = 'refused:' .. ARGV[3]
  redis.call('SET', KEYS[2], with_outcome(marker, ARGV[4], outcome), 'PX', ARGV[1])
end
if is_refusal(outcome) then
  return {'refused', string.sub(outcome, 9)}
end
return {'duplicate', outcome}
