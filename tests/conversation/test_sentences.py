"""Sentences are cut where a Spanish reader would, and never depending on how the text came."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit import SentenceChunker

LINES = (Path(__file__).parent / "sentences_es.txt").read_text(encoding="utf-8").splitlines()
CASES = [line.split(" | ") for line in LINES if not line.startswith("#")]
BITS = st.sampled_from(
    [
        *'.?!…¿¡"()\n,;:— 019aAbBñÉ',
        "Sr.",
        "etc.",
        "p. ej.",
        "vitamina C.",
        "$12.990",
        "😊",
        "\n- ",
        "\n\n",
        "1. ",
        "EE. UU.",
        "a. m.",
    ]
)
TEXTS = st.one_of(st.lists(BITS, max_size=30).map("".join), st.text(max_size=40))


def cut(text: str, at: list[int], *, first_clause: bool = False) -> list[str]:
    chunker = SentenceChunker(language="es", first_clause=first_clause)
    pieces: list[str] = []
    for start, end in zip([0, *at], [*at, len(text)], strict=True):
        pieces += chunker.feed(text[start:end])
    return pieces + chunker.flush()


@pytest.mark.parametrize("pieces", CASES, ids=lambda p: p[0][:30])
def test_a_spanish_text_is_cut_into_its_sentences_however_it_comes(pieces: list[str]) -> None:
    text = " ".join(pieces)
    assert cut(text, []) == pieces
    assert cut(text, list(range(len(text)))) == pieces
    assert cut(text, list(range(0, len(text), 3))) == pieces


@settings(max_examples=500, deadline=None)
@given(text=TEXTS, data=st.data(), first_clause=st.booleans())
def test_the_way_a_text_is_fed_never_changes_the_cut(text: str, data: st.DataObject, first_clause: bool) -> None:
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    whole = cut(text, [], first_clause=first_clause)
    assert cut(text, at, first_clause=first_clause) == whole
    assert cut(text, list(range(len(text))), first_clause=first_clause) == whole


@given(text=TEXTS)
def test_nothing_is_lost_or_doubled_and_no_piece_is_empty(text: str) -> None:
    pieces = cut(text, [])
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece and piece == piece.strip() for piece in pieces)


@given(text=TEXTS, more=TEXTS)
def test_what_was_given_stays_whatever_follows(text: str, more: str) -> None:
    given_already = SentenceChunker().feed(text)
    assert cut(text + more, [])[: len(given_already)] == given_already


def test_a_sentence_is_given_as_soon_as_the_next_begins() -> None:
    chunker = SentenceChunker()
    assert chunker.feed("Hola. ") == []
    assert chunker.feed("Q") == ["Hola."]


def test_after_flush_the_chunker_is_ready_for_another_text() -> None:
    chunker = SentenceChunker()
    chunker.feed("Uno. Dos")
    assert chunker.flush() == ["Dos"]
    assert chunker.flush() == []
    assert chunker.feed("Tres. Cuatro") == ["Tres."]


def test_paragraphs_and_list_items_are_pieces_of_their_own() -> None:
    text = "Sigue estos pasos:\n1. Limpia tu rostro.\n2. Hidrata\n- Descansa\n\nListo"
    assert cut(text, []) == ["Sigue estos pasos:", "1. Limpia tu rostro.", "2. Hidrata", "- Descansa", "Listo"]


def test_the_first_clause_comes_early_only_when_asked_for() -> None:
    text = "Para tu piel mixta, te recomiendo el gel. Es suave."
    assert cut(text, []) == ["Para tu piel mixta, te recomiendo el gel.", "Es suave."]
    assert cut(text, [], first_clause=True) == ["Para tu piel mixta,", "te recomiendo el gel.", "Es suave."]


def test_other_languages_are_refused() -> None:
    with pytest.raises(ValueError, match="Spanish"):
        SentenceChunker(language="en")
