"""Labelled overlaps, invented: what a customer does while Clara speaks or after, when the ears tell of it, and what she should do.

Drawn from `data/turns/overlaps.yml`, where every parameter has its source; no figure there is Chilean, and nothing that
comes of it was ever seen on customers. Equal arguments give equal cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from clara_kit import data_files
from clara_kit.conversation.lexicon import plain
from clara_kit.conversation.sentences import SentenceChunker
from clara_kit.core import events as ev
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.rng import child_rng
from clara_kit.world.hears import VAD_HANG_MS
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.mouths import spoken_ms
from clara_kit.world.timelines import words_until

PATH = DATA / "turns" / "overlaps.yml"
HINT = "see the head of data/turns/overlaps.yml."
CHOSEN = {"source": "chosen for this sweep", "confidence": "L"}
ENDPOINTING_MS = 300.0  # of the recogniser in every case; the plan's
LATEST_MS = 800.0  # what begins later before Clara's end is hardly an overlap
LAST_MS = 500.0  # what begins so shortly before her end answers her

EARS = (ev.SpeechStarted, ev.SpeechEnded, ev.TranscriptInterim, ev.TranscriptFinal)
Should = Literal["stop", "go_on", "wait", "answer"]
Span: TypeAlias = "tuple[float, float, tuple[ev.Word, ...]]"  # of sound: from, to (ms), and the words in it


class Case(Struct, frozen=True, kw_only=True):
    """One moment, with what Clara should do: stop; go on; wait for the rest; answer. Times in ms from her first sound.

    events: what the ears told, in order. results_ms: how long words asked for with `FinalizeWords` take. answer_ms: from a
    request to Clara's first sound; restart_ms: from the order to speak on. asked_ms, text_ms: when she was asked what she
    answers here (None: she greets), and had her text. per_min: how often such a thing happens in a minute of her speech,
    shared among the cases of its kind; 0: a labelled one, of which nobody knows.
    """

    kind: str
    should: Should
    clara: tuple[str, ...]
    clara_ms: float
    begins_ms: float
    ends_ms: float
    events: tuple[ev.Event, ...]
    text: str = ""
    results_ms: float = 250.0
    answer_ms: float = 1900.0
    restart_ms: float = 1100.0
    asked_ms: float | None = -1000.0
    text_ms: float = -1000.0
    per_min: float = 0.0


class Parameter(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number or a law, and where it comes from. Raises `ScriptError` where it is not exactly one."""

    source: Annotated[str, Meta(pattern=r"\S")]
    confidence: Literal["H", "M", "L"]
    value: float | None = None
    uniform: tuple[float, float] | None = None
    normal: tuple[float, float] | None = None
    lognormal: tuple[float, float] | None = None
    beta: tuple[float, float] | None = None
    clip: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if sum(law is not None for law in (self.value, self.uniform, self.normal, self.lognormal, self.beta)) != 1:
            raise ScriptError("a parameter is one value or one law.", hint=HINT)

    def draw(self, rng: Random) -> float:
        """One value of it."""
        if self.value is not None:
            return self.value
        low, high = self.clip or (-float("inf"), float("inf"))
        return min(high, max(low, self._drawn(rng)))

    def _drawn(self, rng: Random) -> float:
        if self.lognormal:
            return self.lognormal[0] * exp(rng.gauss(0.0, self.lognormal[1]))
        laws = ((self.uniform, rng.uniform), (self.normal, rng.gauss), (self.beta, rng.betavariate))
        return next(draw(*law) for law, draw in laws if law)


class _Words(Struct, frozen=True, forbid_unknown_fields=True):
    backchannels: tuple[str, ...]
    drawn_out: tuple[str, ...]
    interruptions: dict[Literal["word", "phrase", "question", "correction"], tuple[str, ...]]
    answers: tuple[str, ...]
    open: tuple[tuple[str, str], ...]
    closed: tuple[tuple[str, str], ...]
    complete: tuple[str, ...]


