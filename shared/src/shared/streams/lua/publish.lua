#!lua
-- Append events to a stream, each id once.
--
-- KEYS[1]      the stream
-- KEYS[2..n]   one marker a event: {stream}:id:<event id>
-- ARGV[1]      how long a marker lives, in milliseconds
-- ARGV[2]      the entry's field name
-- ARGV[3..n+1] the entries' field values, in the order of the markers
--
-- Returns a JSON array with one string an event; a client parses it many times faster than an
-- array of Redis replies:
--   "<entry id>"   appended now
--   "=<entry id>"  appended by an earlier call
--   "!<reason>"    refused by an earlier call; nothing was appended
--
-- The first line puts the whole script under one check: out of memory, a full disk or a replica
-- refuse it before its first write, never between two of them.
local outcomes = {}
local call, lifetime, field = redis.call, ARGV[1], ARGV[2]
for i = 2, #KEYS do
  local marker = call('GET', KEYS[i])
  if not marker then
    local entry = call('XADD', KEYS[1], '*', field, ARGV[i + 1])
    call('SET', KEYS[i], entry, 'PX', lifetime)
    outcomes[i - 1] = entry
  elseif string.sub(marker, 1, 8) == 'refused:' then
    outcomes[i - 1] = '!' .. string.sub(marker, 9)
  else
    outcomes[i - 1] = '=' .. marker
  end
end
return cjson.encode(outcomes)
