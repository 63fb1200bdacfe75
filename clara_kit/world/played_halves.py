"""A simulated voice for an avatar that is none, and a simulated avatar for a voice that is none.

Where both are simulated, `played.py` has one for the two of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

from clara_kit.audio.lead import Lead
from clara_kit.audio.pcm import Sound, concat, silence
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderError
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, TTSProvider
from clara_kit.providers.tts.flushing import Flushes, batches
from clara_kit.world import mouths, timelines
from clara_kit.world.played import CHUNK_MS, RATE_HZ, Scheduled, Stage, error_of


class PlayedTTS:
    """A simulated voice for an avatar that is none: the offline voice, as late as the profile says."""

    rate_hz = RATE_HZ

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.flushes = Flushes()
        self._late_ms = 0.0
        self._broken: ev.ProviderFailed | None = None  # what goes wrong with what is being spoken

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[AsyncIterator[AudioChunk | PiecesVoiced]]:
        """See the Protocol. Flushed as Aura is."""
        yield self._stream(pieces)

    async def _stream(self, pieces: AsyncIterator[str]) -> AsyncIterator[AudioChunk | PiecesVoiced]:
        self.flushes.begin()
        count, audio_ms, now_ms = 0, 0.0, self._stage.clock.now_ms
        self._late_ms, self._broken = 0.0, None

        def due_s() -> float | None:
            due_ms = self.flushes.due_ms(at_ms := now_ms())
            return None if due_ms is None else (due_ms - at_ms) / 1000

        async with aclosing(batches(pieces, due_s, asyncio.Event())) as together:
            async for texts in together:
                count += len(texts)
                async for part in self._flush(texts, count, audio_ms):
                    audio_ms = part.audio_ms if isinstance(part, PiecesVoiced) else audio_ms
                    yield part

    async def _flush(self, texts: list[str], count: int, before_ms: float) -> AsyncIterator[AudioChunk | PiecesVoiced]:
        stage = self._stage
        if not before_ms:
            self._strike(stage.clock.now_ms())
        sounds = [await self._sound(text) for text in texts]
        made = mouths.flush(texts, stage.clock.now_ms(), stage.draw, stage.length, late_ms=self._late_ms)
        self._late_ms = 0.0
        self.flushes.make(stage.clock.now_ms())
        self.flushes.sound(made.audio_ms, made.first_ms)
        sound: Sound = concat(silence(made.lead_ms, RATE_HZ), *sounds)
        for number, chunk in enumerate(sound.frames(CHUNK_MS)):
            share = number * CHUNK_MS / max(sound.duration_ms, CHUNK_MS)
            await self._until(made.first_ms + share * (made.made_ms - made.first_ms))
            yield AudioChunk(chunk.to_bytes())
        await self._until(made.made_ms)
        yield PiecesVoiced(count, before_ms + sound.duration_ms)

    async def _sound(self, text: str) -> Sound:
        if self._stage.voice is None:
            return self._stage.sound(text)
        return await asyncio.to_thread(self._stage.sound, text)

    def _strike(self, now_ms: float) -> None:
        """What goes wrong with an utterance."""
        for fault in self._stage.faults.next_occasion("tts"):
            stalls = fault.kind == "stall"
            if fault.kind in ("refuse", "cut"):
                self._broken = timelines.failed(fault, now_ms + fault.after_ms)
            elif stalls and not 0 < fault.for_ms <= mouths.VOICE_STALL_MS:
                at_ms = now_ms + fault.after_ms + mouths.VOICE_STALL_MS
                self._broken, self._late_ms = timelines.failed(fault, at_ms, stalled=True), 2 * mouths.VOICE_STALL_MS
            elif stalls or fault.kind == "slow":
                self._late_ms += fault.for_ms

    async def _until(self, at_ms: float) -> None:
        """Wait for a time. Raises `ProviderError` where the voice breaks before."""
        if self._broken is not None and self._broken.at_ms <= at_ms:
            await self._stage.until(self._broken.at_ms)
            raise error_of(self._broken)
        await self._stage.until(at_ms)

    async def aclose(self) -> None:
        """Nothing is kept open."""


class PlayedFace(Scheduled):
    """A simulated avatar for a voice that is none: it speaks the sound that a twin or a vendor makes."""

    def __init__(self, stage: Stage, tts: TTSProvider) -> None:
        super().__init__(stage)
        self._tts = tts
        self._waiting: dict[int, asyncio.Queue[str | None]] = {}  # utterances in order; the first is spoken
        self._speaking: asyncio.Task[None] | None = None
        self._awake_ms: float | None = None  # when it begins with the silence that it was given beforehand
        self.on_audio: Callable[[int, bytes], None] | None = None

    async def __aexit__(self, *_: object) -> None:
        self._waiting.clear()
        await self._stop()

    async def _stop(self) -> None:
        task, self._speaking = self._speaking, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def wake(self, on: bool) -> None:
        """See `Wakes`."""
        if on and not self._waiting and self._awake_ms is None:
            self._awake_ms = self._stage.clock.now_ms() + self._stage.draw("avatar_start")
        elif not on:
            self._awake_ms = None

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        """Queue a piece."""
        self._waiting.setdefault(utterance_id, asyncio.Queue()).put_nowait(text)
        self._go_on()

    async def end_speech(self, utterance_id: int) -> None:
        """No more pieces."""
        if utterance_id in self._waiting:
            self._waiting[utterance_id].put_nowait(None)

    async def interrupt(self, utterance_id: int) -> None:
        """Fall silent."""
        if utterance_id not in self._waiting:
            return
        if utterance_id == next(iter(self._waiting)):
            await self._stop()
        del self._waiting[utterance_id]
        silent_ms = self._stage.clock.now_ms() + self._stage.draw("avatar_interrupt")
        self._schedule([ev.SpeakingInterrupted(at_ms=silent_ms, utterance_id=utterance_id)])
        self._go_on()

    def _go_on(self) -> None:
        """Speak the first of the waiting utterances, unless one is being spoken."""
        if self._speaking is None and self._waiting:
            self._speaking = asyncio.create_task(self._utter(*next(iter(self._waiting.items()))))

    def _started(self, utterance_id: int) -> None:
        if utterance_id in self._waiting:  # else it was silenced before
            now_ms, playout_ms = self._stage.clock.now_ms(), self._stage.draw("playout")
            self._out.put_nowait(ev.SpeakingStarted(at_ms=now_ms, utterance_id=utterance_id, playout_ms=playout_ms))

    async def _utter(self, utterance_id: int, queue: asyncio.Queue[str | None]) -> None:
        try:
            await self._voice(utterance_id, queue)
        except ProviderError as exc:
            now_ms = self._stage.clock.now_ms()
            self._out.put_nowait(ev.ProviderFailed.of(exc, "tts", now_ms, utterance_id=utterance_id))
        del self._waiting[utterance_id]
        self._speaking = None
        self._go_on()

    async def _voice(self, utterance_id: int, queue: asyncio.Queue[str | None]) -> None:
        stage, tell = self._stage, self._out.put_nowait
        now = stage.clock.now_ms
        faults = stage.faults.next_occasion("avatar")

        async def pieces() -> AsyncIterator[str]:
            number = 0
            while (text := await queue.get()) is not None:
                tell(ev.SpeechSent(at_ms=now(), utterance_id=utterance_id, piece_no=number))
                number += 1
                yield text

        start_ms, free_ms, lead = 0.0, 0.0, Lead(self._tts.rate_hz)
        first_ms: float | None = None  # when what is new in the sound began to come
        async with self._tts.speak(pieces()) as stream:
            async for part in stream:
                if isinstance(part, PiecesVoiced):
                    tell(
                        ev.SpeechVoiced(
                            at_ms=now(), utterance_id=utterance_id, piece_no=part.pieces - 1,
                            audio_ms=part.audio_ms, lead_ms=lead.end(), first_ms=first_ms, words=part.words,
                        )
                    )  # fmt: skip
                    first_ms = None
                    continue
                lead.hear(part.pcm)
                first_ms = now() if first_ms is None else first_ms
                if not start_ms:
                    tell(ev.FirstAudio(at_ms=now(), utterance_id=utterance_id))
                    awake_ms, self._awake_ms = self._awake_ms, None
                    if awake_ms is None:
                        start_ms = free_ms = now() + stage.draw("avatar_start")
                    else:
                        start_ms = free_ms = max(now(), awake_ms + mouths.WAKE_MS)
                    self._at(start_ms, partial(self._started, utterance_id))
                free_ms = max(free_ms, now()) + len(part.pcm) / 2 / self._tts.rate_hz * 1000
                if self.on_audio is not None:
                    self.on_audio(utterance_id, part.pcm)
        end_ms, estimated = mouths.ending(start_ms, free_ms, now(), faults)
        await stage.until(end_ms)
        tell(ev.SpeakingEnded(at_ms=now(), utterance_id=utterance_id, estimated=estimated))
