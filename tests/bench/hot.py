"""Turns in a hot loop: the next question in the moment in which the turn before is over, nothing slept between."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from clara_kit import ConversationManager, ConversationState
from clara_kit.core import events as ev
from clara_kit.core.records import Record, StateChanged
from clara_kit.runtime.compose import Services
from tests.bench.overhead import SETTINGS, resident_kib
from tests.bench.pieces import QUESTION, BenchServices, composed

S = ConversationState


@dataclass
class HotSample:
    """Milliseconds of one turn. `cpu_ms`: of the whole process, from a question to the next one."""

    speech_ms: float  # final transcript → order to speak
    cpu_ms: float


class Caller:
    """One conversation and its customer, who never hesitates."""

    def __init__(self, folder: str, base: Services | None = None) -> None:
        self.services = BenchServices(SETTINGS, hasty=True, base=base)
        self.clara = ConversationManager(self.services, record=False, log_root=Path(folder))
        self.clara.subscribe(self._see)
        self._over = asyncio.Event()

    def _see(self, record: Record) -> None:
        if type(record) is StateChanged and record.target is S.IDLE:
            self._over.set()

    async def talk(self, count: int) -> list[HotSample]:
        """`count` turns after one to warm up, in the conversation's own loop."""
        loop = self.clara._loop
        assert loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._turns(count + 1), loop))

    async def _turns(self, count: int) -> list[HotSample]:
        times, now, samples = self.services.times, self.clara.clock.now_ms, []
        for _ in range(count):
            self._over.clear()
            cpu_s, at_ms = process_time(), now()
            final = ev.TranscriptFinal(at_ms=at_ms, text=QUESTION, speech_started_ms=at_ms, speech_ended_ms=at_ms)
            times.final = perf_counter()
            self.services.ear.told.put_nowait(final)
            await self._over.wait()
            speech_s = times.speech - times.final
            assert speech_s > 0  # it is this turn's
            samples.append(HotSample(speech_ms=speech_s * 1000, cpu_ms=(process_time() - cpu_s) * 1000))
        return samples[1:]


async def hot_turns(count: int, *, conversations: int = 1) -> list[HotSample]:
    """`count` turns in each of so many conversations, all at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        base = composed(SETTINGS)
        callers = [Caller(folder, base) for _ in range(conversations)]
        await asyncio.gather(*(caller.clara.start() for caller in callers))
        found = await asyncio.gather(*(caller.talk(count) for caller in callers))
        await asyncio.gather(*(caller.clara.stop() for caller in callers))
    return [sample for samples in found for sample in samples]


async def hot_memory_kib(conversations: int, count: int) -> float:
    """Resident memory of one more open conversation that has had so many turns, KiB."""
    with tempfile.TemporaryDirectory() as folder:
        gc.collect()
        before = resident_kib()
        callers = [Caller(folder) for _ in range(conversations)]
        for caller in callers:
            await caller.clara.start()
            await caller.talk(count)
        after = resident_kib()
        await asyncio.gather(*(caller.clara.stop() for caller in callers))
    return (after - before) / conversations
