"""Clara's side of a turn: the reply as it is written, and the utterance as it is spoken."""

from __future__ import annotations

from clara_kit.conversation.heard import Heard, estimate
from clara_kit.conversation.sentences import SentenceChunker
from clara_kit.core.events import SpokenWord


class Reply:
    """A reply that is being written: deltas in, speakable pieces out."""

    __slots__ = ("_chunker", "_whole", "reply_id", "said_something")

    def __init__(self, reply_id: int, *, chunked: bool, chunker: SentenceChunker) -> None:
        self.reply_id = reply_id
        self.said_something = False
        self._chunker = chunker if chunked else None
        self._whole: list[str] = []

    def feed(self, text: str) -> list[str]:
        """The sentences that `text` completes (none while the whole reply is sent at once)."""
        if self._chunker is None:
            self._whole.append(text)
            return []
        return self._chunker.feed(text)

    def rest(self) -> list[str]:
        """What is left when the model is done."""
        if self._chunker is None:
            whole = "".join(self._whole).strip()
            return [whole] if whole else []
        return self._chunker.flush()


class Utterance:
    """What Clara is saying: its pieces, its sound as far as known, and where it stands."""

    __slots__ = ("closed", "pieces", "started_ms", "turn_id", "utterance_id", "voiced", "words")

    def __init__(self, utterance_id: int, turn_id: int) -> None:
        self.utterance_id = utterance_id
        self.turn_id = turn_id
        self.pieces: list[str] = []
        self.closed = False  # no more pieces will come
        self.started_ms: float | None = None
        self.voiced: list[tuple[int, float]] = []
        self.words: list[SpokenWord] = []

    @property
    def text(self) -> str:
        """All pieces joined."""
        return " ".join(self.pieces)

    def heard_until(self, at_ms: float) -> Heard:
        """What of it had been heard at `at_ms` on the conversation's clock."""
        played_ms = 0.0 if self.started_ms is None else at_ms - self.started_ms
        return estimate(self.pieces, played_ms, self.voiced, self.words)
