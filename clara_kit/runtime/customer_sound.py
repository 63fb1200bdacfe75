"""A script's line as sound: the offline voice, with the line's pauses, or a cough, or noise."""

from __future__ import annotations

from dataclasses import replace

from clara_kit.audio.pcm import Sound, concat, cough, silence, white_noise
from clara_kit.audio.voice import OfflineVoice, Speech
from clara_kit.runtime.microphone import RATE_HZ
from clara_kit.world.script import Line


def line_speech(line: Line, voice: OfflineVoice) -> Speech:
    """What a line sounds like. A mere sound is a Speech without words; pauses are cut in at word ends."""
    if line.sound == "cough":
        return Speech(sound=cough(line.sound_ms, RATE_HZ, seed=1), text="", words=())
    if line.sound == "noise":
        return Speech(sound=white_noise(line.sound_ms, RATE_HZ, dbfs=-30, seed=1), text="", words=())
    speech = voice.synthesize(line.text)
    for pause in sorted(line.pauses, key=lambda p: p.after_word, reverse=True):
        speech = _with_pause(speech, pause.after_word, pause.ms)
    return speech


def _with_pause(speech: Speech, after_word: int, pause_ms: float) -> Speech:
    """The same speech with a silence after the given number of words."""
    if not 0 < after_word < len(speech.words):
        return speech
    sound = speech.sound
    cut_ms = speech.words[after_word - 1].end_ms
    at = int(cut_ms * sound.rate_hz / 1000)
    halves = Sound(sound.samples[:at], sound.rate_hz), Sound(sound.samples[at:], sound.rate_hz)
    later = tuple(
        replace(w, start_ms=w.start_ms + pause_ms, end_ms=w.end_ms + pause_ms)
        for w in speech.words[after_word:]
    )
    joined = concat(halves[0], silence(pause_ms, sound.rate_hz), halves[1])
    return replace(speech, sound=joined, words=(*speech.words[:after_word], *later))
