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
        *"-*•«»$+@/",
        *("aprox.", "cód.", "ABC", "US$", "Lun.", "Vie.", "km.", "vit.", "Reg.", "No.", "12 ", "iv", "A. M."),
        *("\n1.- ", "\n• 1. ", "\na) ", "b) ", "\na. ", "1️⃣", "\n✅ "),
        *("Te", "Perfecto.", "La.", "www.", "tienda.cl", "x" * 70),
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


@given(text=TEXTS)
def test_a_sentence_comes_as_early_letter_by_letter_as_at_once(text: str) -> None:
    at_once, by_letter = SentenceChunker(), SentenceChunker()
    assert [piece for letter in text for piece in by_letter.feed(letter)] == at_once.feed(text)


@pytest.mark.parametrize(
    "pieces",
    [
        ["¡Listo!", "Te llega mañana."],
        ["¿De verdad?", "¡Sí!", "Claro."],
        ["Perfecto.", "Te cuento.", "¿Vamos?"],
        ["Perfecto.", "¿Vamos?"],
        ["Ya.", "A tu piel le gusta."],
        ["Mmm...", "Creo que sí…", "Veamos."],
        ["Cuesta $12.990.", "Te conviene."],
        ["Tiene SPF 50+.", "Es AHA.", "Úsalo."],
        ["Abre a las 5 p.m.", "Mañana no."],
        ["Es suave (muy suave).", "«Te va a gustar».", "Pruébalo."],
        ["¡Listo!", '"Te llega".'],
        ['"¡Listo!"', "Te llega."],
        ["**¡Listo!**", "Te llega."],
        ["¡Listo!", "**Te llega**"],
        ["Visita tienda.cl.", "Te esperamos."],
        ["¡Perfecto!😊", "Te cuento."],
    ],
    ids="".join,
)
def test_sentences_joined_without_a_blank_are_two(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert cut(text, []) == cut(text, list(range(len(text)))) == pieces


@pytest.mark.parametrize(
    "text",
    [
        "La.Roche-Posay y la marca El.Beso",
        "betaskincare.cl o Beta.Skincare.cl",
        "https://tienda.cl/?Q=Gel y tienda.cl/buscar?Q=Gel",
        "Ana.Soto@Correo.cl",
        "la versión v2.0 de Node.js en un archivo.PDF",
        "la doctora J.Perez, el Dr.Soto y la Sra.Díaz",
        "1.Limpia 2.Hidrata",
        "p.ej.Gel y S.A.Beta",
        "¡Hola!te cuento",
        "¡Ya!, dijo",
    ],
)
def test_a_stop_inside_a_name_an_address_or_a_version_does_not_end_a_sentence(text: str) -> None:
    assert cut(text, []) == cut(text, list(range(len(text)))) == [text]


@pytest.mark.parametrize(
    "items",
    [
        ["• 1. Limpia tu rostro", "• 2. Hidrata."],
        ["1.- Limpia", "2.- Hidrata", "10.- Protege"],
        ["1. Rutina", "  a. Limpia", "  b. Hidrata", "    - i. Protege"],
        ["1.1. Limpia", "1.2. Hidrata"],
        ["a) Limpia", "B) Hidrata", "(3) Protege", "iv) Descansa"],
        ["- **1.** Limpia", "- **2.** Hidrata"],
        ["* 1) Limpia.", "* 2) Hidrata."],
        ["✅ Limpia.", "✅ Hidrata", "👉 1. Protege"],
        ["1️⃣ Limpia", "2️⃣ Hidrata"],
        ["– Limpia", "— Hidrata", "▪ Protege"],
    ],
    ids=lambda items: items[0],
)
def test_a_mark_at_the_beginning_of_a_line_stays_with_its_item(items: list[str]) -> None:
    text = "\n".join(["Pasos:", *items])
    whole = ["Pasos:", *(item.strip() for item in items)]
    assert cut(text, []) == cut(text, list(range(len(text)))) == whole


def test_a_picture_on_a_line_of_its_own_closes_the_sentence_before() -> None:
    assert cut("¡Hola!\n😊\nTe cuento. Adiós 😊", []) == ["¡Hola!\n😊", "Te cuento.", "Adiós 😊"]


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


def test_a_long_first_sentence_without_a_comma_is_cut_before_a_conjunction() -> None:
    text = "Para piel mixta te van bien el gel limpiador Brisa y el gel hidratante Lluvia. Son suaves y frescos."
    first = "Para piel mixta te van bien el gel limpiador Brisa"
    assert cut(text, [], first_clause=True) == [first, "y el gel hidratante Lluvia.", "Son suaves y frescos."]
    assert cut("Es suave y fresco. Sí.", [], first_clause=True) == ["Es suave y fresco.", "Sí."]
    assert cut(text, []) == [f"{first} y el gel hidratante Lluvia.", "Son suaves y frescos."]


def test_the_first_clause_comes_early_only_when_asked_for() -> None:
    text = "Para tu piel mixta, te recomiendo el gel. Es suave."
    assert cut(text, []) == ["Para tu piel mixta, te recomiendo el gel.", "Es suave."]
    assert cut(text, [], first_clause=True) == ["Para tu piel mixta,", "te recomiendo el gel.", "Es suave."]


def test_other_languages_are_refused() -> None:
    with pytest.raises(ValueError, match="Spanish"):
        SentenceChunker(language="en")
