"""A stage for labelled moments: the simulated world, with a customer who acts at cues, and what came of it.

A cue is the question's last word ("asked"), Clara's first sound ("heard"), her last ("done"), or the end of the act
before ("then"). An act is words (recognised as in every simulation), a noise, something typed, or raw events of the ears.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

from clara_kit.conversation.lexicon import plain
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated, Ignored
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState as S
from clara_kit.turns import usual_policies
from clara_kit.world.answers import tokenize
from clara_kit.world.faults import Fault
from clara_kit.world.latency import LatencyProfile, Law
from clara_kit.world.scheduler import World
from clara_kit.world.script import Line, Pause, Script, word_times

ASK_AT_MS = 500.0
LATER = "Entiendo. Eso te lo reviso altiro, dame un momentito por favor."


def _law(low: float, high: float | None = None) -> Law:
    return Law(kind="uniform", low=low, high=low if high is None else high, source="chosen for this test")


def worlds() -> dict[str, LatencyProfile]:
    """Published figures, and a world in which Clara is heard 0.8 s after the customer's last word."""
    published = LatencyProfile.load("published")
    quick = {
        **published.laws,
        "stt_interim_every": _law(500), "stt_results": _law(100, 140), "llm_first_token": _law(170, 230),
        "tts_first_chunk": _law(60, 100), "tts_lead_silence": _law(20, 40), "avatar_start": _law(80, 120),
        "avatar_interrupt": _law(60, 120),
    }  # fmt: skip
    return {"published": published, "0.8 s": LatencyProfile(name="0.8 s", description="", laws=quick)}


def changed(latency: LatencyProfile, laws: dict[str, float]) -> LatencyProfile:
    """The same with some stages fixed."""
    return replace(latency, laws={**latency.laws, **{k: _law(v) for k, v in laws.items()}})  # type: ignore[dict-item]


@dataclass(frozen=True)
class _Text:
    text: str


class Book:
    """One question has the scene's answer, every other the same two sentences."""

    hash = "stage"

    def __init__(self, question: str, answer: str) -> None:
        self._question, self._answer = plain(question), answer

    def reply(self, text: str, *_: Any) -> _Text:
        return _Text(self._answer if self._answer and plain(text) == self._question else LATER)


@dataclass
class Act:
    """Something the customer does, and what its words mean: those of a real turn are `meant`."""

    cue: str
    at_ms: float
    line: Line | None = None
    sound_ms: float = 0.0
    typed: str = ""
    ears: dict[str, Any] = field(default_factory=dict)
    said_ms: list[tuple[float, float]] = field(default_factory=list)  # when it sounded, once it has


def line(said: str, *, wpm: float = 165, s: float | None = None) -> Line:
    """Words with silences between them: «y también |0.9| una crema»."""
    words: list[str] = []
    pauses: list[Pause] = []
    for part in said.split():
        if part.startswith("|"):
            pauses.append(Pause(after_word=len(words), ms=float(part.strip("|")) * 1000))
        else:
            words.append(part)
    if s is not None:
        wpm = min(400.0, max(60.0, 60 * len(words) / s))
    return Line(text=" ".join(words), pauses=tuple(pauses), words_per_min=wpm)


class _Nobody:
    """The script's customer is not there; the acts are."""

    gone = False

    def begin(self, at_ms: float) -> None:
        return None

    def saw(self, state: S, at_ms: float) -> None:
        return None


