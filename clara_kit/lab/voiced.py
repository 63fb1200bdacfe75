"""The sound of a conversation that has none, or none from a moment on: spoken by the offline voices.

Where a recording is, it is taken up to that moment; what Clara was saying just then goes on in it for as long as it went on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clara_kit.audio.pcm import Samples, Sound, concat, silence
from clara_kit.audio.voice import RATE_HZ, OfflineVoice
from clara_kit.audio.wav import read_channels, wav_bytes
from clara_kit.core import events as ev
from clara_kit.core.profile import fill
from clara_kit.measure.codec import FARTHEST as NEVER_MS
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story, Words
from clara_kit.world.voices import clara_voice, customer_voice, stand_in_voice

EMPTY_WAV = 44  # bytes: a header alone
TAIL_MS = 400.0  # of silence after the last sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file whose left channel is the customer and whose right is Clara. Times on the conversation's clock, in ms.

    from_ms: where it begins. until_ms: from when on it is another conversation's. clara_until_ms: and Clara's channel.
    """

    path: Path
    from_ms: float
    until_ms: float = NEVER_MS
    clara_until_ms: float = NEVER_MS

    def shared(self, at_ms: float, who: int | None, *runs: Run) -> Recording:
        """What of it two runs share that part at `at_ms`. who: what Clara was saying then, if she was heard."""
        until_ms = clara_ms = min(self.until_ms, at_ms)
        if who is not None and until_ms == at_ms and all(_heard_by(run, who, at_ms) for run in runs):
            clara_ms = max(until_ms, min(self.clara_until_ms, *(_ends_ms(run, who) for run in runs)))
        return replace(self, until_ms=until_ms, clara_until_ms=clara_ms)


def recording_of(run: Run) -> Recording | None:
    """The sound beside a run, if there is any."""
    path = run.folder / "conversation.wav" if run.folder is not None else None
    if path is None or not path.is_file() or path.stat().st_size <= EMPTY_WAV:
        return None
    return Recording(path=path, from_ms=run.sound_from_ms)


def spoken(run: Run) -> bytes:
    """The whole of a conversation that has no sound as a WAV, the customer left and Clara right. Raises `AudioError`."""
    return wav_bytes(*voiced(run, run.words, None, 0.0, run.events[-1].at_ms + TAIL_MS if run.events else 0.0))


def in_turn(parts: Iterable[tuple[Sound, Sound]], pause_ms: float) -> bytes:
    """What `voiced` gives of several, one after the other with a pause behind each, as a WAV."""
    lanes = zip(*parts, strict=True)
    return wav_bytes(*(concat(*(s for one in lane for s in (one, silence(pause_ms, one.rate_hz)))) for lane in lanes))


def _heard_by(run: Run, who: int, at_ms: float) -> bool:
    return any(type(e) is ev.SpeakingStarted and e.utterance_id == who and e.at_ms <= at_ms for e in run.events)


def _ends_ms(run: Run, who: int) -> float:
    ends = (e for e in run.events if isinstance(e, ev.SpeakingEnded | ev.SpeakingInterrupted) and e.utterance_id == who)
    return next((e.at_ms for e in ends), run.events[-1].at_ms)


def voiced(
    run: Run, words: Mapping[str, str], recording: Recording | None, from_ms: float, to_ms: float
) -> tuple[Sound, Sound]:
    """The customer and Clara between two moments. words: what the placeholders stand for; of others nothing is said.

    Raises `AudioError` where the offline voice is not installed, or the recording cannot be read.
    """
    channels = read_channels(recording.path) if recording is not None else ()
    rate_hz = channels[0].rate_hz if channels else RATE_HZ
    lanes: list[Samples] = [np.zeros(max(1, _at(to_ms - from_ms, rate_hz)), dtype=np.int16) for _ in range(2)]
    spoken_from = [-NEVER_MS, -NEVER_MS]
    if recording is not None:
        spoken_from = [recording.until_ms, recording.until_ms]
        for lane, channel, until_ms in zip(
            lanes, channels, (recording.until_ms, recording.clara_until_ms), strict=False
        ):
            _put(lane, channel.between(0, until_ms - recording.from_ms), recording.from_ms - from_ms)
    clara_until_ms = -NEVER_MS  # whatever she says next comes behind it, though this voice takes longer than hers
    for voice, who, text, start_ms, end_ms in _utterances(run):
        start_ms = max(start_ms, clara_until_ms) if who else start_ms
        if start_ms >= spoken_from[who] and start_ms < to_ms and end_ms > from_ms:
            sound = _said(voice, fill(text, words)).between(0, end_ms - start_ms)
            clara_until_ms = start_ms + sound.duration_ms if who else clara_until_ms
            _put(lanes[who], sound.at_rate(rate_hz), start_ms - from_ms)
    left, right = (Sound(lane, rate_hz) for lane in lanes)
    return left, right


def _utterances(run: Run) -> Iterator[tuple[OfflineVoice, int, str, float, float]]:
    """Who says what from when on, and when it is silenced; who: 0 the customer, 1 Clara, or whoever speaks for her."""
    story = Story(run.trace)
    for words in story.said:
        if isinstance(words, Words) and words.ended_ms > words.began_ms:
            yield customer_voice(), 0, words.text, words.began_ms, words.ended_ms
    for one in story.utterances.values():
        if one.started_ms is not None and one.audible_ms is not None:
            stands_in = "avatar" in one.exchanged or "tts" in one.exchanged
            voice = stand_in_voice() if stands_in else clara_voice(_speed(run, one.started_ms))
            end_ms = one.stopped_ms if one.cut and one.stopped_ms else NEVER_MS
            opener, answer_ms = one.pieces[: one.openers], one.answer_ms
            if opener:
                yield voice, 1, " ".join(opener), one.audible_ms, end_ms
            if answer_ms is not None and one.pieces[one.openers :]:
                yield voice, 1, " ".join(one.pieces[one.openers :]), answer_ms, end_ms


def _speed(run: Run, at_ms: float) -> float:
    changes = (dict(r.changes) for r in run.trace if isinstance(r, ev.SettingsChanged) and r.at_ms <= at_ms)
    return float(
        {"tts_speed": run.settings.tts_speed, **dict(item for one in changes for item in one.items())}["tts_speed"]
    )


def _said(voice: OfflineVoice, text: str) -> Sound:
    return voice.synthesize(" ".join(part for part in text.split() if not part.startswith("{"))).sound


def _put(lane: Samples, sound: Sound, at_ms: float) -> None:
    """Lay a sound over a lane from a time on; what lies outside of the lane is not there."""
    begin = _at(at_ms, sound.rate_hz)
    samples = sound.samples[max(0, -begin) :][: max(0, len(lane) - max(0, begin))]
    lane[max(0, begin) : max(0, begin) + len(samples)] = samples


def _at(ms: float, rate_hz: int) -> int:
    return round(ms * rate_hz / 1000)
