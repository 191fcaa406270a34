#!lua
-- Append events to a stream, each id once.
--
-- KEYS[1]      the stream
-- KEYS[2..n]   one marker a event: {stream}:id:<event id>
-- ARGV[1]      how long a marker lives, in milliseconds
-- ARGV[2]      the entry's field name
-- ARGV[3..n+1] the entries' field values, in the order of the markers
--
-- Returns one array {state, value} an event:
--   {"published", entry id}   appended now
--   {"duplicate", entry id}   appended by an earlier call
--   {"refused",   reason}     refused by an earlier call; nothing was appended
--
-- The first line puts the whole script under one check: out of memory, a full disk or a replica
-- refuse it before its first write, never between two of them.
local outcomes = {}
for i = 2, #KEYS do
  local marker = redis.call('GET', KEYS[i])
  if not marker then
    local entry = redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[i + 1])
    redis.call('SET', KEYS[i], entry, 'PX', ARGV[1])
    outcomes[i - 1] = {'published', entry}
  elseif string.sub(marker, 1, 8) == 'refused:' then
    outcomes[i - 1] = {'refused', string.sub(marker, 9)}
  else
    outcomes[i - 1] = {'duplicate', marker}
  end
end
return outcomes
