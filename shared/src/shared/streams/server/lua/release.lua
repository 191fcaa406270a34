#!lua flags=allow-oom
-- Give a lease back.
--
-- KEYS[1]  the lease
-- ARGV[1]  who gives it back
--
-- Returns 1 where the asker held it, else 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], '', 'PX', 1)
return 1
