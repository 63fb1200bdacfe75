"""A recorded call is read back: gaps, overlaps and who gave way, held against recordings whose truth is known."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]

from clara_kit import Run
from clara_kit.audio.pcm import Sound
from clara_kit.audio.voice import OfflineVoice
from clara_kit.core.errors import AudioError
from clara_kit.lab.recordings import PLUS_MINUS_MS, from_recording
from clara_kit.world.voices import clara_voice

ASKED = (
    "Hola, ¿qué limpiador me recomiendas?",
    "¿Y cuánto cuesta?",
    "sí",
    "¿Hacen despachos a regiones, por favor?",
    "gracias",
)
ANSWERED = (
    "Para piel mixta te recomiendo el gel Brisa. ¿Te cuento cómo usarlo?",
    "Claro que sí.",
    "Hacemos despachos a todo Chile.",
)


class Call:
    """Two channels being recorded; what is put there is remembered to the sample."""

    def __init__(self, rate_hz: int, seed: int) -> None:
        self.rate_hz, self.random = rate_hz, random.Random(seed)
        self.channels = np.zeros((2, rate_hz * 75))
        self.end_ms = 0.0

    def put(self, channel: int, sound: Sound, at_ms: float, until_ms: float = float("inf")) -> tuple[float, float]:
        """Audible from and until, ms."""
        samples = sound.at_rate(self.rate_hz).samples.astype(float)
        samples = samples[: max(0, int(min(until_ms - at_ms, 1e6) * self.rate_hz / 1000))]
        first = int(at_ms * self.rate_hz / 1000)
        self.channels[channel, first : first + len(samples)] += samples
        audible = np.flatnonzero(np.abs(samples) > 100)
        self.end_ms = max(self.end_ms, at_ms + len(samples) * 1000 / self.rate_hz)
        return at_ms + audible[0] * 1000 / self.rate_hz, at_ms + audible[-1] * 1000 / self.rate_hz

    def write(self, path: Path, *, noise_dbfs: float = -60.0, crosstalk_db: float | None = None) -> Path:
        if crosstalk_db is not None:
            self.channels = self.channels + self.channels[::-1] * 10 ** (crosstalk_db / 20)
        hiss = np.random.default_rng(3).normal(0, 32768 * 10 ** (noise_dbfs / 20), self.channels.shape)
        frames = (self.channels + hiss)[:, : int((self.end_ms + 1500) * self.rate_hz / 1000)].T / 32768
        soundfile.write(path, np.clip(frames, -1, 1), self.rate_hz, subtype="PCM_16")
        return path


def lead_ms(sound: Sound) -> float:
    return float(np.flatnonzero(np.abs(sound.samples) > 100)[0]) * 1000 / sound.rate_hz


@pytest.mark.parametrize(
    ("rate_hz", "noise_dbfs", "crosstalk_db"), [(8000, -62, -36), (16_000, -60, None), (48_000, -58, -30)]
)
def test_ninety_five_of_a_hundred_gaps_are_read_within_sixty_milliseconds(
    tmp_path: Path, rate_hz: int, noise_dbfs: float, crosstalk_db: float | None
) -> None:
    clara, person, errors = clara_voice(), OfflineVoice(pitch=35, voice_variant="f4"), []
    for seed in (rate_hz // 8000,):
        call, truth = Call(rate_hz, seed), []
        end_ms = call.put(1, clara.synthesize("¡Hola! Soy Clara. ¿En qué te puedo ayudar?").sound, 400.0)[1]
        for _ in range(5):
            words = person.synthesize(call.random.choice(ASKED)).sound.gain(call.random.choice([-4, -2, 0]))
            words_end_ms = call.put(0, words, end_ms + call.random.uniform(300, 2000))[1]
            answer, gap_ms = clara.synthesize(call.random.choice(ANSWERED)).sound, call.random.uniform(150, 3000)
            began_ms, end_ms = call.put(1, answer, words_end_ms + gap_ms - lead_ms(answer))
            truth.append(began_ms - words_end_ms)
        run = from_recording(call.write(tmp_path / f"{seed}.wav", noise_dbfs=noise_dbfs, crosstalk_db=crosstalk_db))
        read = [turn.total_ms for turn in run.ledger if turn.kind == "spoken"]
        assert len(read) == len(truth) and run.ledger[0].kind == "greeting"
        errors += [abs(a - b) for a, b in zip(read, truth) if a is not None]
    assert len(errors) == 5 and max(errors) <= PLUS_MINUS_MS, sorted(errors)


def test_an_overlap_tells_who_gave_way_and_how_soon_and_a_nod_takes_no_floor(tmp_path: Path) -> None:
    clara, person = clara_voice(), OfflineVoice(pitch=35, voice_variant="f4")
    call = Call(16_000, 1)
    long = clara.synthesize(
        "Para piel mixta te recomiendo el gel Brisa, que cuesta nueve mil pesos. Se usa de noche y de día."
    ).sound
    began_ms, ended_ms = call.put(1, long, 500.0)
    nod_from_ms, _ = call.put(0, person.synthesize("ajá").sound, began_ms + 1200)
    end_ms = call.put(0, person.synthesize("¿Hacen despachos a regiones?").sound, ended_ms + 900)[1]
    second_ms = call.put(1, long, end_ms + 700, until_ms=end_ms + 700 + 2600)[0]
    cut_ms = end_ms + 700 + 2600
    cut_in_ms, words_end_ms = call.put(
        0, person.synthesize("Espera, espera, ¿y cuánto cuesta el despacho?").sound, cut_ms - 480
    )
    third_ms = call.put(1, clara.synthesize("Es gratis.").sound, words_end_ms + 800)[0]
    run = from_recording(call.write(tmp_path / "call.wav"))
    nod, cut = run.interruptions.rows(named=True)
    assert (nod["outcome"], nod["silent_ms"]) == ("let go", None) and abs(nod["sound_ms"] - nod_from_ms) <= 60
    assert cut["outcome"] == "yielded" and cut["yielded_ms"] is None and cut["silent_known"] is False
    assert abs(cut["silent_ms"] - cut["sound_ms"] - (cut_ms - cut_in_ms)) <= 80
    greeting, asked, cut_in = run.ledger
    assert greeting.kind == "greeting" and not greeting.interrupted and asked.interrupted and not cut_in.interrupted
    assert asked.total_ms == pytest.approx(second_ms - end_ms, abs=60) and cut_in.total_ms == pytest.approx(
        third_ms - words_end_ms, abs=60
    )


def test_what_a_recording_cannot_tell_is_missing_and_it_stands_on_the_shelf_with_its_sound(tmp_path: Path) -> None:
    call = Call(16_000, 2)
    _, end_ms = call.put(0, OfflineVoice().synthesize("¿Cuánto cuesta el despacho?").sound, 300)
    call.put(1, clara_voice().synthesize("Es gratis.").sound, end_ms + 900)
    run = from_recording(call.write(tmp_path / "llamada.wav"), shelf=tmp_path / "runs")
    assert run.mix == "recording" and run.title == "llamada" and run.figures["turns"] == 1
    (turn,) = run.ledger
    assert turn.customer == "" and turn.stages == {} and "turn_decided" in turn.problem
    again = Run.load(run.folder)  # type: ignore[arg-type]
    assert again.trace == run.trace and (run.folder / "conversation.wav").stat().st_size > 44  # type: ignore[operator]
    assert from_recording(tmp_path / "llamada.wav").trace == run.trace


def test_who_speaks_can_be_swapped_and_tones_stand_for_speech(tmp_path: Path) -> None:
    tone = Sound((8000 * np.sin(np.arange(16_000) * 0.3)).astype(np.int16), 16_000)
    call = Call(16_000, 4)
    call.put(1, tone, 1000)
    call.put(0, tone, 2640)
    run = from_recording(call.write(tmp_path / "tone.wav", noise_dbfs=-70), swapped=True)
    assert run.ledger[0].total_ms == pytest.approx(640, abs=60)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_recording_with_another_number_of_channels_is_refused_with_a_word_what_to_record(
    tmp_path: Path, channels: int
) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros((8000, channels)) + 0.1, 8000)
    with pytest.raises(AudioError, match=f"{channels} channel"):
        from_recording(tmp_path / "x.wav")


def test_a_mix_on_both_channels_and_a_silent_call_are_told_apart_from_a_call(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "same.wav", np.ones((8000, 2)) * 0.1, 8000)
    with pytest.raises(AudioError, match="the same"):
        from_recording(tmp_path / "same.wav")
    silent = np.zeros((16_000, 2))
    silent[5, 0] = 0.001
    soundfile.write(tmp_path / "silent.wav", silent, 16_000)
    assert from_recording(tmp_path / "silent.wav").ledger == ()


def test_a_recording_comes_onto_the_shelf_by_the_button_that_opens_a_bundle(tmp_path: Path) -> None:
    from clara_kit import runs

    tone = Sound((8000 * np.sin(np.arange(16_000) * 0.3)).astype(np.int16), 16_000)
    call = Call(16_000, 4)
    call.put(0, tone, 1000)
    call.put(1, tone, 2640)
    sound = call.write(tmp_path / "call.wav", noise_dbfs=-70).read_bytes()
    shelf = runs(tmp_path / "runs")
    shelf._asked(None, {"kind": "unbundle", "name": "../llamada.wav"}, [sound])
    (one,) = shelf.kept
    assert (
        one.title == "llamada"
        and one.mix == "recording"
        and one.has_sound
        and one.first_sound_ms == pytest.approx(640, abs=60)
    )
