"""What is said for a written text: the same words for every voice, each led back to where it was written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.audio.numbers import cardinal
from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import Spoken, spoken

NAMES = usual_pronunciation()
SAID = {
    # money, as it is written in Chile and elsewhere
    "$12.990": "doce mil novecientos noventa pesos",
    "$ 12.990.": "doce mil novecientos noventa pesos.",
    "$1": "un peso",
    "$21.990": "veintiún mil novecientos noventa pesos",
    "$1.000.000": "un millón de pesos",
    "$2 millones": "dos millones de pesos",
    "$1,5 millones": "uno coma cinco millones de pesos",
    "$5 mil": "cinco mil pesos",
    "$12.990.-": "doce mil novecientos noventa pesos",
    "$12.990 CLP": "doce mil novecientos noventa pesos",
    "$12,990": "doce mil novecientos noventa pesos",
    "-$5.000": "menos cinco mil pesos",
    "$5.000 - $8.000": "cinco mil a ocho mil pesos",
    "$3.990/mes": "tres mil novecientos noventa pesos por mes",
    "$9.990 c/u": "nueve mil novecientos noventa pesos cada uno",
    "US$10": "diez dólares",
    "US$ 1": "un dólar",
    "U$S 10": "diez dólares",
    "$1,5M": "uno coma cinco millones de pesos",
    "US$10,50": "diez dólares con cincuenta centavos",
    "21 €": "veintiún euros",
    "3 cuotas de $4.330": "tres cuotas de cuatro mil trescientos treinta pesos",
    # per cent, amounts, ranges, factors
    "5 %": "cinco por ciento",
    "-20 %": "menos veinte por ciento",
    "−20%": "menos veinte por ciento",
    "5,5 %": "cinco coma cinco por ciento",
    "5-10 %": "cinco a diez por ciento",
    "30ml": "treinta mililitros",
    "1 ml": "un mililitro",
    "0,05 mg": "cero coma cero cinco miligramos",
    "2.5 oz": "dos coma cinco onzas",
    "200 g": "doscientos gramos",
    "10 mg/ml": "diez miligramos por mililitro",
    "50x30 cm": "cincuenta por treinta centímetros",
    "25 °C": "veinticinco grados",
    "SPF 50 +": "factor cincuenta más",
    "FPS50+": "factor cincuenta más",
    "factor SPF 30": "factor treinta",
    "2x1": "dos por uno",
    "2 x $5.000": "dos por cinco mil pesos",
    "2-3 veces": "dos a tres veces",
    "1-2 gotas": "una a dos gotas",
    "1/2 ml": "medio mililitro",
    "1 ½ ml": "un mililitro y medio",
    "2½ tazas": "dos y media tazas",
    "30ml/15ml": "treinta mililitros o quince mililitros",
    "30 ml / 1 fl. oz.": "treinta mililitros o una onza",
    "c/12 hrs": "cada doce horas",
    "25º C": "veinticinco grados",
    "4,5/5": "cuatro coma cinco de cinco",
    "SPF-50": "factor cincuenta",
    "F.P.S. 50": "factor cincuenta",
    "fototipos I-III": "fototipos uno a tres",
    "vence 03/2026": "vence marzo de dos mil veintiséis",
    "22 345 6789": "veintidós tres cuarenta y cinco sesenta y siete ochenta y nueve",
    "40% dcto": "cuarenta por ciento descuento",
    "3/4 L": "tres cuartos de litro",
    "5%-10%": "cinco a diez por ciento",
    # numbers agree with what they count
    "21 cuotas": "veintiuna cuotas",
    "21 productos": "veintiún productos",
    "500 clientas": "quinientas clientas",
    "1.000.000 personas": "un millón de personas",
    "1 de cada 3": "uno de cada tres",
    "Paso 1: limpia": "Paso uno: limpia",
    "1er paso": "primer paso",
    "3ª vez": "tercera vez",
    "1/2 taza": "media taza",
    "3/4": "tres cuartos",
    "1.234.567": "un millón doscientos treinta y cuatro mil quinientos sesenta y siete",
    # times and days
    "18:30 hrs": "dieciocho treinta horas",
    "a las 21:00": "a las veintiuna",
    "9:05 a.m.": "nueve cero cinco a eme",
    "Lun-Vie 10:00-18:30": "lunes a viernes diez horas a dieciocho treinta",
    "15/03/2026": "quince de marzo de dos mil veintiséis",
    "el 1 de mayo": "el primero de mayo",
    "del 1 al 15 de enero": "del primero al quince de enero",
    "Lun. 15 de Mar. de 2026": "lunes quince de marzo de dos mil veintiséis",
    # codes, addresses, words written short
    "pedido #1042": "pedido número mil cuarenta y dos",
    "N° 5": "número cinco",
    "cód. ABC123": "código a be ce ciento veintitrés",
    "Q10": "cu diez",
    "007": "cero cero siete",
    "+56 9 1234 5678": "más cincuenta y seis nueve doce treinta y cuatro cincuenta y seis setenta y ocho",
    "hola@beta.cl": "hola arroba beta punto ce ele",
    "https://www.beta.cl/sol?utm=2": "beta punto ce ele",
    "aprox. 30": "aproximadamente treinta",
    "p. ej. máx. 2": "por ejemplo máximo dos",
    "dcto. 20 %": "descuento veinte por ciento",
    "vit. C": "vitamina C",
    "fase II": "fase dos",
    "AHA/BHA": "a hache a o be hache a",
    "pH 5,5": "pe hache cinco coma cinco",
    "y/o": "y o",
    # what is only to be seen
    "**Hola** _amiga_ `x` ~~no~~": "Hola amiga x no",
    "[aquí](https://beta.cl/x_(y)) 😊": "aquí",
    "## Rutina\n- Limpia\n- [ ] Hidrata": "Rutina. Limpia. Hidrata",
    "• 1. Limpia tu rostro": "Limpia tu rostro",
    "| Gel | $9.990 |\n|---|---|\n| Sol | $1 |": "Gel, nueve mil novecientos noventa pesos. Sol, un peso",
    "1️⃣ Limpia <b>bien</b> &amp; listo ✨": "Limpia bien y listo",
    "¡Hola!😊¿Cómo estás? :)": "¡Hola! ¿Cómo estás?",
    "😊": "",
    "---": "",
    "…": "",
}  # fmt: skip


@pytest.mark.parametrize(("written", "said"), SAID.items())
def test_a_text_is_said_as_a_chilean_would(written: str, said: str) -> None:
    assert spoken(written).text == said


def test_names_are_said_as_the_list_has_them_and_the_list_wins() -> None:
    assert spoken("La **Roche-Posay** con AHAs", NAMES).text == "La Rosh Posé con a hache a"
    assert spoken("la roche posay, roll on", NAMES).text == "La Rosh Posé, rolón"
    assert spoken("SPF 50", (("SPF", "protección"),)).text == "protección cincuenta"
    assert spoken("ha, HA y HALO", (("HA", "hialurónico"),)).text == "ha, hialurónico y HALO"


def words_of(text: str, said: Spoken) -> list[tuple[str, str]]:
    return [(said.text[p.said_start : p.said_end], text[p.char_start : p.char_end]) for p in said.map]


def test_said_words_are_led_back_to_the_written_ones() -> None:
    text = "Cuesta **$ 12.990** (-20 %), SPF 50 + ¡listo!"
    assert words_of(text, spoken(text)) == [
        ("Cuesta", "Cuesta"),
        ("doce mil novecientos noventa pesos", "**$ 12.990**"),
        ("(menos veinte por ciento),", "(-20 %),"),
        ("factor", "SPF"),
        ("cincuenta más", "50 +"),
        ("¡listo!", "¡listo!"),
    ]


def test_numbers_are_those_of_a_spaniards_grammar() -> None:
    assert cardinal(21_001, "m") == "veintiún mil un"
    assert cardinal(221_500, "f") == "doscientas veintiún mil quinientas"
    assert cardinal(1_000_000_000_000) == "un billón"
    assert [cardinal(n) for n in (0, 16, 100, 101, 1_000)] == ["cero", "dieciséis", "cien", "ciento uno", "mil"]


BITS = re.split(
    r"\|",
    (
        "$12.990|$ |5 %|-20 %|SPF|50 +|30ml|1.000.000|2x1|18:30 hrs|**|_|`|# |- |1. |• |\n|\\||[a](https://b.cl/x)|😊|1️⃣|AHA|"
        "hola|Crema|…|:)|(|)|/|+|&|<b>|p. ej.|aprox.|15/03|1/2|US$|@|°|N°|b.cl|7|III|&amp;|=|—|,|.|?|¿|!|\u0301|\u200d|\ud83d"
    ),
)
TEXTS = st.lists(st.sampled_from(BITS) | st.text(max_size=3), max_size=10).map("".join)


@settings(max_examples=60)
@given(TEXTS)
def test_what_is_said_is_only_words_stays_as_it_is_and_has_a_place_in_the_text(text: str) -> None:
    said = spoken(text, NAMES)
    assert spoken(said.text, NAMES).text == said.text
    assert not re.search(r"\d|[*_#`|<>{}\[\]$%+@=~&/]|\s\s", said.text)
    said_end = char_end = 0
    for part in said.map:
        assert said_end <= part.said_start < part.said_end and char_end <= part.char_start < part.char_end <= len(text)
        assert text[part.char_start : part.char_end].strip()
        said_end, char_end = part.said_end, part.char_end
    for word in re.finditer(r"\S+", said.text):
        assert any(p.said_start <= word.start() and word.end() <= p.said_end for p in said.map)
