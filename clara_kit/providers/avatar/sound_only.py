"""Clara's voice without her face, for when every avatar is lost: its sound is given to whoever listens here.

The desk's page plays what it taps and so does the recording; no network is needed but the voice's. It speaks by the same
rules as `liveavatar.py`, with nobody at the other end: sound is heard from the moment it is given away, in small chunks
a second ahead at most, and its end is reckoned, for no page tells that it has played it. So its ends are estimates.

It does not lower its sound itself (`Ducks`): who plays it does, as for whatever `TapsAudio`, and twice would be too much.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Self

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProviderUnavailable, SettingsError
from clara_kit.core.outside import place
from clara_kit.providers.avatar.lite_protocol import RATE_HZ, Signal, SignalKind
from clara_kit.providers.avatar.lite_speaker import Speaker
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.providers.avatar.session import Session
from clara_kit.providers.tts.base import TTSProvider

log = logging.getLogger("clara_kit.avatar")

TIMING = Timing(first_chunk_ms=100, chunk_ms=200, max_ahead_ms=1000, assumed_start_ms=0, end_margin_ms=0)
_ANSWERS: dict[str, SignalKind] = {"agent.speak": "started", "agent.interrupt": "interrupted"}


class SoundOnly(Session[Speaker]):
    """An `AvatarProvider` that `TapsAudio`, and is nowhere to be seen. tts: a voice of 24,000 samples a second."""

    def __init__(self, *, tts: TTSProvider, clock: Clock, timing: Timing = TIMING) -> None:
        if tts.rate_hz != RATE_HZ:
            raise SettingsError(
                f"Sound without a face has {RATE_HZ} samples a second; this voice gives {tts.rate_hz}.",
                hint="resample it to 24000 Hz.",
            )
        super().__init__(clock)
        self._speaker = Speaker(
            tts=tts, clock=clock, timing=timing, send=self._heard, emit=self._events.put_nowait, tap=self._tap
        )

    async def __aenter__(self) -> Self:
        self._speaker.connected.set()
        self._running = asyncio.create_task(self._run(), name="sound only")
        return self

    async def _leave(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        self._speaker.forget()
        self._events.put_nowait(None)

    async def _run(self) -> None:
        try:
            await self._speaker.run()
        except Exception as exc:  # whoever listens has raised, say: nobody may wait for a sound that never comes
            log.error("the sound broke: %s", place(exc))
            self._over(ProviderUnavailable("Clara's sound could not be given away.", hint="connect it again."))
            self._events.put_nowait(None)

    async def _heard(self, raw: str) -> None:
        """What an avatar would answer to this message, if it had nothing to do."""
        message = json.loads(raw)
        if kind := _ANSWERS.get(message["type"]):
            self._speaker.take(Signal(kind, event_ids=frozenset({message["event_id"]})))
