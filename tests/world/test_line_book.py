"""The twin's ear knows its lines by their sound, and nothing else."""

from __future__ import annotations

import pytest

from clara_kit.audio.pcm import Sound, concat, cough, mix, silence, white_noise
from clara_kit.audio.vad import speech_spans
from clara_kit.audio.voice import OfflineVoice
from clara_kit.world.line_book import LineBook
from clara_kit.world.voices import customer_voice

VOICE = OfflineVoice(voice_variant="m3", pitch=40)
LINES = [
    "Hola Clara, tengo la piel mixta. ¿Qué limpiador me recomiendas?",
    "Espera, ¿cuánto cuesta el protector solar?",
    "¿Hacen despachos a regiones?",
    "¿Cuánto cuesta el sérum de vitamina C?",
    "Hola, ¿tienen crema para manos?",
    "Sí",
]
STRANGERS = [
    "¿Dónde queda la tienda más cercana?",
    "Mi hermana tiene rosácea hace años.",
    "El protector me deja la cara blanca.",
]


@pytest.fixture(scope="module")
def book() -> LineBook:
    known = LineBook()
    for line in LINES:
        known.learn(line, VOICE.synthesize(line))
    return known


def disturbed(sound: Sound) -> dict[str, Sound]:
    plain = sound.at_rate(16_000)
    shifted = concat(silence(233.7, 16_000), plain, silence(300, 16_000))
    return {
        "as it is": sound,
        "resampled": sound.at_rate(24_000).at_rate(16_000),
        "20 dB softer": plain.gain(-20),
        "louder, clipped": plain.gain(6),
        "shifted, with silence around": shifted,
        "in noise 15 dB below": mix(shifted, white_noise(shifted.duration_ms, 16_000, dbfs=sound.rms_dbfs - 15)),
    }


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_known_through_resampling_gain_shift_and_noise(book: LineBook, line: str) -> None:
    for how, sound in disturbed(VOICE.synthesize(line).sound).items():
        match = book.match(sound)
        assert match is not None and match.text == line, how
        assert [w.word for w in match.words] == line.split(), how


@pytest.mark.parametrize("line", LINES[:-1])
def test_a_part_of_a_line_gives_its_words(book: LineBook, line: str) -> None:
    speech = VOICE.synthesize(line)
    middle = speech.words[len(speech.words) // 2].start_ms
    first, second = book.match(speech.sound.between(0, middle)), book.match(speech.sound.between(middle, 1e9))
    assert first is not None and second is not None
    assert [w.word for w in (*first.words, *second.words)] == line.split()


@pytest.mark.parametrize("word", ["Hola", "Dale", "Sí", "Claro"])
def test_a_short_word_is_known_wherever_it_begins_between_two_frames(word: str) -> None:
    known, speech = LineBook(), customer_voice().synthesize(word)
    known.learn(word, speech)
    plain = speech.sound.at_rate(16_000)
    for late in range(0, 640, 40):  # samples; the book's frames come every 160, the VAD's every 512
        sound = concat(silence(500 + late / 16, 16_000), plain, silence(500, 16_000))
        ((began_ms, ended_ms),) = speech_spans(sound)
        match = known.match(sound.between(began_ms - 120, ended_ms + 60))  # as the twin cuts it
        assert match is not None and match.text == word, late


@pytest.mark.parametrize("text", STRANGERS)
@pytest.mark.parametrize("voice", [VOICE, OfflineVoice()], ids=["same voice", "another voice"])
def test_unknown_speech_is_nobodys_line(book: LineBook, text: str, voice: OfflineVoice) -> None:
    assert book.match(voice.synthesize(text).sound) is None


def test_noise_coughs_and_silence_are_no_line(book: LineBook) -> None:
    for sound in (white_noise(1000, 16_000), cough(), cough(90), silence(1000, 16_000), silence(0, 16_000)):
        assert book.match(sound) is None
