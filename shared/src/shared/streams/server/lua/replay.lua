#!lua
--+ marker
-- Put a dead letter's event back into its stream, once, for all groups that could not handle it.
--
-- KEYS[1]  the stream
-- KEYS[2]  the dead-letter stream
-- KEYS[3]  the event's marker: {stream}:id:<event id>
-- KEYS[4]  {stream}:replayed: since when the event of a replayed entry has been there
-- KEYS[5]  {stream}:buried: the same of a dead letter
-- ARGV[1]  how long the marker lives, in milliseconds
-- ARGV[2]  the entry's field name
-- ARGV[3]  the entry's field value
-- ARGV[4]  the event's source
-- ARGV[5]  the id of the entry that a group could not handle, or nothing
-- ARGV[6]  the dead letter's entry id
-- ARGV[7…] the dead letters of other groups about the same entry
--
-- Returns {"replayed", the new entry's id}; {"gone", ""} where the dead letter is: replayed or
-- dropped before; or {"elsewhere", entry id} where the stream holds the event as another entry:
-- then nothing has changed.
--
-- The entry that could not be handled goes, so that the stream holds the event once.
if #redis.call('XRANGE', KEYS[2], ARGV[6], ARGV[6]) == 0 then
  return {'gone', ''}
end
-- A script that fails is not undone: what can fail, because somebody has put another type there, is
-- called before the first write.
redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
redis.call('ZSCORE', KEYS[4], '')
redis.call('ZSCORE', KEYS[5], '')
local marker, failed = redis.call('GET', KEYS[3]), ARGV[5]
local outcome = outcome_of(marker, ARGV[4])
if outcome and not is_refusal(outcome) and outcome ~= failed then
  return {'elsewhere', outcome}
end
local since
local function older(time)
  time = tonumber(time or nil)
  if time and (not since or time < since) then since = time end
end
for i = 6, #ARGV do
  older(redis.call('ZSCORE', KEYS[5], ARGV[i]))
  redis.call('ZREM', KEYS[5], ARGV[i])
  redis.call('XDEL', KEYS[2], ARGV[i])
end
if failed ~= '' then
  older(redis.call('ZSCORE', KEYS[4], failed) or string.match(failed, '^%d+'))
  redis.call('ZREM', KEYS[4], failed)
  redis.call('XDEL', KEYS[1], failed)
end
local entry = redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[3])
redis.call('SET', KEYS[3], with_outcome(marker, ARGV[4], entry), 'PX', ARGV[1])
if since then redis.call('ZADD', KEYS[4], string.format('%.0f', since), entry) end
return {'replayed', entry}
