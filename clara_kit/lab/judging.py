"""What the kit's own decisions make of a labelled case, fast: the reducers and policies of `conversation/` with a pen that keeps no trace.

Nothing is decided here. `Judge` asks what `Conversation` asks, with the smallest state that is needed, and remembers what
was answered about words: a policy that reads the same settings says the same again. `played` sends a case through a whole
`Conversation` from its beginning; a test holds both against each other.
"""

from __future__ import annotations

import gc
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Any, TypeAlias

from msgspec.structs import replace

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.history import History
from clara_kit.conversation.policies import Policies
from clara_kit.conversation.talk import Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState
from clara_kit.lab.judging_pen import Asked, JudgingPen, KnownAnswer, Order, read_alike
from clara_kit.lab.overlaps import EARS, Case
from clara_kit.turns import usual_policies
from clara_kit.world.mouths import spoken_ms
from clara_kit.world.timelines import words_until

ASKED = "¿Qué me recomiendas?"
ANSWER = "Claro, te cuento."  # what Clara says to whatever she is asked meanwhile
EARLIER_MS = 10_000.0  # of a whole conversation, before the moment that is judged

Log: TypeAlias = "list[tuple[str, float, str]]"
"""What was ordered, stop | duck | back | ask | drop | say, and that Clara began: ms from her first sound, and the words asked."""

OF_WORDS: dict[str, Any] = {"ignore_backchannels": False, "ignore_echo": False, "min_words": 1}
"""Settings that are read only where words are judged (a test holds it), at their plainest."""

_Play: TypeAlias = "tuple[Log, bool, list[Asked]]"


