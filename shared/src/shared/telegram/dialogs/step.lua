#!lua
-- Take one step of a user's dialogs, once for its update and only from where they stood.
--
-- KEYS[1]  the record of the user's dialogs
-- KEYS[2]  the mark of the update, whose steps are taken once
-- ARGV[1]  the record as it was read; empty where there was none
-- ARGV[2]  the record as it is to be; empty where there is to be none still
-- ARGV[3]  for how many seconds the record lives
-- ARGV[4]  for how many seconds the mark lives
--
-- Returns "taken"; "done" where the update had its step already; or "moved" where another update has
-- had one since the record was read.
if redis.call('GET', KEYS[2]) then return 'done' end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 'moved' end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
redis.call('SET', KEYS[2], '1', 'EX', ARGV[4])
return 'taken'
