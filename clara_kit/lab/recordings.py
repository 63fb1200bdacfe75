"""A recorded call becomes a run, from its sound alone: who spoke when, how long the gaps were, who gave way.

For calls that the kit did not make (today's production avatar, say), so that they can stand beside Clara's. What was said,
asked or decided is not known and not invented: a turn has its two ends, everything between them is missing and says so.
Speech is found by the detector of voices in each channel, its edges by loudness in steps of 5 ms.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from clara_kit.audio.pcm import Sound
from clara_kit.audio.vad import speech_spans
from clara_kit.audio.wav import read_channels
from clara_kit.core import events as ev
from clara_kit.core.errors import AudioError
from clara_kit.core.records import Record
from clara_kit.measure.run import SERVICES, Run
from clara_kit.runtime.run_log import RunLog

PLUS_MINUS_MS = 60.0
"""95 of 100 gaps are read within this, of recordings whose truth is known (`tests/lab/test_recordings.py`: generated voices)."""

# Chosen on generated voices in two channels, with hiss and cross-talk; no recording of a customer was ever read with them.
_STEP_MS = 5.0
_AROUND_MS = 250.0  # how far an edge may lie from where the detector put it
_SURE = 0.35  # of the detector, from which on it is speech: edges and softness are judged by loudness afterwards
_ABOVE_FLOOR_DB = 3.0  # louder than the channel's noise by this is sound
_BELOW_SPEECH_DB = 38.0  # softer than its speech by this is none
_ABOVE_CROSSTALK_DB = 6.0  # louder than the other side is heard here by this is one's own sound
_NOD_MS = 900.0  # a sound this short upon which the other went on took no floor
_YIELDS_MS = 3000.0  # who falls silent within this after the other began has given way
_PAUSE_MS = 120.0  # loud steps that lie further apart are judged by themselves
_SHORTEST_MS = 60.0  # what is loud for less is no speech
_JOIN_MS = 400.0  # two stretches of one speaker so near are one

_Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One side speaks, in ms from the beginning of the recording; its pauses in which the other is silent included."""

    who: Literal["customer", "Clara"]
    from_ms: float
    until_ms: float


def from_recording(path: str | Path, *, title: str = "", swapped: bool = False, shelf: Path | str | None = None) -> Run:
    """A call's sound file as a run: customer left, avatar right (or `swapped`), any rate, WAV, FLAC or OGG.

    `run.ledger` has the gaps (total_ms; negative: she began before the customer had ended), `run.interruptions` the overlaps
    and how long it took to yield, all ± `PLUS_MINUS_MS`. shelf: a folder of runs (`data/runs`) to keep it in, with its sound.
    Raises `AudioError` for what is no such file, has one channel, or two that are the same.
    """
    if not isinstance(path, str | Path):
        raise AudioError(f"{path!r} is no recording.", hint="give the path of a sound file.")
    path = Path(path)
    channels = read_channels(path)
    _check(path, channels)
    left, right = reversed(channels) if swapped else channels
    stretches = heard(left, right)
    inputs: dict[str, Any] = {
        "modes": dict.fromkeys(SERVICES, "recording"),
        "recording": {
            "sha256": sha256(path.read_bytes()).hexdigest(), "rate_hz": left.rate_hz, "seconds": round(left.duration_ms / 1000, 3),
            "swapped": swapped, "plus_minus_ms": PLUS_MINUS_MS,
        },
    }  # fmt: skip
    trace, title = tuple(told(stretches, left.duration_ms)), title or path.stem
    if shelf is None:
        return Run(inputs=inputs, trace=trace, facts={"title": title})
    log = RunLog(inputs, title=title, note="read from a recording", root=shelf)
    if not swapped and path.suffix.casefold() == ".wav":
        shutil.copyfile(path, log.sound_path)
    return log.close([*trace])


def _check(path: Path, channels: Sequence[Sound]) -> None:
    if len(channels) != 2:
        raise AudioError(
            f"{path} has {len(channels)} channel{'s' * (len(channels) != 1)}, not two: who speaks cannot be told apart.",
            hint="record the customer left and the avatar right; a recording of both on one channel cannot be read.",
        )
    if channels[0] == channels[1]:
        raise AudioError(
            f"Both channels of {path} are the same.",
            hint="record customer and avatar apart, not a stereo copy of a mix.",
        )


def heard(customer: Sound, clara: Sound) -> tuple[Stretch, ...]:
    """Who speaks when, in order of beginning."""
    spoken = [Stretch("customer", *span) for span in _spans(customer, clara)]
    spoken += (Stretch("Clara", *span) for span in _spans(clara, customer))
    ordered = sorted(spoken, key=lambda s: s.from_ms)
    found: list[Stretch] = []
    for one in ordered:  # a pause in which the other is silent belongs to who made it
        last = found[-1] if found else None
        if last is not None and last.who == one.who:
            found[-1] = Stretch(one.who, last.from_ms, max(last.until_ms, one.until_ms))
        else:
            found.append(one)
    return tuple(found)


# --- where speech begins and ends ----------------------------------------------------------------------


