"""The kit's own share of a turn, beside a bare asyncio program that passes the same things along."""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from clara_kit import ConversationManager, ConversationState, Settings
from clara_kit.core import events as ev
from tests.bench.pieces import DELTAS, QUESTION, BenchServices, composed

S = ConversationState
SETTINGS = Settings.of(greeting="", local_vad=False)


@dataclass
class Sample:
    """Milliseconds of one turn."""

    request_ms: float  # final transcript → request to the model
    piece_ms: float  # sentence complete → order to speak
    speech_ms: float  # final transcript → order to speak
    barge_in_ms: float  # end of the debounce → order to fall silent
    cpu_ms: float


async def one_turn(clara: ConversationManager, services: BenchServices) -> Sample:
    """A question, its answer, an interruption. Runs in the conversation's own loop."""
    times, now = services.times, clara.clock.now_ms
    times.spoke.clear()
    times.quiet.clear()
    cpu_s = process_time()
    at_ms = now()
    final = ev.TranscriptFinal(at_ms=at_ms, text=QUESTION, speech_started_ms=at_ms, speech_ended_ms=at_ms)
    times.final = perf_counter()
    services.ear.told.put_nowait(final)
    await times.spoke.wait()
    cpu_s = process_time() - cpu_s
    await asyncio.sleep(0.005)
    heard_s = perf_counter()
    services.ear.told.put_nowait(ev.SpeechStarted(at_ms=now(), source="vad", sound_at_ms=now()))
    await times.quiet.wait()
    debounce_s = clara.settings.barge_in_debounce_ms / 1000
    services.ear.told.put_nowait(ev.SpeechEnded(at_ms=now(), source="vendor", sound_at_ms=now()))
    await asyncio.sleep(0.005)
    return Sample(
        request_ms=(times.request - times.final) * 1000,
        piece_ms=(times.speech - times.sentence) * 1000,
        speech_ms=(times.speech - times.final) * 1000,
        barge_in_ms=(times.silenced - heard_s - debounce_s) * 1000,
        cpu_ms=cpu_s * 1000,
    )


async def turns(count: int, *, conversations: int = 1) -> list[Sample]:
    """`count` turns in each of so many conversations at once, after one turn to warm up."""
    settings = SETTINGS.with_changes(barge_in_debounce_ms=20, after_false_interruption="end")
    with tempfile.TemporaryDirectory() as folder:
        pairs, base = [], composed(settings)
        for _ in range(conversations):
            services = BenchServices(settings, base=base)
            pairs.append((ConversationManager(services, record=False, log_root=Path(folder)), services))
        await asyncio.gather(*(clara.start() for clara, _ in pairs))

        async def talk(clara: ConversationManager, services: BenchServices, n: int) -> list[Sample]:
            async def all_turns() -> list[Sample]:
                await asyncio.sleep(n / conversations)  # customers do not speak in step
                samples = [await one_turn(clara, services) for _ in range(count + 1)]
                return samples[1:]

            assert clara._loop is not None
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(all_turns(), clara._loop))

        found = await asyncio.gather(*(talk(c, s, n) for n, (c, s) in enumerate(pairs)))
        await asyncio.gather(*(clara.stop() for clara, _ in pairs))
    return [sample for samples in found for sample in samples]


async def floor_turn() -> tuple[float, float, float]:
    """The same hops without any decision: queue, task, stream, first full stop, queue. Milliseconds."""
    finals: asyncio.Queue[str] = asyncio.Queue()
    orders: asyncio.Queue[str] = asyncio.Queue()
    times: dict[str, float] = {}
    spoke = asyncio.Event()

    async def stream() -> object:
        for text in DELTAS:
            if text == " Demo":
                times["sentence"] = perf_counter()
            yield text
            await asyncio.sleep(0)

    async def reply() -> None:
        times["request"] = perf_counter()
        text = ""
        async for delta in stream():  # type: ignore[attr-defined]
            text += delta
            head, stop, rest = text.partition(". ")
            if stop:
                orders.put_nowait(head)
                text = rest

    async def hear() -> None:
        await finals.get()
        tasks.append(asyncio.create_task(reply()))

    async def speak() -> None:
        await orders.get()
        times["speech"] = perf_counter()
        spoke.set()

    tasks = [asyncio.create_task(hear()), asyncio.create_task(speak())]
    await asyncio.sleep(0.030)  # as idle as a conversation is between turns: a processor that slept is slow at first
    final = perf_counter()
    finals.put_nowait(QUESTION)
    await spoke.wait()
    await asyncio.gather(*tasks)
    return (
        (times["request"] - final) * 1000,
        (times["speech"] - times["sentence"]) * 1000,
        (times["speech"] - final) * 1000,
    )


async def memory_kib(conversations: int) -> float:
    """Resident memory that one more open conversation takes, KiB."""
    with tempfile.TemporaryDirectory() as folder:
        gc.collect()
        before = resident_kib()
        managers = [
            ConversationManager(BenchServices(SETTINGS), record=False, log_root=Path(folder))
            for _ in range(conversations)
        ]
        for clara in managers:
            await clara.start()
        after = resident_kib()
        await asyncio.gather(*(clara.stop() for clara in managers))
    return (after - before) / conversations


def resident_kib() -> float:
    """Resident memory of this process."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform == "darwin" else peak
