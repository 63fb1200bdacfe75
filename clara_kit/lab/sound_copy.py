"""A conversation's recording as it may be handed on: small enough, and silent wherever a placeholder was spoken."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from clara_kit.core import events as ev
from clara_kit.core.profile import fill, placeholders_in
from clara_kit.lab.shelf import of_a_person
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story

AROUND_MS = 200.0  # a word's sound begins before and ends after what a recogniser or a voice says of it
UNSURE = 0.12  # of an utterance, where the voice did not tell when its words sound
LEAST_BITS_PER_S = 16_000  # that LAME makes of a voice, near enough


@dataclass(frozen=True)
class Copy:
    """`data`: empty where there is none to be had. `left_out`: why, or what of it; keys of `words.yml`."""

    data: bytes = b""
    kind: str = ""
    left_out: tuple[tuple[str, str], ...] = ()


def copied(run: Run, most_bytes: int, *, masked: bool = True) -> Copy:
    """As good as has room: lossless, else MP3 with both voices in one, else its beginning. Of a real customer: none."""
    path = run.folder / "conversation.wav" if run.folder is not None else None
    if path is None or not path.is_file():
        return Copy(left_out=(("share_no_sound", ""),))
    if of_a_person(run):
        return Copy(left_out=(("share_person", ""),))
    try:
        import soundfile  # type: ignore[import-untyped]

        frames, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
        spans = [*_spans(run)] if masked else []
        for channel, from_ms, to_ms in spans:
            begin, end = (max(0, round((ms - run.sound_from_ms) * rate_hz / 1000)) for ms in (from_ms, to_ms))
            frames[begin:end, min(channel, frames.shape[1] - 1)] = 0
        silent = (("share_silenced", str(len(spans))),) if spans else ()
        data = _encoded(frames, rate_hz, format="FLAC", compression_level=1.0)
        if len(data) <= most_bytes:
            return Copy(data, "audio/flac", silent)
        mono = frames.astype(np.int32).mean(axis=1).astype(np.int16)
        told = (*silent, ("share_mono", ""))
        for seconds in (len(mono) / rate_hz, most_bytes * 8 / LEAST_BITS_PER_S, most_bytes * 4 / LEAST_BITS_PER_S):
            part = mono[: int(seconds * rate_hz)]
            data = _encoded(part, rate_hz, format="MP3", bitrate_mode="VARIABLE", compression_level=0.99)
            if len(data) <= most_bytes:
                cut = (("share_cut", f"{len(part) / rate_hz / 60:.0f}"),) if len(part) < len(mono) else ()
                return Copy(data, "audio/mpeg", (*told, *cut))
    except ImportError:
        return Copy(left_out=(("share_no_soundfile", ""),))
    except (OSError, RuntimeError, ValueError):  # soundfile's own errors are of the second
        return Copy(left_out=(("share_broken_sound", ""),))
    return Copy(left_out=(("share_too_long", ""),))


def _encoded(samples: Any, rate_hz: int, **how: Any) -> bytes:
    import soundfile

    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate_hz, samples.shape[1] if samples.ndim > 1 else 1, **how) as file:
        for at in range(0, len(samples), rate_hz):  # libsndfile's coders have overflowed on more at once
            file.write(samples[at : at + rate_hz])
    return out.getvalue()


def _spans(run: Run) -> Iterator[tuple[int, float, float]]:
    """Channel, from and to: where something sounds that a placeholder stands for in the trace."""
    voiced: dict[int, list[tuple[int, float]]] = {}
    for record in run.trace:
        if type(record) is ev.SpeechVoiced:
            voiced.setdefault(record.utterance_id, []).extend((w.char_end, w.end_ms) for w in record.words)
        elif type(record) is ev.TranscriptFinal and placeholders_in(record.text):
            words = [w for w in record.words if placeholders_in(w.text)]
            if sum(len(placeholders_in(w.text)) for w in words) < len(placeholders_in(record.text)):
                yield 0, record.speech_started_ms - AROUND_MS, record.speech_ended_ms + AROUND_MS  # it may be anywhere
            else:
                yield from ((0, w.start_ms - AROUND_MS, w.end_ms + AROUND_MS) for w in words)
    for who, said in Story(run.trace).utterances.items():
        if said.started_ms is None:
            continue
        lasts_ms = max(said.audio_ms, 0.0 if said.stopped_ms is None else said.stopped_ms - said.started_ms)
        for match in placeholders_in(said.text):
            told = sorted(voiced.get(who, ()))
            if told and told[-1][0] >= match.end():
                before = max((ms for chars, ms in told if chars <= match.start()), default=0.0)
                after = min(ms for chars, ms in told if chars >= match.end())
                around = AROUND_MS
            else:
                filled = [len(fill(said.text[:n], run.words)) for n in (match.start(), match.end(), len(said.text))]
                before, after = (lasts_ms * n / max(1, filled[2]) for n in filled[:2])
                around = max(2 * AROUND_MS, UNSURE * lasts_ms)
            yield 1, said.started_ms + before - around, said.started_ms + after + around
