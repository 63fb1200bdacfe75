"""The recogniser, measured by sound whose beginning and end are known to the sample."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from functools import lru_cache
from statistics import median
from typing import Any

import numpy as np

from clara_kit.audio.lead import AUDIBLE
from clara_kit.audio.pcm import Sound
from clara_kit.audio.voice import Speech
from clara_kit.core.errors import ClaraError, ProviderUnavailable
from clara_kit.core.events import Event, SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptInterim
from clara_kit.lab.calibrate.bench import Bench, good, until
from clara_kit.lab.calibrate.speaking import spoken_by_vendor
from clara_kit.lab.calibrate.tape import Cost
from clara_kit.providers.stt.base import Finalizes
from clara_kit.providers.vendors import STT_USD_A_MINUTE, TTS_USD_A_CHARACTER
from clara_kit.runtime.ears import RATE_HZ, Microphone
from clara_kit.runtime.services import Services
from clara_kit.world.voices import customer_voice

# Without numbers, which a recogniser may wait for, and without a pause, which would end the turn.
LINE = "Hola quería preguntar si hacen despachos a regiones y cuánto se demora en llegar un pedido hasta mi casa"
SHORT_LINE = "Y también quería saber si tienen crema de noche"
QUIET_S = 0.5
PATIENCE_S = 8.0  # for words that do not come
LONGEST_S = 25.0  # of sound in a round


@lru_cache(maxsize=2)
def spoken(line: str) -> Speech:
    """A line as an invented customer says it, with the offline voice."""
    return customer_voice().synthesize(line)


def audible(sound: Sound) -> Sound:
    """The sound from its first sample that can be heard to its last."""
    loud = np.flatnonzero(np.abs(sound.samples.astype(np.int32)) > AUDIBLE)
    return Sound(sound.samples[loud[0] : loud[-1] + 1], sound.rate_hz) if len(loud) else sound


async def _line(bench: Bench, line: str) -> Sound:
    """A line to be heard: where the voice is the vendor's own in that, for a recogniser knows people, not machines."""
    if line not in bench.lines:
        sound = spoken(line).sound
        if bench.services.modes["tts"] == "live":
            with suppress(ClaraError):
                sound = await spoken_by_vendor(bench, line)
        else:
            bench.services.knows(spoken(line))
        bench.lines[line] = audible(sound.at_rate(RATE_HZ))
    return bench.lines[line]


async def hearing(bench: Bench, _: int) -> None:
    """A new socket, and two lines: one that the recogniser ends by itself, one that it is asked to end."""
    clock, tape = bench.clock, bench.tape
    line, short = await _line(bench, LINE), await _line(bench, SHORT_LINE)
    began_ms = clock.now_ms()
    async with bench.services.stt(clock) as stt:
        tape.keep("handshake", clock.now_ms() - began_ms)
        microphone = Microphone(clock, stt.send)
        running = asyncio.create_task(microphone.run())
        events = good(stt.events())
        try:
            await asyncio.sleep(QUIET_S)
            await _by_itself(bench, events, line, microphone)
            await asyncio.sleep(QUIET_S)
            if isinstance(stt, Finalizes):
                await microphone.play(short)
                asked_ms = clock.now_ms()
                await stt.finalize()
                final = await _told(bench, until(events, TranscriptFinal, SpeechEnded))
                tape.keep("stt_finalize", final.at_ms - asked_ms)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def _by_itself(bench: Bench, events: AsyncIterator[Event], line: Sound, microphone: Microphone) -> None:
    """Its sound is noticed, its words so far are told, and the last of them after the endpointing's silence."""
    tape, playing = bench.tape, asyncio.create_task(microphone.play(line))
    started_ms, interims, finals_ms = list[float](), list[float](), list[float]()
    try:
        while not (finals_ms and playing.done()):
            told = until(events, SpeechStarted, TranscriptInterim, TranscriptFinal, SpeechEnded)
            event = await _told(bench, told, line.duration_ms / 1000)
            begins, goes_on = isinstance(event, SpeechStarted), isinstance(event, TranscriptInterim)
            (started_ms if begins else interims if goes_on else finals_ms).append(event.at_ms)
        end_ms = await playing
    finally:
        playing.cancel()
    if started_ms:
        tape.keep("stt_onset", started_ms[0] - (end_ms - line.duration_ms))
    gaps_ms = [after_ms - before_ms for before_ms, after_ms in zip(interims, interims[1:])]
    for gap_ms in gaps_ms:
        if gap_ms >= 0.8 * median(gaps_ms):  # else it follows what was made final of a long line, not its neighbour
            tape.keep("stt_interim_every", gap_ms)
    if len(finals_ms) == 1:
        tape.keep("stt_results", finals_ms[0] - end_ms - bench.services.settings.stt_endpointing_ms)
    else:
        tape.note("The recogniser ended a line in the middle; that round says nothing of how late its words are.")


async def _told(bench: Bench, told: Awaitable[Any], more_s: float = 0.0) -> Any:
    """What is told, which must not take for ever. An end without words has its time all the same, and a note.

    Raises `ProviderUnavailable`.
    """
    try:
        async with asyncio.timeout(PATIENCE_S + more_s):
            event = await told
    except TimeoutError:
        event = None
    if event is None:
        hint = "check STT_MODEL, STT_LANGUAGE."
        raise ProviderUnavailable("The recogniser did not tell when a line was over.", hint=hint)
    if isinstance(event, SpeechEnded) or (isinstance(event, TranscriptFinal) and not event.text):
        bench.tape.note("The recogniser understood no words of a line: its times are those of results without words.")
    return event


def hearing_cost(services: Services) -> Cost:
    """Two lines and the silence between; that the vendor speaks them once is counted each time."""
    lines_usd = len(LINE + SHORT_LINE) * TTS_USD_A_CHARACTER if services.modes["tts"] == "live" else 0.0
    return Cost(STT_USD_A_MINUTE * LONGEST_S / 60 + lines_usd)
