"""What each service does, and when: pure timelines, written once.

`sim.py` schedules them in virtual time, `played.py` plays them on a clock; faults, limits, flushes, delays and settings
are therefore the same in both. A timeline takes its random numbers (`draw`), its faults and the settings, and gives
events with their times. What is told is each service together with its provider: a fault shows as what the provider
would make of it. Voice and avatar are in `mouths.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from math import inf
from random import Random

from msgspec import structs

from clara_kit.conversation.history import REST
from clara_kit.core import events as ev
from clara_kit.core.commands import Message
from clara_kit.core.errors import FailureKind
from clara_kit.core.prompt import Prompt
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import Settings
from clara_kit.world.answers import AnswerBook, Known, tokenize
from clara_kit.world.faults import Fault, find
from clara_kit.world.instructions import Sensed, apply, sense
from clara_kit.world.latency import LatencyProfile, Stage
from clara_kit.world.script import Line, WordTime, word_times

Draw = Callable[[Stage], float]
Unheard = tuple[list[WordTime], float]
"""A stretch of a line without words yet, and when its line began."""

ASKED_MS = 1000.0  # how long Anthropic's twin asks to wait at its rate limit
KEPT_MS = 15_000.0  # as much of what nobody has given words for is kept, as by the recogniser's provider
DEAF_MS = 7000.0  # how long sound may stay without an answer, as the recogniser's provider has it
CATCH_UP = 1.25  # how much faster than it was spoken a reopened recogniser takes the sound that waited


class Drawn:
    """The random numbers of one conversation: a generator for each stage, to the microsecond."""

    __slots__ = ("_laws", "_rngs", "_seed")

    def __init__(self, profile: LatencyProfile, seed: int) -> None:
        self._laws, self._seed = profile.laws, seed
        self._rngs: dict[Stage, Random] = {}

    def __call__(self, stage: Stage) -> float:
        rng = self._rngs.get(stage)
        if rng is None:
            rng = self._rngs[stage] = child_rng(self._seed, "sim", stage)
        return round(self._laws[stage].draw(rng), 3)


def refusal(status: int) -> FailureKind:
    """What a status means, as the providers have it."""
    return "rate_limited" if status == 429 else "overloaded" if status >= 500 else "refused"


def failed(
    fault: Fault,
    at_ms: float,
    *,
    stalled: bool = False,
    reply_id: int | None = None,
    utterance_id: int | None = None,
    usage: ev.Usage | None = None,
) -> ev.ProviderFailed:
    """What a provider makes of a fault."""
    kind: FailureKind = "stalled" if stalled else "cut"
    if fault.kind == "refuse":
        kind = refusal(fault.status)
    elif fault.service == "llm" and not stalled and fault.kind != "cut":
        kind = "overloaded"
    asked_ms = fault.for_ms or (ASKED_MS if fault.service == "llm" and fault.status == 429 else 0.0)
    return ev.ProviderFailed(
        at_ms=at_ms,
        service=fault.service,
        kind=kind,
        message=f"Simulated fault: {fault.service} {fault.kind}.",
        retryable=kind != "refused",
        retry_after_ms=asked_ms or None if fault.kind == "refuse" else None,
        reply_id=reply_id,
        utterance_id=utterance_id,
        usage=usage,
    )


# --- the recogniser --------------------------------------------------------------------------------------------


def stretches(line: Line, endpointing_ms: float) -> list[list[WordTime]]:
    """The words of a line, cut where a pause is longer than the endpointing."""
    found: list[list[WordTime]] = [[]]
    for word in word_times(line):
        if found[-1] and word.start_ms - found[-1][-1].end_ms > endpointing_ms:
            found.append([])
        found[-1].append(word)
    return found


def words_until(words: Iterable[ev.Word], at_ms: float) -> str:
    """Those that had been said by then."""
    return " ".join(word.text for word in words if word.end_ms <= at_ms)


class Ear:
    """A recogniser: told each line as it is said, it tells what it makes of it."""

    def __init__(self, settings: Settings, draw: Draw) -> None:
        self._settings, self._draw = settings, draw
        self._faults: tuple[Fault, ...] = ()
        self._coming: tuple[Fault, ...] = ()  # of a connection that was opened anew: they strike what is said next
        self._broken_ms = inf  # from when on it is not connected, or deaf
        self.closed = False
        self._waiting: list[Unheard] = []  # said meanwhile, and not lost
        self._due: dict[int, tuple[ev.Event, Unheard | None]] = {}  # not told yet; a final with what it is of
        self._last: tuple[ev.TranscriptFinal, float] | None = None  # the last final, and how long results take

    def line(self, line: Line, faults: tuple[Fault, ...]) -> list[list[WordTime]]:
        """A line begins: its stretches, one utterance each."""
        self._faults = (*self._coming, *faults)
        self._coming = ()
        return stretches(line, float(self._settings.stt_endpointing_ms))

    def hear(self, words: list[WordTime], start_ms: float) -> list[ev.Event]:
        """What becomes of one stretch of a line that began at `start_ms`."""
        began, late_ms = start_ms + words[0].start_ms, 0.0
        happens: list[ev.Event] = []
        if self._broken_ms == inf:
            broken = find(self._faults, "refuse", "cut", "error")
            stall, slow = find(self._faults, "stall"), find(self._faults, "slow")
            if broken is not None:
                self._broken_ms = began + self._draw("stt_onset") + broken.after_ms
                happens.append(failed(broken, self._broken_ms))
            elif stall is not None and not 0 < stall.for_ms <= DEAF_MS:
                self._broken_ms = began + stall.after_ms
                happens.append(failed(stall, self._broken_ms + DEAF_MS, stalled=True))
            else:
                late_ms = sum(fault.for_ms for fault in (stall, slow) if fault)
            if happens:
                self._faults = ()
        if began < self._broken_ms:
            happens += self._recognised(words, start_ms, late_ms=late_ms)
        told = [event for event in happens if isinstance(event, ev.ProviderFailed) or event.at_ms < self._broken_ms]
        if not any(isinstance(event, ev.TranscriptFinal) for event in told):
            self._waiting.append((words, start_ms))
            self._last = None
        return self._coming_of(told, (words, start_ms))

    def connects(self, at_ms: float, faults: tuple[Fault, ...]) -> ev.ProviderFailed | None:
        """It is to be connected again while these happen: why it is not, or None."""
        self._coming = tuple(f for f in faults if f.kind != "refuse")
        refused = find(faults, "refuse")
        return None if refused is None else failed(refused, at_ms + refused.after_ms)

    def connected(self, at_ms: float) -> list[ev.Event]:
        """It is connected again: what waited is sent once more, as fast as the vendor takes it."""
        self._broken_ms, self.closed = inf, False
        return [event for unheard in self.leaves(at_ms, KEPT_MS) for event in self._again(unheard, at_ms)]

    def disconnected(self, at_ms: float) -> None:
        """It is closed: what it has not told, and what is said from now on, waits for whoever hears next."""
        self._broken_ms, self.closed = min(self._broken_ms, at_ms), True
        self._waiting += [unheard for _, unheard in self._due.values() if unheard is not None]
        self._due.clear()

    def leaves(self, at_ms: float, kept_ms: float) -> list[Unheard]:
        """What was said to nobody is left to whoever hears now, as far as it is kept."""
        left, self._waiting = self._waiting, []
        return [(words, start_ms) for words, start_ms in left if start_ms + words[-1].end_ms > at_ms - kept_ms]

    def takes(self, left: list[Unheard], at_ms: float) -> list[ev.Event]:
        """It hears again, in place of another ear that left this without words."""
        self._waiting += left
        return self.connected(at_ms) if self._broken_ms == inf else []

    def finalize(self, now_ms: float, *, over: bool = True) -> list[ev.Event]:
        """Somebody does not want to wait for the silence: the last final comes at once, where its words are over.

        Not `over`: the words so far, as interim ones; none of them is cut in two here, as a real recogniser may.
        """
        if self._last is not None:
            final, results_ms = self._last
            if not over:
                said = words_until(final.words, now_ms) if now_ms < final.speech_ended_ms else ""
                told = [ev.TranscriptInterim(at_ms=now_ms + results_ms, text=said)] if said else []
                return self._coming_of(told)
            if final.speech_ended_ms <= now_ms < final.at_ms - results_ms:
                self._last = None
                _, unheard = self._due.pop(id(final), (final, None))
                return self._coming_of([structs.replace(final, at_ms=now_ms + results_ms)], unheard)
        return []

    def tells(self, event: ev.Event) -> bool:
        """Whether an event that is due now is told: not before its time, and the connection has not been closed."""
        return self._due.pop(id(event), None) is not None

    def _coming_of(self, events: Sequence[ev.Event], unheard: Unheard | None = None) -> list[ev.Event]:
        for event in events:
            self._due[id(event)] = event, unheard if isinstance(event, ev.TranscriptFinal) else None
        return [*events]

    def _again(self, unheard: Unheard, at_ms: float) -> list[ev.Event]:
        words, start_ms = unheard
        ended = start_ms + words[-1].end_ms
        taken = at_ms + max(0.0, min(at_ms, ended) - start_ms - words[0].start_ms) / CATCH_UP
        final = self._final(words, start_ms, max(ended, taken), self._draw("stt_results"))
        return self._coming_of([final], unheard)

    def _recognised(self, words: list[WordTime], start_ms: float, *, late_ms: float) -> Iterator[ev.Event]:
        draw, began, ended = self._draw, start_ms + words[0].start_ms, start_ms + words[-1].end_ms
        yield ev.SpeechStarted(at_ms=began + draw("stt_onset") + late_ms, source="vendor", sound_at_ms=began)
        results_ms = draw("stt_results") + late_ms
        every_ms = draw("stt_interim_every")
        tick = began + every_ms
        while tick < ended:
            said = " ".join(w.text for w in words if start_ms + w.end_ms <= tick)
            if said:
                yield ev.TranscriptInterim(at_ms=tick + results_ms, text=said)
            tick += every_ms
        final = self._final(words, start_ms, ended, results_ms)
        self._last = final, results_ms
        yield final

    def _final(self, words: list[WordTime], start_ms: float, taken_ms: float, results_ms: float) -> ev.TranscriptFinal:
        """After the silence that ends an utterance: the endpointing, or else the gap between words."""
        no_end, settings = find(self._faults, "no_end"), self._settings
        silence_ms = settings.stt_utterance_end_ms if no_end else settings.stt_endpointing_ms
        return ev.TranscriptFinal(
            at_ms=taken_ms + silence_ms + results_ms,
            text=" ".join(w.text for w in words),
            speech_started_ms=start_ms + words[0].start_ms,
            speech_ended_ms=start_ms + words[-1].end_ms,
            words=tuple(
                ev.Word(text=w.text, start_ms=start_ms + w.start_ms, end_ms=start_ms + w.end_ms) for w in words
            ),
        )


# --- the model -------------------------------------------------------------------------------------------------


def reply(
    tokens: Sequence[str],
    messages: Sequence[Message],
    *,
    reply_id: int,
    now_ms: float,
    prompt_hash: str,
    settings: Settings,
    draw: Draw,
    faults: tuple[Fault, ...],
) -> Iterator[ev.Event]:
    """One reply from the request on: its start, its text token by token, and how it ends."""
    yield ev.ReplyStarted(at_ms=now_ms, reply_id=reply_id, model=settings.llm_model, prompt_hash=prompt_hash)
    broken, slow = find(faults, "refuse", "cut", "error", "stall"), find(faults, "slow")
    declined, cut_short = find(faults, "decline"), find(faults, "truncate")
    first_ms = at_ms = now_ms + draw("llm_first_token") + (slow.for_ms if slow else 0.0)
    per_token_ms = 1000 / draw("llm_tokens_per_s")
    tokens, limit = () if declined else tokens, settings.llm_max_tokens
    since_ms, patience_ms = now_ms, settings.llm_first_token_timeout_ms
    written = 0
    for token in tokens[:limit]:
        if cut_short is not None and at_ms >= first_ms + cut_short.after_ms:
            break
        if broken is not None and (broken.kind == "refuse" or at_ms >= first_ms + broken.after_ms):
            if broken.kind == "stall":
                at_ms, broken = at_ms + (broken.for_ms or inf), None
            elif at_ms <= since_ms + patience_ms:
                begun = broken.kind != "refuse"
                yield failed(broken, at_ms, reply_id=reply_id, usage=dropped(messages, written) if begun else None)
                return
        if at_ms > since_ms + patience_ms:
            yield too_late(
                since_ms + patience_ms, patience_ms, reply_id, dropped(messages, written) if written else None
            )
            return
        yield ev.ReplyDelta(at_ms=at_ms, reply_id=reply_id, text=token)
        written += 1
        since_ms, patience_ms = at_ms, settings.llm_stall_timeout_ms
        at_ms = round(at_ms + per_token_ms, 3)
    if at_ms > since_ms + patience_ms:
        yield too_late(since_ms + patience_ms, patience_ms, reply_id, dropped(messages, written) if written else None)
        return
    usage = ev.Usage(input_tokens=_prompt_tokens(messages), output_tokens=min(len(tokens), limit))
    reason = "max_tokens" if len(tokens) > limit or cut_short else "refusal" if declined else "end_turn"
    yield ev.ReplyCompleted(at_ms=at_ms, reply_id=reply_id, stop_reason=reason, usage=usage)


def dropped(messages: Sequence[Message], written: int) -> ev.Usage:
    """What a reply had used that did not come to its end after so many tokens. No vendor counts the output then."""
    return ev.Usage(input_tokens=_prompt_tokens(messages), output_tokens=written, output_estimated=True)


def _prompt_tokens(messages: Sequence[Message]) -> int:
    return sum([token_count(message.text) for message in messages])


def too_late(at_ms: float, patience_ms: float, reply_id: int, usage: ev.Usage | None) -> ev.ProviderFailed:
    """The model's provider gave up waiting."""
    return ev.ProviderFailed(
        at_ms=at_ms, service="llm", kind="stalled", retryable=True, reply_id=reply_id,
        message=f"The simulated model sent nothing for {patience_ms / 1000:g} s.",
        usage=usage,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def answer_tokens(
    book: AnswerBook, question: str, prompt: Prompt | None, *, first: bool = True, said: str = ""
) -> tuple[str, ...]:
    """The scripted brain's answer as tokens, with the prompt's instructions obeyed as far as it can sense them.

    first: the customer has asked nothing before. said: of the answer already, behind which it goes on.
    """
    whole = book.reply(question).text if prompt is None else answer(book, question, _sensed(prompt), first=first)
    return tuple(tokenize(unsaid(whole, said)))


def how_asked(messages: Sequence[Message]) -> tuple[bool, str]:
    """Whether the customer has asked nothing before, and what has been said of the answer of which the rest is wanted."""
    rest = len(messages) > 2 and REST in messages[-1].text
    before = messages[:-2] if rest else messages
    return sum(m.role == "user" for m in before) <= 1, messages[-2].text if rest else ""


def unsaid(answer: str, said: str) -> str:
    """The rest of an answer, all of it where it begins otherwise."""
    begins = re.match(r"\s*".join(map(re.escape, said.split())), answer)
    return answer[begins.end() :].lstrip() if begins else answer


def answer(book: AnswerBook, question: str, sensed: Sensed, *, history: Sequence[str] = (), first: bool = True) -> str:
    """What the scripted brain says under a prompt. history: what the customer said before, for follow-ups."""
    skin, concerns = sensed.value("skin") or "", sensed.value("concerns") or ""
    known = Known(skin=skin, concerns=tuple(c.strip() for c in concerns.split(",") if c.strip()))
    return apply(book.reply(question, history, known).text, sensed, first=first, products=book.products)


@lru_cache(maxsize=512)  # an experiment has a prompt for each variant and customer
def _sensed(prompt: Prompt) -> Sensed:
    return sense(prompt.text)


@lru_cache(maxsize=4096)
def token_count(text: str) -> int:
    """How many tokens a text has, as the scripted brain counts."""
    return len(tokenize(text))
