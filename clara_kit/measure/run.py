"""A recorded conversation: what came, what was decided, where it was played, and how to look at it."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clara_kit.core.commands import Message, RequestReply
from clara_kit.core.errors import ClaraError, RunLogError
from clara_kit.core.events import Event, Usage
from clara_kit.core.page import Figure, Html, escape, table
from clara_kit.core.records import Record
from clara_kit.core.settings import Mode, Settings
from clara_kit.core.text import whole
from clara_kit.measure import codec
from clara_kit.measure.ledger import POINTS, STAGE_LABELS, STAGES, Turn, turns

if TYPE_CHECKING:
    import polars as pl

SERVICES = ("stt", "llm", "tts", "avatar")
WORDS_FILE = "customer_words.json"

T = TypeVar("T")
_PARTS = ("inputs", "facts")
_BLANK = b" \t\r\0"  # a crash of the machine may leave NULs where a file had grown
_TOLD = 3  # lines that are named one by one
_KIND = re.compile(rf'\{{"type":"({"|".join(codec.TYPES)})"'.encode())
_WHERE = "give the folder of a run (data/runs/<run_id>), or a file that Run.to_jsonl() wrote."


@dataclass(frozen=True, kw_only=True)
class Run:
    """One conversation from beginning to end.

    `inputs` are what the outcome depends on (settings, script, profile, seed, prompt, data hashes, mode of
    each service); `experiment_id` is their hash. `facts` are what it does not depend on (title, time, host).
    """

    inputs: dict[str, Any]
    trace: tuple[Record, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    words: dict[str, str] = field(default_factory=dict, repr=False)
    """What the placeholders stand for, where that was kept; never part of `to_jsonl`."""
    problems: tuple[str, ...] = ()
    """What of it could not be read or was never written; empty where it is whole."""

    def revealed(self) -> Run:
        """The same run with the customer's words in place of the placeholders: for eyes, not for files."""
        return replace(self, trace=codec.reveal(self.trace, self.words)) if self.words else self

    @property
    def experiment_id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the inputs."""
        return experiment_id(self.inputs)

    @property
    def run_id(self) -> str:
        """The same as the experiment's for a simulation; with the start time for twin and live."""
        return str(self.facts.get("run_id", self.experiment_id))

    @property
    def modes(self) -> dict[str, Mode]:
        """What stood behind each service: live, twin or sim; empty where that is not known."""
        modes = self.inputs.get("modes")
        return {k: v for k, v in modes.items() if isinstance(v, str)} if isinstance(modes, dict) else {}  # type: ignore[misc]

    @property
    def mix(self) -> str:
        """The modes in words, for every table and plot; a number of a simulated service is no vendor's."""
        modes = self.modes
        if len(set(modes.values())) <= 1:
            of_all = next(iter(modes.values()), "unknown")
            return {"sim": "simulated", "twin": "offline twins"}.get(of_all, of_all)
        return ", ".join(f"{service} {mode}" for service, mode in modes.items())

    @property
    def settings(self) -> Settings:
        """The settings it was run with. Raises `RunLogError` where this version cannot have them."""
        hint = "`trace`, `turns` and `ledger` can be read; to decide it again, use the version that recorded it."
        settings = self.inputs.get("settings")
        if not isinstance(settings, dict):
            raise RunLogError("The settings of this run are not known.", hint=hint)
        try:
            return Settings.model_validate(settings)
        except (ClaraError, TypeError, ValueError) as exc:
            why = exc.message if isinstance(exc, ClaraError) else exc
            raise RunLogError(f"The settings of this run are none of this version: {why}", hint=hint) from exc

    @property
    def sound_from_ms(self) -> float:
        """Where its recording begins, on the conversation's clock."""
        ms = self.facts.get("sound_from_ms")
        return float(ms) if isinstance(ms, int | float) and abs(ms) < codec.FARTHEST else 0.0

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """What happened, in order, without the decisions (`trace` has both)."""
        return tuple(record for record in self.trace if isinstance(record, Event))

    @cached_property
    def ledger(self) -> tuple[Turn, ...]:
        """Where the milliseconds of each turn went."""
        return turns(self.trace)

    @cached_property
    def turns(self) -> pl.DataFrame:
        """One row a turn. Times and stages in milliseconds; null where an event never came (see `problem`)."""
        import polars as pl

        schema = {name: getattr(pl, kind) for name, kind in _COLUMNS.items()}
        return pl.DataFrame([_row(turn, self.mix) for turn in self.ledger], schema=schema)

    @cached_property
    def event_table(self) -> pl.DataFrame:
        """One row a record: number, time, type, and the record itself as JSON."""
        import polars as pl

        rows = [(n, r.at_ms, type(r).__name__, codec.to_line(r)) for n, r in enumerate(self.trace)]
        schema = {"n": pl.Int64, "at_ms": pl.Float64, "type": pl.Utf8, "record": pl.Utf8}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def to_jsonl(self) -> str:
        """The inputs and the whole trace, one JSON object a line. Equal runs give equal bytes."""
        head = {"type": "Run", "schema": codec.SCHEMA, "experiment_id": self.experiment_id, "inputs": self.inputs}
        return _json(head) + "\n" + codec.to_jsonl(self.trace)

    @classmethod
    def from_jsonl(cls, text: str) -> Run:
        """What `to_jsonl` wrote; where its end was cut, what is whole, and `problems` says so.

        Raises `RunLogError`, which names the line, for anything else.
        """
        return _of_lines(whole(text).encode())

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """A run from its folder (`manifest.json`, `events.jsonl`) or from a single file of `to_jsonl`.

        It opens with what is whole, and `problems` says what is not: lines that were cut or damaged, a manifest of another
        version. Raises `RunLogError` where nothing is whole, or a newer version wrote it.
        """
        path = Path(path)
        try:
            folder = path.is_dir()
        except (OSError, ValueError):  # not to be entered, or no path at all
            folder = False
        return _of_folder(path) if folder else _of_lines(_bytes(path))

    def _repr_html_(self) -> str:
        return _conversation_html(self)

    def __repr__(self) -> str:
        problems = f", not whole: {' '.join(self.problems)}" if self.problems else ""
        return f"<Run {self.run_id}: {len(self.ledger)} turns, {len(self.trace)} records, {self.mix}{problems}>"