class Overlaps(Struct, frozen=True, forbid_unknown_fields=True):
    """What `data/turns/overlaps.yml` holds."""

    parameters: dict[str, Parameter]
    words: _Words

    @classmethod
    def load(cls) -> Overlaps:
        """The parameters and words as they stand in the file. Raises `ScriptError`."""
        return data_files.made(PATH, _read)

    def with_changes(self, **changes: float | dict[str, Any]) -> Overlaps:
        """The same with other numbers (`coughs_per_min=1`) or laws (`pause_s={"lognormal": [0.6, 0.65]}`). Raises `ScriptError`."""
        parameters = dict(self.parameters)
        for name, change in changes.items():
            if name not in parameters:
                raise ScriptError(f"There is no parameter {name!r}.", hint=f"there are {', '.join(parameters)}.")
            told: dict[str, Any] = change if isinstance(change, dict) else {"value": change}
            try:
                parameters[name] = msgspec.convert({**CHOSEN, "clip": parameters[name].clip, **told}, Parameter)
            except msgspec.ValidationError as exc:
                raise ScriptError(f"{name} cannot be {change!r}.", hint=HINT) from exc
        return msgspec.structs.replace(self, parameters=parameters)


def _read(path: Path) -> Overlaps:
    return data_files.built(path, lambda data: msgspec.convert(data, Overlaps), HINT)


SHARES: dict[str, tuple[Should, float]] = {
    "backchannel": ("go_on", 0.20), "unknown backchannel": ("go_on", 0.08), "long backchannel": ("go_on", 0.08),
    "cough": ("go_on", 0.07), "noise": ("go_on", 0.05), "one ear": ("go_on", 0.06), "echo": ("go_on", 0.08),
    "interruption": ("stop", 0.16), "last half second": ("answer", 0.05),
    "unfinished": ("wait", 0.09), "finished": ("answer", 0.08),
}  # fmt: skip
"""Of each kind of case: what Clara should do, and its share of a sample. How often it happens is another matter."""


def overlaps(
    count: int = 1000,
    seed: int = 0,
    *,
    latency: str | LatencyProfile = "published",
    answers_ms: float | None = None,
    **changes: float | dict[str, Any],
) -> tuple[Case, ...]:
    """So many labelled cases, of every kind its share. changes: other parameters than those of the file, by their names.

    latency: when the ears tell, and how soon Clara answers: a name in `data/latency/`. answers_ms: she answers so soon
    instead (0.8 s is the aim; what is slow today hides manners). Raises `ScriptError`.
    """
    laws = latency if isinstance(latency, LatencyProfile) else LatencyProfile.load(latency)
    held = Overlaps.load()
    customer = _Customer(held.with_changes(**changes) if changes else held, laws)
    rates = customer.rates()
    cases = []
    for kind, (should, share) in SHARES.items():
        many = round(count * share)
        cases += [customer.case(kind, should, child_rng(seed, kind, n), rates[kind] / many) for n in range(many)]
    if answers_ms is not None:
        soon = ((case, min(case.restart_ms, answers_ms / 2)) for case in cases)
        cases = [msgspec.structs.replace(case, answer_ms=answers_ms, restart_ms=ms) for case, ms in soon]
    return tuple(cases)


