"""A recorded conversation: what came, what was decided, where it was played, and how to look at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from clara_kit.core import commands as do
from clara_kit.core.errors import ClaraError, RunLogError
from clara_kit.core.events import Event, ServiceExchanged, SpeakingStarted, Usage
from clara_kit.core.page import Figure, Html, escape, table
from clara_kit.core.records import Record
from clara_kit.core.settings import Mode, Settings
from clara_kit.core.text import whole
from clara_kit.measure import codec, opening
from clara_kit.measure.interruptions import Interruption, interruptions
from clara_kit.measure.ledger import LABELS, POINTS, Turn, turns
from clara_kit.measure.opening import WORDS_FILE as WORDS_FILE

if TYPE_CHECKING:
    import polars as pl

SERVICES = ("stt", "llm", "tts", "avatar")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One conversation from beginning to end.

    `inputs` are what the outcome depends on (settings, script, profile, seed, prompt, data hashes, mode of
    each service); `experiment_id` is their hash. `facts` are what it does not depend on (title, time, host). What it shows:
    itself (who said what), `turns`, `ledger`, `interruptions` (each with its four times), `event_table`, `figures`.
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

    def shown(self) -> Run:
        """As it is shown: an invented customer has nothing to protect; a real one's words stay out of what a page may keep."""
        return self if self.of_a_person else self.revealed()

    @property
    def of_a_person(self) -> bool:
        """Whether a real shop told of its customer, or that is not known: the words behind the placeholders stay here."""
        exchanged = any(type(r) is ServiceExchanged and (r.service, r.mode) == ("shop", "live") for r in self.trace)
        return exchanged or self.modes.get("shop", "").startswith("live") or bool(self.words and not self.modes)

    @property
    def experiment_id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the inputs."""
        return experiment_id(self.inputs)

    @property
    def run_id(self) -> str:
        """The same as the experiment's for a simulation; with the start time for twin and live."""
        return str(self.facts.get("run_id") or self.experiment_id)

    @property
    def title(self) -> str:
        """What it is called, by who recorded it or by who gave it another title since; may be empty."""
        return str(self.facts.get("title") or "")

    @property
    def modes(self) -> dict[str, Mode]:
        """What stood behind each service: live, twin or sim; empty where that is not known."""
        modes = self.inputs.get("modes")
        return {k: v for k, v in modes.items() if isinstance(v, str)} if isinstance(modes, dict) else {}  # type: ignore[misc]

    @property
    def was_cut(self) -> bool:
        """It was read from a folder, and its end is not there: it still runs, or its process was stopped."""
        return self.folder is not None and "ended" not in self.facts

    @property
    def mix(self) -> str:
        """The modes in words, for every table and plot; a number of a simulated service is no vendor's."""
        modes: dict[str, str] = {**self.modes}
        standing: dict[str, str] = {}  # in another's place
        for record in self.trace:
            for service, mode in _STANDS[type(record)](record, standing) if type(record) in _STANDS else ():
                before = modes.get(service, "unknown")
                if before.split()[-1:] != [mode]:  # another key alone is no other mix
                    modes[service] = f"{before} then {mode}"
        return mix_of(modes)

    @cached_property
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

    @property
    def figures(self) -> dict[str, int | float | None]:
        """Turns, interruptions, and the median from the customer's last word to Clara's first sound (None: never), in ms."""
        waits = [turn.total_ms for turn in self.ledger if turn.kind != "greeting" and turn.total_ms is not None]
        return {
            "turns": len(self.ledger),
            "first_sound_ms": round(median(waits), 1) if waits else None,
            "interruptions": sum(turn.interrupted for turn in self.ledger),
        }

    @cached_property
    def turns(self) -> pl.DataFrame:
        """One row a turn. Times and stages in milliseconds; null where an event never came (see `problem`).

        Tokens and cost are of all requests of the turn, also of those that broke off or were dropped; of these the
        output is estimated by the text that came (`output_estimated`), and nothing is known where none had begun.
        """
        import polars as pl

        schema = {name: getattr(pl, kind) for name, kind in _COLUMNS.items()}
        rows = [_row(turn, mix_of({**self.modes, **turn.exchanged})) for turn in self.ledger]
        return pl.DataFrame(rows, schema=schema)

    @cached_property
    def interruptions(self) -> pl.DataFrame:
        """One row a sound that may have been an interruption (or words, typing, the button, where no sound came before).

        When, in ms: it was made (`sound_ms`), suspected, Clara's sound was lowered (`ducked_ms`), she yielded (the order to
        stop), the avatar acknowledged it, she was silent; or it was let go (`released_ms`). `silent_known`: whether that is
        known (a twin's or a simulated avatar's own word; the desk's page falls silent with the order, a little sooner) or
        estimated (a real one's viewer hears a little later). `resumed_ms`: no word came after she had yielded, and she went
        on. `outcome`: yielded, let go, backchannel, echo, Clara had ended, or open where it was never decided; `by` which
        policy, for what `reason`. `heard`, `unheard`: what of her words reached the ear, by estimate, `plus_minus_words`
        give or take.
        """
        import polars as pl

        schema = {name: getattr(pl, kind) for name, kind in _INTERRUPTION.items()}
        played, found = self.modes.get("avatar") in ("twin", "sim"), interruptions(self.trace)
        return pl.DataFrame([_interruption(one, played, self.mix) for one in found], schema=schema)

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
        return cls(**opening.of_lines(whole(text).encode()))._checked()

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """A run from its folder (`manifest.json`, `events.jsonl`) or from a single file of `to_jsonl`.

        It opens with what is whole, and `problems` says what is not: lines that were cut or damaged, a manifest of another
        version. Raises `RunLogError` where nothing is whole, or a newer version wrote it.
        """
        return cls(**opening.of_path(Path(path)))._checked()

    def _checked(self) -> Run:
        """With those of its problems that would show only when it is looked at."""
        more = [] if self.modes else ["What stood behind each service is not known."]
        try:
            _ = self.settings
        except RunLogError as exc:
            if "recording" not in self.inputs:  # a call that was only listened to has none
                more.append(exc.message)
        return replace(self, problems=(*self.problems, *more))

    def _repr_html_(self) -> str:
        return _conversation_html(self)

    def __repr__(self) -> str:
        problems = f", not whole: {' '.join(self.problems)}" if self.problems else ""
        return f"<Run {self.run_id}: {len(self.ledger)} turns, {len(self.trace)} records, {self.mix}{problems}>"


