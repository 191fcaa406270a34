"""YAML broken in every way: each node deleted, doubled, replaced by what is not its kind."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from infra.places.source import YAML_1_1

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
TAG = "tag:yaml.org,2002:"
Place = tuple[int, ...]
"""The way from the root to a node: at each step the number of the child, keys and values alike."""


def compose(text: str) -> Node:
    """Return YAML as nodes, new ones each time."""
    return cast("Node", yaml.compose(text, Loader=YAML_1_1))


def serialize(root: Node) -> str:
    """Return nodes as YAML."""
    return str(yaml.serialize(root, Dumper=DUMPER, allow_unicode=True))


def scalar(text: str, kind: str = "str", style: str | None = None) -> Callable[[Node], Node]:
    """Return a mutation that puts a single value in a node's place."""
    tag = kind if kind.startswith("!") or ":" in kind else f"{TAG}{kind}"
    return lambda _: ScalarNode(tag, text, style=style)


def sequence(*items: Node) -> SequenceNode:
    """Return a list."""
    return SequenceNode(f"{TAG}seq", list(items))


def mapping(*pairs: tuple[Node, Node]) -> MappingNode:
    """Return a mapping."""
    return MappingNode(f"{TAG}map", list(pairs))


def word(text: str) -> ScalarNode:
    """Return a word."""
    return ScalarNode(f"{TAG}str", text)


def deep(node: Node) -> Node:
    """Return a node inside of two hundred lists."""
    for _ in range(200):
        node = sequence(node)
    return node


def looped(_: Node) -> Node:
    """Return a mapping that merges itself and holds itself."""
    loop = mapping()
    loop.value += [(ScalarNode(f"{TAG}merge", "<<"), loop), (word("name"), loop)]
    return loop


def merged(node: Node) -> Node:
    """Return a mapping that merges what was there."""
    return mapping((ScalarNode(f"{TAG}merge", "<<"), node), (word("name"), word("other")))


REPLACED: dict[str, Callable[[Node], Node]] = {
    "nothing": scalar("", "null", ""),
    "a tilde": scalar("~", "null"),
    "null": scalar("null", "null"),
    "no text": scalar("", "str", '"'),
    "a space": scalar(" ", "str", '"'),
    "true": scalar("true", "bool"),
    "on": scalar("on", "bool"),
    "zero": scalar("0", "int"),
    "minus one": scalar("-1", "int"),
    "a huge number": scalar("9" * 5000, "int"),
    "an octal number": scalar("0777", "int"),
    "base sixty": scalar("22:22", "int"),
    "a fraction": scalar("1e400", "float"),
    "not a number": scalar(".nan", "float"),
    "a date": scalar("2026-01-31", "timestamp"),
    "unicode": scalar("привет 🚀 שלום"),
    "a combining name": scalar("e\u0301\u202e\ufeff"),
    "lines": scalar("a\n\nb: c\n- d", "str", "|"),
    "a reference": scalar("self.port"),
    "a path": scalar("../../../etc/passwd"),
    "a template": scalar("{{ 7 * 7 }} ${HOME} $$ %s"),
    "large": scalar("a" * 100_000),
    "bytes": scalar("aGk=", "binary"),
    "a number's tag": scalar("x", "int"),
    "a Python object": scalar("os.system", "tag:yaml.org,2002:python/name:os.system"),
    "a tag of its own": scalar("x", "!mine"),
    "an empty list": lambda _: sequence(),
    "an empty mapping": lambda _: mapping(),
    "a list of nothing": lambda _: sequence(ScalarNode(f"{TAG}null", "")),
    "a list of itself": lambda node: sequence(node, node),
    "a mapping of itself": lambda node: mapping((word("name"), node)),
    "a key that is a list": lambda node: mapping((sequence(word("a")), node)),
    "a set": lambda node: MappingNode(f"{TAG}set", [(word("a"), node)]),
    "many": lambda node: sequence(*[node] * 500),
    "deep": deep,
    "a loop": looped,
    "a merge": merged,
}
REMOVED = ("delete", "double")


def children(node: Node) -> list[Node]:
    """Return the nodes right below one."""
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def places(node: Node, here: Place = ()) -> Iterator[Place]:
    """Yield the place of every node; what is written once and meant twice is two."""
    yield here
    for number, child in enumerate(children(node)):
        yield from places(child, (*here, number))


def mutate(text: str, place: Place, how: str) -> str:
    """Return YAML with one thing done to one place."""
    root = compose(text)
    if not place:
        return serialize(REPLACED[how](root) if how in REPLACED else root)
    *way, last = place
    parent = root
    for step in way:
        parent = children(parent)[step]
    at, side = divmod(last, 2) if isinstance(parent, MappingNode) else (last, None)
    if how == "delete":
        del parent.value[at]
    elif how == "double":
        parent.value.insert(at, copy.deepcopy(parent.value[at]))
    elif side is None:
        parent.value[at] = REPLACED[how](parent.value[at])
    else:
        pair = list(parent.value[at])
        pair[side] = REPLACED[how](pair[side])
        parent.value[at] = tuple(pair)
    return serialize(root)


def spread(text: str, count: int) -> Sequence[tuple[Place, str]]:
    """Return so many mutations of all that there are, spread evenly and the same every time."""
    every = [(place, how) for place in places(compose(text)) for how in (*REPLACED, *REMOVED)]
    return [every[number * len(every) // count] for number in range(count)]