def experiment_id(inputs: dict[str, Any]) -> str:
    """The first 12 hex digits of the SHA-256 of the inputs as sorted JSON."""
    return sha256(_json(inputs).encode()).hexdigest()[:12]


def _json(data: dict[str, Any]) -> str:
    return whole(json.dumps(data, ensure_ascii=False, sort_keys=True))


def _of_folder(path: Path) -> Run:
    """Each part by itself: what is wrong with one costs none of the others."""
    problems: list[str] = []
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as exc:
        raise RunLogError(f"There is no readable run at {path}: {exc.strerror}.", hint=_WHERE) from exc

    def part(name: str, read: Callable[[bytes], T], without: T) -> T:
        try:
            return read(_bytes(path / name))
        except RunLogError as exc:
            problems.append(f"{name}: {exc.message}")
            return without

    manifest: dict[str, Any] = part("manifest.json", _parse, {})
    _check_schema(manifest)
    inputs, facts = ({}, {"run_id": path.name}) if not manifest else (_part(manifest, n, problems) for n in _PARTS)
    if manifest and "ended" not in facts:
        problems.append("It has no end: it still runs, or the process that wrote it was stopped.")
    trace, damage, _ = _records(part("events.jsonl", lambda raw: raw.split(b"\n"), []), first=1)
    problems += [f"events.jsonl: {why}" for why in damage]
    if facts.get("records", len(trace)) != len(trace):
        problems.append(f"events.jsonl: {len(trace)} records can be read, {facts['records']} were written.")
    if not inputs and not trace:
        raise RunLogError(f"There is no readable run at {path}: {' '.join(problems)}", hint=_WHERE)
    kept: dict[str, Any] = part(WORDS_FILE, _parse, {}) if WORDS_FILE in names else {}
    words = {name: word for name, word in kept.items() if isinstance(word, str)}
    if len(words) < len(kept):
        problems.append(f"{WORDS_FILE}: some of it are no words.")
    return _checked(Run(inputs=inputs, facts=facts, trace=trace, folder=path, words=words), problems)


def _of_lines(raw: bytes) -> Run:
    first, *lines = raw.split(b"\n")
    try:
        head = _parse(first)
    except RunLogError as exc:
        raise RunLogError(f"Line 1: {exc.message}", hint=_WHERE) from exc
    if head.get("type") != "Run" or "inputs" not in head:
        raise RunLogError("The first line is not the head of a run.", hint=_WHERE)
    _check_schema(head)
    problems: list[str] = []
    inputs = _part(head, "inputs", problems)
    trace, damage, at_the_end = _records(lines, first=2)
    if not at_the_end:
        raise RunLogError(damage[0], hint="was the file edited? In a copy of it, delete what cannot be read.")
    return _checked(Run(inputs=inputs, trace=trace), problems + damage)


def _checked(run: Run, problems: list[str]) -> Run:
    """The run with its problems, those among them that would show only when it is looked at."""
    if not run.modes:
        problems.append("What stood behind each service is not known.")
    try:
        _ = run.settings
    except RunLogError as exc:
        problems.append(exc.message)
    return replace(run, problems=tuple(problems))


