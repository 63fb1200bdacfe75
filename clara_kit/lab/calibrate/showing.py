"""The avatar, measured by sound that is at hand: how late it starts and stops, and what sending it early does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache

from clara_kit.audio.pcm import Sound, silence
from clara_kit.core.events import SpeakingEnded, SpeakingInterrupted, SpeakingStarted
from clara_kit.lab.calibrate.bench import Bench, good, until
from clara_kit.lab.calibrate.hearing import audible
from clara_kit.lab.calibrate.tape import Cost
from clara_kit.providers.avatar.base import AvatarProvider, TapsAudio
from clara_kit.providers.prices import LITE_CREDIT_USD
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, Voiced
from clara_kit.runtime.services import Services
from clara_kit.world.voices import clara_voice

RATE_HZ = 24_000
TEXT = "Claro, hacemos despachos a todas las regiones del país, y demoran de dos a cinco días."
AHEAD_MS = 3000.0  # of sound, sent at once
SECOND_MS = 1000.0
SHORT_MS = 1000.0
SILENT_MS = 400.0  # a first chunk, as it is sent
EARLY_S = 1.5  # how much sooner than its sound the avatar is opened
INTO_S = 0.4  # after its start an utterance is cut
Plan = Sequence[tuple[Sound, float]]  # sound, and how many seconds after the one before it is there


class KnownVoice:
    """A voice whose sound is at hand. `plan`: what it says next, and when each part of it is there."""

    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self.plan: Plan = ()

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[Voiced]:
        """See `TTSProvider`; whatever the pieces say."""
        yield self._voiced(pieces, self.plan)

    async def _voiced(self, pieces: AsyncIterator[str], plan: Plan) -> Voiced:
        await anext(pieces)
        audio_ms = 0.0
        for sound, after_s in plan:
            await asyncio.sleep(after_s)
            audio_ms += sound.duration_ms
            yield AudioChunk(sound.to_bytes())
        yield PiecesVoiced(1, audio_ms)
        async for _ in pieces:
            pass

    async def aclose(self) -> None:
        """See `TTSProvider`."""


@lru_cache(maxsize=1)
def _speech() -> Sound:
    return audible(clara_voice().synthesize(TEXT).sound.at_rate(RATE_HZ))


async def avatar(bench: Bench, _: int) -> None:
    """A new session and four utterances: its sound at once, second by second, after silence, and interrupted."""
    voice, clock, tape = KnownVoice(), bench.clock, bench.tape
    began_ms = clock.now_ms()
    async with bench.services.avatar(clock, voice) as face:
        if hasattr(face, "connected"):
            await face.connected()
        tape.keep("avatar_open", clock.now_ms() - began_ms)
        stage = _Stage(bench, face, voice)
        at_once = _speech().between(0, AHEAD_MS)
        start_ms = await stage.say([(at_once, 0.0)])
        tape.keep("avatar_start", start_ms)
        heard_ms = await stage.over(silent_ms=0)
        parts = [at_once.between(n * SECOND_MS, (n + 1) * SECOND_MS) for n in range(int(AHEAD_MS / SECOND_MS))]
        paced = [(part, SECOND_MS / 1000 * bool(n)) for n, part in enumerate(parts)]
        slower_ms = await stage.say(paced)
        tape.keep("avatar_start_second_by_second", slower_ms)
        tape.keep("avatar_gain_at_once", slower_ms - start_ms)
        await stage.over(silent_ms=0)
        early = [(silence(SILENT_MS, RATE_HZ), 0.0), (_speech().between(0, SHORT_MS), EARLY_S)]
        tape.keep("avatar_start_from_silence", await stage.say(early))
        early_ms = await stage.over(silent_ms=SILENT_MS)
        if heard_ms is not None and early_ms is not None:
            tape.keep("avatar_heard", heard_ms)
            tape.keep("avatar_heard_opened_early", early_ms)
            tape.keep("avatar_gain_opened_early", heard_ms - early_ms)
        tape.keep("avatar_start", await stage.say([(at_once, 0.0)]))
        await stage.interrupt()


class _Stage:
    """One session: utterances one after the other, with what was sent of each and when."""

    def __init__(self, bench: Bench, face: AvatarProvider, voice: KnownVoice) -> None:
        self._bench, self._face, self._voice = bench, face, voice
        self._events = good(face.events())
        self._sent: deque[tuple[float, int]] = deque()
        self._id = 0
        if isinstance(face, TapsAudio):
            face.on_audio = lambda _, pcm: self._sent.append((bench.clock.now_ms(), len(pcm)))

    async def say(self, plan: Plan) -> float:
        """From the first sound that is sent to the avatar's word that it speaks."""
        self._id += 1
        self._sent.clear()
        self._voice.plan = plan
        await self._face.speak(self._id, 0, TEXT)
        await self._face.end_speech(self._id)
        started: SpeakingStarted = await until(self._events, SpeakingStarted, utterance_id=self._id)
        return started.at_ms - self._sent[0][0]

    async def over(self, *, silent_ms: float) -> float | None:
        """Wait for its end. How long after it was sent the sound began to be played, by its end and its length; None: not told.

        silent_ms: of the first chunk, which is no sound.
        """
        ended = await until(self._events, SpeakingEnded, utterance_id=self._id)
        at_ms, _ = self._sent[1 if silent_ms else 0]
        sound_ms = sum(size for _, size in self._sent) / 2 / RATE_HZ * 1000 - silent_ms
        return None if ended.estimated else ended.at_ms - sound_ms - at_ms

    async def interrupt(self) -> None:
        """From the order to the avatar's word that it is silent."""
        await asyncio.sleep(INTO_S)
        ordered_ms = self._bench.clock.now_ms()
        await self._face.interrupt(self._id)
        silent = await until(self._events, SpeakingInterrupted, SpeakingEnded, utterance_id=self._id)
        if isinstance(silent, SpeakingInterrupted) and not silent.estimated:
            self._bench.tape.keep("avatar_interrupt", silent.at_ms - ordered_ms)
        else:
            self._bench.tape.note("The avatar did not confirm an interrupt: how late it falls silent is not known.")


def avatar_cost(services: Services) -> Cost:
    """A session of less than half a minute, for which a whole one may be charged; the sandbox is free."""
    return Cost() if services.settings.avatar_sandbox else Cost(LITE_CREDIT_USD, 1.0)
