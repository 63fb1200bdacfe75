"""The same turn through LiveKit Agents' session, with services that answer at once. Prints milliseconds as JSON.

Run by the benchmark in an environment of its own. The turn is given as final text (`generate_reply` with the
customer's words), so that no deliberate wait of a turn detector counts.
"""

import asyncio
import json
import logging
import sys
from time import perf_counter

from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice import io

logging.disable(logging.CRITICAL)
COUNT, DELTAS, QUESTION = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
times: dict = {}
spoke = asyncio.Event()


class Brain(llm.LLM):
    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        times["request"] = perf_counter()
        return BrainStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class BrainStream(llm.LLMStream):
    async def _run(self):
        for text in DELTAS:
            if text == " Demo":
                times["sentence"] = perf_counter()
            delta = llm.ChoiceDelta(role="assistant", content=text)
            self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=delta))
            await asyncio.sleep(0)


class Mouth(tts.TTS):
    def __init__(self):
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=24000, num_channels=1)

    def synthesize(self, text, *, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        if "speech" not in times:
            times["speech"] = perf_counter()
            spoke.set()
        return MouthStream(tts=self, input_text=text, conn_options=conn_options)


class MouthStream(tts.ChunkedStream):
    async def _run(self, output_emitter):
        output_emitter.initialize(request_id="x", sample_rate=24000, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(bytes(960))
        output_emitter.flush()


class Sink(io.AudioOutput):
    def __init__(self):
        super().__init__(label="bench", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=24000)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)

    def flush(self) -> None:
        super().flush()
        self.on_playback_finished(playback_position=0.02, interrupted=False)

    def clear_buffer(self) -> None:
        self.on_playback_finished(playback_position=0.0, interrupted=True)


async def main():
    session = AgentSession(llm=Brain(), tts=Mouth())
    session.output.audio = Sink()
    await session.start(Agent(instructions="Eres Clara."))
    found = []
    for n in range(COUNT + 3):
        times.clear()
        spoke.clear()
        await asyncio.sleep(0.03)
        final = perf_counter()
        handle = session.generate_reply(user_input=QUESTION)
        await asyncio.wait_for(spoke.wait(), 10)
        if n >= 3:
            found.append((times["speech"] - final) * 1000)
        await asyncio.wait_for(handle.wait_for_playout(), 10)
    print(json.dumps(found))
    await session.aclose()


asyncio.run(main())
