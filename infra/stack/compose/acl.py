"""Least privilege at Redis: one user a service, allowed what its events need and nothing else.

The rules are those of https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
and each role below is a selector (Redis 7, Valkey 7.2 or newer): commands count only together
with the keys beside them. A script's own calls are held to the same rules. The keys are those of
the event runtime, `shared.keys`: stream, dead letters, and what else shares the stream's hash tag.

What no rule of Redis can tell apart: one group's commands from another's on the same stream, so
that a reader may acknowledge and claim what another group reads; and XADD from XADD with MAXLEN, so
that who adds to a stream or to dead letters may cut them too.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from infra.stack.compose.addresses import open_password
from infra.stack.plan import Infrastructure, Overlay, Plan, Service
from shared.keys import (
    BACKUP_TIME,
    attempts_of,
    beside,
    buried_of,
    dead_letters_of,
    previous_dead_letters_of,
    replayed_of,
)

NOBODY: tuple[str, ...] = ("default", "off", "resetpass", "~*", "&*", "+@all")
"""Nobody can be the default user, but Redis reads its append-only file with that user's rights.
Without them it leaves out whatever a script or a transaction wrote, and only its log says so
(github.com/redis/redis/issues/14541, github.com/valkey-io/valkey/issues/3983)."""
OPERATOR = "operator"
CONNECT = ("+ping", "+hello", "+auth", "+select", "+client|setinfo", "+client|setname")
SERVER = ("+info", "+time")
BACKED_UP = f"(~{BACKUP_TIME} +get)"
SCRIPTS = ("+evalsha", "+script|load")
"""A script needs every key that it names in one selector; each call inside it is checked again."""
APPEND = ("+xadd",)
REMEMBER = ("+get", "+set")
PARK = ("+hset", "+hdel", "+hgetall")
TIDY = (
    *("+exists", "+xinfo|groups", "+xinfo|consumers", "+xpending", "+xtrim"),
    "+xgroup|delconsumer",
)
"""Who publishes to a stream trims it; who reads it can take nothing away from other readers."""
READ = (
    *("+xreadgroup", "+xack", "+xclaim", "+xautoclaim", "+xpending", "+xrange"),
    *("+xinfo|groups", "+xgroup|create"),
)
AMONG_COPIES: dict[str, tuple[str, ...]] = {
    "replica": ("+psync", "+replconf", "+ping"),
    "sentinel": (
        *("&*", "+multi", "+exec", "+slaveof", "+ping", "+subscribe", "+publish", "+role", "+info"),
        *("+config|rewrite", "+client|setname", "+client|kill", "+script|kill"),
    ),
}
"""Who the copies and their Sentinels are to each other, as
https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/ has it."""
DURABLE = ("+wait", "+role")
"""Who publishes waits until a second copy has it too."""
OWN = ("+@read", "+@write", "-@dangerous")


def acl_file(plan: Plan, redis: Infrastructure, passwords: Mapping[str, str]) -> str:
    """Return the text of an aclfile: every user that Redis knows.

    Args:
        plan: the stack.
        redis: the Redis whose users they are.
        passwords: password by user name; only its SHA-256 is in the text.
    """
    lines = [NOBODY]
    lines += [
        (user, "on", _hashed(passwords[user]), *allowed)
        for user, allowed in _users(plan, redis, "prod").items()
    ]
    return "".join(f"user {' '.join(line)}\n" for line in lines)


def acl_arguments(plan: Plan, redis: Infrastructure, overlay: Overlay) -> tuple[str, ...]:
    """Return the same users as arguments of redis-server, for overlays that keep no secrets."""
    users = _users(plan, redis, overlay).items()
    password = f">{open_password(redis)}"
    lines = [NOBODY, *((user, "on", password, *allowed) for user, allowed in users)]
    return tuple(word for line in lines for word in ("--user", *line))


def _users(plan: Plan, redis: Infrastructure, overlay: Overlay) -> dict[str, tuple[str, ...]]:
    """Return what each user of a Redis may do, as ACL rules."""
    services = (
        service for service in plan.services if overlay in service.overlays and uses(service, redis)
    )
    among = AMONG_COPIES if overlay == "prod" and redis.copies > 1 else {}
    own = {
        service.name: rules(service, redis, consoled(plan, service, overlay))
        for service in services
    }
    return own | among | {OPERATOR: ("~*", "&*", "+@all")}


def consoled(plan: Plan, service: Service, *overlays: Overlay) -> tuple[str, ...]:
    """Return the events that a service's console shows in one of these overlays: all or none."""
    shows = any(overlay in service.console for overlay in overlays)
    return tuple(event.name for event in plan.events) if shows else ()


