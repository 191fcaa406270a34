#!lua flags=no-writes
-- Tell since when there are events that a group can still be given.
--
-- KEYS[1]  the stream
-- KEYS[2]  the dead-letter stream
-- KEYS[3]  where dead letters stood in earlier releases
-- KEYS[4]  {stream}:replayed: since when the event of a replayed entry has been there
-- KEYS[5]  {stream}:buried: the same of a dead letter
--
-- Returns a time in milliseconds, or nothing.
local oldest
local function older(time)
  time = tonumber(time or nil)
  if time and (not oldest or time < oldest) then oldest = time end
end

for i = 1, 3 do
  local first = redis.call('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)[1]
  if first then older(string.match(first[1], '^%d+')) end
end
for i = 4, 5 do
  older(redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')[2])
end
return oldest and string.format('%.0f', oldest)
