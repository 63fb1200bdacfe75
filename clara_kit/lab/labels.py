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
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import yaml

from clara_kit import data_files
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.policies import Policies
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.page import table
from clara_kit.core.paths import DATA
from clara_kit.core.settings import Settings
from clara_kit.lab.recorded import Recorded, Said, so_far
from clara_kit.measure.run import Run
from clara_kit.store import locked
from clara_kit.turns import usual_policies

Label = Literal["should not have stopped", "should have stopped", "answered too early"]
LABELS: tuple[Label, ...] = get_args(Label)
Heard = ev.SpeechStarted | ev.SpeechEnded | ev.TranscriptInterim | ev.TranscriptFinal | ev.TextTyped

SHIPPED = DATA / "turns" / "cases.yml"
MINE = DATA / "turns" / "mine" / "cases.yml"
HINT = "each case has a label, what was said, and the customer's events; see data/turns/cases.yml."
AFTER_MS = 2500.0  # how long after the moment a case goes on: its words come late
OTHER_MS = 300.0  # a sound that begins later than this after the moment is another one
NEAR_MS = 5000.0  # a moment so long after the stop still means it
_SOON_MS = 500.0  # from an order to speak to the sound, where no sound came


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
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
    def sound(self) -> tuple[float, float]:
        """When the customer's sound began, and how long it lasted; 0 where its end was not heard."""
        began = next((e.sound_at_ms for e in self.events if isinstance(e, ev.SpeechStarted)), self.moment_ms)
        ended = [e.sound_at_ms for e in self.events if isinstance(e, ev.SpeechEnded) and e.sound_at_ms > began]
        return began, (ended[0] - began if ended else 0.0)

    @property
    def words(self) -> tuple[tuple[str, float, bool], ...]:
        """What was recognised, when it came, and whether it was final."""
        kinds = (ev.TranscriptInterim, ev.TranscriptFinal)
        return tuple((e.text, e.at_ms, isinstance(e, ev.TranscriptFinal)) for e in self.events if isinstance(e, kinds))

    @property
    def goes_on_ms(self) -> float | None:
        """When the customer went on after the words that Clara answered."""
        return next((e.sound_at_ms for e in self.events if isinstance(e, ev.SpeechStarted) and e.sound_at_ms >= 0), None)  # fmt: skip


class Judged(NamedTuple):
    """What the decisions make of a case: whether she stops (or, of «too early», answers before the customer goes on)."""

    stopped: bool
    at_ms: float | None
    right: bool


def judge(case: Case, settings: Settings, policies: Policies | None = None) -> Judged:
    """Decide a case again, with these settings."""
    early = case.label == "answered too early"
    orders = (do.RequestReply,) if early else (do.InterruptAvatar, do.CancelReply)
    at_ms = _Play(case, settings, policies or usual_policies(), early=early).first(orders)
    if early:
        until_ms = case.goes_on_ms
        late = at_ms is None or (until_ms is not None and at_ms >= until_ms)
        if until_ms is None and at_ms is not None and case.decided_ms is not None:
            late = at_ms > case.decided_ms + 1
        return Judged(not late, at_ms, late)
    stopped = at_ms is not None
    return Judged(stopped, at_ms, stopped is (case.label == "should have stopped"))


