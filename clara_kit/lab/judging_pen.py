"""A pen that keeps no trace, and knows what was answered before: what `judging.py` asks the kit's own decisions with."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, TypeAlias

from clara_kit.conversation.conversation import REDUCERS, TIMERS, Reducer, decide
from clara_kit.conversation.heard import Heard
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policies import Policies
from clara_kit.conversation.policy import Decision, Question, Turn, Words
from clara_kit.conversation.talk import Talk, Timer, Utterance
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState

Order: TypeAlias = "tuple[type[do.Command], float, dict[str, Any]]"
Asked: TypeAlias = "tuple[list[tuple[tuple[str, ...], list[Any], Decision]], Decision]"
"""All that is known of a question about words (settings that are read, their values, the answer), and what was answered."""


class KnownAnswer(Utterance):
    """Clara's answer, of which it is known how much is heard by when."""

    known: dict[Any, Any] = {}  # noqa: RUF012 - msgspec gives each a dict of its own

    def heard_until(self, at_ms: float) -> Heard:
        if (heard := self.known.get(at_ms)) is None:
            heard = self.known[at_ms] = Utterance.heard_until(self, at_ms)
        return heard


class JudgingPen(Pen):
    """Keeps no trace, and knows what was said of words before."""

    __slots__ = ("asked", "known", "rang", "read")

    def __init__(self, talk: Talk, policies: Policies, known: dict[Any, Any]) -> None:
        super().__init__(talk, policies)
        self.known = known
        self.rang = False  # a sound has lasted
        self.read: set[str] = set()  # settings by which words were judged
        self.asked: list[Asked] = []  # all that is known of each question about them, and what was answered

    def handle(self, event: ev.Event) -> list[Order]:
        """What `Conversation.handle` does, without its record."""
        self.talk.now_ms, self.out = max(event.at_ms, self.talk.now_ms), []
        return self._reduced(REDUCERS[type(event)], event)

    def fire(self, kind: str, at_ms: float) -> list[Order]:
        """A timer rings."""
        self.talk.now_ms, self.out = at_ms, []
        self.rang |= kind == "barge_in"
        del self.talk.timers[kind]
        return self._reduced(TIMERS[kind], ev.TimerFired(at_ms=at_ms, timer_id=kind))

    def _reduced(self, reducer: Reducer, event: ev.Event) -> list[Order]:
        decide(self, reducer, event)
        return self.out  # type: ignore[return-value]

    def ask(self, question: Question, *, sign: bool = True) -> Decision:
        kind = type(question)
        if kind is not Words and kind is not Turn:
            return super().ask(question, sign=sign)
        talk, settings = self.talk, self.talk.settings
        said_ms = question.said_ms if kind is Words else inf  # type: ignore[union-attr]
        key: list[Any] = [question, talk.now_ms, talk.machine.state, talk.held is None, talk.spoke_until_ms]
        key.append(talk.turn.answered_ms)
        for utterance in talk.utterances.values():
            # What was cut after these words began had been heard alike when they began, wherever it was cut then.
            key += utterance.phase, utterance.started_ms, min(utterance.cut_ms, said_ms)
        answers = self.known.setdefault((*key, *talk.turn.words), [])
        for names, values, known in answers:
            if values == [getattr(settings, name) for name in names]:
                decision: Decision = known
                break
        else:
            talk.settings = reading = _Reading(settings)  # type: ignore[assignment]
            try:
                decision = super().ask(question, sign=sign)
            finally:
                talk.settings = settings
            names = (*reading.names,)
            answers.append((names, [getattr(settings, name) for name in names], decision))
        self.read.update(names)
        self.asked.append((answers, decision))
        return decision

    def do(self, kind: type[do.Command], why: str, **fields: Any) -> None:
        self.out.append((kind, self.talk.now_ms, fields))  # type: ignore[arg-type]

    def ignore(self, event: Any, why: str) -> None:
        pass

    def change(self, state: ConversationState, why: str, *only_from: ConversationState) -> None:
        machine = self.talk.machine
        if not only_from or machine.state in only_from:
            machine.state = state

    def set_timer(self, kind: str, after_ms: float, why: str) -> None:
        self.talk.timers[kind] = Timer(kind, self.talk.now_ms + after_ms)

    def set_timer_at(self, kind: str, due_ms: float, why: str) -> None:
        self.talk.timers[kind] = Timer(kind, due_ms)

    def cancel_timer(self, kind: str, why: str) -> bool:
        return self.talk.timers.pop(kind, None) is not None

    def heard(self, utterance: Utterance, heard: Heard) -> None:
        pass


class _Reading:
    """Settings that note which of them are read."""

    def __init__(self, settings: Settings) -> None:
        self.names: dict[str, None] = {}
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        self.names[name] = None
        return getattr(self._settings, name)


def read_alike(asked: Sequence[Asked], settings: Settings) -> set[str] | None:
    """What is read of these settings where each question has the answer it had; else, or where that is not known, None."""
    read: set[str] = set()
    for answers, decision in asked:
        for names, values, known in answers:
            if values == [getattr(settings, name) for name in names]:
                if known != decision:
                    return None
                read.update(names)
                break
        else:
            return None
    return read
