"""Lets a scripted customer talk to a running Clara, in real time; `world/sim.py` does the same in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from clara_kit.audio.pcm import Sound, concat, cough, silence, white_noise
from clara_kit.audio.voice import OfflineVoice, Speech
from clara_kit.core.clock import Clock
from clara_kit.core.records import Record, StateChanged
from clara_kit.world.customer import Wish
from clara_kit.world.reacting import Customer
from clara_kit.world.script import Line

RATE_HZ = 16_000  # as the microphone gives it


class ScriptPlayer:
    """One customer. Shown each record with `see`, it speaks when its script says so.

    say: makes a line's sound (or types it) and gives the time at which it was over.
    """

    def __init__(self, customer: Customer, clock: Clock, say: Callable[[Line], Awaitable[float]]) -> None:
        self._customer, self._clock, self._say = customer, clock, say
        self._wishes: asyncio.Queue[Wish | None] = asyncio.Queue()

    def see(self, record: Record) -> None:
        """What the customer notices of the conversation."""
        if isinstance(record, StateChanged):
            self._wishes.put_nowait(self._customer.saw(record.target, record.at_ms))

    async def play(self) -> None:
        """From the first line to the end of the last."""
        lines: set[asyncio.Task[None]] = set()
        self._wishes.put_nowait(self._customer.begin(self._clock.now_ms()))
        try:
            while not self._customer.done:
                wish = await self._wishes.get()
                if wish is not None:
                    task = asyncio.create_task(self._fire(wish))
                    lines.add(task)
                    task.add_done_callback(lines.discard)
        finally:
            for task in lines:
                task.cancel()

    async def _fire(self, wish: Wish) -> None:
        await asyncio.sleep(max(0.0, wish.due_ms - self._clock.now_ms()) / 1000)
        line = self._customer.fire(wish.token)
        ended = None if line is None else self._customer.line_ended(await self._say(line))
        self._wishes.put_nowait(ended)  # also without a line: she may have hung up


def line_speech(line: Line, voice: OfflineVoice) -> Speech:
    """What a line sounds like. A mere sound is a Speech without words; pauses are cut in at word ends."""
    if line.sound == "cough":
        return Speech(sound=cough(line.sound_ms, RATE_HZ, seed=1), text="", words=())
    if line.sound == "noise":
        return Speech(sound=white_noise(line.sound_ms, RATE_HZ, dbfs=-30, seed=1), text="", words=())
    speech = voice.synthesize(line.text)
    for pause in sorted(line.pauses, key=lambda p: p.after_word, reverse=True):
        speech = _with_pause(speech, pause.after_word, pause.ms)
    return speech


def _with_pause(speech: Speech, after_word: int, pause_ms: float) -> Speech:
    """The same speech with a silence after the given number of words."""
    if not 0 < after_word < len(speech.words):
        return speech
    sound = speech.sound
    cut_ms = speech.words[after_word - 1].end_ms
    at = int(cut_ms * sound.rate_hz / 1000)
    halves = Sound(sound.samples[:at], sound.rate_hz), Sound(sound.samples[at:], sound.rate_hz)
    later = tuple(
        replace(w, start_ms=w.start_ms + pause_ms, end_ms=w.end_ms + pause_ms) for w in speech.words[after_word:]
    )
    joined = concat(halves[0], silence(pause_ms, sound.rate_hz), halves[1])
    return replace(speech, sound=joined, words=(*speech.words[:after_word], *later))
