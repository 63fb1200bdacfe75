"""The trace as text and back: one JSON object a line, keys in a fixed order, equal records to equal bytes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from clara_kit.core import commands, events, records
from clara_kit.core.errors import RunLogError
from clara_kit.core.records import Record

SCHEMA = 1
"""Version of the events' shape; a reader refuses what is newer than itself."""

_RECORDS: tuple[type, ...] = (records.StateChanged, records.Ignored, records.HeardEstimated)
_ALL: tuple[type, ...] = (*events.Event.__subclasses__(), *commands.Command.__subclasses__(), *_RECORDS)
TYPES: dict[str, type] = {cls.__name__: cls for cls in _ALL}
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(reduce(or_, _ALL))


def to_dict(record: Record) -> dict[str, Any]:
    """A record as plain data: `type` first, then `at_ms`, then its own fields."""
    plain: dict[str, Any] = msgspec.to_builtins(record, builtin_types=())
    return plain


def to_line(record: Record) -> str:
    """A record as one line of JSON, without the newline."""
    return _encoder.encode(record).decode()


def to_jsonl(trace: Iterable[Record]) -> str:
    """All records, one a line."""
    return _encoder.encode_lines(trace).decode()


def from_line(line: str | bytes) -> Record:
    """The record that `to_line` wrote; raises `RunLogError` for anything else."""
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError as exc:
        raise RunLogError(f"This is no record: {exc}.", hint="was it recorded by a newer version?") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RunLogError(f"This is not JSON: {exc}.", hint="was the file cut or edited?") from exc


def from_dict(data: dict[str, Any]) -> Record:
    """The record that `to_dict` wrote; raises `RunLogError` for anything else."""
    return from_line(_encoder.encode(data))