class _Play:
    """The few events of a case, in virtual time."""

    def __init__(self, case: Case, settings: Settings, policies: Policies, *, early: bool) -> None:
        self.case, self.conversation = case, Conversation(settings, policies=policies)
        self._heap: list[tuple[float, int, ev.Event]] = []
        self._number = count()
        begins_ms = min([case.asked_ms or 0.0, *(e.at_ms for e in case.events)]) - 1000.0
        greets = not early and case.asked_ms is None
        self._at(ev.ConversationStarted(at_ms=begins_ms, greeting=case.said if greets else ""))
        if not early:
            if case.asked_ms is not None:
                text_ms = case.asked_ms if case.text_ms is None else case.text_ms
                self._at(ev.TextTyped(at_ms=case.asked_ms, text="…"))
                self._at(ev.ReplyStarted(at_ms=case.asked_ms, reply_id=1, model=""))
                self._at(ev.ReplyDelta(at_ms=text_ms, reply_id=1, text=case.said))
                self._at(ev.ReplyCompleted(at_ms=text_ms, reply_id=1, stop_reason="end_turn"))
            self._at(ev.SpeakingStarted(at_ms=0.0, utterance_id=1))
            self._at(ev.SpeechVoiced(at_ms=0.0, utterance_id=1, piece_no=10**6, audio_ms=case.lasts_ms))
            self._at(ev.SpeakingEnded(at_ms=case.lasts_ms, utterance_id=1))
        for event in case.events:
            self._at(event)

    def _at(self, event: ev.Event) -> None:
        heappush(self._heap, (event.at_ms, next(self._number), event))

    def first(self, orders: tuple[type[do.Command], ...]) -> float | None:
        """When one of these orders is first given, once the customer is heard; None: never."""
        heard = {id(e) for e in self.case.events}
        came = False
        while self._heap:
            at_ms, _, event = heappop(self._heap)
            came = came or id(event) in heard
            for command in self.conversation.handle(event):
                if came and isinstance(command, orders):
                    return at_ms
                if isinstance(command, do.SetTimer):
                    self._at(ev.TimerFired(at_ms=command.due_ms, timer_id=command.timer_id))
                elif isinstance(command, do.FinalizeWords):
                    self._hurry(at_ms, over=command.over)
        return None

    def _hurry(self, now_ms: float, *, over: bool) -> None:
        """The words whose sound is over come at once; of a sound that lasts, those so far."""
        soon_ms = now_ms + self.case.results_ms
        for place, (due_ms, number, event) in enumerate(self._heap):
            if not isinstance(event, ev.TranscriptFinal) or due_ms <= soon_ms or event.speech_started_ms > now_ms:
                continue
            if over and event.speech_ended_ms <= now_ms:
                self._heap[place] = (soon_ms, number, msgspec.structs.replace(event, at_ms=soon_ms))
                self._heap.sort()
            elif not over and now_ms < event.speech_ended_ms and (said := so_far(event, now_ms)):
                self._at(ev.TranscriptInterim(at_ms=soon_ms, text=said))
            return


# --- a moment of a run becomes a case ------------------------------------------------------------------------


def case_of(run: Run, at_ms: float, label: Label) -> Case:
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
    return msgspec.convert(_hidden(msgspec.to_builtins(case), words, names), Case)