class Judge:
    """Judges these cases under any settings; what it learns of words under one serves the next."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases, self._policies = tuple(cases), usual_policies()
        self._known: tuple[dict[Any, Any], ...] = tuple({} for _ in self.cases)
        self._alike: list[Settings] = []  # what was swept last, apart from `OF_WORDS`, and what came of it
        self._plays: list[dict[int, list[_Play]]] = []

    def logs(self, settings: Settings) -> Iterator[Log]:
        """What Clara would do in each case."""
        for case, known in zip(self.cases, self._known, strict=True):
            yield self._played(case, settings, known)[0]

    def swept(self, settings: Settings, knob: str, values: Sequence[float]) -> tuple[list[Log], ...]:
        """The same for several values of one setting, ascending, that says how long a sound must last: one list each.

        A sound that was over before the shorter time was up is over before a longer one too: nothing else comes of it, and
        the log is the same object. So it is where the sweep before differed only in what words mean, and these meant the same.
        """
        short = knob == "sustained_ms"  # below the debounce it has no say
        every = [settings.with_changes(**{knob: value}) for value in values]
        found: tuple[list[Log], ...] = tuple([] for _ in values)
        collects = gc.isenabled()
        gc.disable()  # hundreds of thousands of small things, and no circle among them
        try:
            self._swept(every, found, knob, short)
        finally:
            if collects:
                gc.enable()
        return found

    def _swept(self, every: list[Settings], found: tuple[list[Log], ...], knob: str, short: bool) -> None:
        alike = [one.with_changes(**OF_WORDS) for one in every]
        if alike != self._alike:
            self._alike, self._plays = alike, [{} for _ in self.cases]
        for case, known, plays in zip(self.cases, self._known, self._plays, strict=True):
            log: Log = []
            over = False
            for n, (one, logs) in enumerate(zip(every, found)):
                if not over:
                    before = plays.setdefault(n, [])
                    if (same := _like_before(before, one)) is not None:
                        log, rang, read = same
                    else:
                        log, pen = self._played(case, one, known)
                        rang, read = pen.rang, pen.read
                        before.append((log, rang, pen.asked))
                    over = not (rang or knob in read or (short and one.sustained_ms <= one.barge_in_debounce_ms))
                logs.append(log)

    def _played(self, case: Case, settings: Settings, known: dict[Any, Any]) -> tuple[Log, JudgingPen]:
        talk = _talk(case, settings, known)
        pen = JudgingPen(talk, self._policies, known)
        pen.turn_is_heard()
        return _play(_World(case, case.events), talk, pen.handle, pen.fire), pen


def _like_before(plays: Sequence[_Play], settings: Settings) -> tuple[Log, bool, set[str]] | None:
    """The play in which all that was asked about words has the same answer under these settings, where that is known."""
    for log, rang, asked in plays:
        if (read := read_alike(asked, settings)) is not None:
            return log, rang, read
    return None


def played(case: Case, settings: Settings, policies: Policies | None = None) -> Log:
    """The same case through a whole `Conversation` in virtual time, from its beginning on."""
    return through(case, settings, policies)[1]


def through(case: Case, settings: Settings, policies: Policies | None = None) -> tuple[Conversation, Log]:
    """That conversation, and what came of it; times of the log in ms from Clara's first sound."""
    clara, said = Conversation(settings, policies=policies or usual_policies()), " ".join(case.clara)
    began_ms = EARLIER_MS - min([0.0, case.asked_ms or 0.0, *(event.at_ms for event in case.events)])
    before: list[ev.Event] = [ev.ConversationStarted(at_ms=0.0, greeting=said if case.asked_ms is None else "")]
    if case.asked_ms is not None and said:
        before.append(ev.TextTyped(at_ms=began_ms + case.asked_ms, text=ASKED))
        before.append(ev.ReplyDelta(at_ms=began_ms + case.text_ms, reply_id=1, text=said))
        before.append(ev.ReplyCompleted(at_ms=began_ms + case.text_ms, reply_id=1, stop_reason="end_turn"))
    before.append(ev.SpeakingStarted(at_ms=began_ms, utterance_id=1))
    before.append(ev.SpeechVoiced(at_ms=began_ms, utterance_id=1, piece_no=99, audio_ms=case.clara_ms))

    def handle(event: ev.Event) -> list[Order]:
        orders = clara.handle(event)
        if any(event is one for one in before):
            return []  # what comes of them is told already
        return [(type(c), c.at_ms, {n: getattr(c, n) for n in c.__struct_fields__}) for c in orders]

    def fire(kind: str, at_ms: float) -> list[Order]:
        return handle(ev.TimerFired(at_ms=at_ms, timer_id=clara.talk.timers[kind].timer_id))

    events = sorted([*before, *(moved(event, began_ms) for event in case.events)], key=lambda event: event.at_ms)
    log = _play(_World(case, events, began_ms), clara.talk, handle, fire)
    return clara, [(what, at_ms - began_ms, text) for what, at_ms, text in log]


def moved(event: ev.Event, by_ms: float, digits: int = 12) -> Any:
    """What the ears told, at another time."""

    def later(part: Any) -> Any:
        times = {n: getattr(part, n) for n in part.__struct_fields__ if n.endswith("_ms")}
        return replace(part, **{name: round(at_ms + by_ms, digits) for name, at_ms in times.items()})

    whole = later(event)
    return replace(whole, words=tuple(map(later, event.words))) if isinstance(event, ev.TranscriptFinal) else whole


def _play(
    world: _World, talk: Talk, handle: Callable[[ev.Event], list[Order]], fire: Callable[[str, float], list[Order]]
) -> Log:
    """The ears tell, timers ring, Clara begins and ends, until nothing of the customer is left to happen."""
    events, timers = world.events, talk.timers
    while world.left or timers:
        due_ms, kind = inf, ""
        for name, timer in timers.items():
            if timer.due_ms < due_ms:
                due_ms, kind = timer.due_ms, name
        if events and events[-1].at_ms <= due_ms:
            event = events.pop()
            orders = handle(event)
            if type(event) in _EARS:
                world.left -= 1
            elif type(event) is ev.SpeakingStarted and event.utterance_id in world.ends_ms:
                world.log.append(("begin", event.at_ms, ""))
        elif kind:
            orders = fire(kind, due_ms)
        else:
            break
        if orders:
            for order in orders:
                world.takes(*order)
    return world.log


_EARS = frozenset(EARS)


