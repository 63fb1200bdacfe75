"""The offline voice: espeak-ng's Latin-American Spanish, shipped in a wheel, with the time of every word.

Used for the invented customer, for Clara when no vendor speaks, and behind the twins. A synthetic voice of
the nineties on purpose: small, exact, the same bytes on every run, and nobody mistakes it for the vendor's.
espeak is one global C library: one lock, and a fresh start for each text.
"""

from __future__ import annotations

import _ctypes
import ctypes
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np

from clara_kit.audio.pcm import Samples, Sound
from clara_kit.audio.spoken import Part, Pronunciation, spoken
from clara_kit.core.errors import AudioError

RATE_HZ = 22_050  # espeak's own
WORD_MS = 10.0  # a word lasts so long at least, also one that espeak passes over («①») or joins to its neighbour
_VARIANTS = ("", "f1", "f4", *(f"m{number}" for number in range(1, 9)))


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word of the text and where it lies in the sound. `char_start:char_end` is its place in the text."""

    word: str
    start_ms: float
    end_ms: float
    char_start: int
    char_end: int


@dataclass(frozen=True, slots=True)
class Speech:
    """A spoken text. words: one for each white-space separated word that is said, in order, not overlapping."""

    sound: Sound
    text: str
    words: tuple[WordTime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineVoice:
    """One persona. language: an espeak-ng voice. voice_variant: f1, f4, or m1..m8 (f2, f3 and f5 add breath,
    whose noise differs from run to run); empty: the language's own. rate_wpm: 80..450. pitch: 0..99. pronunciation: see
    `spoken`.

    Raises `AudioError` for anything else: espeak would speak in another voice, or at another pace, without a word.
    """

    language: str = "es-419"
    voice_variant: str = "f4"
    rate_wpm: int = 175
    pitch: int = 50
    pronunciation: Pronunciation = ()

    def __post_init__(self) -> None:
        if self.voice_variant not in _VARIANTS or not re.fullmatch(r"[A-Za-z]+(-[A-Za-z0-9]+)*", str(self.language)):
            raise _no_voice(self)
        for name, value, low, high in (("rate_wpm", self.rate_wpm, 80, 450), ("pitch", self.pitch, 0, 99)):
            if type(value) is not int or not low <= value <= high:
                raise AudioError(f"{name} cannot be {value!r}.", hint=f"use a whole number from {low} to {high}.")

    def synthesize(self, text: str) -> Speech:
        """Speak a text at 22050 Hz. Equal text and persona give equal bytes, whatever was spoken before."""
        return _synthesize(self, text)


@lru_cache(maxsize=64)  # some 10 MB of sound
def _synthesize(voice: OfflineVoice, text: str) -> Speech:
    said = spoken(text, voice.pronunciation)
    parts = [p for p in said.map if any(map(str.isalnum, said.text[p.said_start : p.said_end]))]
    if not parts:
        return Speech(Sound(np.zeros(0, dtype=np.int16), RATE_HZ), text, ())
    samples, marks = _espeak(voice, said.text)
    if len(samples) < 2 * len(parts):  # no room for words
        return Speech(Sound(samples, RATE_HZ), text, ())
    total_ms = len(samples) * 1000 / RATE_HZ
    begins = _word_starts([part.said_start for part in parts], marks, total_ms)
    times: list[WordTime] = []
    for part, begin, end in zip(parts, begins, [*begins[1:], total_ms], strict=True):
        times += _written_words(text, part, *_audible(samples, begin, end))
    return Speech(Sound(samples, RATE_HZ), text, tuple(times))


def _written_words(text: str, part: Part, start_ms: float, end_ms: float) -> Iterator[WordTime]:
    """The words of a part that is said as one («$ 12.990»), each with its share of the time by its letters."""
    words = [(m.start() + part.char_start, m.end() + part.char_start)
             for m in re.finditer(r"\S+", text[part.char_start : part.char_end])]  # fmt: skip
    letters = [0, *accumulate(end - start for start, end in words)]
    times = [round(start_ms + share / letters[-1] * (end_ms - start_ms), 3) for share in letters]
    for (start, end), begins, ends in zip(words, times, times[1:], strict=False):
        yield WordTime(text[start:end], begins, ends, start, end)


def _word_starts(starts: list[int], marks: list[tuple[int, float]], total_ms: float) -> list[float]:
    """When each word begins: by its mark, or in between its neighbours where espeak joined words."""
    known: dict[int, float] = {}
    for char, ms in marks:
        known.setdefault(max((start for start in starts if start <= char), default=0), ms)
    known.setdefault(0, 0.0)
    known[starts[-1] + 1] = total_ms
    chars = sorted(known)
    begins = np.interp(starts, chars, [known[char] for char in chars])
    step_ms = min(WORD_MS, total_ms / len(starts))
    places = np.arange(len(starts)) * step_ms
    begins = np.maximum.accumulate(begins - places) + places
    return list(np.minimum(begins, total_ms - places[::-1] - step_ms).round(3).tolist())


def _audible(samples: Samples, begin_ms: float, end_ms: float) -> tuple[float, float]:
    """The audible part of a span: a word does not last through the pauses around it."""
    first, last = (round(ms * RATE_HZ / 1000) for ms in (begin_ms, end_ms))
    loud = first + np.flatnonzero(np.abs(samples[first:last]) > 100)
    if not len(loud):
        return begin_ms, end_ms
    start_ms, stop_ms = round(int(loud[0]) * 1000 / RATE_HZ, 3), round((int(loud[-1]) + 1) * 1000 / RATE_HZ, 3)
    return max(begin_ms, start_ms), min(end_ms, stop_ms)


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_SYNCHRONOUS, _CHARS_UTF8, _END_PAUSE = 2, 1, 0x1000
_WORD = 1  # event type
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # parameters


_LOCK = threading.Lock()  # espeak keeps its state in globals


def _espeak(voice: OfflineVoice, text: str) -> tuple[Samples, list[tuple[int, float]]]:
    """(samples, [(character, ms)]) of a text; a mark is where espeak says that a word begins.

    The library is loaded anew for each text (3 ms): its oscillators go on where the last text left them, so
    that a second text would otherwise differ in its bytes from the same text in a fresh process.
    """
    samples: list[bytes] = []
    marks: list[tuple[int, float]] = []

    def take(wav: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if wav and count > 0:
            samples.append(ctypes.string_at(wav, count * 2))
        number = 0
        while events[number].type != 0:
            if events[number].type == _WORD:
                marks.append((events[number].text_position - 1, float(events[number].audio_position)))
            number += 1
        return 0

    callback = _CALLBACK(take)
    with _LOCK, _library() as lib:
        lib.espeak_SetSynthCallback(callback)
        name = f"{voice.language}+{voice.voice_variant}" if voice.voice_variant else voice.language
        if lib.espeak_SetVoiceByName(name.encode()) != 0:
            raise _no_voice(voice)
        levels = {_RATE: voice.rate_wpm, _VOLUME: 100, _PITCH: voice.pitch, _RANGE: 50}
        for parameter, value in levels.items():
            lib.espeak_SetParameter(parameter, value, 0)
        # espeak stops at a NUL; half a character (a lone surrogate) is none in UTF-8
        data = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
        lib.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 0, 0, _CHARS_UTF8 | _END_PAUSE, None, None)
    return np.frombuffer(b"".join(samples), dtype=np.int16).copy(), marks


def _no_voice(voice: OfflineVoice) -> AudioError:
    wanted = f"{voice.language}+{voice.voice_variant}"
    return AudioError(f"There is no offline voice {wanted!r}.", hint="use es-419 with f1, f4 or m1..m8.")


@contextmanager
def _library() -> Iterator[ctypes.CDLL]:
    """espeak-ng, freshly loaded and started."""
    try:
        import espeakng_loader
    except ImportError as exc:
        raise AudioError("The offline voice is not installed.", hint="pip install 'clara-kit[audio]'.") from exc
    lib = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        data_path = str(espeakng_loader.get_data_path()).encode()
        if lib.espeak_Initialize(_SYNCHRONOUS, 200, data_path, 0) != RATE_HZ:
            raise AudioError("The offline voice could not be started.", hint="reinstall the package espeakng-loader.")
        yield lib
        lib.espeak_Terminate()
    finally:
        if sys.platform == "win32":
            _ctypes.FreeLibrary(lib._handle)
        else:
            _ctypes.dlclose(lib._handle)
