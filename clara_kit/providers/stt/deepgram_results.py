"""What Deepgram's messages say (listen v1): segments are joined to utterances, stream times become clock times.

Used by `deepgram.py`. Outlives a connection: an utterance may begin on one and end on the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from clara_kit.core.clock import Clock
from clara_kit.core.events import Event, SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptInterim, Word
from clara_kit.providers.stt.outbox import Outbox

log = logging.getLogger("clara_kit.stt")


class Results:
    """Gives `emit` the events of the vendor's messages, and tells `outbox` what a final result covers."""

    def __init__(self, clock: Clock, outbox: Outbox, emit: Callable[[Event], None]) -> None:
        self._clock, self._outbox, self._emit = clock, outbox, emit
        self._utterance = _Utterance()
        self.passed_over = 0
        """Messages that no document describes, so far."""

    def take(self, message: Any) -> None:
        """The next message, as the SDK made it (unvalidated; None for a type it does not know)."""
        kind = getattr(message, "type", None)
        try:
            if kind == "Results":
                self._results(message)
            elif kind == "SpeechStarted":
                self._utterance.sound = True
                at_ms = self._at(message.timestamp)
                self._emit(SpeechStarted(at_ms=self._clock.now_ms(), source="vendor", sound_at_ms=at_ms))
            elif kind == "UtteranceEnd":
                if self._utterance.parts:
                    self.end(self._at(message.last_word_end) if message.last_word_end > 0 else None)
            elif kind != "Metadata":
                self.pass_over(kind if kind in ("Error", "Warning") else "of another type")
        except (AttributeError, TypeError, ValueError, LookupError, ArithmeticError) as exc:
            self.pass_over(f"{kind}, {type(exc).__name__}")

    def end(self, ended_ms: float | None = None, *, silent: bool = False) -> None:
        """The utterance is over: one final with everything; `silent`: without words, the end of a sound.

        ended_ms: when it ended, where its words do not tell (default: the end of its last segment).
        """
        utterance, self._utterance = self._utterance, _Utterance()
        now_ms = self._clock.now_ms()
        ended_ms = utterance.ended_ms if ended_ms is None else ended_ms
        if not utterance.parts:
            if utterance.sound and silent:
                self._emit(SpeechEnded(at_ms=now_ms, source="vendor", sound_at_ms=min(ended_ms, now_ms)))
            return
        words = tuple(utterance.words)
        self._emit(
            TranscriptFinal(
                at_ms=now_ms,
                text=" ".join(utterance.parts),
                speech_started_ms=words[0].start_ms if words else ended_ms,
                speech_ended_ms=min(words[-1].end_ms if words else ended_ms, now_ms),
                confidence=min((w.confidence for w in words), default=0.0),
                words=words,
            )
        )

    def pass_over(self, what: str) -> None:
        """A message is of no use."""
        self.passed_over += 1
        log.info("passed over a message: %s", what)  # of words of ours: a vendor's own may repeat what was said

    def _results(self, message: Any) -> None:
        best = message.channel.alternatives[0]
        text = (best.transcript or "").strip()
        utterance = self._utterance
        if not message.is_final:
            self._interim(" ".join([*utterance.parts, text]).strip())
            return
        end_s = message.start + message.duration
        self._outbox.confirm(end_s * 1000)
        if text:
            utterance.parts.append(text)
            utterance.words += self._words(best, message.start, end_s)
            utterance.ended_ms = self._at(end_s)
        if message.speech_final or getattr(message, "from_finalize", False):
            self.end(None if utterance.parts else self._at(end_s), silent=True)
        elif text:
            self._interim(" ".join(utterance.parts))

    def _words(self, best: Any, from_s: float, until_s: float) -> list[Word]:
        words = []
        for word in best.words or ():
            start_s, end_s = getattr(word, "start", None), getattr(word, "end", None)
            words.append(
                Word(
                    text=getattr(word, "punctuated_word", None) or word.word,
                    start_ms=self._at(from_s if start_s is None else start_s),
                    end_ms=self._at(until_s if end_s is None else end_s),
                    confidence=getattr(word, "confidence", None) or 0.0,
                )
            )
        return words

    def _interim(self, text: str) -> None:
        if text and text != self._utterance.told:
            self._utterance.told = text
            self._emit(TranscriptInterim(at_ms=self._clock.now_ms(), text=text))

    def _at(self, stream_s: float) -> float:
        """The clock's time in ms at this second of the connection's sound."""
        return self._outbox.frames.at(stream_s * 1000)


class _Utterance:
    """What has come of the utterance so far."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.words: list[Word] = []
        self.told = ""
        self.sound = False
        self.ended_ms = 0.0