@dataclass(frozen=True)
class _Customer:
    """Whoever overlaps: draws everything there is to draw."""

    held: Overlaps
    laws: LatencyProfile

    def _draw(self, name: str, rng: Random) -> float:
        return self.held.parameters[name].draw(rng)

    def _mean(self, name: str) -> float:
        return fmean(self._draw(name, rng) for rng in [child_rng("mean", name)] for _ in range(400))

    def rates(self) -> dict[str, float]:
        """How often each kind happens in a minute of Clara's speech; customers take one turn for each of hers."""
        p = {name: one.value or 0.0 for name, one in self.held.parameters.items()}
        turns = 60_000 / fmean(ms for _, ms in answers())
        paused = 1 - exp(-p["pauses_per_s"] * p["user_turn_s"])
        rng = child_rng("gaps")
        early = fmean(self._draw("gap_s", rng) < 0 for _ in range(400))
        long, unknown = p["backchannel_long"], p["backchannel_unknown"]
        return {
            "backchannel": p["backchannels_per_min"] * (1 - long - unknown),
            "unknown backchannel": p["backchannels_per_min"] * unknown,
            "long backchannel": p["backchannels_per_min"] * long,
            "cough": p["coughs_per_min"], "noise": p["noises_per_min"], "one ear": p["one_ear_per_min"],
            "echo": p["echoes_per_min"], "interruption": turns * p["interruptions_per_turn"],
            "last half second": turns * (1 - paused) * early, "unfinished": turns * paused,
            "finished": turns * (1 - paused) * (1 - early),
        }  # fmt: skip

    def case(self, kind: str, should: Should, rng: Random, per_min: float) -> Case:
        """One of a kind."""
        clara, clara_ms = rng.choice(answers())
        begins_ms = 200.0 + self._draw("onset_in_turn", rng) * (clara_ms - LATEST_MS - 200.0)
        if should == "wait" or kind == "finished":
            begins_ms = clara_ms + 1000 * self._gap(rng, 0.02, 10.0)
        elif kind == "last half second":
            begins_ms = clara_ms + 1000 * self._gap(rng, -LAST_MS / 1000, -0.02)
        elif kind == "echo":
            begins_ms, text, length_ms = self._echo(clara, clara_ms, rng)
        local = vendor = True
        if kind == "echo":
            spans = [_spoken(text, begins_ms, length_ms)]
        elif kind in ("cough", "noise", "one ear"):
            length_ms = 1000 * self._draw("cough_s" if kind == "cough" else "noise_s", rng)
            spans = [(begins_ms, begins_ms + length_ms, ())]
            local, vendor = (True, kind == "noise") if kind != "one ear" or rng.random() < 0.5 else (False, True)
        else:
            spans = [*self._said(kind, begins_ms, rng)]
        draw = {stage: law.draw(rng) for stage, law in self.laws.laws.items()}
        told = [*_local(spans, draw["stt_onset"])] if local else []
        told += _recognised(spans, self.laws.laws["stt_onset"].draw(rng), draw) if vendor else ()
        restart_ms = draw["tts_first_chunk"] + draw["tts_lead_silence"] + draw["avatar_start"]
        return Case(
            kind=kind, should=should, clara=clara, clara_ms=clara_ms, begins_ms=begins_ms, ends_ms=spans[-1][1],
            events=tuple(sorted(told, key=lambda event: event.at_ms)), per_min=per_min,
            text=" ".join(word.text for _, _, words in spans for word in words), results_ms=draw["stt_results"],
            answer_ms=draw["llm_first_token"] + restart_ms, restart_ms=restart_ms,
        )  # fmt: skip

    def _gap(self, rng: Random, low: float, high: float) -> float:
        """Between two speakers, s, given that it lies between the two."""
        while not low <= (gap := self._draw("gap_s", rng)) <= high:
            pass
        return gap

    def _said(self, kind: str, at_ms: float, rng: Random) -> Iterator[Span]:
        words = self.held.words
        if kind in ("backchannel", "unknown backchannel"):
            text = rng.choice(known_backchannels(kind == "backchannel"))
            yield _spoken(text, at_ms, 1000 * self._draw("backchannel_s", rng))
        elif kind == "long backchannel":
            yield _spoken(rng.choice(words.drawn_out), at_ms, 1000 * self._draw("backchannel_long_s", rng))
        elif kind == "unfinished":
            pairs = words.open if rng.random() < self._draw("open_clause", rng) else words.closed
            first, rest = rng.choice(pairs)
            yield (span := self._fluent(first, at_ms, rng))
            yield self._fluent(rest, span[1] + 1000 * self._draw("pause_s", rng), rng)
        elif kind == "interruption":
            yield self._fluent(rng.choice(words.interruptions[rng.choice([*words.interruptions])]), at_ms, rng)
        else:
            yield self._fluent(rng.choice(words.answers if kind == "last half second" else words.complete), at_ms, rng)

    def _fluent(self, text: str, at_ms: float, rng: Random) -> Span:
        return _spoken(text, at_ms, len(text.split()) * 60_000 / self._draw("words_per_min", rng))

    def _echo(self, clara: Sequence[str], clara_ms: float, rng: Random) -> tuple[float, str, float]:
        """Some of her words, some of them misheard, a little after she said them."""
        hers = _spoken(" ".join(clara), 0.0, clara_ms)[2]
        many = round(self._draw("echo_words", rng))
        first = rng.randrange(max(1, len(hers) - many))
        part = hers[first : first + many]
        begins_ms = part[0].start_ms + 1000 * self._draw("echo_behind_s", rng)
        misheard = self._draw("misheard", rng)
        texts = [_misheard(w.text, rng) if rng.random() < misheard else w.text for w in part]
        return begins_ms, " ".join(t.strip(".,¿?¡!:") for t in texts), part[-1].end_ms - part[0].start_ms


