#!/usr/bin/env bash
# livekit-agents 1.8.9: a sound that is shorter than `interruption.min_duration` stops the agent all the same. The option is
# documented as «Minimum speech length (s) to register as an interruption. Defaults to 0.5». While the default detector
# waits for its 0.25 s of silence after a sound, the `speech_duration` of its INFERENCE_DONE events goes on growing, and it
# is that number which is compared; only END_OF_SPEECH takes the silence off again. So with the defaults every sound of
# about a quarter of a second (a short «mhm», a cough that is taken for voice) pauses the agent half a second after it began,
# when it has been over for long; on an output that cannot pause, as an avatar's, the agent is interrupted for good.
# Seen: «the sound lasts 0.3 s; while it is judged its length grows to 0.64 s, at its end it is 0.38 s» and «min_duration is
# 0.5 s; the agent is paused: True (0.5 s after the sound began)».
# Session, options and detector are the package's own; the sound is a sung «a», the output takes what it is given.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "livekit-agents==1.8.9"
cat > "$folder/look.py" <<'PY'
import asyncio
import logging
import time
from importlib.metadata import version

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.inference import VAD
from livekit.agents.voice import io

logging.disable(logging.CRITICAL)
RATE_HZ, SOUND_S, BEGINS_S = 16_000, 0.3, 1.5


def vowel(seconds):
    """A sung «a»: pulses of a voice of 120 Hz through four resonances."""
    t = np.arange(int(seconds * RATE_HZ))
    sound = (np.floor(t * 120 / RATE_HZ) != np.floor((t - 1) * 120 / RATE_HZ)).astype(float)
    for hz, width in ((700, 90), (1220, 110), (2600, 160), (3500, 250)):
        r = np.exp(-np.pi * width / RATE_HZ)
        a, b = 2 * r * np.cos(2 * np.pi * hz / RATE_HZ), -r * r
        out = np.zeros_like(sound)
        for n in range(len(sound)):
            out[n] = sound[n] + a * out[n - 1] + b * out[n - 2]
        sound = out
    return (sound / np.abs(sound).max() * 12_000).astype(np.int16)


SOUND = vowel(SOUND_S)


class Microphone(io.AudioInput):
    def __init__(self):
        super().__init__(label="microphone")
        self.began_s, self.at = time.monotonic(), 0

    async def __anext__(self):
        self.at += RATE_HZ // 50
        await asyncio.sleep(max(0.0, self.began_s + self.at / RATE_HZ - time.monotonic()))
        first = self.at - RATE_HZ // 50 - int(BEGINS_S * RATE_HZ)
        piece = np.zeros(RATE_HZ // 50, dtype=np.int16)
        heard = SOUND[max(0, first) : max(0, first + len(piece))]
        start = max(0, -first)
        piece[start : start + len(heard)] = heard[: len(piece) - start]
        return rtc.AudioFrame(piece.tobytes(), RATE_HZ, 1, len(piece))


class Sink(io.AudioOutput):
    """Takes everything; says when it is told to pause."""

    def __init__(self):
        super().__init__(label="sink", capabilities=io.AudioOutputCapabilities(pause=True), sample_rate=RATE_HZ)
        self.paused_at_s, self.begun = None, False

    async def capture_frame(self, frame):
        await super().capture_frame(frame)
        if not self.begun:
            self.begun = True
            self.on_playback_started(created_at=time.time())

    def flush(self):
        super().flush()

    def clear_buffer(self):
        if self.begun:
            self.begun = False
            self.on_playback_finished(playback_position=1.0, interrupted=True)

    def pause(self):
        super().pause()
        self.paused_at_s = self.paused_at_s or time.monotonic()


async def speech():
    for _ in range(300):  # six seconds
        yield rtc.AudioFrame(bytes(640), RATE_HZ, 1, 320)


async def told():
    """What the detector alone says of the sound, as fast as it can."""
    stream, longest, lasted = VAD().stream(), 0.0, 0.0
    silence = np.zeros(RATE_HZ, dtype=np.int16)
    pcm = np.concatenate([silence, SOUND, silence])
    for n in range(0, len(pcm), 320):
        stream.push_frame(rtc.AudioFrame(pcm[n : n + 320].tobytes(), RATE_HZ, 1, len(pcm[n : n + 320])))
    stream.end_input()
    async for event in stream:
        longest = max(longest, event.speech_duration) if event.type == "inference_done" else longest
        lasted = event.speech_duration if event.type == "end_of_speech" else lasted
    return longest, lasted


async def main():
    longest, lasted = await told()
    session, sink = AgentSession(aec_warmup_duration=None), Sink()
    session.input.audio, session.output.audio = Microphone(), sink
    await session.start(Agent(instructions="-"))
    session.input.audio.began_s = time.monotonic()
    session.say("Hello.", audio=speech())
    await asyncio.sleep(BEGINS_S + 1.5)
    needed = session.options.interruption["min_duration"]
    after = None if sink.paused_at_s is None else sink.paused_at_s - session.input.audio.began_s - BEGINS_S
    print("livekit-agents", version("livekit-agents"))
    print(f"the sound lasts {SOUND_S} s; while it is judged its length grows to {longest:.2f} s, at its end it is {lasted:.2f} s")
    print(f"min_duration is {needed} s; the agent is paused: {after is not None}", "" if after is None else f"({after:.1f} s after the sound began)")
    assert lasted < needed - 0.1, "the detector has changed, or takes the sound for a longer one"
    assert after is not None and longest >= needed, "sounds shorter than min_duration do not interrupt by now"
    await session.aclose()


asyncio.run(main())
PY
"$folder/venv/bin/python" "$folder/look.py"
