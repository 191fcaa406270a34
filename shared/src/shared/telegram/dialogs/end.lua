#!lua flags=allow-oom
-- Note that an update will have no step of a dialog, also on a server that is full.
--
-- KEYS[1]  the mark of the update
-- ARGV[1]  for how many seconds the mark lives
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
