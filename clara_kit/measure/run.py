"""A recorded conversation: what came, what was decided, where it was played, and how to look at it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clara_kit.core.commands import Message, RequestReply
from clara_kit.core.errors import RunLogError
from clara_kit.core.events import Event, Usage
from clara_kit.core.page import Figure, Html, escape, table
from clara_kit.core.records import Record
from clara_kit.core.settings import Mode, Settings
from clara_kit.measure import codec
from clara_kit.measure.ledger import POINTS, STAGE_LABELS, STAGES, Turn, turns

if TYPE_CHECKING:
    import polars as pl

SERVICES = ("stt", "llm", "tts", "avatar")
WORDS_FILE = "customer_words.json"


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
        """What stood behind each service: live, twin or sim."""
        return dict(self.inputs["modes"])

    @property
    def mix(self) -> str:
        """The modes in words, for every table and plot; a number of a simulated service is no vendor's."""
        modes = self.modes
        if len(set(modes.values())) == 1:
            return {"sim": "simulated", "twin": "offline twins", "live": "live"}[next(iter(modes.values()))]
        return ", ".join(f"{service} {mode}" for service, mode in modes.items())

    @property
    def settings(self) -> Settings:
        """The settings it was run with."""
        return Settings.model_validate(self.inputs["settings"])

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
        """One row a turn. Times and stages in milliseconds; null where an event never came (see `problem`).

        Tokens and cost are of all requests of the turn, also of those that broke off or were dropped; of these the
        output is estimated by the text that came (`output_estimated`), and nothing is known where none had begun.
        """
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
        return json.dumps(head, ensure_ascii=False, sort_keys=True) + "\n" + codec.to_jsonl(self.trace)

    @classmethod
    def from_jsonl(cls, text: str) -> Run:
        """What `to_jsonl` wrote; raises `RunLogError` naming the line."""
        lines = text.splitlines()
        head = _parse(lines[0] if lines else "", 1)
        if head.get("type") != "Run" or "inputs" not in head:
            raise RunLogError("The first line is not the head of a run.", hint="was the file cut or edited?")
        return cls(inputs=head["inputs"], trace=_records(head, lines[1:], first=2))

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """A run from its folder (`manifest.json`, `events.jsonl`) or from a single file of `to_jsonl`.

        A last line cut short by a crash is passed over; anything else that cannot be read raises `RunLogError`.
        """
        path = Path(path)
        try:
            if not path.is_dir():
                return cls.from_jsonl(path.read_text(encoding="utf-8"))
            manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
            lines = (path / "events.jsonl").read_text(encoding="utf-8").split("\n")
            words_file = path / WORDS_FILE
            words = json.loads(words_file.read_text(encoding="utf-8")) if words_file.exists() else {}
        except (OSError, json.JSONDecodeError) as exc:
            raise RunLogError(f"There is no readable run at {path}: {exc}") from exc
        trace = _records(manifest, lines[:-1], first=1)  # a line counts once its newline is there
        return cls(inputs=manifest["inputs"], facts=manifest["facts"], folder=path, words=words, trace=trace)

    def _repr_html_(self) -> str:
        return _conversation_html(self)

    def __repr__(self) -> str:
        return f"<Run {self.run_id}: {len(self.ledger)} turns, {len(self.trace)} records, {self.mix}>"


def experiment_id(inputs: dict[str, Any]) -> str:
    """The first 12 hex digits of the SHA-256 of the inputs as sorted JSON."""
    return sha256(json.dumps(inputs, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def _records(head: dict[str, Any], lines: list[str], *, first: int) -> tuple[Record, ...]:
    """The records of a log's lines; where the log is compact, each request gets its history back."""
    if head.get("schema", 0) > codec.SCHEMA:
        raise RunLogError(f"This run has event schema {head['schema']}; this version reads up to {codec.SCHEMA}.")
    said: tuple[Message, ...] = ()
    trace: list[Record] = []
    for number, line in enumerate(lines, start=first):
        try:
            trace += codec.from_log(line, said)
        except RunLogError as exc:
            raise RunLogError(f"Line {number}: {exc.message}", hint=exc.hint) from exc
        if type(trace[-1]) is RequestReply:
            said = trace[-1].messages
    return tuple(trace)


def _parse(line: str, number: int) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as exc:
        raise RunLogError(f"Line {number} is not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise RunLogError(f"Line {number} is no JSON object.")
    return data


_LATENCIES = ("stt_latency", "llm_latency", "tts_latency", "total_latency")
_COLUMNS = {
    "turn": "Int64", "kind": "Utf8", "customer": "Utf8", "clara": "Utf8", "interrupted": "Boolean", "heard": "Utf8",
    "unheard": "Utf8", **dict.fromkeys(("total_ms", *STAGE_LABELS, *POINTS, *_LATENCIES), "Float64"),
    "requests": "Int64", "model": "Utf8", "input_tokens": "Int64", "output_tokens": "Int64", "cost_usd": "Float64",
    "cache_read_tokens": "Int64", "cache_write_tokens": "Int64", "output_estimated": "Boolean",
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
    )
    return table(rows, ("turn", "customer", "Clara", "time"), caption)