class _World:
    """What comes of Clara's orders around one case. `events`: what is still to happen, the next one last."""

    __slots__ = ("case", "ends_ms", "events", "left", "log")

    def __init__(self, case: Case, events: Sequence[ev.Event], began_ms: float = 0.0) -> None:
        self.case = case
        self.log: Log = []
        self.events: list[Any] = [*reversed(events)]
        self.left = len(case.events)  # of the ears
        self.ends_ms: dict[int, float] = {}
        self._add(ev.SpeakingEnded(at_ms=began_ms + case.clara_ms, utterance_id=1))

    def _add(self, event: ev.Event) -> None:
        insort(self.events, event, key=lambda one: -one.at_ms)

    def _drop(self, *kinds: type[ev.Event]) -> None:
        self.events[:] = [event for event in self.events if not isinstance(event, kinds)]

    def takes(self, kind: type[do.Command], at_ms: float, fields: dict[str, Any]) -> None:
        """An order is carried out."""
        case, log = self.case, self.log
        if kind is do.InterruptAvatar:
            log.append(("stop", at_ms, ""))
            self._drop(ev.SpeakingStarted, ev.SpeakingEnded)
        elif kind is do.Duck:
            log.append(("duck" if fields["on"] else "back", at_ms, ""))
        elif kind is do.RequestReply:
            log.append(("ask", at_ms, fields["text"]))
            ready_ms, reply_id = at_ms + case.answer_ms - case.restart_ms, fields["reply_id"]
            self._add(ev.ReplyCompleted(at_ms=ready_ms, reply_id=reply_id, stop_reason="end_turn"))
            self._add(ev.ReplyDelta(at_ms=ready_ms, reply_id=reply_id, text=ANSWER))
        elif kind is do.CancelReply:
            log.append(("drop", at_ms, ""))
            self._drop(ev.ReplyDelta, ev.ReplyCompleted, ev.SpeakingStarted)
        elif kind is do.Speak:
            utterance = fields["utterance_id"]
            if utterance not in self.ends_ms:
                log.append(("say", at_ms, ""))
                self.ends_ms[utterance] = at_ms + case.restart_ms
                self._add(ev.SpeakingStarted(at_ms=at_ms + case.restart_ms, utterance_id=utterance))
            self.ends_ms[utterance] += spoken_ms(fields["text"])
        elif kind is do.EndSpeech:
            utterance = fields["utterance_id"]
            self._add(ev.SpeakingEnded(at_ms=self.ends_ms[utterance], utterance_id=utterance))
        elif kind is do.FinalizeWords:
            self._finalize(at_ms, over=fields.get("over", True))

    def _finalize(self, at_ms: float, *, over: bool) -> None:
        """The words of a sound that is over come at once, where they would have come later; else those so far."""
        told_ms = at_ms + self.case.results_ms
        final = next((event for event in reversed(self.events) if type(event) is ev.TranscriptFinal), None)
        if final is None:
            return
        if over and final.speech_ended_ms <= at_ms < final.at_ms - self.case.results_ms:
            self.events.remove(final)
            self._add(replace(final, at_ms=told_ms))
            return
        if not over and at_ms < final.speech_ended_ms and (said := words_until(final.words, at_ms)):
            self._add(ev.TranscriptInterim(at_ms=told_ms, text=said))
            self.left += 1


def _talk(case: Case, settings: Settings, known: dict[Any, Any]) -> Talk:
    """Clara is heard, and has all of her answer."""
    talk = Talk(settings, History())
    talk.begun, talk.utterances_begun, talk.turn.words = True, 1, [ASKED]
    talk.machine.state = ConversationState.AVATAR_SPEAKING
    pieces = [*case.clara] or [""]
    talk.utterances[1] = KnownAnswer(
        utterance_id=1, turn_id=1, phase="sounding", pieces=pieces, given=len(pieces), closed=True, ended=True, started_ms=0.0,
        voiced=[(len(pieces) - 1, case.clara_ms)], known=known,
    )  # fmt: skip
    return talk
