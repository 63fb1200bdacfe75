"""The sound of a conversation that has none, or none from a moment on: spoken by the offline voices.

Where a recording is, it is taken up to that moment; what Clara was saying just then goes on in it for as long as it went on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clara_kit.audio.pcm import Samples, Sound
from clara_kit.audio.voice import RATE_HZ, OfflineVoice
from clara_kit.audio.wav import read_channels
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.profile import fill
from clara_kit.measure.run import Run
from clara_kit.world.voices import clara_voice, customer_voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file whose left channel is the customer and whose right is Clara. Times on the conversation's clock, in ms.

    from_ms: where it begins. until_ms: from when on it is another conversation's. clara_until_ms: and Clara's channel.
    """

    path: Path
    from_ms: float
    until_ms: float
    clara_until_ms: float


def voiced(
    run: Run, words: Mapping[str, str], recording: Recording | None, from_ms: float, to_ms: float
) -> tuple[Sound, Sound]:
    """The customer and Clara between two moments. words: what the placeholders stand for; of others nothing is said.

    Raises `AudioError` where the offline voice is not installed, or the recording cannot be read.
    """
    channels = read_channels(recording.path) if recording is not None else ()
    rate_hz = channels[0].rate_hz if channels else RATE_HZ
    lanes: list[Samples] = [np.zeros(max(1, _at(to_ms - from_ms, rate_hz)), dtype=np.int16) for _ in range(2)]
    spoken_from = [-1e12, -1e12]
    if recording is not None:
        spoken_from = [recording.until_ms, recording.until_ms]
        for lane, channel, until_ms in zip(
            lanes, channels, (recording.until_ms, recording.clara_until_ms), strict=False
        ):
            _put(lane, channel.between(0, until_ms - recording.from_ms), recording.from_ms - from_ms)
    for who, text, start_ms, end_ms in _utterances(run):
        if start_ms >= spoken_from[who] and start_ms < to_ms and (end_ms is None or end_ms > from_ms):
            voice = clara_voice(run.settings.tts_speed) if who else customer_voice()
            _put(lanes[who], _said(voice, fill(text, words), end_ms, start_ms).at_rate(rate_hz), start_ms - from_ms)
    left, right = (Sound(lane, rate_hz) for lane in lanes)
    return left, right


def _utterances(run: Run) -> Iterator[tuple[int, str, float, float | None]]:
    """Who says what from when on, and when it is silenced; who: 0 the customer, 1 Clara."""
    pieces: dict[int, list[str]] = {}
    started: dict[int, float] = {}
    stopped: dict[int, float] = {}
    for record in run.trace:
        match record:
            case do.Speak():
                pieces.setdefault(record.utterance_id, []).append(record.text)
            case ev.SpeakingStarted():
                started.setdefault(record.utterance_id, record.at_ms)
            case ev.SpeakingInterrupted():
                stopped.setdefault(record.utterance_id, record.at_ms)
            case ev.TranscriptFinal() if record.speech_ended_ms > record.speech_started_ms:
                yield 0, record.text, record.speech_started_ms, record.speech_ended_ms
    for who, start_ms in started.items():
        yield 1, " ".join(pieces.get(who, ())), start_ms, stopped.get(who)


def _said(voice: OfflineVoice, text: str, end_ms: float | None, start_ms: float) -> Sound:
    sound = voice.synthesize(" ".join(part for part in text.split() if not part.startswith("{"))).sound
    return sound if end_ms is None else sound.between(0, end_ms - start_ms)


def _put(lane: Samples, sound: Sound, at_ms: float) -> None:
    """Lay a sound over a lane from a time on; what lies outside of the lane is not there."""
    begin = _at(at_ms, sound.rate_hz)
    samples = sound.samples[max(0, -begin) :][: max(0, len(lane) - max(0, begin))]
    lane[max(0, begin) : max(0, begin) + len(samples)] = samples


def _at(ms: float, rate_hz: int) -> int:
    return round(ms * rate_hz / 1000)
