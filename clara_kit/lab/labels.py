"""A person's judgement of a moment: «should not have stopped». Kept as a small case that can be decided again.

A case holds what a decision needs and no more: what Clara was saying, the customer's sounds and words with their times
(zero: Clara's first sound, or the end of the words that she answered), the label, and what the kit had decided. Words
are as a run's log has them: what the shop knows of a person stands there as a placeholder. Shipped ones lie in
`data/turns/cases.yml`, one's own in `data/turns/mine/cases.yml`, which is never tracked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import yaml

from clara_kit import data_files
from clara_kit.conversation.policies import Policies
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.page import table
from clara_kit.core.paths import DATA
from clara_kit.core.settings import Settings
from clara_kit.lab.judging import moved, played
from clara_kit.lab.overlaps import EARS, Case, Should, pieces
from clara_kit.lab.recorded import Recorded, Said
from clara_kit.measure.run import Run
from clara_kit.store import disk, locked
from clara_kit.turns import usual_policies

Label = Literal["should not have stopped", "should have stopped", "answered too early"]
LABELS: tuple[Label, ...] = get_args(Label)
_SHOULD: dict[Label, Should] = dict(zip(LABELS, ("go_on", "stop", "wait")))
Heard = ev.SpeechStarted | ev.SpeechEnded | ev.TranscriptInterim | ev.TranscriptFinal | ev.TextTyped

SHIPPED = DATA / "turns" / "cases.yml"
MINE = DATA / "turns" / "mine" / "cases.yml"
HINT = "each case has a label, what was said, and the customer's events; see data/turns/cases.yml."
AFTER_MS = 2500.0  # how long after the moment a case goes on: its words come late
OTHER_MS = 300.0  # a sound that begins later than this after the moment is another one
NEAR_MS = 5000.0  # a moment so long after the stop still means it
EARLY_MS = 500.0  # where the words that were answered too early begin
_SOON_MS = 500.0  # from an order to speak to the sound, where no sound came


class Labelled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One labelled moment. Times in ms from Clara's first sound, or from the end of the words that she answered."""

    label: Label
    run: str = ""
    moment_ms: float = 0.0
    decided: str = ""
    decided_ms: float | None = None
    said: str = ""
    lasts_ms: float = 0.0
    asked_ms: float | None = None  # None: the greeting
    text_ms: float | None = None  # when the first text of the answer came
    results_ms: float = 150.0  # how long the recogniser takes when it is hurried
    events: tuple[Heard, ...] = ()

    @property
    def begins_ms(self) -> float:
        """When the customer's first sound began."""
        told = [e for e in self.events if isinstance(e, ev.SpeechStarted | ev.TranscriptFinal)]
        sounds = (e.sound_at_ms if isinstance(e, ev.SpeechStarted) else e.speech_started_ms for e in told)
        return min(sounds, default=self.events[0].at_ms if self.events else self.moment_ms)

    @property
    def words(self) -> tuple[tuple[str, float, bool], ...]:
        """What was recognised, when it came, and whether it was final."""
        kinds = (ev.TranscriptInterim, ev.TranscriptFinal)
        return tuple((e.text, e.at_ms, isinstance(e, ev.TranscriptFinal)) for e in self.events if isinstance(e, kinds))

    @property
    def goes_on_ms(self) -> float | None:
        """When the customer went on after the words that Clara answered."""
        return next((e.sound_at_ms for e in self.events if isinstance(e, ev.SpeechStarted) and e.sound_at_ms >= 0), None)  # fmt: skip

    def case(self) -> Case | None:
        """The same moment as the explorer has its own; None where nothing was heard."""
        told = [e for e in self.events if isinstance(e, EARS)]
        if not told:
            return None
        finals = [e for e in told if isinstance(e, ev.TranscriptFinal)]
        ends = [e.sound_at_ms for e in told if isinstance(e, ev.SpeechEnded)] + [e.speech_ended_ms for e in finals]
        early = self.label == LABELS[2]
        # Where Clara answered too early she was silent before: the customer's words begin the case, half a second in.
        later_ms = EARLY_MS - self.begins_ms if early else 0.0
        return Case(
            kind="labelled", should=_SHOULD[self.label], clara=pieces(self.said), clara_ms=0.0 if early else self.lasts_ms,
            begins_ms=self.begins_ms + later_ms, ends_ms=max([*ends, self.begins_ms]) + later_ms,
            events=tuple(moved(event, later_ms) for event in self.events), results_ms=self.results_ms,
            text=" ".join(e.text for e in finals).strip(), asked_ms=-1000.0 if early else self.asked_ms,
            text_ms=-1000.0 if self.asked_ms is None else max(self.asked_ms, self.text_ms or self.asked_ms),
        )  # fmt: skip


class Judged(NamedTuple):
    """What the decisions make of a case: whether she stops (or, of «too early», answers before the customer goes on)."""

    stopped: bool
    at_ms: float | None
    right: bool


