"""Every name of FastStream's that the runtime leans on; a newer version is held against this list.

Most are private to it: it has no public way to give a subscriber or a publisher of one's own.
"""

import ast
import re
from importlib import import_module
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
IMPORTED = {
    "fast_depends.utils": {"is_coroutine_callable"},
    "faststream": {"Depends"},
    "faststream._internal.broker.registrator": {"Registrator"},
    "faststream._internal.endpoint.call_wrapper": {"HandlerCallWrapper"},
    "faststream._internal.endpoint.subscriber": {"SubscriberUsecase"},
    "faststream._internal.endpoint.subscriber.call_item": {"CallsCollection", "HandlerItem"},
    "faststream._internal.endpoint.subscriber.utils": {"default_filter"},
    "faststream.exceptions": {
        *("AckMessage", "FeatureNotSupportedException", "NackMessage", "RejectMessage"),
        *("SetupError", "SkipMessage", "StopConsume"),
    },
    "faststream.message": {"AckStatus"},
    "faststream.middlewares": {"AckPolicy"},
    "faststream.redis": {"RedisBroker", "RedisRouter", "StreamSub"},
    "faststream.redis.broker.registrator": {"RedisRegistrator"},
    "faststream.redis.configs": {"RedisBrokerConfig", "RedisConnectionState"},
    "faststream.redis.message": {
        *("DATA_KEY", "DefaultStreamMessage", "FAKE_CONSUMER", "RedisStreamMessage"),
    },
    "faststream.redis.parser": {"MessageFormat"},
    "faststream.redis.publisher.config": {
        *("RedisPublisherConfig", "RedisPublisherSpecificationConfig"),
    },
    "faststream.redis.publisher.producer": {"RedisFastProducer"},
    "faststream.redis.publisher.specification": {"StreamPublisherSpecification"},
    "faststream.redis.publisher.usecase": {"StreamPublisher"},
    "faststream.response": {"PublishCommand"},
    "faststream.specification": {"AsyncAPI"},
    "faststream.response.publish_type": {"PublishType"},
    "faststream.redis.response": {"DestinationType", "RedisPublishCommand"},
    "faststream.redis.subscriber.config": {
        *("RedisSubscriberConfig", "RedisSubscriberSpecificationConfig"),
    },
    "faststream.redis.subscriber.specification": {"StreamSubscriberSpecification"},
    "faststream.redis.subscriber.usecases": {"StreamSubscriber"},
    "faststream._internal.basic_types": {"SendableMessage"},
}
ATTRIBUTES = {
    "faststream._internal.broker.registrator:Registrator": {
        *("include_router", "publisher", "publishers", "subscriber", "subscribers"),
    },
    "faststream._internal.configs:ConfigComposition": {
        *("broker_codec", "broker_decoder", "broker_dependencies", "broker_middlewares"),
        *("broker_parser", "context", "extra_context", "prefix"),
    },
    "faststream._internal.endpoint.subscriber:SubscriberUsecase": {
        *("_broker_middlewares", "_build_fastdepends_model", "_call_options", "_decoder"),
        *("_parser", "_post_start", "add_call", "calls", "process_message", "running", "start"),
        *("stop",),
    },
    "faststream._internal.endpoint.subscriber.call_item:HandlerItem": {
        *("dependant", "dependencies", "filter", "handler", "item_decoder", "item_parser"),
    },
    "faststream._internal.endpoint.call_wrapper:HandlerCallWrapper": {
        *("_declared_call", "_publishers", "is_test"),
    },
    "faststream.redis:RedisBroker": {
        *("_make_connection_state", "_make_producer", "connect", "start", "stop", "subscribers"),
    },
    "faststream.redis.configs:RedisConnectionState": {"_client", "connect", "disconnect"},
    "faststream.redis.parser:MessageFormat": {"build", "encode", "parse"},
    "faststream.redis.publisher.producer:RedisFastProducer": {
        *("_build_child", "codec", "publish", "serializer"),
    },
    "faststream.redis.publisher.usecase:StreamPublisher": {
        *("_basic_publish", "_publish", "_stream", "publish", "start", "stream"),
    },
    "faststream.redis.response:RedisPublishCommand": {"destination_type"},
    "faststream.response:PublishCommand": {"add_headers"},
    "faststream.redis.subscriber.usecases:StreamSubscriber": {
        *("_client", "_stream_sub", "build_log_context", "get_log_context", "get_one"),
        *("stream_sub",),
    },
    "fast_depends.core:CallModel": {
        *("call", "dependencies", "dependency_provider", "flat_params", "params"),
    },
    "fast_depends.dependencies.provider:Provider": {"get_dependant"},
}


def imports_of_faststream() -> dict[str, set[str]]:
    """Return what the runtime imports of FastStream and of what it injects with, by module."""
    imported: dict[str, set[str]] = {}
    for path in (SHARED / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if re.match(r"fast(stream|_depends)\b", node.module):
                names = (alias.name for alias in node.names)
                imported.setdefault(node.module, set()).update(names)
    return imported


def test_the_list_is_whole() -> None:
    """Whatever the runtime imports of FastStream stands in it, and nothing that it does not."""
    assert imports_of_faststream() == IMPORTED


@pytest.mark.parametrize(
    ("owner", "name"),
    [(owner, name) for owner, names in sorted(ATTRIBUTES.items()) for name in sorted(names)],
)
def test_an_attribute_is_there(owner: str, name: str) -> None:
    """A class has it, or declares it for its instances."""
    module, _, path = owner.partition(":")
    kind = attrgetter(path)(import_module(module))
    declared = {field for base in kind.__mro__ for field in getattr(base, "__annotations__", ())}
    assert hasattr(kind, name) or name in declared


def test_the_version_is_pinned() -> None:
    """Another version comes with a commit that has looked at this list."""
    pinned = re.search(
        r'"faststream\[redis\]==([\d.]+)"', (SHARED / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert pinned is not None
    assert pinned[1] == version("faststream")
