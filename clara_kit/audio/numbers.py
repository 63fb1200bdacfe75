"""Numbers as Chileans say them: cardinals that agree with what they count, decimals, ordinals, letters. Pure.

Own rather than a library's: none found makes numbers agree («veintiún mil», «doscientas cuotas», «un millón de pesos»).
"""

from __future__ import annotations

import re
from typing import Literal

Gender = Literal["", "m", "f"]  # of what is counted; "": nothing follows («veintiuno»)


def words(text: str) -> tuple[str, ...]:
    """The words of a list that is easier to read as a sentence."""
    return tuple(text.split())


_UNITS = words(
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
    "dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete "
    "veintiocho veintinueve"
)
_TENS = words("treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_HUNDREDS = words(
    "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
)
_SCALES = ((10**18, "trillón", "trillones"), (10**12, "billón", "billones"), (10**6, "millón", "millones"))
_ORDINALS = words(
    "primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo undécimo duodécimo decimotercero "
    "decimocuarto decimoquinto decimosexto decimoséptimo decimoctavo decimonoveno vigésimo"
)
_LETTERS = dict(
    zip(
        "abcdefghijklmnñopqrstuvwxyz",
        words("a be ce de e efe ge hache i jota ka ele eme ene eñe o pe cu erre ese te u ve doble_ve equis ye zeta"),
        strict=True,
    )
)


def cardinal(number: int, gender: Gender = "") -> str:
    """A whole number in words: 21 is «veintiuno», «veintiún» before a masculine noun, «veintiuna» before a feminine."""
    parts: list[str] = []
    rest = number
    for size, one, many in _SCALES:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{cardinal(count, 'm')} {one if count == 1 else many}")
    thousands, rest = divmod(rest, 1000)
    if thousands:
        parts.append("mil" if thousands == 1 else f"{_hundreds(thousands, 'm', gender)} mil")
    if rest or not parts:
        parts.append(_hundreds(rest, gender, gender))
    return " ".join(parts)


def _hundreds(number: int, ones: Gender, gender: Gender) -> str:
    hundred, rest = divmod(number, 100)
    said = []
    if hundred:
        word = "cien" if number == 100 else _HUNDREDS[hundred - 1]
        said.append(word[:-2] + "as" if gender == "f" and hundred > 1 else word)
    if rest >= 30:
        said.append(_TENS[rest // 10 - 3])
        said += ["y", _UNITS[rest % 10]] if rest % 10 else []
    elif rest or not said:
        said.append(_UNITS[rest])
    if ones and said[-1].endswith("uno"):
        short = "un" if said[-1] == "uno" else "veintiún"
        said[-1] = short if ones == "m" else said[-1][:-1] + "a"
    return " ".join(said)


def value(written: str) -> tuple[int, str]:
    """(whole part, decimals) of a number written as in Chile («1.234,5»); a point that groups no thousands is a comma."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?", written):
        written = written.replace(",", "").replace(".", ",")
    else:
        written = re.sub(r"[.'\u00a0\u2009\u202f](?=\d{3}(?!\d))" if written[0] != "0" else "(?!)", "", written)
    whole, _, decimals = written.replace(".", ",").partition(",")
    return int(whole), decimals


def number(written: str, gender: Gender = "") -> str:
    """A written number in words, with its decimals («cinco coma cero cinco»)."""
    whole, decimals = value(written)
    if not decimals:
        return cardinal(whole, gender)
    zeros = len(decimals) - len(decimals.lstrip("0"))
    after = ["cero"] * zeros + ([cardinal(int(decimals))] if zeros < len(decimals) <= 3 else [digits(decimals[zeros:])])
    return " ".join((cardinal(whole), "coma", *after)).strip()


def counted(written: str, one: str, many: str, gender: Gender) -> str:
    """So many of something: «un peso», «dos millones de pesos», «cero coma cinco mililitros»."""
    whole, decimals = value(written)
    of = "de " if not decimals and whole and whole % 10**6 == 0 else ""
    return f"{number(written, gender)} {of}{one if whole == 1 and not decimals else many}"


def digits(written: str) -> str:
    """Digit by digit."""
    return " ".join(_UNITS[int(d)] for d in written if d.isdecimal())


def in_pairs(written: str) -> str:
    """As telephone numbers are said: two digits at a time, the first alone where they are odd («seiscientos» is not)."""
    if written.endswith("00") and len(written) == 3:
        return cardinal(int(written))
    odd = len(written) % 2
    pairs = [written[:odd], *(written[i : i + 2] for i in range(odd, len(written), 2))]
    return " ".join(digits(p) if p[0] == "0" else cardinal(int(p)) for p in pairs if p)


def ordinal(number: int, *, feminine: bool = False, short: bool = False) -> str:
    """1 is «primero», «primera», or short «primer»; beyond 20 the cardinal, as people say it."""
    if not 1 <= number <= len(_ORDINALS):
        return cardinal(number)
    word = _ORDINALS[number - 1]
    short = short and word.endswith(("primero", "tercero"))
    return word[:-1] + "a" if feminine else word[:-1] if short else word


def fraction(top: int, bottom: int, *, feminine: bool = False) -> str:
    """«un medio», «dos tercios», «tres cuartos»; what is none («8/10» of points) is «ocho de diez»."""
    if not 0 < top < bottom <= 8:
        return f"{cardinal(top)} de {cardinal(bottom)}"
    name = {2: "media" if feminine else "medio", 3: "tercio"}.get(bottom) or _ORDINALS[bottom - 1]
    return f"{cardinal(top, 'm')} {name}{'s' * (top > 1)}"


def spelled(letters: str) -> str:
    """Letter by letter, by their names in Chile."""
    return " ".join(_LETTERS.get(letter, letter) for letter in letters.lower()).replace("_", " ")
