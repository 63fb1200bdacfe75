"""The recogniser, measured by sound whose beginning and end are known to the sample."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import lru_cache
from statistics import median

import numpy as np

from clara_kit.audio.lead import AUDIBLE
from clara_kit.audio.pcm import Sound
from clara_kit.audio.voice import Speech
from clara_kit.core.events import Event, SpeechStarted, TranscriptFinal, TranscriptInterim
from clara_kit.lab.calibrate.bench import Bench, good, until
from clara_kit.lab.calibrate.tape import Cost
from clara_kit.providers.stt.base import Finalizes
from clara_kit.providers.vendors import STT_USD_A_MINUTE
from clara_kit.runtime.ears import RATE_HZ, Microphone
from clara_kit.runtime.services import Services
from clara_kit.world.voices import customer_voice

# Without numbers, which a recogniser may wait for, and without a pause, which would end the turn.
LINE = "Hola quería preguntar si hacen despachos a regiones y cuánto se demora en llegar un pedido hasta mi casa"
SHORT_LINE = "Y también quería saber si tienen crema de noche"
QUIET_S = 0.5
LONGEST_S = 25.0  # of sound in a round


@lru_cache(maxsize=2)
def spoken(line: str) -> Speech:
    """A line as an invented customer says it."""
    return customer_voice().synthesize(line)


def audible(sound: Sound) -> Sound:
    """The sound from its first sample that can be heard to its last."""
    loud = np.flatnonzero(np.abs(sound.samples.astype(np.int32)) > AUDIBLE)
    return Sound(sound.samples[loud[0] : loud[-1] + 1], sound.rate_hz) if len(loud) else sound


async def hearing(bench: Bench, _: int) -> None:
    """A new socket, and two lines: one that the recogniser ends by itself, one that it is asked to end."""
    services, clock, tape = bench.services, bench.clock, bench.tape
    for line in (LINE, SHORT_LINE):
        services.knows(spoken(line))
    began_ms = clock.now_ms()
    async with services.stt(clock) as stt:
        tape.keep("handshake", clock.now_ms() - began_ms)
        microphone = Microphone(clock, stt.send)
        running = asyncio.create_task(microphone.run())
        events = good(stt.events())
        try:
            await asyncio.sleep(QUIET_S)
            sound = audible(spoken(LINE).sound.at_rate(RATE_HZ))
            playing = asyncio.create_task(microphone.play(sound))
            await _by_itself(bench, events, sound, playing)
            await asyncio.sleep(QUIET_S)
            if isinstance(stt, Finalizes):
                await microphone.play(audible(spoken(SHORT_LINE).sound.at_rate(RATE_HZ)))
                asked_ms = clock.now_ms()
                await stt.finalize()
                final = await _final(events)
                tape.keep("stt_finalize", final.at_ms - asked_ms)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def _by_itself(bench: Bench, events: AsyncIterator[Event], sound: Sound, playing: asyncio.Task[float]) -> None:
    """Its sound is noticed, its words so far are told, and the last of them after the endpointing's silence."""
    settings, tape = bench.services.settings, bench.tape
    started_ms, interims, finals = list[float](), list[float](), list[TranscriptFinal]()
    while not (finals and playing.done()):
        event = await until(events, SpeechStarted, TranscriptInterim, TranscriptFinal)
        if isinstance(event, SpeechStarted) and event.source == "vendor":
            started_ms.append(event.at_ms)
        elif isinstance(event, TranscriptInterim):
            interims.append(event.at_ms)
        elif isinstance(event, TranscriptFinal) and event.text:
            finals.append(event)
    end_ms = await playing
    if started_ms:
        tape.keep("stt_onset", started_ms[0] - (end_ms - sound.duration_ms))
    gaps_ms = [after_ms - before_ms for before_ms, after_ms in zip(interims, interims[1:])]
    for gap_ms in gaps_ms:
        if gap_ms >= 0.8 * median(gaps_ms):  # else it follows what was made final of a long line, not its neighbour
            tape.keep("stt_interim_every", gap_ms)
    if len(finals) == 1:
        tape.keep("stt_results", finals[0].at_ms - end_ms - settings.stt_endpointing_ms)
    else:
        tape.note("The recogniser ended a line in the middle; that round says nothing of how late its words are.")


async def _final(events: AsyncIterator[Event]) -> TranscriptFinal:
    while True:
        final: TranscriptFinal = await until(events, TranscriptFinal)
        if final.text:
            return final


def hearing_cost(_: Services) -> Cost:
    """Two lines and the silence between."""
    return Cost(STT_USD_A_MINUTE * LONGEST_S / 60)
