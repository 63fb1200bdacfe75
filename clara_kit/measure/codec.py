"""The trace as text and back: one JSON object a line, keys in a fixed order, equal records to equal bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from clara_kit.core import commands, events, records
from clara_kit.core.errors import RunLogError
from clara_kit.core.records import Record

SCHEMA = 1
"""Version of the events' shape; a reader refuses what is newer than itself."""


def _subclasses(base: type[Any]) -> dict[str, type[Any]]:
    found: list[type[Any]] = base.__subclasses__()
    return {cls.__name__: cls for cls in found}


_RECORDS: tuple[type, ...] = (records.StateChanged, records.Ignored, records.HeardEstimated)
TYPES: dict[str, type] = {
    **_subclasses(events.Event),
    **_subclasses(commands.Command),
    **{cls.__name__: cls for cls in _RECORDS},
}


def to_dict(record: Record) -> dict[str, Any]:
    """A record as plain data: `type` first, then `at_ms`, then its own fields."""
    return {"type": type(record).__name__, **_plain(record)}


def to_line(record: Record) -> str:
    """A record as one line of JSON, without the newline."""
    return json.dumps(to_dict(record), ensure_ascii=False, separators=(",", ":"))


def to_jsonl(trace: Iterable[Record]) -> str:
    """All records, one a line."""
    return "".join(f"{to_line(record)}\n" for record in trace)


def from_dict(data: dict[str, Any]) -> Record:
    """The record that `to_dict` wrote; raises `RunLogError` for anything else."""
    rest = dict(data)
    name = rest.pop("type", None)
    if name not in TYPES:
        raise RunLogError(
            f"There is no record type {name!r}.", hint="was this run recorded by a newer version?"
        )
    try:
        return _adapter(TYPES[name]).validate_python(rest)  # type: ignore[no-any-return]
    except ValidationError as exc:
        raise RunLogError(f"A {name} record is malformed: {exc.errors()[0]['msg']}.") from exc


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls))  # of a dataclass: the caller has looked


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _field_names(value.__class__)}
    return value
