#!lua flags=allow-oom
--+ marker
-- Move an entry that a group cannot handle to the dead-letter stream.
--
-- KEYS[1]  the stream
-- KEYS[2]  the dead-letter stream
-- KEYS[3]  the event's marker: {stream}:id:<event id>
-- KEYS[4]  {stream}:replayed: since when the event of a replayed entry has been there
-- KEYS[5]  {stream}:buried: the same of a dead letter
-- ARGV[1]  the group
-- ARGV[2]  the entry's id
-- ARGV[3]  the event's source, or nothing where the entry is no event
-- ARGV[4…] the dead letter's fields and values
--
-- Returns 1 where the entry was moved; 0 where somebody has already finished with it, or where its
-- event has been replayed meanwhile: then the group has, or will be given, another entry of it.
-- A script that fails is not undone: what can fail, because somebody has put another type there, or
-- has taken a right away, is called or asked before the first write.
if not (redis.acl_check_cmd('XADD', KEYS[2], '*', '', '')
    and redis.acl_check_cmd('ZADD', KEYS[5], 0, '')) then
  return redis.error_reply('NOPERM this user may not write dead letters')
end
redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
redis.call('ZSCORE', KEYS[5], '')
local replayed = redis.call('ZSCORE', KEYS[4], ARGV[2])
local marker = ARGV[3] ~= '' and redis.call('GET', KEYS[3])
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  return 0
end
if marker then
  local outcome = outcome_of(marker, ARGV[3])
  if outcome and not is_refusal(outcome) and outcome ~= ARGV[2] then
    return 0
  end
end
local letter = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
local since = replayed or string.match(ARGV[2], '^%d+')
redis.call('ZADD', KEYS[5], since, letter)
return 1