def mix_of(modes: Mapping[str, str]) -> str:
    """Modes in words. The backup's is the avatar's; where it answered, it stands for those whom it answered for."""
    modes = {service: mode for service, mode in modes.items() if service != "backup"}
    if len(set(modes.values())) <= 1:
        of_all = next(iter(modes.values()), "unknown")
        return {"sim": "simulated", "twin": "offline twins"}.get(of_all, of_all)
    return ", ".join(f"{service} {mode}" for service, mode in modes.items())


def experiment_id(inputs: dict[str, Any]) -> str:
    """The first 12 hex digits of the SHA-256 of the inputs as sorted JSON."""
    return sha256(_json(inputs).encode()).hexdigest()[:12]


def _json(data: dict[str, Any]) -> str:
    return whole(json.dumps(data, ensure_ascii=False, sort_keys=True))


def _switched(command: do.SwitchTo, standing: dict[str, str]) -> _Modes:
    """It tells of nothing yet: only what is heard of it does."""
    standing[command.service] = command.target
    return ()


def _asked_backup(command: do.AskBackup, standing: dict[str, str]) -> _Modes:
    """Nor does this, before its answer is heard."""
    standing[f"answer {command.utterance_id}"] = "llm stt" if command.heard else "llm"
    return ()


def _heard(event: SpeakingStarted, standing: dict[str, str]) -> _Modes:
    thinks = standing.get(f"answer {event.utterance_id}", "").split()
    return [*((service, "backup") for service in thinks), *(_spoke(event, standing) if thinks else ())]