def _hidden(plain: Any, words: re.Pattern[str], names: Mapping[str, str]) -> Any:
    """The same with placeholders in its texts."""
    if isinstance(plain, dict):
        return {key: _hidden(value, words, names) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [_hidden(one, words, names) for one in plain]
    return words.sub(lambda found: names[found.group()], plain) if isinstance(plain, str) else plain


def _stopped(recorded: Recorded, at_ms: float, label: Label) -> Case:
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
    texts, started = [command.text for _, command in said.pieces], said.first(ev.SpeakingStarted)
    zero_ms = started.at_ms if started is not None else said.pieces[0][1].at_ms + _SOON_MS
    turn_id, whole = said.pieces[0][1].turn_id, " ".join(texts)
    reply = next((r for r in reversed(recorded.replies.values()) if r.asked.turn_id == turn_id), None)
    if reply is not None and reply.asked.at_ms > said.pieces[0][1].at_ms:
        reply = None
    if reply is not None and len(reply.text) > len(whole) and reply.text.startswith(texts[0]):
        whole = reply.text.strip()
    told_ms = max((e.audio_ms for _, e in said.events if isinstance(e, ev.SpeechVoiced)), default=0.0)
    stop = said.stopped
    moment_ms = stop.at_ms if stop is not None and label == "should not have stopped" else at_ms
    since_ms = reply.asked.at_ms if reply is not None else said.pieces[0][1].at_ms
    first = next((e.at_ms for _, e in reply.events if isinstance(e, ev.ReplyDelta)), None) if reply else None
    return Case(
        label=label,
        moment_ms=_ms(moment_ms - zero_ms),
        decided=f"stopped: {stop.reason}" if stop is not None else "went on",
        decided_ms=None if stop is None else _ms(stop.at_ms - zero_ms),
        said=whole,
        lasts_ms=_ms(max(told_ms, recorded.length(whole))),
        asked_ms=None if reply is None else _ms(reply.asked.at_ms - zero_ms),
        text_ms=None if first is None else _ms(first - zero_ms),
        results_ms=_ms(recorded.results_ms or 150.0),
        events=_heard(recorded, since_ms, moment_ms, zero_ms),
    )


def _too_early(recorded: Recorded, at_ms: float) -> Case:
    asked = [r for r in recorded.replies.values() if r.asked.at_ms <= at_ms + OTHER_MS]
    if not asked:
        raise ClaraError("Clara had not begun to answer at this moment.", hint="go to the moment that you mean, or right after it.")  # fmt: skip
    reply = asked[-1]
    finals = [e for e, _ in recorded.steps[: reply.step + 1] if isinstance(e, ev.TranscriptFinal) and e.text]
    since_ms, zero_ms = reply.asked.at_ms - 100.0, reply.asked.at_ms
    if finals:
        since_ms, zero_ms = finals[-1].speech_started_ms - 100.0, finals[-1].speech_ended_ms
    return Case(
        label="answered too early",
        moment_ms=_ms(at_ms - zero_ms),
        decided=f"asked the model: {reply.asked.reason}",
        decided_ms=_ms(reply.asked.at_ms - zero_ms),
        results_ms=_ms(recorded.results_ms or 150.0),
        events=_heard(recorded, since_ms, reply.asked.at_ms, zero_ms, other_ms=2 * AFTER_MS),
    )


def _heard(
    recorded: Recorded, since_ms: float, moment_ms: float, zero_ms: float, other_ms: float = OTHER_MS
) -> tuple[Heard, ...]:
    """What was heard of the customer around a moment, without what belongs to another sound."""
    found: list[Heard] = []
    for event, _ in recorded.steps:
        if isinstance(event, Heard) and since_ms < event.at_ms <= moment_ms + AFTER_MS:
            if isinstance(event, ev.SpeechStarted) and event.sound_at_ms > moment_ms + other_ms:
                break
            moved: dict[str, Any] = {n: _ms(getattr(event, n) - zero_ms) for n in event.__struct_fields__ if n.endswith("_ms")}  # fmt: skip
            if isinstance(event, ev.TranscriptFinal):
                moved["words"] = tuple(
                    msgspec.structs.replace(w, start_ms=_ms(w.start_ms - zero_ms), end_ms=_ms(w.end_ms - zero_ms))
                    for w in event.words
                )
            found.append(msgspec.structs.replace(event, **moved))
    return tuple(found)


def _ms(ms: float) -> float:
    return round(ms, 1) + 0.0


# --- kept, listed, checked -----------------------------------------------------------------------------------


def read(path: Path) -> tuple[Case, ...]:
    """The cases of a file; none where there is none. Raises `ScriptError`."""
    if not path.is_file():
        return ()
    return data_files.built(path, lambda data: msgspec.convert(data or [], tuple[Case, ...]), HINT)


def labels(*, mine: bool = False) -> tuple[Case, ...]:
    """Every labelled case: the shipped ones, then one's own; `mine`: only these. Raises `ScriptError`."""
    return (() if mine else read(SHIPPED)) + read(MINE)


def keep(case: Case) -> Path:
    """Keep a case among one's own; returns their file. Raises `ClaraError`."""
    return _write(lambda cases: (*cases, case))


def undo() -> Case | None:
    """Forget the case that was kept last; returns it. Raises `ClaraError`."""
    last = read(MINE)[-1:]
    _write(lambda cases: cases[:-1])
    return last[0] if last else None


def written(cases: Iterable[Case]) -> str:
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
    try:
        with locked(path):
            (fresh := path.with_name(path.name + ".new")).write_text(written(change(read(path))), "utf-8")
            fresh.replace(path)
    except OSError as exc:
        raise ClaraError(f"The case cannot be kept in {path.name}: {exc.strerror}.", hint="make room on the disk.") from exc  # fmt: skip
    return path


@dataclass(frozen=True, slots=True)
class Checked:
    """What settings make of labelled cases: each with what is decided now."""

    settings: Settings
    rows: tuple[tuple[Case, Judged], ...]

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


def check_labels(settings: Settings, cases: Iterable[Case] | None = None, policies: Policies | None = None) -> Checked:
    """Decide every labelled case again with these settings (default: all that there are). Raises `ScriptError`."""
    policies = policies or usual_policies()
    return Checked(
        settings, tuple((c, judge(c, settings, policies)) for c in (labels() if cases is None else cases))
    )  # fmt: skip
