"""The shapes of wire messages, and how two takes of the same talk differ. Pure; never holds a content.

Comes after `wire_tap.py`, which sees the messages. Of a message there remain its kind, the names and types of
its fields and when it passed. A field that is a list is named `words[].start`, one in an object `error.message`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Way = Literal["sent", "received"]
Verdict = Literal["missing in twin", "missing live", "type differs"]
Key = tuple[str, Way, str]

_NAME = re.compile(r"[A-Za-z_][\w.\-]{0,59}")
_DEEPEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WireMessage:
    """One message that passed. `at_ms` counts from when the tap was opened; fields are (path, type)."""

    vendor: str
    at_ms: float
    way: Way
    kind: str
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> Key:
        """What makes two messages the same sort of message."""
        return self.vendor, self.way, self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A message, or with `field` a part of it, that is not the same on both sides."""

    vendor: str
    way: Way
    kind: str
    field: str
    verdict: Verdict
    live: str
    twin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The nth sort of message of a vendor: how many passed and when the first did, on each side."""

    vendor: str
    way: Way
    kind: str
    live_count: int
    twin_count: int
    live_first_ms: float | None
    twin_first_ms: float | None


def kind_of(value: Any, otherwise: str) -> str:
    """The message's own type where it names one that can be no content, else `otherwise`."""
    named = value.get("type") if isinstance(value, dict) else None
    return named if isinstance(named, str) and _NAME.fullmatch(named) else otherwise


def fields_of(value: Any) -> tuple[tuple[str, str], ...]:
    """Paths and types of all parts of a JSON value, sorted; contents are not kept."""
    found: set[tuple[str, str]] = set()
    _walk(value, "", found, 0)
    return tuple(sorted(found))


def _walk(value: Any, path: str, found: set[tuple[str, str]], depth: int) -> None:
    if path:
        found.add((path, _type(value)))
    if depth >= _DEEPEST:
        return
    if isinstance(value, dict):
        for name, part in value.items():
            safe = name if isinstance(name, str) and _NAME.fullmatch(name) else "(other)"
            _walk(part, f"{path}.{safe}" if path else safe, found, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _walk(part, f"{path}[]", found, depth + 1)


def _type(value: Any) -> str:
    if value is None:
        return "null"
    for kinds, name in ((bool, "bool"), ((int, float), "number"), (str, "text"), (list, "list")):
        if isinstance(value, kinds):
            return name
    return "object"


def compare(live: Iterable[WireMessage], twin: Iterable[WireMessage]) -> tuple[Difference, ...]:
    """What is missing on one side, or of another type. A field that may be null is no other type."""
    here, there = _shapes(live), _shapes(twin)
    out: list[Difference] = []
    for key in dict.fromkeys((*here, *there)):
        a, b = here.get(key), there.get(key)
        if a is None or b is None:
            out.append(_difference(key, "", "yes" if a is not None else "", "yes" if b is not None else ""))
            continue
        for path in sorted(set(a) | set(b)):
            one, other = a.get(path, frozenset()), b.get(path, frozenset())
            known, mirrored = one - {"null"}, other - {"null"}
            if one and other and (known == mirrored or not known or not mirrored):
                continue
            if not (_under_missing(path, a) or _under_missing(path, b)):
                out.append(_difference(key, path, _types(one), _types(other)))
    return tuple(out)


def _under_missing(path: str, shape: dict[str, frozenset[str]]) -> bool:
    """Whether a field could not show here: its parent is missing (told once), null, or an empty list."""
    if path in shape:
        return False
    if path.endswith("[]"):
        return True
    parent = path.rpartition(".")[0]
    return bool(parent) and shape.get(parent, frozenset()) <= {"null"}


def _difference(key: Key, path: str, live: str, twin: str) -> Difference:
    verdict: Verdict = "missing live" if not live else "missing in twin" if not twin else "type differs"
    vendor, way, kind = key
    return Difference(vendor=vendor, way=way, kind=kind, field=path, verdict=verdict, live=live, twin=twin)


def _types(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))


def _shapes(messages: Iterable[WireMessage]) -> dict[Key, dict[str, frozenset[str]]]:
    shapes: dict[Key, dict[str, frozenset[str]]] = {}
    for message in messages:
        shape = shapes.setdefault(message.key, {})
        for path, kind in message.fields:
            shape[path] = shape.get(path, frozenset()) | {kind}
    return shapes


def side_by_side(live: Iterable[WireMessage], twin: Iterable[WireMessage]) -> tuple[Row, ...]:
    """Each sort of message once, in live's order; times count from each vendor's first message."""
    here, there = _firsts(live), _firsts(twin)
    order = sorted(dict.fromkeys((*here, *there)), key=lambda k: k[0])  # stable: keeps the order in a vendor
    return tuple(
        Row(
            vendor=key[0],
            way=key[1],
            kind=key[2],
            live_count=here.get(key, (0, None))[0],
            twin_count=there.get(key, (0, None))[0],
            live_first_ms=here.get(key, (0, None))[1],
            twin_first_ms=there.get(key, (0, None))[1],
        )
        for key in order
    )


def _firsts(messages: Iterable[WireMessage]) -> dict[Key, tuple[int, float | None]]:
    began: dict[str, float] = {}
    firsts: dict[Key, tuple[int, float | None]] = {}
    for m in sorted(messages, key=lambda m: m.at_ms):
        zero = began.setdefault(m.vendor, m.at_ms)
        count, first = firsts.get(m.key, (0, m.at_ms - zero))
        firsts[m.key] = (count + 1, first)
    return firsts
