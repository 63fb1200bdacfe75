"""What Deepgram's messages say (listen v1): segments are joined to utterances, stream times become clock times.

Used by `deepgram.py`. Outlives a connection: an utterance may begin on one and end on the next.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from clara_kit.core.clock import Clock
from clara_kit.core.events import (
    Event,
    ProviderWarned,
    SpeechEnded,
    SpeechStarted,
    TranscriptFinal,
    TranscriptInterim,
    Word,
)
from clara_kit.providers.stt.outbox import Outbox

log = logging.getLogger("clara_kit.stt")

LONGEST_S = 1e6  # no connection lasts eleven days: a later time is none


class Results:
    """Gives `emit` the events of the vendor's messages, and tells `outbox` what a final result covers.

    ask: called where an utterance is over of whose words not all are final; `take_told` then, if none come.
    """

    def __init__(
        self, clock: Clock, outbox: Outbox, emit: Callable[[Event], None], ask: Callable[[], None] = lambda: None
    ) -> None:
        self._clock, self._outbox, self._emit, self._ask = clock, outbox, emit, ask
        self._utterance = _Utterance()
        self.passed_over = 0
        """Messages, times and words that no document describes, so far."""
        self.asked: deque[bool] = deque()
        """What was asked for and not answered: True where an utterance is over, False for its words so far."""
        self._warned: set[str] = set()
        self._finals: deque[tuple[float, str]] = deque(maxlen=32)  # when each of the last began, and what it said

    def take(self, message: Any) -> None:
        """The next message, as the SDK made it (unvalidated; None for a type it does not know)."""
        kind = getattr(message, "type", None)
        try:
            if kind == "Results":
                self._results(message)
            elif kind == "SpeechStarted":
                self._utterance.sound = True
                now_ms = self._clock.now_ms()
                sound_at_ms = self._at(self._second(message, "timestamp"), now_ms)
                self._emit(SpeechStarted(at_ms=now_ms, source="vendor", sound_at_ms=sound_at_ms))
            elif kind == "UtteranceEnd":
                self._utterance_end(message)
            elif kind != "Metadata":
                self.pass_over("an error" if kind == "Error" else "a message of an unknown type")
        except (AttributeError, TypeError, ValueError, LookupError, ArithmeticError) as exc:
            self.pass_over(f"a message of an unknown shape ({type(exc).__name__})")

    def take_told(self) -> None:
        """No final result will come any more: what was told counts. Nothing where that is settled already."""
        utterance = self._utterance
        if (told := utterance.open) is not None:
            utterance.open = None
            utterance.parts.append(told.text)
            utterance.words += told.words
            utterance.ended_ms = told.until_ms if utterance.over_ms is None else utterance.over_ms
            self._finals.append((told.segment_ms, told.text))
        self.end()

    def take_asked(self) -> None:
        """The same, where it was asked for and has not come."""
        if self._utterance.over_ms is not None:
            self.take_told()

    def end(self, ended_ms: float | None = None, *, silent: bool = False) -> None:
        """The utterance is over: one final with everything; `silent`: without words, the end of a sound.

        ended_ms: when it ended, where its words do not tell (default: the end of its last segment).
        """
        utterance, self._utterance = self._utterance, _Utterance()
        now_ms = self._clock.now_ms()
        ended_ms = utterance.ended_ms if ended_ms is None else ended_ms
        if not utterance.parts:
            if silent and utterance.told:
                self._withdraw(utterance, ended_ms)
            if utterance.sound and silent:
                self._emit(SpeechEnded(at_ms=now_ms, source="vendor", sound_at_ms=ended_ms))
            return
        words = tuple(utterance.words)
        self._emit(
            TranscriptFinal(
                at_ms=now_ms,
                text=" ".join(utterance.parts),
                speech_started_ms=words[0].start_ms if words else ended_ms,
                speech_ended_ms=words[-1].end_ms if words else ended_ms,
                confidence=min((w.confidence for w in words), default=0.0),
                words=words,
            )
        )

    def pass_over(self, what: str) -> None:
        """Something is of no use; told once of each kind."""
        self.passed_over += 1
        log.info("passed over: %s", what)  # in words of ours: a vendor's own may repeat what was said
        if what not in self._warned:
            self._warned.add(what)
            message = f"Deepgram's recogniser sent {what}; it is passed over."
            self._emit(ProviderWarned(at_ms=self._clock.now_ms(), service="stt", message=message))

    def _results(self, message: Any) -> None:
        best = next(iter(message.channel.alternatives or ()), None)
        text = (getattr(best, "transcript", None) or "").strip()
        start_s, duration_s = self._second(message, "start"), self._second(message, "duration")
        end_s = None if start_s is None or duration_s is None else start_s + duration_s
        utterance, now_ms = self._utterance, self._clock.now_ms()
        segment = (self._at(start_s, now_ms), text)
        repeated = bool(text) and segment in self._finals
        newest = not repeated or segment == self._finals[-1]
        if repeated:
            self.pass_over("a result twice")
        if not getattr(message, "is_final", False):
            if text and not repeated:
                self._told(text, best, segment[0], self._at(end_s, now_ms))
            self._interim("" if repeated else " ".join([*utterance.parts, text]).strip())
            return
        if end_s is not None:
            self._outbox.confirm(end_s * 1000)
        if text and not repeated:
            self._finals.append(segment)
            utterance.began_ms = utterance.began_ms if utterance.parts else segment[0]
            utterance.parts.append(text)
            utterance.ended_ms = self._at(end_s, now_ms)
            utterance.words += self._words(best, segment[0], utterance.ended_ms)
            utterance.open = None
        if not newest:
            return  # the end of what was said before is none of what is being said now
        if getattr(message, "speech_final", False):
            over = True
            self.asked.clear()
        else:  # answers come in the order of the questions; one that never comes is made good by the silence
            over = getattr(message, "from_finalize", False) and (self.asked.popleft() if self.asked else True)
        if over:
            self.end(None if utterance.parts else self._at(end_s, now_ms), silent=True)
        elif text and not repeated:
            self._interim(" ".join(utterance.parts))
        elif not text and utterance.open is not None and utterance.open.until_ms <= self._at(end_s, now_ms):
            utterance.open = None
            if utterance.parts:
                self._interim(" ".join(utterance.parts))
            elif utterance.told:
                self._withdraw(utterance, self._at(end_s, now_ms))

    def _told(self, text: str, best: Any, from_ms: float, until_ms: float) -> None:
        utterance, words = self._utterance, self._words(best, from_ms, until_ms)
        if utterance.open is None or utterance.open.text != text:
            utterance.over_ms = None  # the customer goes on
        began_ms, ended_ms = (words[0].start_ms, words[-1].end_ms) if words else (from_ms, until_ms)
        utterance.open = _Open(text, words, from_ms, began_ms, ended_ms)
        if not utterance.parts:
            utterance.began_ms = began_ms

    def _withdraw(self, utterance: _Utterance, ended_ms: float) -> None:
        """The words that were told were none."""
        utterance.told = ""
        now_ms, began_ms = self._clock.now_ms(), min(utterance.began_ms, ended_ms)
        self._emit(TranscriptFinal(at_ms=now_ms, text="", speech_started_ms=began_ms, speech_ended_ms=ended_ms))

    def _utterance_end(self, message: Any) -> None:
        """The gap between words is long enough. A late one, of what was said before, ends nothing."""
        utterance = self._utterance
        named = getattr(message, "last_word_end", -1) != -1  # which means that it does not know
        last_s = self._second(message, "last_word_end") if named else None
        if (told := utterance.open) is not None:  # some or all of its words are not final
            over_ms = self._at(last_s, told.until_ms)
            if over_ms > told.began_ms and utterance.over_ms is None:
                utterance.over_ms = over_ms
                self._ask()
        elif utterance.parts and (ended_ms := self._at(last_s, utterance.ended_ms)) >= utterance.began_ms:
            self.end(ended_ms)

    def _words(self, best: Any, from_ms: float, until_ms: float) -> list[Word]:
        words, given = [], getattr(best, "words", None)
        for word in given if isinstance(given, list) else ():
            text = getattr(word, "punctuated_word", None) or getattr(word, "word", None)
            if not isinstance(text, str):
                self.pass_over("a word without letters")
                continue
            start_ms = self._at(self._second(word, "start"), from_ms)
            end_ms = max(start_ms, self._at(self._second(word, "end"), until_ms))
            sure = getattr(word, "confidence", None)
            confidence = float(sure) if isinstance(sure, int | float) and 0 <= sure <= 1 else 0.0
            words.append(Word(text=text, start_ms=start_ms, end_ms=end_ms, confidence=confidence))
        return words

    def _interim(self, text: str) -> None:
        if text and text != self._utterance.told:
            self._utterance.told = text
            self._emit(TranscriptInterim(at_ms=self._clock.now_ms(), text=text))

    def _second(self, holder: Any, name: str) -> float | None:
        """A second of the connection's sound that `holder` names; None where it names none, or one that cannot be."""
        value = getattr(holder, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LONGEST_S:
            return float(value)
        if value is not None:
            self.pass_over(f"a {name} that is no time")
        return None

    def _at(self, stream_s: float | None, otherwise_ms: float) -> float:
        """The clock's time in ms at this second of the connection's sound, which was not later than now."""
        if stream_s is None:
            return otherwise_ms
        return min(self._outbox.frames.at(stream_s * 1000), self._clock.now_ms())


class _Open(NamedTuple):
    """Words that were told and are not final."""

    text: str
    words: list[Word]
    segment_ms: float  # where their result begins
    began_ms: float
    until_ms: float


class _Utterance:
    """What has come of the utterance so far."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.words: list[Word] = []
        self.told = ""
        self.open: _Open | None = None
        self.over_ms: float | None = None  # it is over, and its last words were asked for
        self.sound = False
        self.began_ms = self.ended_ms = 0.0