def judge(labelled: Labelled, settings: Settings, policies: Policies | None = None) -> Judged:
    """Decide a moment again, with these settings."""
    if (case := labelled.case()) is None:
        return Judged(False, None, labelled.label != "should have stopped")
    orders = ("ask",) if case.should == "wait" else ("stop", "drop")
    log = played(case, settings, policies)
    later_ms = case.begins_ms - labelled.begins_ms
    at_ms = next((round(at_ms - later_ms, 6) for what, at_ms, _ in log if what in orders), None)
    if case.should != "wait":
        return Judged(at_ms is not None, at_ms, (at_ms is not None) is (case.should == "stop"))
    until_ms = labelled.goes_on_ms
    if until_ms is None and labelled.decided_ms is not None:
        until_ms = labelled.decided_ms + 1
    late = at_ms is None or (until_ms is not None and at_ms >= until_ms)
    return Judged(not late, at_ms, late)


# --- a moment of a run becomes a case ------------------------------------------------------------------------


def case_of(run: Run, at_ms: float, label: Label) -> Labelled:
    """The moment of a run as a case. Raises `ClaraError` where Clara did nothing then that the label could mean."""
    if label not in LABELS:
        raise ClaraError(f"{label!r} is no label.", hint=f"use one of: {', '.join(LABELS)}.")
    recorded = Recorded(run)
    case = _too_early(recorded, at_ms) if label == "answered too early" else _stopped(recorded, at_ms, label)
    case = msgspec.structs.replace(case, run=run.run_id)
    if not run.words:
        return case
    # Also where somebody shows the words to themselves. Whole words only: «Ana» is no part of «mañana».
    names = {word: name for name, word in run.words.items()}
    words = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})(?!\w)")
    return msgspec.convert(_hidden(msgspec.to_builtins(case), words, names), Labelled)


