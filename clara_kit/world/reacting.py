"""A customer who reacts: what she says next follows from what she has *heard* of Clara, and from a seed. Pure.

Beside `customer.py`, whose scripted one walks through fixed lines; both are asked in the same way, by the simulation and
by the player of a running conversation. She wants to have heard certain things, asks for the first that is missing, in
other words the second time, tells what Clara asks her, cuts in on what takes too long, and leaves: satisfied, or when
her patience is at its end. Her language and her haste are her manner's (`data/scenarios/manners.yml`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from msgspec import Meta
from msgspec.structs import replace

from clara_kit import data_files
from clara_kit.conversation.door import Door
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.checked import Checked
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.profile import fill
from clara_kit.core.records import HeardEstimated
from clara_kit.core.rng import child_rng
from clara_kit.core.states import ConversationState
from clara_kit.world.brain import Brain
from clara_kit.world.customer import READS_CHARS_PER_S, ScriptedCustomer, Wish
from clara_kit.world.saying import said, sought
from clara_kit.world.script import Line, Script
from clara_kit.world.wording import Wording

MANNERS = DATA / "scenarios" / "manners.yml"
NO_ANSWER_MS = 15_000.0  # as a script's line waits for Clara
_Text = Annotated[str, Meta(pattern=r"\S")]
_Texts = Annotated[tuple[_Text, ...], Meta(min_length=1)]
_Ms = Annotated[float, Meta(ge=0, le=60_000)]


class _Part(Checked, frozen=True, kw_only=True):
    error = ScriptError
    what = "A customer who reacts is wrong"
    hint = "see data/scenarios/README.md."


class Manner(_Part, frozen=True, kw_only=True):
    """How somebody speaks. pause_ms: how long before she speaks, from and to. cuts_in_ms: how long she listens at most.

    again: before what is asked once more. cuts_in: before what is asked in the middle of Clara's words. alone: when Clara
    does not answer. thanks: the end of one who has what she wanted. leaves: of one who has not; none: she just hangs up.
    """

    pause_ms: tuple[_Ms, _Ms]
    words_per_min: Annotated[float, Meta(ge=60, le=400)]
    cuts_in_ms: _Ms
    chats: tuple[_Text, ...] = ()
    again: _Texts
    cuts_in: _Texts
    alone: _Texts
    thanks: _Texts
    leaves: tuple[_Text, ...] = ()


class Want(_Part, frozen=True, kw_only=True):
    """What she needs to have heard: any of `hears` (as a rule's `says`). asks: how she asks, the first time, the second…"""

    name: _Text
    asks: _Texts
    hears: _Texts

    def problems(self) -> list[str]:
        """What is heard can be sought."""
        return sought("hears", self.hears)


class Tell(_Part, frozen=True, kw_only=True):
    """What she answers, once, when Clara's last question has any of the words of `asked`."""

    asked: _Texts
    says: _Text

    def problems(self) -> list[str]:
        """What is asked can be sought."""
        return sought("asked", self.asked)


class Reacts(_Part, frozen=True, kw_only=True):
    """A customer who reacts. goal: for people. patience: after so many answers without what she asked for she hangs up.

    cuts_in_ms: how long she listens to one answer at most; None: as her manner has it. 0: she never cuts in. speaks: what
    her manner is, so that she is the same when `manners.yml` has changed.
    """

    goal: _Text
    wants: Annotated[tuple[Want, ...], Meta(min_length=1)]
    tells: tuple[Tell, ...] = ()
    patience: Annotated[int, Meta(ge=1, le=9)] = 2
    manner: str = "calm"
    cuts_in_ms: _Ms | None = None
    speaks: Manner | None = None

    @property
    def whole(self) -> Reacts:
        """The same, with what her manner is."""
        return self if self.speaks is not None else replace(self, speaks=manners()[self.manner])

    def problems(self) -> list[str]:
        """Her manner is one that there is."""
        if self.speaks is not None or self.manner in (known := manners()):
            return []
        return [f"manner: there is no {self.manner!r}; use one of: {', '.join(known)}"]


def manners() -> dict[str, Manner]:
    """Every manner by its name. Raises `ScriptError`."""
    return data_files.made(MANNERS, _read_manners)


def _read_manners(path: Path) -> dict[str, Manner]:
    def made(data: Any) -> dict[str, Manner]:
        return {name: Manner.model_validate(one) for name, one in data.items()}

    return data_files.built(path, made, "a manner is a mapping; those there are show how.")


class Hearing:
    """What somebody has heard of Clara in a conversation: utterances in order, and of a cut one what it estimates."""

    def __init__(self, door: Door) -> None:
        self._door, self._read = door, 0
        self._given: dict[int, list[str]] = {}
        self._heard: dict[int, str] = {}

    def __call__(self, now_ms: float) -> tuple[str, ...]:
        """The texts heard until now."""
        trace = self._door.conversation.trace
        for record in trace[self._read :]:
            kind = type(record)
            if kind is do.Speak:
                self._given.setdefault(record.utterance_id, []).append(record.text)  # type: ignore[union-attr]
            elif kind is do.ShowText:  # read as it was shown
                shown = self._given.setdefault(record.utterance_id, [])  # type: ignore[union-attr]
                shown.append(record.text)  # type: ignore[union-attr]
                self._heard[record.utterance_id] = " ".join(shown)  # type: ignore[union-attr]
            elif kind is HeardEstimated:
                self._heard[record.utterance_id] = record.heard  # type: ignore[union-attr]
            elif kind is ev.SpeakingEnded and (given := self._given.get(record.utterance_id)):  # type: ignore[union-attr]
                self._heard.setdefault(record.utterance_id, " ".join(given))  # type: ignore[union-attr]
        self._read = len(trace)
        heard = dict(self._heard)
        for who, utterance in self._door.conversation.talk.utterances.items():
            if utterance.started_ms is not None:
                heard.setdefault(who, utterance.heard_until(utterance.cut_ms or now_ms).heard)
        words = self._door.placeholders.map
        return tuple(fill(heard[who], words) for who in sorted(heard) if heard[who])


@dataclass
class _Mind:
    """What she remembers."""

    asked: dict[str, int] = field(default_factory=dict)  # how often, by what
    told: set[int] = field(default_factory=set)
    want: Want | None = None  # what she asked for last
    misses: int = 0
    said: int = 0  # lines
    known: int = 0  # utterances of Clara that had been heard, at least in part, when she spoke last
    greeting: int = 0  # and when she spoke first: a greeting answers nothing


class ReactingCustomer:
    """Says what follows from what she hears. Equal things heard at equal times and equal seeds give equal lines."""

    def __init__(
        self, reacts: Reacts, hears: Callable[[float], Sequence[str]], *, greeted: bool, seed: int = 0,
        wording: Wording | None = None,
    ) -> None:  # fmt: skip
        self.reacts, self._hears, self._seed, self._wording = reacts, hears, seed, wording
        self._manner: Manner = reacts.whole.speaks  # type: ignore[assignment]  # `whole` sets it
        self._mind = _Mind()
        self._token, self._due_ms, self._reads_until_ms = 0, 0.0, 0.0
        self._talking = self._clara_speaks = False
        self._clara_has_spoken = not greeted
        self._leaving = False  # nothing more will be said
        self._reached_ms: float | None = None
        self._ended_ms = 0.0
        self.gone = False
        """She has hung up: whatever Clara still says, nobody hears it."""

    @property
    def done(self) -> bool:
        """She has said all that she will say."""
        return self._leaving and not self._talking

    def account(self) -> dict[str, Any]:
        """What became of her; see data/scenarios/README.md. Times in ms on the conversation's clock."""
        missing = self._missing(self._hears(self._ended_ms))
        return {
            "goal": self.reacts.goal,
            "manner": self.reacts.manner,
            "goal_reached": self._reached_ms is not None,
            "reached_ms": self._reached_ms,
            "hung_up": self.gone,
            "misses": self._mind.misses,
            "asked": self._mind.said,
            "missing": [want.name for want in missing],
            "ended_ms": self._ended_ms,
            **({} if self._wording is None else {"own_words": self._wording.own, "written": self._wording.written}),
        }

    def begin(self, at_ms: float) -> Wish | None:
        """The conversation begins: she waits for the greeting, or speaks first."""
        return self._wish(at_ms + self._pause_ms()) if self._clara_has_spoken else self._wish(at_ms + NO_ANSWER_MS)

    def saw(self, state: ConversationState, at_ms: float) -> Wish | None:
        """The conversation's state changed."""
        if self._talking or self._leaving:
            self._clara_speaks = state is ConversationState.AVATAR_SPEAKING
            self._clara_has_spoken |= self._clara_speaks
            return None
        if state is ConversationState.AVATAR_SPEAKING:
            self._clara_speaks = self._clara_has_spoken = True
            most_ms = self._manner.cuts_in_ms if self.reacts.cuts_in_ms is None else self.reacts.cuts_in_ms
            self._token += 1  # she speaks: waiting in vain is over
            return self._wish(at_ms + most_ms) if most_ms else None
        if state is ConversationState.IDLE:
            self._clara_speaks = False
            pause_ms = self._pause_ms() + max(0.0, self._reads_until_ms - at_ms)
            return self._wish(at_ms + pause_ms) if self._clara_has_spoken else None
        return None

    def reads(self, text: str, at_ms: float) -> Wish | None:
        """What Clara cannot say is shown, and is an answer like one that is heard."""
        self._reads_until_ms = max(at_ms, self._reads_until_ms) + len(text) / READS_CHARS_PER_S * 1000
        self._clara_has_spoken = True
        if self._talking or self._leaving or self._clara_speaks:
            return None
        return self._wish(self._reads_until_ms + self._pause_ms())

    def line_ended(self, at_ms: float) -> Wish | None:
        """The line that `fire` gave has been said."""
        self._talking, self._ended_ms = False, round(at_ms, 3)
        self.gone = self._leaving and self._reached_ms is None
        self._clara_has_spoken = False
        return None if self._leaving else self._wish(at_ms + NO_ANSWER_MS)

    def fire(self, token: int) -> Line | None:
        """The line to say now, or None when things have changed since the wish, or she hangs up without a word."""
        if token != self._token or self._talking or self._leaving:
            return None
        heard = self._hears(self._due_ms)
        text = self._next(heard, self._due_ms)
        if text and self._wording is not None:
            text = self._wording(text, heard)
        self._mind.said += bool(text)
        self._talking = bool(text)
        if not text:
            self.gone, self._ended_ms = True, round(self._due_ms, 3)
            return None
        return _line(text, self._manner.words_per_min)

    def _wish(self, due_ms: float) -> Wish:
        self._token += 1
        self._due_ms = due_ms
        return Wish(due_ms, self._token)

    def _pause_ms(self) -> float:
        low, high = self._manner.pause_ms
        return round(child_rng(self._seed, "customer", "pause", self._mind.said).uniform(low, high), 3)

    def _one_of(self, texts: Sequence[str], what: str) -> str:
        return child_rng(self._seed, "customer", what, self._mind.said).choice(texts) if texts else ""

    def _next(self, heard: Sequence[str], now_ms: float) -> str:
        """What she says to all that she has heard; empty: she hangs up."""
        mind, manner = self._mind, self._manner
        fresh, mind.known = heard[mind.known :], len(heard)
        if not mind.said:
            mind.greeting = len(heard)
        missing = self._missing(heard)
        if not missing:
            self._leaving, self._reached_ms = True, round(now_ms, 3)
            return self._one_of(manner.thanks, "thanks")
        asks_back = self._tells(fresh)
        if asks_back:
            return asks_back
        missed = mind.want in missing
        mind.misses += missed
        if mind.misses >= self.reacts.patience:
            self._leaving = True
            return self._one_of(manner.leaves, "leaves")
        want = mind.want = missing[0]
        times = mind.asked[want.name] = mind.asked.get(want.name, 0) + 1
        words = want.asks[min(times, len(want.asks)) - 1]
        if self._clara_speaks:
            before = self._one_of(manner.cuts_in, "cuts_in")
        elif missed:
            before = self._one_of(manner.again if fresh else manner.alone, "again")
        else:
            before = self._one_of(manner.chats, "chats")
        return f"{before} {words}".strip()

    def _missing(self, heard: Sequence[str]) -> list[Want]:
        answers = heard[self._mind.greeting :]
        return [want for want in self.reacts.wants if not any(said(want.hears, text) for text in answers)]

    def _tells(self, fresh: Sequence[str]) -> str:
        """Her answer to Clara's last question, where she has one and has not given it yet."""
        last = fresh[-1].rstrip() if fresh and not self._clara_speaks else ""
        if not last.endswith("?") or self._mind.want is None:
            return ""
        question = last[last.rfind("¿") :]
        for number, tell in enumerate(self.reacts.tells):
            if number not in self._mind.told and said(tell.asked, question):
                self._mind.told.add(number)
                return tell.says
        return ""


_line = lru_cache(maxsize=1024)(lambda text, words_per_min: Line(text=text, words_per_min=words_per_min))
Customer: TypeAlias = ScriptedCustomer | ReactingCustomer


def customer_of(
    script: Script | Reacts, door: Door, *, greeting: str, seed: int, brain: Brain | None = None
) -> Customer:
    """Who speaks to Clara in this conversation. brain: gives one who reacts other words."""
    greeted = bool(greeting.strip())
    if isinstance(script, Script):
        return ScriptedCustomer(script, greeted=greeted)
    wording = None if brain is None else Wording(brain, door, goal=script.goal, manner=script.manner)
    return ReactingCustomer(script, Hearing(door), greeted=greeted, seed=seed, wording=wording)
