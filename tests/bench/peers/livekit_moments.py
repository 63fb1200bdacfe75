"""The ten moments through LiveKit Agents' session, in real time. Prints what was seen as JSON.

Run by the benchmark in an environment of its own: `livekit_moments.py SCRIPT pause|avatar|silence`. `pause`: a sink that
can pause, as LiveKit's own room has; `avatar`: one that cannot, as an avatar's; `silence`: as `pause`, with turns that end
by silence alone, which is not the default. Else the session is as the package configures it by default, its local detector
of the end of turns included; only the net in the detector of sounds is replaced: it is told who sounds, so that a cough is
a sound for everybody.
"""

import asyncio
import json
import logging
import sys
import time
from importlib.metadata import version
from pathlib import Path

from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, stt, tts
from livekit.agents.inference import vad as native
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice import io
from livekit.agents.voice.transcription import TranscriptSynchronizer
from stage import RATE_HZ, VOICE_HZ, Player, Stage, sounds, unanswered

logging.disable(logging.CRITICAL)


class Told:
    def predict(self, pcm):
        return float(sounds(pcm))

    def reset(self):
        pass

    def close(self):
        pass


native._NativeVAD = Told


class Brain(llm.LLM):
    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return BrainStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class BrainStream(llm.LLMStream):
    async def _run(self):
        async for text in self._llm.stage.reply(unanswered(pairs(self._chat_ctx))):
            delta = llm.ChoiceDelta(role="assistant", content=text)
            self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=delta))


class Mouth(tts.TTS):
    def __init__(self, stage):
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=VOICE_HZ, num_channels=1)
        self.stage = stage

    def synthesize(self, text, *, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        return MouthStream(tts=self, input_text=text, conn_options=conn_options)


class MouthStream(tts.ChunkedStream):
    async def _run(self, output_emitter):
        output_emitter.initialize(request_id="x", sample_rate=VOICE_HZ, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(await self._tts.stage.speech(self._input_text))
        output_emitter.flush()


class Ear(stt.STT):
    def __init__(self, stage):
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.stage = stage

    async def _recognize_impl(self, buffer, **_):
        raise NotImplementedError

    def stream(self, *, language=None, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        return EarStream(stt=self, conn_options=conn_options)


class EarStream(stt.RecognizeStream):
    async def _run(self):
        stage, begun_ms = self._stt.stage, self._stt.stage.now_ms()

        def tell(event):
            kind = stt.SpeechEventType.FINAL_TRANSCRIPT if event["final"] else stt.SpeechEventType.INTERIM_TRANSCRIPT
            since_s = (event["line_ms"] - begun_ms) / 1000
            data = stt.SpeechData(
                language="es", text=event["text"], confidence=1.0,
                start_time=since_s + event["began_ms"] / 1000, end_time=since_s + event["ended_ms"] / 1000,
            )  # fmt: skip
            self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[data]))

        stage.tell = tell
        async for _ in self._input_ch:
            pass


class Microphone(io.AudioInput):
    def __init__(self, stage):
        super().__init__(label="customer")
        self.stage, self.next_ms = stage, stage.now_ms()

    async def __anext__(self):
        self.next_ms += 20
        await asyncio.sleep(max(0.0, self.next_ms - self.stage.now_ms()) / 1000)
        samples = self.stage.pcm(self.next_ms - 20)
        return rtc.AudioFrame(samples.tobytes(), RATE_HZ, 1, len(samples))


class Sink(io.AudioOutput):
    """Plays in real time; can pause or cannot."""

    def __init__(self, stage, *, pause):
        super().__init__(label="sink", capabilities=io.AudioOutputCapabilities(pause=pause), sample_rate=VOICE_HZ)
        self.player = Player(stage, began=self.began, ran_dry=self.ran_dry)
        self.open, self.sounded, self.given = False, False, False

    async def capture_frame(self, frame):
        await super().capture_frame(frame)
        self.open = self.given = True
        self.player.give(bytes(frame.data))

    def began(self):
        if not self.sounded:
            self.sounded = True
            self.on_playback_started(created_at=time.time())

    def ran_dry(self):
        if not self.open:
            self.finish(interrupted=False)

    def flush(self):
        super().flush()
        self.open = False
        if self.given and not self.player.queue:
            self.finish(interrupted=False)

    def clear_buffer(self):
        self.open = False
        self.player.clear()
        if self.given:
            self.finish(interrupted=True)

    def finish(self, *, interrupted):
        heard_s, self.player.heard_s = self.player.heard_s, 0.0
        self.sounded = self.given = False
        self.on_playback_finished(playback_position=heard_s, interrupted=interrupted)

    def pause(self):
        super().pause()
        self.player.hold(True)

    def resume(self):
        super().resume()
        self.player.hold(False)


def pairs(chat_ctx):
    return [(item.role, item.text_content or "") for item in chat_ctx.items if item.type == "message"]


async def played(moment, script, what):
    stage = Stage(moment, script)
    changed = {"turn_handling": {"turn_detection": "vad"}} if what == "silence" else {}
    session = AgentSession(stt=Ear(stage), llm=Brain(stage), tts=Mouth(stage), **changed)
    sink = Sink(stage, pause=what != "avatar")
    both = TranscriptSynchronizer(next_in_chain_audio=sink, next_in_chain_text=None)
    session.input.audio = Microphone(stage)
    session.output.audio, session.output.transcription = both.audio_output, both.text_output
    playing = asyncio.ensure_future(sink.player.run())
    await session.start(Agent(instructions="Eres Clara."))
    session.say(script["greeting"])
    await stage.over()
    history = [[role, text] for role, text in pairs(session.history) if role in ("user", "assistant")]
    config = {
        "turn_detection": getattr(session.turn_detection, "model", str(session.turn_detection)),
        "interruption": {k: list(v) if isinstance(v, tuple) else v for k, v in session._opts.interruption.items()},
        "endpointing": dict(session._opts.endpointing),
        "interruption_detector": type(session._activity._interruption_detector).__name__,
        "preemptive_generation": str(session._opts.preemptive_generation),
        "aec_warmup_s": session._opts.aec_warmup_duration,
    }
    await session.aclose()
    playing.cancel()
    return {"name": stage.name, "config": config, **stage.notes(history)}


async def main(script):
    only = sys.argv[3:]
    wanted = [one for one in script["moments"] if not only or one["name"] in only]
    found = [await played(one, script, sys.argv[2]) for one in wanted]  # one after the other: times count
    print(json.dumps({"version": version("livekit-agents"), "moments": found}))


asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
