"""The trace as text and back: one JSON object a line, keys in a fixed order, equal records to equal bytes.

On disk a run is compact: what has its usual value is left out; deltas that were written down together share a line, their
times and texts as lists; and a request holds of its history only what the request before it did not have (`keeps`: with
how many of the former messages it begins, `skips`: after how many).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from itertools import takewhile
from operator import or_
from typing import Any, NoReturn

import msgspec

from clara_kit.core import commands, events, records
from clara_kit.core.commands import Message
from clara_kit.core.errors import RunLogError
from clara_kit.core.profile import fill
from clara_kit.core.records import Record
from clara_kit.core.text import whole

CUT = "was the file cut or edited? A copy of it may be whole."
SCHEMA = 1
"""Version of the events' shape; a reader refuses what is newer than itself."""

_RECORDS: tuple[type, ...] = (records.StateChanged, records.Ignored, records.HeardEstimated)
_ALL: tuple[type, ...] = (*events.Event.__subclasses__(), *commands.Command.__subclasses__(), *_RECORDS)
TYPES: dict[str, type] = {cls.__name__: cls for cls in _ALL}
_PLAIN = frozenset((str, float, int, bool))
_encoder = msgspec.json.Encoder()
FARTHEST = 1e12  # milliseconds of thirty years; also more than any count, and what every table and picture can hold
_FAR = re.compile(r"\d{10}|\d[eE]")
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(reduce(or_, _ALL))


def to_dict(record: Record) -> dict[str, Any]:
    """A record as plain data: `type` first, then `at_ms`, then its own fields."""
    plain: dict[str, Any] = msgspec.to_builtins(record, builtin_types=())
    return plain


def to_line(record: Record) -> str:
    """A record as one line of JSON, without the newline."""
    return _lines((record,))[:-1]


def to_jsonl(trace: Iterable[Record]) -> str:
    """All records, one a line."""
    return _lines(tuple(trace))


def to_log(trace: Iterable[Record], said: tuple[Message, ...] = ()) -> str:
    """Records as a run's log has them. `said`: the messages of the last request before them."""
    lines: list[dict[str, Any]] = []
    plain: dict[str, Any] = {}
    for record in trace:
        if type(record) is events.ReplyDelta:
            if plain.get("type") != "ReplyDelta" or plain["reply_id"] != record.reply_id:
                lines.append(plain := {"type": "ReplyDelta", "at_ms": [], "reply_id": record.reply_id, "text": []})
            plain["at_ms"].append(record.at_ms)
            plain["text"].append(record.text)
            continue
        lines.append(plain := {"type": type(record).__name__})
        for name, usual in _fields(type(record)):
            value = getattr(record, name)
            if value == usual:
                continue
            if name == "messages" and type(record) is commands.RequestReply:  # whoever reads builds on requests alone
                plain["skips"], plain["keeps"] = _shared(said, value)
                said, value = value, value[plain["keeps"] :]
            plain[name] = value if type(value) in _PLAIN else _unusual(value)
    return _lines(lines)


def _lines(records: Any) -> str:
    """One JSON object a line; what a decision of one's own wrote in half characters is made whole."""
    try:
        return _encoder.encode_lines(records).decode()
    except UnicodeEncodeError:
        return _encoder.encode_lines(whole(records)).decode()


def _unusual(value: Any) -> Any:
    """Plain data without what has its usual value; what is no record's part is plain already."""
    if isinstance(value, msgspec.Struct):
        parts = ((name, getattr(value, name), usual) for name, usual in _fields(type(value)))
        return {name: part for name, part, usual in parts if part != usual}
    return [_unusual(part) for part in value] if type(value) is tuple else value


@cache
def _fields(cls: type) -> tuple[tuple[str, Any], ...]:
    """The fields of a record, each with the value that it may be left out with."""
    return tuple((f.name, f.default) for f in msgspec.structs.fields(cls))


def _shared(before: tuple[Message, ...], now: tuple[Message, ...]) -> tuple[int, int]:
    """After how many of the former messages the new ones begin, and how many are the same."""
    if not now or now[0] not in before:
        return 0, 0
    skips = before.index(now[0])
    pairs = zip(before[skips:], now, strict=False)
    return skips, sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1] or pair[0] == pair[1], pairs))


def from_line(line: str | bytes) -> Record:
    """The record that `to_line` wrote; raises `RunLogError` for anything else."""
    try:
        record = _decoder.decode(line)
    except msgspec.ValidationError as exc:
        raise RunLogError(f"This is no record: {exc}.", hint="was it recorded by a newer version?") from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise RunLogError(f"This is not JSON: {exc}.", hint=CUT) from exc
    return record if _is_near(line) or _fits(record) else _out_of_range(record)


def _out_of_range(record: Record) -> NoReturn:
    raise RunLogError(f"This is no record: a number of {type(record).__name__} is out of range.", hint=CUT)


def _is_near(line: str | bytes) -> bool:
    """Whether no number in it can be far: one beyond a billion has ten digits, or an exponent. Nearly all lines are."""
    return type(line) is str and _FAR.search(line) is None


def _fits(value: Any) -> bool:
    """Whether every number in it is one that a conversation can have."""
    if isinstance(value, int | float):
        return -FARTHEST < value < FARTHEST
    if isinstance(value, msgspec.Struct):
        return all(_fits(getattr(value, name)) for name in value.__struct_fields__)
    return not isinstance(value, tuple) or all(map(_fits, value))


def from_log(line: str, said: tuple[Message, ...] = ()) -> list[Record]:
    """The records that `to_log` (or an older version, one a line) wrote; raises `RunLogError` for anything else.

    said: the messages of the last request before this line.
    """
    if '"keeps":' not in line and not line.startswith('{"type":"ReplyDelta","at_ms":['):
        return [from_line(line)]
    try:
        plain = msgspec.json.decode(line)
        if "keeps" in plain:
            skips, keeps = plain.pop("skips"), plain.pop("keeps")
            if not 0 <= skips <= skips + keeps <= len(said):
                raise ValueError("it builds on a request that is not there")
            plain["messages"] = [*msgspec.to_builtins(said[skips : skips + keeps]), *plain.get("messages", ())]
            return [from_dict(plain)]
        pairs = zip(plain["at_ms"], plain["text"], strict=True)
        told = [{**plain, "at_ms": at_ms, "text": text} for at_ms, text in pairs]
        deltas: list[Record] = [*msgspec.convert(told, list[events.ReplyDelta])]  # many, and all of one kind
        return deltas if _is_near(line) or all(map(_fits, deltas)) else _out_of_range(deltas[0])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise RunLogError(f"This is no record: {exc}.", hint=CUT) from exc


def from_dict(data: dict[str, Any]) -> Record:
    """The record that `to_dict` wrote; raises `RunLogError` for anything else."""
    return from_line(_encoder.encode(data))


def reveal(trace: Iterable[Record], words: Mapping[str, str]) -> tuple[Record, ...]:
    """The same records with the words in place of their placeholders. For eyes only: decisions know placeholders."""
    if not words:
        return tuple(trace)
    # Filled in the line of JSON: only in its texts can a placeholder stand.
    quoted = {name: _lines([word])[1:-2] for name, word in words.items()}
    return tuple(from_line(fill(to_line(record), quoted)) for record in trace)