class Stage(World):
    """One moment, played. `acts` in order of their cues."""

    def __init__(
        self, settings: Settings, latency: LatencyProfile, *, ask: str = "", clara: str = "", acts: list[Act], seed: int,
        faults: tuple[Fault, ...] = (),
    ) -> None:  # fmt: skip
        greeting = clara if not ask else ""
        self.stalled = 0
        super().__init__(
            Script.of(["."]), settings.with_changes(greeting=greeting), seed=seed, latency=latency, faults=faults,
            policies=usual_policies(),
        )  # fmt: skip
        self.customer = _Nobody()  # type: ignore[assignment]
        self.writer.book = Book(ask, clara)  # type: ignore[assignment]
        self._cues = set()
        self.acts = [Act("start", ASK_AT_MS, line=line(ask)), *acts] if ask else acts
        self.at(0.0, lambda now_ms: self._cue("start", now_ms))

    def _cue(self, cue: str, now_ms: float) -> None:
        if cue in self._cues and cue != "then":
            return
        self._cues.add(cue)
        for number, act in enumerate(self.acts):
            if act.cue == cue and not act.said_ms:
                self._plan(number, act, now_ms + act.at_ms)

    def _plan(self, number: int, act: Act, at_ms: float) -> None:
        act.said_ms = [(at_ms, at_ms)]
        self.at(at_ms, lambda now_ms: self._act(number, act, now_ms))

    def _act(self, number: int, act: Act, now_ms: float) -> None:
        act.said_ms = []
        if act.typed:
            self._feed(ev.TextTyped(at_ms=now_ms, text=act.typed))
            act.said_ms.append((now_ms, now_ms))
        elif act.line is not None:
            for words in self._ear.line(act.line, ()):
                act.said_ms.append((now_ms + words[0].start_ms, now_ms + words[-1].end_ms))
            self._recognise(act.line, now_ms)
        elif act.ears:
            self._raw(act, now_ms)
        else:
            act.said_ms.append((now_ms, now_ms + act.sound_ms))
            self._vad(now_ms, now_ms + act.sound_ms)
        end_ms = act.said_ms[-1][1]
        if number == 0 and act.cue == "start":
            self.at(end_ms, lambda then_ms: self._cue("asked", then_ms))
        following = self.acts[number + 1] if number + 1 < len(self.acts) else None
        if following is not None and following.cue == "then":
            self._plan(number + 1, following, end_ms + following.at_ms)

    def _raw(self, act: Act, now_ms: float) -> None:
        ears = act.ears

        def on(at_ms: float, event: ev.Event) -> None:
            self.at(at_ms, event)

        longest = now_ms
        for source in ("vad", "vendor"):
            if source in ears and (source != "vad" or self.settings.local_vad):
                began, ended = ears[source]
                began_ms = now_ms + began * 1000
                on(began_ms + 90, ev.SpeechStarted(at_ms=began_ms + 90, source=source, sound_at_ms=began_ms))  # type: ignore[arg-type]
                if ended is not None:
                    ended_ms = longest = now_ms + ended * 1000
                    on(ended_ms + 64, ev.SpeechEnded(at_ms=ended_ms + 64, source=source, sound_at_ms=ended_ms))  # type: ignore[arg-type]
        for s, text in ears.get("interim", ()):
            on(now_ms + s * 1000, ev.TranscriptInterim(at_ms=now_ms + s * 1000, text=text))
        if "button" in ears:
            on(now_ms, ev.InterruptRequested(at_ms=now_ms))
        if "typed" in ears:
            s, text = ears["typed"]
            on(now_ms + s * 1000, ev.TextTyped(at_ms=now_ms + s * 1000, text=text))
        for which in ("", "2"):
            if f"final{which}" in ears:
                s, text = ears[f"final{which}"]
                began, ended = ears.get(f"said{which}") or ears.get("said") or ears.get("vendor") or (0, s - 0.5)
                final = ev.TranscriptFinal(
                    at_ms=now_ms + s * 1000, text=text, speech_started_ms=now_ms + began * 1000,
                    speech_ended_ms=now_ms + (ended if ended is not None else s - 0.5) * 1000,
                )  # fmt: skip
                on(final.at_ms, final)
        act.said_ms.append((now_ms, longest))

    def _feed(self, event: ev.Event) -> None:
        began = len(self.conversation.trace)
        super()._feed(event)
        for record in self.conversation.trace[began:]:
            if isinstance(record, ev.SpeakingStarted):
                self._cue("heard", self._now_ms)
            elif isinstance(record, ev.SpeakingEnded):
                self._cue("done", self._now_ms)


def seed_of(name: str) -> int:
    """A seed that stays with a case whatever stands beside it."""
    return crc32(name.encode()) % 1000