def _hidden(plain: Any, words: re.Pattern[str], names: Mapping[str, str]) -> Any:
    """The same with placeholders in its texts."""
    if isinstance(plain, dict):
        return {key: _hidden(value, words, names) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [_hidden(one, words, names) for one in plain]
    return words.sub(lambda found: names[found.group()], plain) if isinstance(plain, str) else plain


def _stopped(recorded: Recorded, at_ms: float, label: Label) -> Labelled:
    def missed_ms(said: Said) -> float | None:
        """How far the moment is from what the label can mean of this utterance."""
        if label == "should not have stopped":
            stop = said.stopped
            return None if stop is None or stop.at_ms > at_ms + OTHER_MS else at_ms - stop.at_ms
        return None if said.pieces[0][1].at_ms > at_ms else at_ms - said.pieces[0][1].at_ms

    near = [(ms, who) for who, said in recorded.said.items() if (ms := missed_ms(said)) is not None]
    if not near or (label == "should not have stopped" and min(near)[0] > NEAR_MS):
        what = "was not stopped" if label == "should not have stopped" else "had not begun to speak"
        raise ClaraError(f"Clara {what} at this moment.", hint="go to the moment that you mean, or right after it.")
    said = recorded.said[min(near)[1]]
    texts, ordered, stop = [command.text for _, command in said.pieces], said.pieces[0][1], said.stopped
    started, whole, since_ms = said.first(ev.SpeakingStarted), " ".join(texts), ordered.at_ms
    zero_ms = ordered.at_ms + _SOON_MS if started is None else started.at_ms
    asked_ms = text_ms = None
    for reply in recorded.replies.values():  # the last that was asked for before it was said
        if reply.asked.turn_id == ordered.turn_id and reply.asked.at_ms <= ordered.at_ms:
            since_ms, first = (
                reply.asked.at_ms,
                next((e for _, e in reply.events if isinstance(e, ev.ReplyDelta)), None),
            )
            asked_ms, text_ms = _ms(since_ms - zero_ms), None if first is None else _ms(first.at_ms - zero_ms)
            if len(reply.text) > len(whole) and reply.text.startswith(texts[0]):
                whole = reply.text.strip()
    told_ms = max((e.audio_ms for _, e in said.events if isinstance(e, ev.SpeechVoiced)), default=0.0)
    moment_ms = stop.at_ms if stop is not None and label == "should not have stopped" else at_ms
    return Labelled(
        label=label, moment_ms=_ms(moment_ms - zero_ms), decided=f"stopped: {stop.reason}" if stop is not None else "went on",
        decided_ms=None if stop is None else _ms(stop.at_ms - zero_ms), said=whole, asked_ms=asked_ms, text_ms=text_ms,
        lasts_ms=_ms(max(told_ms, recorded.length(whole))), results_ms=_ms(recorded.results_ms or 150.0),
        events=_heard(recorded, since_ms, moment_ms, zero_ms),
    )  # fmt: skip


def _too_early(recorded: Recorded, at_ms: float) -> Labelled:
    asked = [r for r in recorded.replies.values() if r.asked.at_ms <= at_ms + OTHER_MS]
    if not asked:
        raise ClaraError("Clara had not begun to answer at this moment.", hint="go to the moment that you mean, or right after it.")  # fmt: skip
    reply = asked[-1]
    finals = [e for e, _ in recorded.steps[: reply.step + 1] if isinstance(e, ev.TranscriptFinal) and e.text]
    since_ms, zero_ms = reply.asked.at_ms - 100.0, reply.asked.at_ms
    if finals:
        since_ms, zero_ms = finals[-1].speech_started_ms - 100.0, finals[-1].speech_ended_ms
    return Labelled(
        label="answered too early", moment_ms=_ms(at_ms - zero_ms), decided=f"asked the model: {reply.asked.reason}",
        decided_ms=_ms(reply.asked.at_ms - zero_ms), results_ms=_ms(recorded.results_ms or 150.0),
        events=_heard(recorded, since_ms, reply.asked.at_ms, zero_ms, other_ms=2 * AFTER_MS),
    )  # fmt: skip


def _heard(
    recorded: Recorded, since_ms: float, moment_ms: float, zero_ms: float, other_ms: float = OTHER_MS
) -> tuple[Heard, ...]:
    """What was heard of the customer around a moment, without what belongs to another sound."""
    found: list[Heard] = []
    for event, _ in recorded.steps:
        if isinstance(event, Heard) and since_ms < event.at_ms <= moment_ms + AFTER_MS:
            if isinstance(event, ev.SpeechStarted) and event.sound_at_ms > moment_ms + other_ms:
                break
            found.append(moved(event, -zero_ms, digits=1))
    return tuple(found)


def _ms(ms: float) -> float:
    return round(ms, 1) + 0.0


# --- kept, listed, checked -----------------------------------------------------------------------------------


def read(path: Path) -> tuple[Labelled, ...]:
    """The cases of a file; none where there is none. Raises `ScriptError`."""
    if not path.is_file():
        return ()
    return data_files.built(path, lambda data: msgspec.convert(data or [], tuple[Labelled, ...]), HINT)


def labels(*, mine: bool = False) -> tuple[Labelled, ...]:
    """Every labelled case: the shipped ones, then one's own; `mine`: only these. Raises `ScriptError`."""
    return (() if mine else read(SHIPPED)) + read(MINE)


def keep(case: Labelled) -> Path:
    """Keep a case among one's own; returns their file. Raises `ClaraError`."""
    return _write(lambda cases: (*cases, case))


def undo() -> Labelled | None:
    """Forget the case that was kept last; returns it. Raises `ClaraError`."""
    last = read(MINE)[-1:]
    _write(lambda cases: cases[:-1])
    return last[0] if last else None


def written(cases: Iterable[Labelled]) -> str:
    """Cases as YAML."""
    plain = _without_usual(msgspec.to_builtins(list(cases)))
    head = "# Labelled moments; the last was kept last. Times in ms from Clara's first sound, or the end of the words she answered.\n"
    return head + yaml.safe_dump(plain, allow_unicode=True, sort_keys=False, default_flow_style=None, width=140)


def _without_usual(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {k: _without_usual(v) for k, v in plain.items() if (k, v) not in (("confidence", 1.0), ("words", []))}
    return [_without_usual(one) for one in plain] if isinstance(plain, list) else plain


def _write(change: Any) -> Path:
    path = MINE
    with disk(f"The case cannot be kept in {path.name}", "make room on the disk.", ClaraError), locked(path):
        (fresh := path.with_name(path.name + ".new")).write_text(written(change(read(path))), "utf-8")
        fresh.replace(path)
    return path


@dataclass(frozen=True, slots=True)
class Checked:
    """What settings make of labelled cases: each with what is decided now."""

    settings: Settings
    rows: tuple[tuple[Labelled, Judged], ...]

    @property
    def right(self) -> int:
        """How many come out as the person wants it."""
        return sum(judged.right for _, judged in self.rows)

    def __repr__(self) -> str:
        return f"<Checked: {self.right} of {len(self.rows)} labelled moments come out as wanted>"

    def _repr_html_(self) -> str:
        rows = [
            (case.label, case.said[:60], " ".join(w for w, _, final in case.words if final) or "(a sound)", case.decided, judged.at_ms, judged.right)
            for case, judged in self.rows
        ]  # fmt: skip
        return table(rows, ("wanted", "Clara was saying", "customer", "recorded", "now at, ms", "right"), repr(self)[1:-1])  # fmt: skip


def check_labels(
    settings: Settings, cases: Iterable[Labelled] | None = None, policies: Policies | None = None
) -> Checked:
    """Decide every labelled case again with these settings (default: all that there are). Raises `ScriptError`."""
    policies = policies or usual_policies()
    cases = labels() if cases is None else cases
    return Checked(settings, tuple((one, judge(one, settings, policies)) for one in cases))
