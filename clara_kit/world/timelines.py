"""What a recogniser and a model would say, and when: pure timelines, shared by both simulated worlds.

`sim.py` plays them in virtual time, `in_process.py` in real time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from clara_kit.core import events as ev
from clara_kit.core.profile import ANONYMOUS, CustomerProfile
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Settings
from clara_kit.world.answers import AnswerBook, Known, tokenize
from clara_kit.world.faults import Fault
from clara_kit.world.instructions import Sensed, apply, sense
from clara_kit.world.latency import Stage
from clara_kit.world.script import Line, WordTime, word_times

Draw = Callable[[Stage], float]


def stretches(line: Line, endpointing_ms: float) -> list[list[WordTime]]:
    """The words of a line, cut where a pause is longer than the endpointing."""
    found: list[list[WordTime]] = [[]]
    for word in word_times(line):
        if found[-1] and word.start_ms - found[-1][-1].end_ms > endpointing_ms:
            found.append([])
        found[-1].append(word)
    return found


def recognised(
    words: list[WordTime],
    start_ms: float,
    settings: Settings,
    draw: Draw,
    *,
    late_ms: float = 0.0,
    no_end: bool = False,
) -> Iterator[ev.Event]:
    """What a recogniser says of one stretch of words of a line begun at `start_ms`, in order of time.

    late_ms: everything comes later by this. no_end: no speech_final comes, the gap between words ends it.
    """
    began, ended = start_ms + words[0].start_ms, start_ms + words[-1].end_ms
    yield ev.SpeechStarted(at_ms=began + draw("stt_onset") + late_ms, source="vendor", sound_at_ms=began)
    results_ms = draw("stt_results") + late_ms
    every_ms = draw("stt_interim_every")
    tick = began + every_ms
    while tick < ended:
        said = " ".join(w.text for w in words if start_ms + w.end_ms <= tick)
        if said:
            yield ev.TranscriptInterim(at_ms=tick + results_ms, text=said)
        tick += every_ms
    silence_ms = settings.stt_utterance_end_ms if no_end else settings.stt_endpointing_ms
    yield ev.TranscriptFinal(
        at_ms=ended + silence_ms + results_ms,
        text=" ".join(w.text for w in words),
        speech_started_ms=began,
        speech_ended_ms=ended,
        words=tuple(
            ev.Word(text=w.text, start_ms=start_ms + w.start_ms, end_ms=start_ms + w.end_ms) for w in words
        ),
    )


@lru_cache(maxsize=4096)
def answer_tokens(
    book: AnswerBook, question: str, prompt: Prompt | None, *, first: bool = True
) -> tuple[str, ...]:
    """The scripted brain's answer as tokens, with the prompt's instructions obeyed as far as it can sense them.

    first: the customer has asked nothing before.
    """
    if prompt is None:
        return tuple(tokenize(book.reply(question).text))
    return tuple(tokenize(answer(book, question, _sensed(prompt), first=first)))


def answer(
    book: AnswerBook, question: str, sensed: Sensed, *, history: Sequence[str] = (), first: bool = True
) -> str:
    """What the scripted brain says under a prompt. history: what the customer said before, for follow-ups."""
    skin, concerns = sensed.value("skin") or "", sensed.value("concerns") or ""
    known = Known(skin=skin, concerns=tuple(c.strip() for c in concerns.split(",") if c.strip()))
    return apply(book.reply(question, history, known).text, sensed, first=first)


@lru_cache(maxsize=64)
def _sensed(prompt: Prompt) -> Sensed:
    return sense(prompt.text)


@lru_cache(maxsize=4096)
def token_count(text: str) -> int:
    """How many tokens a text has, as the scripted brain counts."""
    return len(tokenize(text))


GIVE_UP_MS = 10_000.0  # as the fetcher does unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """`failed` (its time is still to be set) or `profile`; `late_ms` on top of the shop's own latency."""

    profile: CustomerProfile = ANONYMOUS
    failed: ev.ProviderFailed | None = None
    late_ms: float = 0.0
    warnings: tuple[str, ...] = ()


def shop_answer(profile: CustomerProfile, faults: Iterable[Fault], settings: Settings) -> Shown:
    """What the fetcher gives for this profile while these faults happen."""
    late_ms = 0.0
    warnings: list[str] = []
    for fault in faults:
        kind = _failure(fault)
        if kind is not None:
            failed = ev.ProviderFailed(
                at_ms=0.0,
                service="shop",
                kind=kind,
                message=f"Simulated fault: {fault}.",
                retryable=kind in ("stalled", "overloaded"),
            )
            stalled_ms = GIVE_UP_MS if kind == "stalled" else 0.0
            return Shown(
                failed=failed, late_ms=late_ms + fault.after_ms + stalled_ms, warnings=tuple(warnings)
            )
        if fault.kind in ("slow", "stall"):
            late_ms += fault.for_ms
        elif fault.kind == "truncate":
            profile = replace(profile, purchases=())
            warnings.append("Simulated fault: the shop answered in part; the orders are missing.")
        elif fault.detail == "PROTECTED":
            profile = replace(profile, first_name="")
            warnings.append("Simulated fault: the shop's plan does not allow personal fields.")
        else:
            late_ms += settings.initial_retry_delay_ms  # the fetcher tries again
    return Shown(profile=profile, late_ms=late_ms, warnings=tuple(warnings))


def _failure(fault: Fault) -> ev.FailureKind | None:
    """How a fault that cannot be mended shows; None for the others."""
    if fault.kind == "refuse" and fault.status not in (429, 500, 502, 503, 504):
        return "refused"
    if fault.kind == "error" and fault.detail in ("ACCESS_DENIED", "SHOP_INACTIVE", "MAX_COST_EXCEEDED"):
        return "refused"
    if fault.kind == "garble":
        return "protocol"
    if fault.kind == "stall" and (fault.for_ms == 0 or fault.for_ms > GIVE_UP_MS):
        return "stalled"
    return None
