"""A worker that cooks every order and says so in a stream of its own."""

import json
import os
from typing import Any

import redis

if __name__ == "__main__":
    streams: Any = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    streams.xgroup_create("order_placed", "cooks", id="0", mkstream=True)
    while True:
        for _, entries in streams.xreadgroup("cooks", "1", {"order_placed": ">"}, block=1000):
            for entry_id, fields in entries:
                event = json.loads(fields["__data__"]) | {"source": "/kitchen"}
                streams.xadd("order_cooked", {"__data__": json.dumps(event)})
                streams.xack("order_placed", "cooks", entry_id)
