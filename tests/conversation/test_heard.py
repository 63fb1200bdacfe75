"""How much of a cut utterance was heard: time goes by what is said, words by what is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_kit import Settings, simulate
from clara_kit.audio.lead import Lead
from clara_kit.audio.pcm import Sound, concat, cough, silence
from clara_kit.audio.spoken import spoken
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.heard import CHARS_PER_S, CHARS_PER_S_ERROR, LEAD_MS, Known, Voice, estimate
from clara_kit.core import events as ev
from clara_kit.core.events import SpokenWord
from clara_kit.core.records import HeardEstimated

PIECE = "Cuesta $ 12.990, un 20 % menos que ayer."


def said_ms(until: str) -> float:
    """How long a voice of even pace takes to the end of these said words."""
    said = spoken(PIECE).text
    return (said.index(until) + len(until)) / CHARS_PER_S * 1000 + 1


@pytest.mark.parametrize("voiced", [(), ((0, len(spoken(PIECE).text) / CHARS_PER_S * 1000),)], ids=["rate", "length"])
@pytest.mark.parametrize(
    ("until", "heard"),
    [
        ("doce mil", "Cuesta"),  # a price that is not over was not heard
        ("noventa pesos,", "Cuesta $ 12.990,"),
        ("veinte por", "Cuesta $ 12.990, un"),
        ("por ciento", "Cuesta $ 12.990, un 20 %"),
        ("que", "Cuesta $ 12.990, un 20 % menos que"),
    ],
)
def test_a_written_word_is_heard_when_all_that_is_said_for_it_is_over(
    until: str, heard: str, voiced: tuple[tuple[int, float], ...]
) -> None:
    found = estimate([PIECE], said_ms(until), voiced)
    assert (found.heard, found.heard + " " + found.unheard) == (heard, PIECE)


def test_the_second_piece_is_counted_from_where_it_begins() -> None:
    first_ms = len(spoken(PIECE).text) / CHARS_PER_S * 1000
    found = estimate(
        [PIECE, "SPF 50 + siempre, y listo."], first_ms + len("factor cincuenta más ") / CHARS_PER_S * 1000
    )
    assert found.heard == f"{PIECE} SPF 50 +"


def test_what_is_only_to_be_seen_takes_no_time() -> None:
    plain, marked = "Hola, soy Clara y te ayudo.", "**Hola**, soy 😊 Clara y te ayudo."
    at_ms = 700.0
    assert estimate([plain], at_ms).heard == "Hola, soy"
    assert estimate([marked], at_ms).heard == "**Hola**, soy"


def test_word_times_of_a_voice_are_those_of_written_words() -> None:
    words = [
        SpokenWord(char_end=6, end_ms=400),
        SpokenWord(char_end=16, end_ms=2400),
        SpokenWord(char_end=40, end_ms=5000),
    ]
    assert estimate([PIECE], 2500, (), words).heard == "Cuesta $ 12.990,"


TWO = ["Te recomiendo el gel Brisa.", "Cuesta doce mil pesos."]


def test_silence_at_the_head_of_a_sound_is_no_word() -> None:
    """Where every millisecond counts as a tenth of a word, 200 of silence are two."""
    piece = "uno dos tres cuatro cinco seis siete ocho nueve diez"
    length_ms = len(piece) / CHARS_PER_S * 1000
    until = (len("uno dos tres") / CHARS_PER_S) * 1000 + 1
    assert estimate([piece], until, [(0, length_ms)]).heard == "uno dos tres"
    assert estimate([piece], until, [(0, length_ms + 200, 200.0)]).heard == "uno dos"
    assert estimate([piece], until + 200, [(0, length_ms + 200, 200.0)]).heard == "uno dos tres"
    assert estimate([piece], until, known=Known(Voice())).heard == "uno dos"  # not known yet: as Aura's is
    assert estimate([piece], LEAD_MS, known=Known(Voice())).heard == ""


def test_of_a_piece_that_has_no_sound_yet_nothing_was_heard() -> None:
    first = [(0, 1800.0)]
    assert estimate(TWO, 9000, first).heard == " ".join(TWO)  # the rate runs on where nothing else is known
    for known in (Known(seen=True, handed_ms=(-500, 1000)), Known(handed_ms=(-500,)), Known(seen=True)):
        found = estimate(TWO, 9000, first, known=known)
        assert found.heard == TWO[0]
    assert estimate(TWO, 1900, first, known=Known(handed_ms=(-500,))).plus_minus_words == 1
    assert estimate(TWO, 9000, first, known=Known(seen=True)).plus_minus_words > 5  # it may have been sounding since


def test_a_sound_begins_no_sooner_than_its_text_was_handed_to_the_voice() -> None:
    voiced = [(0, 1800.0), (1, 3400.0)]
    assert estimate(TWO, 2700, voiced).heard == "Te recomiendo el gel Brisa. Cuesta doce"
    assert estimate(TWO, 2700, voiced, known=Known(handed_ms=(-500, 2500))).heard == TWO[0]
    assert estimate(TWO, 3400, voiced, known=Known(handed_ms=(-500, 2500))).heard == f"{TWO[0]} Cuesta doce"


def test_the_pace_of_the_voice_is_learnt_and_its_speed_honoured() -> None:
    text = "a" * 100
    slow = Voice("v", 1.0, ((text, 10_000.0),) * 6).pace()
    quick = Voice("v", 1.5, ()).pace()
    assert slow[0] == pytest.approx(10, abs=0.5) and slow[1] < CHARS_PER_S_ERROR
    assert quick[0] == CHARS_PER_S * 1.5
    mad = Voice("v", 1.0, ((text, 1.0),)).pace()
    assert mad[0] <= CHARS_PER_S * 2


def heard_after(ms: float, settings: Settings | None = None, *, learnt_ms: float = 0.0) -> HeardEstimated:
    """Clara is cut off so long after her first sound, of which nothing more is known; once before she spoke to the end."""
    talk, text = Conversation(settings), "uno dos tres cuatro cinco seis siete ocho nueve diez once doce."
    talk.handle(ev.ConversationStarted(at_ms=0, greeting=text))
    talk.handle(ev.SpeechSent(at_ms=1, utterance_id=1, piece_no=0))
    talk.handle(ev.FirstAudio(at_ms=200, utterance_id=1))
    talk.handle(ev.SpeakingStarted(at_ms=500, utterance_id=1))
    if learnt_ms:
        talk.handle(ev.SpeechVoiced(at_ms=600, utterance_id=1, piece_no=0, audio_ms=learnt_ms, lead_ms=150))
    talk.handle(ev.SpeakingEnded(at_ms=9000, utterance_id=1))
    talk.handle(ev.TextTyped(at_ms=10_000, text="¿Y?"))
    talk.handle(ev.ReplyDelta(at_ms=11_000, reply_id=1, text=f"{text} Y"))
    talk.handle(ev.SpeechSent(at_ms=11_001, utterance_id=2, piece_no=0))
    talk.handle(ev.FirstAudio(at_ms=11_200, utterance_id=2))
    talk.handle(ev.SpeakingStarted(at_ms=12_000, utterance_id=2))
    talk.handle(ev.InterruptRequested(at_ms=12_000 + ms))
    return next(r for r in talk.trace if isinstance(r, HeardEstimated))


def test_a_conversation_learns_how_fast_its_voice_is() -> None:
    usual = heard_after(2000)
    slow, quick = heard_after(2000, learnt_ms=8000), heard_after(2000, Settings.of(tts_speed=1.5))
    assert len(slow.heard) < len(usual.heard) < len(quick.heard)
    assert slow.method == usual.method == "speech rate" and slow.plus_minus_words <= usual.plus_minus_words


def test_in_a_simulation_of_a_voice_with_silence_at_its_head_no_more_counts_than_was_heard() -> None:
    for seed in range(4):
        run = simulate(
            ["¿Qué protector solar me recomiendas?", {"text": "espera", "interrupt_after_ms": 900 + 700 * seed}],
            seed=seed,
        )
        heard = next(r for r in run.trace if isinstance(r, HeardEstimated))
        began = next(
            r.at_ms for r in run.trace if isinstance(r, ev.SpeakingStarted) and r.utterance_id == heard.utterance_id
        )
        voiced = next(r for r in run.trace if isinstance(r, ev.SpeechVoiced) and r.utterance_id == heard.utterance_id)
        cut_ms = next(
            r.at_ms for r in run.trace if isinstance(r, ev.SpeakingInterrupted) and r.utterance_id == heard.utterance_id
        )
        assert voiced.lead_ms > 50
        said_ms = len(spoken(heard.heard).text) / CHARS_PER_S * 1000
        assert 0 <= cut_ms - began - voiced.lead_ms - said_ms < 1100  # at most a long word less


def test_the_silence_at_the_head_of_a_sound_is_measured_as_it_passes() -> None:
    sound = concat(silence(180, 24_000), cough(300, 24_000), silence(100, 24_000))
    lead = Lead(24_000)
    for chunk in sound.frames(37):
        lead.hear(chunk.to_bytes())
    assert lead.end() == pytest.approx(180, abs=15)
    lead.hear(silence(90, 24_000).to_bytes() + b"\0")
    assert lead.end() == 0  # nothing but silence: there is no head
    lead.hear(Sound(np.full(24, -32768, dtype=np.int16), 24_000).to_bytes())
    assert lead.end() == 0


@given(
    pieces=st.lists(
        st.sampled_from(["Cuesta $ 12.990, un 20 %.", "¡Hola! 😊", "**Sí**, claro.", "Uno", "…", " "]), max_size=5
    ),
    played_ms=st.floats(-100, 30_000),
    voiced=st.lists(st.tuples(st.integers(0, 6), st.floats(-10, 9000), st.floats(0, 9000)), max_size=4),
    handed=st.lists(st.floats(-3000, 9000), max_size=5),
    seen=st.booleans(),
    lead_ms=st.sampled_from([0.0, 200.0]),
)
def test_heard_is_always_the_beginning_of_what_was_said(
    pieces: list[str],
    played_ms: float,
    voiced: list[tuple[float, ...]],
    handed: list[float],
    seen: bool,
    lead_ms: float,
) -> None:
    known = Known(Voice(lead_ms=lead_ms), tuple(handed), seen)
    found = estimate(pieces, played_ms, voiced, (), known)
    text = " ".join(pieces)
    assert text.startswith(found.heard) and text[len(found.heard) :].lstrip() == found.unheard.lstrip()
    assert not found.heard or text[len(found.heard) : len(found.heard) + 1] in ("", " ")  # a whole word
    assert found.method and found.plus_minus_words >= 0
    later = estimate(pieces, played_ms + 500, voiced, (), known)
    assert len(later.heard) >= len(found.heard)
