"""How sound goes to an avatar: in chunks, and not too far ahead of what it is playing. Pure.

A short first chunk lets the avatar begin early; longer ones after it are cheap. Sound that was sent cannot
be taken back but by an interrupt, and every second that lies in the avatar's buffer is a second that the
kit no longer decides about: so the lead is limited.
"""

from __future__ import annotations

from dataclasses import dataclass

from clara_kit.providers.avatar.lite_protocol import BYTES_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How sound is sent, and how long to wait for the avatar's word. All in ms.

    start_timeout_ms: for each step of opening a session, and for an utterance to begin. end_margin_ms,
    ack_timeout_ms: how long to wait for an end, or for an interrupt's confirmation.
    """

    first_chunk_ms: float = 400
    chunk_ms: float = 1000
    max_ahead_ms: float = 3000
    assumed_start_ms: float = 7000  # the slowest start seen took 6.4 s (a third party's app log, 2026)
    start_timeout_ms: float = 10_000
    end_margin_ms: float = 1500
    ack_timeout_ms: float = 1000
    keep_alive_ms: float = 60_000  # the vendor ends a session after five idle minutes


def _whole_samples(length_ms: float) -> int:
    return max(2, int(length_ms * BYTES_PER_MS) // 2 * 2)


class Chunker:
    """Sound from the voice, cut into chunks: the first of `first_chunk_ms`, the others of `chunk_ms`."""

    def __init__(self, timing: Timing) -> None:
        self._size = _whole_samples(timing.first_chunk_ms)
        self._next_size = _whole_samples(timing.chunk_ms)
        self._sound = bytearray()

    def __len__(self) -> int:
        return len(self._sound)

    def add(self, pcm: bytes) -> None:
        """More sound from the voice; it may break off in the middle of a sample."""
        self._sound += pcm

    def take(self, *, short: bool) -> bytes | None:
        """The next chunk, or None if it is not full. `short`: a smaller one will do (never half a sample)."""
        size = self._size
        if len(self._sound) < size:
            size = len(self._sound) // 2 * 2 if short else 0
        if size == 0:
            return None
        chunk = bytes(self._sound[:size])
        del self._sound[:size]
        self._size = self._next_size
        return chunk


class Playhead:
    """Where the avatar is in the sound it was sent, as far as that can be known from outside.

    It plays from its own "started" on, never faster than sound, and pauses when it has nothing left. Until
    it has said so it is taken to start `assumed_start_ms` after the first chunk, so that a lost message
    cannot hold the sound back.
    """

    def __init__(self, timing: Timing) -> None:
        self.sent_ms = 0.0
        self.ends_ms = 0.0  # when all that was sent will have been played
        self._timing = timing

    def send(self, length_ms: float, now_ms: float) -> None:
        """A chunk of this length is being sent now."""
        if self.sent_ms == 0:
            self.ends_ms = now_ms + self._timing.assumed_start_ms
        self.ends_ms = max(self.ends_ms, now_ms) + length_ms
        self.sent_ms += length_ms

    def start(self, now_ms: float) -> None:
        """The avatar says that it started."""
        self.ends_ms = now_ms + self.sent_ms

    def ahead_ms(self, now_ms: float) -> float:
        """How much of what was sent is still to be played."""
        return min(self.sent_ms, max(0.0, self.ends_ms - now_ms))

    def wait_ms(self, length_ms: float, now_ms: float) -> float:
        """How long to wait before sending a chunk, so that the lead stays within `max_ahead_ms`.

        A chunk longer than the whole lead goes out once everything before it has been played.
        """
        lead_ms = self._timing.max_ahead_ms
        if self.sent_ms == 0 or self.ahead_ms(now_ms) + length_ms <= lead_ms:
            return 0.0
        return max(0.0, min(self.ends_ms + length_ms - lead_ms, self.ends_ms) - now_ms)
