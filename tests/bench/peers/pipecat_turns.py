"""The same turn through Pipecat's pipeline, with services that answer at once. Prints milliseconds as JSON.

Run by the benchmark in an environment of its own. The turn's end is given from outside (Pipecat's
ExternalUserTurnStrategies), so that no deliberate wait of a turn detector counts.
"""

import asyncio
import json
import sys
from dataclasses import fields
from time import perf_counter

from loguru import logger
from pipecat.frames.frames import (
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies

logger.remove()
COUNT, DELTAS, QUESTION = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
times: dict = {}
spoke = asyncio.Event()


class Brain(LLMService):
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        times["request"] = perf_counter()
        await self.push_frame(LLMFullResponseStartFrame())
        for text in DELTAS:
            if text == " Demo":
                times["sentence"] = perf_counter()
            await self.push_frame(LLMTextFrame(text))
            await asyncio.sleep(0)
        await self.push_frame(LLMFullResponseEndFrame())


class Mouth(TTSService):
    async def run_tts(self, text, context_id):
        if "speech" not in times:
            times["speech"] = perf_counter()
            spoke.set()
        yield TTSAudioRawFrame(bytes(960), 24000, 1)


def settings(kind):
    return kind(**{f.name: None for f in fields(kind) if f.init and f.name != "extra"})


async def main():
    pair = LLMContextAggregatorPair(
        LLMContext([]), user_params=LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    )
    mouth = Mouth(sample_rate=24000, settings=settings(TTSSettings))
    pipeline = Pipeline([pair.user(), Brain(settings=settings(LLMSettings)), mouth, pair.assistant()])
    task = PipelineTask(pipeline, idle_timeout_secs=None)
    running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    await asyncio.sleep(1.0)
    found = []
    for n in range(COUNT + 3):
        times.clear()
        spoke.clear()
        await task.queue_frame(UserStartedSpeakingFrame())
        await task.queue_frame(TranscriptionFrame(QUESTION, "customer", "2026-01-01T00:00:00Z"))
        await asyncio.sleep(0.03)
        final = perf_counter()
        await task.queue_frame(UserStoppedSpeakingFrame())
        await asyncio.wait_for(spoke.wait(), 10)
        if n >= 3:
            found.append((times["speech"] - final) * 1000)
        await asyncio.sleep(0.05)
    print(json.dumps(found))
    await task.cancel()
    await asyncio.wait({running}, timeout=3)


asyncio.run(main())
