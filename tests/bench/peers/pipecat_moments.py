"""The ten moments through Pipecat's pipeline, in real time. Prints what was seen as JSON.

Run by the benchmark in an environment of its own: `pipecat_moments.py SCRIPT default|silence`. Turns begin and end by the
package's default strategies: detector of sounds or transcript; smart-turn v3.2, which the package brings with it. With
`silence` they end by its strategy of silence (0.6 s), which is not the default. The detector of sounds has its default
times; only the net in it is replaced: it is told who sounds, so that a cough is a sound for everybody and nobody is too
low. The recogniser is asked for its words when the detector hears the end of a sound, as the package's Deepgram service
does; the voice tells no times of words, as the package's Deepgram voice does not.
"""

import asyncio
import json
import sys
import time
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import numpy as np
from loguru import logger
from pipecat.audio.vad.vad_analyzer import VADAnalyzer
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from stage import RATE_HZ, VOICE_HZ, Player, Stage, sounds, unanswered

logger.remove()
DEEPGRAM_P99_S = 0.35  # what the package assumes of Deepgram


class Told(VADAnalyzer):
    def num_frames_required(self):
        return 512

    def voice_confidence(self, buffer):
        return float(sounds(np.frombuffer(buffer, dtype=np.int16)))

    def _get_smoothed_volume(self, audio):
        return 1.0  # nobody is too low


class Microphone(BaseInputTransport):
    def __init__(self, stage, params):
        super().__init__(params)
        self.stage, self.recording = stage, None

    async def start(self, frame):
        await super().start(frame)
        await self.set_transport_ready(frame)
        self.recording = asyncio.ensure_future(self.record())

    async def record(self):
        next_ms = self.stage.now_ms()
        while True:
            next_ms += 20
            await asyncio.sleep(max(0.0, next_ms - self.stage.now_ms()) / 1000)
            pcm = self.stage.pcm(next_ms - 20).tobytes()
            await self.push_audio_frame(InputAudioRawFrame(pcm, RATE_HZ, 1))

    async def cleanup(self):
        if self.recording:
            self.recording.cancel()
        await super().cleanup()


class Loudspeaker(BaseOutputTransport):
    """Takes sound as fast as it is heard, as the package's own transports do."""

    def __init__(self, stage, params):
        super().__init__(params)
        self.player, self.next_s = Player(stage), 0.0

    async def start(self, frame):
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame):
        self.player.give(frame.audio)
        length_s, now_s = len(frame.audio) / 2 / VOICE_HZ, time.monotonic()
        try:
            await asyncio.sleep(max(0.0, self.next_s - now_s))
        except asyncio.CancelledError:
            self.player.clear()
            raise
        self.next_s = max(self.next_s, now_s) + length_s
        return True


class Ear(STTService):
    def __init__(self, stage, **kwargs):
        super().__init__(ttfs_p99_latency=DEEPGRAM_P99_S, **kwargs)
        self.stage = stage
        stage.tell = lambda event: asyncio.ensure_future(self.tell(event))

    async def tell(self, event):
        kind = TranscriptionFrame if event["final"] else InterimTranscriptionFrame
        frame = kind(event["text"], "customer", "2026-01-01T00:00:00Z")
        if event["final"]:
            frame.finalized = bool(event.get("finalized"))
        await self.push_frame(frame)

    async def run_stt(self, audio):
        yield None

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self.stage.finalize()


class Brain(LLMService):
    def __init__(self, stage, **kwargs):
        super().__init__(**kwargs)
        self.stage = stage

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        async for text in self.stage.reply(unanswered(pairs(frame.context))):
            await self.push_frame(LLMTextFrame(text))
        await self.push_frame(LLMFullResponseEndFrame())


class Mouth(TTSService):
    def __init__(self, stage, **kwargs):
        super().__init__(push_start_frame=True, push_stop_frames=True, **kwargs)
        self.stage = stage

    async def run_tts(self, text, context_id):
        yield TTSAudioRawFrame(await self.stage.speech(text), VOICE_HZ, 1, context_id=context_id)


def pairs(context):
    return [(m["role"], m["content"]) for m in context.messages if isinstance(m.get("content"), str)]


def settings(kind):
    return kind(**{f.name: None for f in fields(kind) if f.init and f.name != "extra"})


async def played(moment, script, what):
    stage = Stage(moment, script)
    context = LLMContext([])
    ends = UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy()]) if what == "silence" else None
    given = LLMUserAggregatorParams(vad_analyzer=Told(), user_turn_strategies=ends)
    pair = LLMContextAggregatorPair(context, user_params=given)
    params = TransportParams(
        audio_in_enabled=True, audio_out_enabled=True, audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=VOICE_HZ
    )
    speaker = Loudspeaker(stage, params)
    pipeline = Pipeline(
        [
            Microphone(stage, params), Ear(stage, settings=settings(STTSettings)), pair.user(),
            Brain(stage, settings=settings(LLMSettings)), Mouth(stage, sample_rate=VOICE_HZ, settings=settings(TTSSettings)),
            speaker, pair.assistant(),
        ]
    )  # fmt: skip
    rates = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=VOICE_HZ)
    task = PipelineTask(pipeline, params=rates, idle_timeout_secs=None)
    running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    playing = asyncio.create_task(speaker.player.run())
    await asyncio.sleep(1.0)
    await task.queue_frame(TTSSpeakFrame(script["greeting"]))
    await stage.over()
    history = [[role, text] for role, text in pairs(context) if role in ("user", "assistant")]
    strategies = pair.user()._params.user_turn_strategies or pair.user()._user_turn_controller._user_turn_strategies
    config = {
        "start": [type(s).__name__ for s in strategies.start],
        "stop": [type(s).__name__ for s in strategies.stop],
        "vad": Told().params.model_dump(),
        "user_turn_stop_timeout_s": LLMUserAggregatorParams().user_turn_stop_timeout,
    }
    found = {"name": stage.name, "config": config, **stage.notes(history)}
    await task.cancel()
    playing.cancel()
    await asyncio.wait({running}, timeout=5)
    return found


async def main(script):
    only = sys.argv[3:]
    wanted = [one for one in script["moments"] if not only or one["name"] in only]
    found = [await played(one, script, sys.argv[2]) for one in wanted]  # one after the other: times count
    print(json.dumps({"version": version("pipecat-ai"), "moments": found}))


asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
