#!lua flags=allow-oom
-- Write something small, so that a WAIT behind it counts replicas that have all that is before it.
--
-- WAIT counts what its own connection has written. A call that is made again on another one finds
-- its marker and writes nothing; WAIT then answers at once, though no replica has the entry.
--
-- KEYS[1]  the touch key, beside the stream
return redis.call('SET', KEYS[1], '', 'PX', 60000)
