"""How much of a cut utterance was heard: time goes by what is said, words by what is written."""

from __future__ import annotations

import pytest

from clara_kit.audio.spoken import spoken
from clara_kit.conversation.heard import CHARS_PER_S, estimate
from clara_kit.core.events import SpokenWord

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
    assert found.heard == f"{PIECE} SPF 50 +" and found.cut_piece == 1


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