# --- what came of it -------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What was heard, ordered and asked. Times in ms."""

    trace: list[Any]
    sounds: list[tuple[int, float, float]]  # utterance, from, to: Clara audible
    ducked: list[tuple[float, float]]
    stops: list[tuple[int, float]]  # orders to silence what sounded
    asked: list[str]  # turns that are answered, one text each
    requests: list[str]
    spoken: list[str]  # of each utterance what was heard, in order
    last_ms: float
    history: str = ""

    def ducked_ms(self, from_ms: float, to_ms: float) -> float:
        """How much of a stretch was ducked while she sounded."""
        return sum(
            max(0.0, min(to_ms, b, d) - max(from_ms, a, c)) for a, b in self.ducked for _, c, d in self.sounds
        )  # fmt: skip

    def silence_at(self, at_ms: float) -> float:
        """When she is silent after `at_ms`: the end of the sound that is going on then."""
        return next((end for _, start, end in self.sounds if start <= at_ms < end), at_ms)

    def next_sound(self, at_ms: float) -> float | None:
        """When she is heard again."""
        return next((start for _, start, _ in self.sounds if start >= at_ms), None)


def outcome(trace: list[Any], history: Any) -> Outcome:
    """Read a trace: events and orders, nothing of how they were decided but what was estimated as heard."""
    began: dict[int, float] = {}
    sounds: list[tuple[int, float, float]] = []
    ducked: list[tuple[float, float]] = []
    stops: list[tuple[int, float]] = []
    texts: dict[int, list[str]] = {}
    opened: dict[int, str] = {}
    heard: list[tuple[int, str]] = []
    requests: list[str] = []
    down: float | None = None
    for r in trace:
        match r:
            case ev.SpeakingStarted():
                began.setdefault(r.utterance_id, r.at_ms)
            case ev.SpeakingEnded() | ev.SpeakingInterrupted() if r.utterance_id in began:
                sounds.append((r.utterance_id, began.pop(r.utterance_id), r.at_ms))
                if isinstance(r, ev.SpeakingEnded):
                    heard.append((r.utterance_id, " ".join(texts.get(r.utterance_id, ()))))
            case ev.ProviderFailed() if r.utterance_id in began:
                sounds.append((r.utterance_id, began.pop(r.utterance_id), r.at_ms))
            case do.InterruptAvatar() if r.utterance_id in began:
                stops.append((r.utterance_id, r.at_ms))
            case do.Speak(by="opener"):
                opened[r.utterance_id] = r.text  # no word of her answer
            case do.Speak():
                texts.setdefault(r.utterance_id, []).append(r.text)
            case HeardEstimated():
                if not (heard and heard[-1][0] == r.utterance_id):
                    heard.append((r.utterance_id, r.heard.removeprefix(opened.get(r.utterance_id, "")).strip()))
            case do.Duck():
                if r.on and down is None:
                    down = r.at_ms
                elif not r.on and down is not None:
                    ducked.append((down, r.at_ms))
                    down = None
            case do.RequestReply():
                requests.append(r.text)
            case _:
                pass
    last_ms = trace[-1].at_ms
    sounds += [(u, since, last_ms) for u, since in began.items()]
    asked = [re.sub(r"\([^()]*\)", " ", m.text).strip() for m in history.said if m.role == "user"]
    return Outcome(
        trace, sorted(sounds, key=lambda s: s[1]), ducked, stops, [a for a in asked if a], requests,
        [text for _, text in heard], last_ms, " ".join(m.text for m in history.said),
    )  # fmt: skip


def said_whole(text: str, spoken: list[str]) -> bool:
    """Every word of `text` was heard, in order; a piece may be said again."""
    words, at = plain(text), 0
    for piece in spoken:
        heard = plain(piece)
        for start in range(at, -1, -1):
            if heard and words[start : start + len(heard)] == heard:
                at = max(at, start + len(heard))
                break
    return at == len(words)


def mistakes(trace: list[Any]) -> list[str]:
    """What must never be in any trace."""
    wrong = [f"internal error: {r.reason}" for r in trace if isinstance(r, Ignored) and "internal error" in r.reason]
    wrong += [f"alert: {r.message}" for r in trace if isinstance(r, do.RaiseAlert) and r.name == "internal_error"]
    return wrong


__all__ = [
    "ASK_AT_MS", "LATER", "Act", "Outcome", "Stage", "changed", "line", "mistakes", "outcome", "said_whole", "seed_of",
    "tokenize", "word_times", "worlds",
]  # fmt: skip
