#!lua
-- Append events of one source to a stream, each id once.
--
-- KEYS[1]      the stream
-- KEYS[2..n]   one marker an event: {stream}:id:<event id>
-- ARGV[1]      how long a marker lives, in milliseconds
-- ARGV[2]      the entry's field name
-- ARGV[3]      the source of the events
-- ARGV[4]      the time on this server's clock after which nothing is appended any more, in
--              milliseconds: markers that were there may have run out since
-- ARGV[5..n+3] the entries' field values, in the order of the markers
--
-- Returns a JSON array; a client parses it many times faster than an array of Redis replies. First
-- the time on this server's clock, in milliseconds, then one string an event:
--   "<entry id>"   appended now
--   "=<entry id>"  appended by an earlier call
--   "!<reason>"    refused by an earlier call; nothing was appended
--   "?"            too late; nothing was appended, and whether an earlier call did is not known
--
-- The first line puts the whole script under one check: out of memory, a full disk or a replica
-- refuse it before its first write, never between two of them. What only a known id needs is
-- defined where one is met, so that the others do not pay for it.
-- A script that fails is not undone: without the right to mark ids it would append and forget.
if not redis.acl_check_cmd('SET', KEYS[2], '') then
  return redis.error_reply('NOPERM this user may not mark ids')
end
local call, lifetime, field, source = redis.call, ARGV[1], ARGV[2], ARGV[3]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local late = now > tonumber(ARGV[4])
local outcomes = {now}
for i = 2, #KEYS do
  local marker = call('GET', KEYS[i])
  if not marker and not late then
    local entry = call('XADD', KEYS[1], '*', field, ARGV[i + 3])
    call('SET', KEYS[i], entry .. '\t' .. source, 'PX', lifetime)
    outcomes[i] = entry
  else
--+ marker
    local outcome = outcome_of(marker, source)
    if outcome then
      outcomes[i] = is_refusal(outcome) and '!' .. string.sub(outcome, 9) or '=' .. outcome
    elseif late then
      outcomes[i] = '?'
    else
      outcome = call('XADD', KEYS[1], '*', field, ARGV[i + 3])
      call('SET', KEYS[i], with_outcome(marker, source, outcome), 'PX', lifetime)
      outcomes[i] = outcome
    end
  end
end
return cjson.encode(outcomes)
