"""What the twins of voices share: sound at the profile's pace with the place of each letter, and what goes wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from clara_kit.audio.pcm import Sound, concat, silence
from clara_kit.audio.voice import OfflineVoice, Speech
from clara_kit.world.faults import Fault, find
from clara_kit.world.twins.base import TwinContext

CHUNK_MS = 100.0


class Letter(NamedTuple):
    """A character, and where it sounds, in ms."""

    char: str
    start_ms: float
    end_ms: float


async def voiced(
    context: TwinContext, voice: OfflineVoice, text: str, rate_hz: int, faults: tuple[Fault, ...]
) -> AsyncIterator[tuple[Sound, list[Letter]]]:
    """The sound of a text, chunk by chunk, with the characters that are complete in each, from its beginning on."""
    draw, loop = context.draw, asyncio.get_running_loop()
    slow, stall = find(faults, "slow"), find(faults, "stall")
    began_s = loop.time()
    speech = await asyncio.to_thread(voice.synthesize, text)
    lead_ms = draw("tts_lead_silence")
    sound: Sound = concat(silence(lead_ms, rate_hz), speech.sound.at_rate(rate_hz))
    due_s = began_s + (draw("tts_first_chunk") + (slow.for_ms if slow else 0.0)) / 1000
    if stall is not None:
        due_s += (stall.for_ms or 3_600_000) / 1000
    step_s = CHUNK_MS / 1000 * draw("tts_realtime_factor")
    letters = [*_letters(speech, lead_ms)]
    for number, chunk in enumerate(sound.frames(CHUNK_MS)):
        if (wait_s := due_s + number * step_s - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        from_ms = number * CHUNK_MS
        last = from_ms + CHUNK_MS >= sound.duration_ms
        here = [x for x in letters if from_ms < x.end_ms <= from_ms + CHUNK_MS or (last and x.end_ms > from_ms)]
        yield chunk, [Letter(x.char, max(0.0, x.start_ms - from_ms), x.end_ms - from_ms) for x in here]


def _letters(speech: Speech, lead_ms: float) -> Iterator[Letter]:
    """Every character: those of a word share its time, the others stand at the end of the one before."""
    place, at_ms = 0, lead_ms
    for word in speech.words:
        yield from (Letter(char, at_ms, at_ms) for char in speech.text[place : word.char_start])
        step_ms = (word.end_ms - word.start_ms) / max(1, word.char_end - word.char_start)
        for number, char in enumerate(speech.text[word.char_start : word.char_end]):
            begins_ms = lead_ms + word.start_ms + number * step_ms
            yield Letter(char, begins_ms, begins_ms + step_ms)
        place, at_ms = word.char_end, lead_ms + word.end_ms
    yield from (Letter(char, at_ms, at_ms) for char in speech.text[place:])


class Trouble:
    """The faults of one connection: those it was opened with, `after_ms` from its first order to speak, and injected ones.

    cut: tear it down. garble: send what no document describes. `flowing` is not set while it stalls.
    """

    def __init__(
        self, faults: tuple[Fault, ...], cut: Callable[[], object], garble: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._faults, self._cut, self._garble = faults, cut, garble
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = False
        self.flowing = asyncio.Event()
        self.flowing.set()

    def begin(self) -> None:
        """It is told to speak, for the first time or again."""
        if not self._begun:
            self._begun = True
            for fault in self._faults:
                if fault.kind in ("cut", "garble"):
                    self._later(fault)

    def take(self, fault: Fault) -> bool:
        """A fault for the connection that is open now, from any thread."""
        if fault.kind not in ("cut", "garble", "stall"):
            return False
        self._loop.call_soon_threadsafe(self._later, fault)
        return True

    def stop(self) -> None:
        """The client has gone."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def _odd(self) -> None:
        with suppress(ConnectionError):  # the client has gone meanwhile
            await self._garble()

    def _later(self, fault: Fault) -> None:
        self._timers.append(self._loop.call_later(fault.after_ms / 1000, self._play, fault))

    def _play(self, fault: Fault) -> None:
        if fault.kind == "cut":
            self._cut()
        elif fault.kind == "garble":
            task = asyncio.create_task(self._odd())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self.flowing.clear()
            if fault.for_ms:
                self._timers.append(self._loop.call_later(fault.for_ms / 1000, self.flowing.set))
