"""The offline voice: the same bytes every time, and a time for every word."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import pytest

from clara_kit.audio import voice as module
from clara_kit.audio.voice import OfflineVoice
from clara_kit.core.errors import AudioError

TEXT = "Hola, el protector SPF 50+ cuesta $12.990. ¿Lo quieres?"


def digest(voice: OfflineVoice, text: str) -> str:
    module._synthesize.cache_clear()
    return sha256(voice.synthesize(text).sound.to_bytes()).hexdigest()


def test_equal_texts_give_equal_bytes_whatever_was_said_before_in_threads_and_in_another_process() -> None:
    clara, customer = OfflineVoice(), OfflineVoice(voice_variant="m3", pitch=40)
    first = digest(clara, TEXT)
    digest(customer, "otra cosa")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: digest(clara, TEXT), range(8))) == {first}
    code = f"from clara_kit.audio.voice import OfflineVoice as V; import hashlib; print(hashlib.sha256(V().synthesize({TEXT!r}).sound.to_bytes()).hexdigest())"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == first
    )


def test_every_word_has_its_own_time_within_the_sound() -> None:
    speech = OfflineVoice().synthesize(TEXT)
    assert [w.word for w in speech.words] == TEXT.split()
    assert [TEXT[w.char_start : w.char_end] for w in speech.words] == TEXT.split()
    ends = 0.0
    for word in speech.words:
        assert ends <= word.start_ms < word.end_ms <= speech.sound.duration_ms
        ends = word.end_ms


def test_signs_that_stand_apart_have_a_time_of_their_own_and_what_is_only_seen_has_none() -> None:
    text = "• **Cuesta** $ 12.990, un 5 % menos 😊 (SPF 50 +)."
    words = OfflineVoice().synthesize(text).words
    assert " ".join(w.word for w in words) == "**Cuesta** $ 12.990, un 5 % menos (SPF 50 +)."
    assert all(before.end_ms <= after.start_ms < after.end_ms for before, after in zip(words, words[1:], strict=False))


def test_what_is_written_and_what_is_said_for_it_sound_the_same() -> None:
    written, said = "Un 5 % de $1.000.", "Un cinco por ciento de mil pesos."
    voice = OfflineVoice()
    assert voice.synthesize(written).sound.to_bytes() == voice.synthesize(said).sound.to_bytes()


@pytest.mark.parametrize("text", ["", "   ", "...", "😊"])
def test_what_has_nothing_to_say_is_no_sound(text: str) -> None:
    speech = OfflineVoice().synthesize(text)
    assert (len(speech.sound.samples), speech.words) == (0, ())


@pytest.mark.parametrize("language", ["xx-yy", "es-41", "español", "es-419+m3", "", "es-419\0"])
def test_an_unknown_voice_is_refused(language: str) -> None:
    with pytest.raises(AudioError, match="no offline voice"):
        OfflineVoice(language=language).synthesize("hola")


@pytest.mark.parametrize("variant", ["zz", "f2", "f9", "F4", "m0", "m9", " f4", "f4+m3", "croak", "../m3", "f4\0"])
def test_an_unknown_variant_is_refused(variant: str) -> None:
    with pytest.raises(AudioError, match=r"no offline voice.*use es-419 with f1, f4 or m1"):
        OfflineVoice(voice_variant=variant)


@pytest.mark.parametrize("name", ["rate_wpm", "pitch"])
@pytest.mark.parametrize("value", [-1, 451, 10**9, True, 90.5, float("nan"), float("inf"), "90", None])
def test_a_rate_or_pitch_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(AudioError, match=rf"{name} cannot be .*whole number"):
        OfflineVoice(**{name: value})


def test_the_ends_of_the_ranges_and_every_variant_are_voices_of_their_own() -> None:
    voices = [OfflineVoice(voice_variant=v) for v in ("", "f1", "f4", *(f"m{n}" for n in range(1, 9)))]
    voices += [OfflineVoice(rate_wpm=80), OfflineVoice(rate_wpm=450), OfflineVoice(pitch=0), OfflineVoice(pitch=99)]
    assert len({digest(voice, "hola") for voice in voices}) == len(voices)


@pytest.mark.parametrize(
    "text",
    [
        "① y ② de la a a la o",
        "50+ ª SPF ー",
        "١٢ \u200bx ʼ 1/2",
        "\ud800x hola a\0b y más",
        "de " * 40,
        "$12.990 漢字 www.tienda.cl 😊 c/u a.m.",
    ],
)
def test_every_word_lasts_within_the_sound_also_one_that_is_passed_over(text: str) -> None:
    for rate_wpm in (80, 450):
        speech = OfflineVoice(rate_wpm=rate_wpm).synthesize(text)
        assert speech.words
        end_ms = 0.0
        for word in speech.words:
            assert end_ms <= word.start_ms < word.end_ms <= speech.sound.duration_ms
            end_ms = word.end_ms