def uses(service: Service, redis: Infrastructure) -> bool:
    """Say whether a service takes the address of this Redis."""
    return any(
        variable.reference and variable.reference.target == redis.name for variable in service.env
    )


def rules(service: Service, redis: Infrastructure, console: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what a service may do at a Redis, as ACL rules.

    A service without events has the keys that start with its name.

    Args:
        service: whose user it is.
        redis: which Redis.
        console: the events that it has a console of.
    """
    selectors = [rule for event in service.publishes for rule in _publisher(event)]
    selectors += [rule for event in service.subscribes for rule in _reader(event)]
    selectors += _console(console) if console else []
    if not selectors:
        selectors.append(_selector(OWN, f"{service.name}:*"))
    durable = DURABLE if redis.copies > 1 else ()
    return (*CONNECT, *SERVER, *durable, BACKED_UP, *dict.fromkeys(selectors))


def _publisher(event: str) -> list[str]:
    """Return what publishing, refusing, trimming, a lease and a probe need."""
    return [
        _selector(SCRIPTS, event, *_letters(event), beside(event, "*")),
        _selector(APPEND, event, *_letters(event)),
        _selector(REMEMBER, beside(event, "*")),
        _selector(PARK, beside(event, "parked:*")),
        _selector(TIDY, event),
        _selector(("+zrange", "+zrem"), replayed_of(event), buried_of(event)),
        _selector(("+xlen",), dead_letters_of(event)),
    ]


def _reader(event: str) -> list[str]:
    """Return what a consumer needs: it writes to the dead letters, and why it failed."""
    return [
        _selector(
            SCRIPTS,
            *(event, *_letters(event), beside(event, "id:*")),
            *(replayed_of(event), buried_of(event)),
        ),
        _selector(READ, event),
        _selector(("+xadd", "+xrange"), *_letters(event)),
        _selector(("+get",), beside(event, "id:*")),
        _selector(("+zscore", "+zrange"), replayed_of(event), buried_of(event)),
        _selector(("+zadd",), buried_of(event)),
        _selector(("+xadd", "+expire"), attempts_of(event)),
    ]


def _console(events: Sequence[str]) -> list[str]:
    """Return what showing streams and dead letters needs, and replaying and dropping those.

    One command may name keys of one selector only, and XREAD follows all streams at once.
    """
    letters = [dead_letters_of(event) for event in events]
    markers = [beside(event, "id:*") for event in events]
    moved = [key for event in events for key in (replayed_of(event), buried_of(event))]
    return [
        _selector(SCRIPTS, *events, *letters, *markers, *moved),
        _selector(("+xread", "+xrange", "+xrevrange", "+xlen", "+xdel"), *events, *letters),
        _selector(("+xinfo|groups", "+xpending", "+xadd"), *events),
        _selector(("+xrevrange",), *map(attempts_of, events)),
        _selector(REMEMBER, *markers),
        _selector(("+zscore", "+zadd", "+zrem"), *moved),
    ]


def _letters(event: str) -> tuple[str, ...]:
    """Return where its dead letters stand, and where a release before this one puts them."""
    return (dead_letters_of(event), previous_dead_letters_of(event))


def _selector(commands: tuple[str, ...], *keys: str) -> str:
    return f"({' '.join([*(f'~{key}' for key in keys), *commands])})"


def _hashed(password: str) -> str:
    return f"#{sha256(password.encode()).hexdigest()}"
