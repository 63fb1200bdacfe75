"""The shapes of wire messages, and how two takes of the same talk differ. Pure; never holds a content.

Comes after `wire.py`, which sees the messages. Of a message there remain its kind, the names and types of its
fields and when it passed. A field that is a list is named `words[].start`, one in an object `error.message`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Way = Literal["sent", "received"]
Sort = tuple[str, Way, str]  # vendor, way and kind: what makes two messages the same sort of message

_NAME = re.compile(r"[A-Za-z_][\w.\-]{0,59}")
_DEEPEST = 12
_TYPES = {bool: "bool", int: "number", float: "number", str: "text", list: "list", type(None): "null"}


class WireMessage(NamedTuple):
    """One message that passed. `at_ms` is on any clock that both ways share; fields are (path, type)."""

    vendor: str
    at_ms: float
    way: Way
    kind: str
    fields: tuple[tuple[str, str], ...] = ()


class Difference(NamedTuple):
    """A message, or with `field` a part of it, that differs. verdict: missing live, missing in twin, or type differs."""

    vendor: str
    way: Way
    kind: str
    field: str
    verdict: str
    live: str
    twin: str


@dataclass(slots=True)
class Seen:
    """What one side saw of a sort of message: how many, the first in ms from its vendor's first, types by path.

    The path "" is the message itself, of type "yes".
    """

    first_ms: float | None = None
    count: int = 0
    fields: dict[str, set[str]] = field(default_factory=dict)


Pair = tuple[Sort, Seen, Seen]
"""A sort of message as live saw it, and as the twin did."""


def kind_of(value: Any, otherwise: str) -> str:
    """The message's own type where it names one that can be no content, else `otherwise`."""
    named = value.get("type") if isinstance(value, dict) else None
    return named if isinstance(named, str) and _NAME.fullmatch(named) else otherwise


def fields_of(value: Any) -> tuple[tuple[str, str], ...]:
    """Paths and types of all parts of a JSON value, sorted; contents are not kept."""
    return tuple(sorted(set(_walk(value, "", _DEEPEST))))


def _walk(value: Any, path: str, deeper: int) -> Iterator[tuple[str, str]]:
    if path:
        yield path, _TYPES.get(type(value), "object")
    parts = [(f"{path}[]", part) for part in value] if isinstance(value, list) else []
    if isinstance(value, dict):
        names = ((name if _NAME.fullmatch(name) else "(other)", part) for name, part in value.items())
        parts = [(f"{path}.{name}".lstrip("."), part) for name, part in names]
    for inner, part in parts if deeper else ():
        yield from _walk(part, inner, deeper - 1)


def side_by_side(live: Iterable[WireMessage], twin: Iterable[WireMessage]) -> tuple[Pair, ...]:
    """Each sort of message once, vendor by vendor, in live's order."""
    here, there = _sorts(live), _sorts(twin)
    order = sorted(dict.fromkeys((*here, *there)), key=lambda sort: sort[0])  # stable: in a vendor it stays
    return tuple((sort, here.get(sort, Seen()), there.get(sort, Seen())) for sort in order)


def _sorts(messages: Iterable[WireMessage]) -> dict[Sort, Seen]:
    began_ms: dict[str, float] = {}
    sorts: dict[Sort, Seen] = {}
    for m in sorted(messages, key=lambda m: m.at_ms):
        after_ms = m.at_ms - began_ms.setdefault(m.vendor, m.at_ms)
        seen = sorts.setdefault((m.vendor, m.way, m.kind), Seen(after_ms))
        seen.count += 1
        for path, kind in (("", "yes"), *m.fields):
            seen.fields.setdefault(path, set()).add(kind)
    return sorts


def compare(pairs: Iterable[Pair]) -> tuple[Difference, ...]:
    """What is missing on one side, or of another type. A field that may be null is no other type."""
    out: list[Difference] = []
    for sort, live, twin in pairs:
        a, b = live.fields, twin.fields
        for path in sorted({*a, *b}):
            one, other = a.get(path, set()), b.get(path, set())
            known, mirrored = one - {"null"}, other - {"null"}
            alike = one and other and (known == mirrored or not known or not mirrored)
            if alike or _out_of_sight(path, a) or _out_of_sight(path, b):
                continue
            types = " or ".join(sorted(one)), " or ".join(sorted(other))
            verdict = "type differs" if all(types) else "missing in twin" if one else "missing live"
            out.append(Difference(*sort, path, verdict, *types))
    return tuple(out)


def _out_of_sight(path: str, fields: dict[str, set[str]]) -> bool:
    """Whether it could not show here: what holds it is missing (told once), null, or an empty list."""
    if path in fields or not path:
        return False
    return path.endswith("[]") or not fields.get(path.rpartition(".")[0], set()) - {"null"}