def _spoke(_record: Record, standing: dict[str, str]) -> _Modes:
    return [(service, standing[service]) for service in ("tts", "avatar") if standing.get(service)]


_Modes = Iterable[tuple[str, str]]
_STANDS: dict[
    type, Callable[[Any, dict[str, str]], _Modes]
] = {  # what each record tells of what stands behind a service
    ServiceExchanged: lambda record, _: ((record.service, record.mode),),
    do.SwitchTo: _switched,
    do.AskBackup: _asked_backup,
    SpeakingStarted: _heard,
    do.Speak: _spoke,
    do.ShowText: _spoke,
}
_LATENCIES = ("stt_latency", "llm_latency", "tts_latency", "total_latency")
_COLUMNS = {
    "turn": "Int64", "kind": "Utf8", "customer": "Utf8", "clara": "Utf8", "interrupted": "Boolean", "heard": "Utf8",
    "unheard": "Utf8", **dict.fromkeys(("total_ms", "answer_ms", "longest_gap_ms", "held_on_ms", *LABELS.values(), *POINTS, *_LATENCIES), "Float64"),
    **dict.fromkeys(("asked_again", "shown", "kept"), "Boolean"), "opener": "Utf8",
    "requests": "Int64", "model": "Utf8", "input_tokens": "Int64", "output_tokens": "Int64", "cost_usd": "Float64",
    "cache_read_tokens": "Int64", "cache_write_tokens": "Int64", "output_estimated": "Boolean",
    "problem": "Utf8", "mix": "Utf8",
}  # fmt: skip

_INTERRUPTION = {
    "turn_id": "Int64", **dict.fromkeys(("sound_ms", "suspected_ms", "ducked_ms", "yielded_ms", "acknowledged_ms"), "Float64"),
    "silent_ms": "Float64", "silent_known": "Boolean", "released_ms": "Float64", "resumed_ms": "Float64", "outcome": "Utf8",
    "by": "Utf8", "reason": "Utf8", "heard": "Utf8", "unheard": "Utf8", "plus_minus_words": "Int64", "mix": "Utf8",
}  # fmt: skip


def _interruption(one: Interruption, played: bool, mix: str) -> dict[str, Any]:
    known = None if one.silent_ms is None else played and not one.silent_estimated
    found = {name: getattr(one, name, getattr(one.heard, name, None)) for name in _INTERRUPTION}
    return {**found, "silent_known": known, "heard": getattr(one.heard, "heard", None), "mix": mix}


def _row(turn: Turn, mix: str) -> dict[str, Any]:
    metrics, usage = turn.metrics, turn.usage
    alone = {
        "answer_ms": turn.answer_ms,
        "longest_gap_ms": max(turn.gaps_ms, default=None),
        "held_on_ms": turn.held_on_ms,
    }
    times = {"total_ms": turn.total_ms, **alone, **{p: turn.points.get(p) for p in POINTS}}
    times |= {label: turn.stages.get(stage) for stage, label in LABELS.items()}
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
        problem = "".join(f"<br><small>{escape(note)}</small>" for note in (*turn.notes, turn.problem) if note)
        time = Figure("" if turn.total_ms is None else f"{turn.total_ms:.0f}\u00a0ms")
        asked = turn.customer or Html("<i>(greeting)</i>")
        rows.append((turn.turn_id, asked, Html(f"{heard}{unheard}{problem}"), time))
    caption = (
        f"Conversation {run.run_id} ({run.mix}). Struck through: never heard. "
        "Time: from the customer's last word to Clara's first."
        + "".join(f" Not whole: {problem}" for problem in run.problems)
    )
    return table(rows, ("turn", "customer", "Clara", "time"), caption)