def _records(lines: list[bytes], *, first: int) -> tuple[tuple[Record, ...], list[str], bool]:
    """The records of a log's lines, what is wrong with the other lines, and whether all of those are at the end.

    Where the log is compact, each request gets its history back. What builds on a request that is lost is lost too.
    """
    said: tuple[Message, ...] = ()
    trace: list[Record] = []
    wrong: list[str] = []
    at_the_end = True
    for number, line in enumerate(lines, start=first):
        if not (line := line.strip(_BLANK)):
            continue
        try:
            fresh = codec.from_log(line.decode(), said)
        except (RunLogError, UnicodeDecodeError) as exc:
            wrong.append(
                f"Line {number}: {exc.message if isinstance(exc, RunLogError) else 'it is cut inside a letter.'}"
            )
            if b"RequestReply" in line or not _KIND.match(line):
                said = ()
            continue
        trace += fresh
        at_the_end = not wrong
        if fresh and type(fresh[-1]) is RequestReply:
            said = fresh[-1].messages
    if len(wrong) > _TOLD:
        wrong[_TOLD:] = [f"{len(wrong) - _TOLD} more lines cannot be read."]
    return tuple(trace), wrong, at_the_end


def _check_schema(head: dict[str, Any]) -> None:
    schema = head.get("schema", 0)
    if isinstance(schema, int | float) and schema > codec.SCHEMA:
        why = f"This run has event schema {schema}; this version reads up to {codec.SCHEMA}."
        raise RunLogError(why, hint="open it with the version of the kit that recorded it, or a newer one.")


def _part(head: dict[str, Any], name: str, problems: list[str]) -> dict[str, Any]:
    found = head.get(name)
    if isinstance(found, dict):
        return found
    problems.append(f"Its {name} are missing." if found is None else f"Its {name} are no JSON object.")
    return {}


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise RunLogError(f"{path.name} is no file.", hint=_WHERE)
        return path.read_bytes().removeprefix(BOM_UTF8)
    except (OSError, ValueError) as exc:  # a path may be none
        why = getattr(exc, "strerror", None) or exc
        raise RunLogError(f"There is no readable run at {path}: {why}.", hint=_WHERE) from exc


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        data = whole(json.loads(raw.strip(_BLANK + b"\n")))
    except (ValueError, RecursionError) as exc:
        raise RunLogError(f"This is not JSON: {exc}.", hint=codec.CUT) from exc
    if not isinstance(data, dict):
        raise RunLogError("This is no JSON object.", hint=codec.CUT)
    return data


_LATENCIES = ("stt_latency", "llm_latency", "tts_latency", "total_latency")
_COLUMNS = {
    "turn": "Int64", "kind": "Utf8", "customer": "Utf8", "clara": "Utf8", "interrupted": "Boolean", "heard": "Utf8",
    "unheard": "Utf8", **dict.fromkeys(("total_ms", *STAGE_LABELS, *POINTS, *_LATENCIES), "Float64"),
    "requests": "Int64", "model": "Utf8", "input_tokens": "Int64", "output_tokens": "Int64", "cost_usd": "Float64",
    "problem": "Utf8", "mix": "Utf8",
}  # fmt: skip


def _row(turn: Turn, mix: str) -> dict[str, Any]:
    metrics, usage = turn.metrics, turn.usage
    times = {"total_ms": turn.total_ms, **{p: turn.points.get(p) for p in POINTS}}
    times |= {label: turn.stages.get(stage) for label, stage in zip(STAGE_LABELS, STAGES, strict=True)}
    times |= {name: getattr(metrics, name) for name in _LATENCIES}
    found = {
        "turn": turn.turn_id,
        "heard": turn.clara if turn.heard is None else turn.heard,
        "mix": mix,
        **{name: None if ms is None else round(ms, 3) for name, ms in times.items()},
    }
    return {
        name: found[name] if name in found else getattr(usage if name in Usage.__struct_fields__ else turn, name, None)
        for name in _COLUMNS
    }


def _conversation_html(run: Run) -> str:
    """The conversation as a table: who said what, what went unheard, how long it took."""
    rows = []
    for turn in run.ledger:
        heard = escape(turn.clara if turn.heard is None else turn.heard)
        unheard = f" <s style='opacity:.6'>{escape(turn.unheard)}</s>" if turn.unheard else ""
        problem = f"<br><small>{escape(turn.problem)}</small>" if turn.problem else ""
        time = Figure("" if turn.total_ms is None else f"{turn.total_ms:.0f} ms")
        asked = turn.customer or Html("<i>(greeting)</i>")
        rows.append((turn.turn_id, asked, Html(f"{heard}{unheard}{problem}"), time))
    caption = (
        f"Conversation {run.run_id} ({run.mix}). Struck through: never heard. "
        "Time: from the customer's last word to Clara's first."
        + "".join(f" Not whole: {problem}" for problem in run.problems)
    )
    return table(rows, ("turn", "customer", "Clara", "time"), caption)