def known_backchannels(known: bool) -> tuple[str, ...]:
    """Those that `data/turns/es-419.yml` has, or those of our own list that it does not have."""
    return data_files.made(DATA / "turns" / "es-419.yml", _known_backchannels)[not known]


def _known_backchannels(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    lists = data_files.data(path)
    words, phrases = ({" ".join(plain(text)) for text in lists[name]} for name in ("backchannels", "phrases"))
    ours = ((text, plain(text)) for text in Overlaps.load().words.backchannels)
    unknown = tuple(text for text, said in ours if not words >= {*said} and " ".join(said) not in phrases)
    return (*lists["backchannels"], *lists["phrases"]), unknown


def answers() -> tuple[tuple[tuple[str, ...], float], ...]:
    """What Clara is saying: the long answers of the scripted brain, in pieces, and how long each takes, ms."""
    return data_files.made(DATA / "answers" / "skincare_es.yaml", _answers)


def _answers(path: Path) -> tuple[tuple[tuple[str, ...], float], ...]:
    found = []
    for entry in data_files.data(path)["entries"]:
        said = pieces(entry["a"])
        if (ms := spoken_ms(" ".join(said))) > 4_000:
            found.append((said, ms))
    return tuple(found)


def pieces(text: str) -> tuple[str, ...]:
    """What Clara says, in sentences."""
    chunker = SentenceChunker()
    return tuple(piece.strip() for piece in (*chunker.feed(text), *chunker.flush()))


def _spoken(text: str, at_ms: float, length_ms: float) -> Span:
    """The words of a stretch of speech, each with a share of its time by its letters."""
    texts = text.split()
    per_char = length_ms / (sum(map(len, texts)) + len(texts))
    words, now = [], at_ms
    for one in texts:
        words.append(ev.Word(text=one, start_ms=now, end_ms=now + per_char * len(one)))
        now += per_char * (len(one) + 1)
    return at_ms, words[-1].end_ms, tuple(words)


def _misheard(word: str, rng: Random) -> str:
    at = rng.randrange(len(word))
    return word[:at] + rng.choice("aeioulnsr") + word[at + 1 :]


def _local(spans: Sequence[Span], onset_ms: float) -> Iterator[ev.Event]:
    """What the detector in the customer's page tells."""
    for start, end, _ in spans:
        if start + onset_ms < end:
            yield ev.SpeechStarted(at_ms=start + onset_ms, source="vad", sound_at_ms=start)
            yield ev.SpeechEnded(at_ms=end + VAD_HANG_MS, source="vad", sound_at_ms=end)


def _recognised(spans: Sequence[Span], onset_ms: float, draw: Any) -> Iterator[ev.Event]:
    """What the recogniser tells: a pause within its endpointing ends nothing, a noise is an utterance without words."""
    stretches: list[list[Span]] = []
    for span in spans:
        if stretches and span[0] - stretches[-1][-1][1] <= ENDPOINTING_MS:
            stretches[-1].append(span)
        else:
            stretches.append([span])
    for stretch in stretches:
        start, end = stretch[0][0], stretch[-1][1]
        words = tuple(word for span in stretch for word in span[2])
        yield ev.SpeechStarted(at_ms=start + onset_ms, source="vendor", sound_at_ms=start)
        tick = start + draw["stt_interim_every"]
        while tick < end:
            if said := words_until(words, tick):
                yield ev.TranscriptInterim(at_ms=tick + draw["stt_results"], text=said)
            tick += draw["stt_interim_every"]
        yield ev.TranscriptFinal(
            at_ms=end + ENDPOINTING_MS + draw["stt_results"], text=" ".join(word.text for word in words),
            speech_started_ms=start, speech_ended_ms=end, words=words,
        )  # fmt: skip