def _spans(sound: Sound, other: Sound) -> list[_Span]:
    """Stretches of speech of one channel, their edges by loudness; not the other side, where it is heard softly in this one."""
    rough = speech_spans(sound, hang_ms=200.0, threshold=_SURE) or _loud_spans(_loudness(sound))
    loud, across = _loudness(sound), _loudness(other)
    theirs = across > across.max() - 20
    if not rough or not theirs.any():
        return []
    crosstalk_db = float(np.percentile((loud - across)[theirs], 20))
    own = loud > across + crosstalk_db + _ABOVE_CROSSTALK_DB
    spoken, near = own & _steps(rough, len(loud), 0.0), _steps(rough, len(loud), _AROUND_MS)
    if not spoken.any():
        return []
    speech_db, quiet = float(np.percentile(loud[spoken], 90)), loud[~near]
    floor_db = float(np.percentile(quiet, 30)) if len(quiet) > 20 else float(loud.min())
    over = near & own & (loud > max(floor_db + _ABOVE_FLOOR_DB, speech_db - _BELOW_SPEECH_DB))
    found: list[_Span] = []
    at = np.flatnonzero(over)
    for run in np.split(at, np.flatnonzero(np.diff(at) > _PAUSE_MS / _STEP_MS) + 1):
        if spoken[run].sum() * _STEP_MS < _SHORTEST_MS:
            continue
        begins, ends = _first_of(run) * _STEP_MS, (_last_of(run) + 1) * _STEP_MS
        if found and begins - found[-1][1] < _JOIN_MS:
            found[-1] = (found[-1][0], ends)
        else:
            found.append((begins, ends))
    return found


def _steps(spans: Sequence[_Span], count: int, around_ms: float) -> npt.NDArray[np.bool_]:
    """The steps that lie in these spans, or near them."""
    steps = np.zeros(count, bool)
    for a, b in spans:
        steps[_at(max(0.0, a - around_ms)) : _at(b + around_ms) + 1] = True
    return steps


def _loudness(sound: Sound) -> npt.NDArray[np.float64]:
    """dB at each step of 5 ms, over 20 ms around it: so even a soft breath stands out from noise."""
    size = max(1, round(sound.rate_hz * _STEP_MS / 1000))
    whole = sound.samples[: len(sound.samples) // size * size].astype(np.float64).reshape(-1, size) / 32768
    power = np.convolve(np.mean(whole**2, axis=1), np.full(4, 0.25), mode="same")
    return np.asarray(10 * np.log10(power + 1e-10))


def _loud_spans(loud: npt.NDArray[np.float64]) -> list[_Span]:
    """Where no voice is found at all (a test tone stands for it, or a line too poor): what stands out from the rest."""
    over = np.concatenate([[False], loud > np.percentile(loud, 10) + 20, [False]])
    begins, ends = np.flatnonzero(over[1:] & ~over[:-1]), np.flatnonzero(~over[1:] & over[:-1])
    return [(a * _STEP_MS, b * _STEP_MS) for a, b in zip(begins.tolist(), ends.tolist()) if b - a > 80 / _STEP_MS]


def _at(ms: float) -> int:
    return round(ms / _STEP_MS)


def _first_of(at: npt.NDArray[np.intp]) -> int:
    """The first step that is no click: two of the next three are loud too."""
    return int(next((n for n in at if np.isin([n + 1, n + 2, n + 3], at).sum() >= 2), at[0]))


def _last_of(at: npt.NDArray[np.intp]) -> int:
    return int(next((n for n in at[::-1] if np.isin([n - 1, n - 2, n - 3], at).sum() >= 2), at[-1]))


# --- what it means --------------------------------------------------------------------------------------


def told(stretches: Sequence[Stretch], lasts_ms: float) -> Iterator[Record]:
    """The trace of a recording: sounds of the customer's, turns as they are heard, and its end."""
    records: list[Record] = [ev.ConversationStarted(at_ms=0.0, greeting="")]
    for stretch in stretches:
        if stretch.who == "customer":
            records.append(ev.SpeechStarted(at_ms=stretch.from_ms, source="vad", sound_at_ms=stretch.from_ms))
            records.append(ev.SpeechEnded(at_ms=stretch.until_ms, source="vad", sound_at_ms=stretch.until_ms))
    records += _turns(stretches)
    records.append(ev.ConversationStopped(at_ms=lasts_ms))
    yield from sorted(records, key=lambda record: record.at_ms)


def _turns(stretches: Sequence[Stretch]) -> Iterator[ev.TurnHeard]:
    """One for each time that Clara speaks, with whatever the customer said into it."""
    nods = [s for s in stretches if _is_nod(s, stretches)]
    floor = [s for s in stretches if s not in nods]
    words: Stretch | None = None
    number = 0 if floor and floor[0].who == "Clara" else 1
    for who, group in groupby(floor, key=lambda s: s.who):
        said = [*group]
        whole = Stretch(who, said[0].from_ms, max(s.until_ms for s in said))
        if who == "customer":
            words = whole
            continue
        overlaps = [
            _overlap(s, whole) for s in stretches if s.who == "customer" and whole.from_ms < s.from_ms < whole.until_ms
        ]
        yield ev.TurnHeard(
            at_ms=whole.until_ms, turn_id=number, clara_from_ms=whole.from_ms, clara_until_ms=whole.until_ms,
            words_from_ms=None if words is None else words.from_ms, words_until_ms=None if words is None else words.until_ms,
            overlaps=tuple(overlaps),
        )  # fmt: skip
        number, words = number + 1, None
    if words is not None:  # nobody answered any more
        yield ev.TurnHeard(
            at_ms=words.until_ms, turn_id=number, words_from_ms=words.from_ms, words_until_ms=words.until_ms
        )


def _is_nod(one: Stretch, all_of_them: Sequence[Stretch]) -> bool:
    """A short sound of one side upon which the other, who was speaking, went on."""
    return one.until_ms - one.from_ms <= _NOD_MS and any(
        s.who != one.who and s.from_ms < one.from_ms and s.until_ms > one.until_ms + _JOIN_MS for s in all_of_them
    )


def _overlap(sound: Stretch, clara: Stretch) -> ev.Overlap:
    gave_way = clara.until_ms < sound.until_ms and clara.until_ms - sound.from_ms <= _YIELDS_MS
    return ev.Overlap(from_ms=sound.from_ms, until_ms=sound.until_ms, silent_ms=clara.until_ms if gave_way else None)
