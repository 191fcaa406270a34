#!lua flags=allow-oom
-- Take or renew a lease.
--
-- KEYS[1]  the lease: who holds it; it expires
-- KEYS[2]  the term: grows by one with every change of holder, and stays
-- ARGV[1]  who asks
-- ARGV[2]  how long the lease lasts, in milliseconds
--
-- Returns the term where the asker holds the lease now, else 0.
local holder = redis.call('GET', KEYS[1])
local term = tonumber(redis.call('GET', KEYS[2]) or '0')
if holder and holder ~= '' and holder ~= ARGV[1] then
  return 0
end
if holder ~= ARGV[1] then
  term = term + 1
  redis.call('SET', KEYS[2], term)
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return term
