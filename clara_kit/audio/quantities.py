"""How what is counted is said: prices, amounts, ranges, dates, times, telephone numbers, codes. Rules for `spoken.py`. Pure.

In Chile the point groups thousands: «$12.990» is twelve thousand nine hundred and ninety pesos.
"""

from __future__ import annotations

import re

from clara_kit.audio import numbers
from clara_kit.audio.marked import rules
from clara_kit.audio.numbers import Gender, cardinal, counted, number, spelled, words

_NUM = (
    r"(?:\d{1,3}(?:[.'\u00a0\u2009\u202f]\d{3})+(?!\d)(?:,\d+)?|\d{1,3}(?:,\d{3}){2,}(?!\d)(?:\.\d+)?|\d+(?:[.,]\d+)?)"
)
_SIGN = r"(?P<sign>(?<![\w)])[-−–+])?"
_DASH = r"\s?[-−–—]\s?"
_SIGNS = {"+": "más ", None: "", "": ""}  # the others: «menos»

_COUNTED: tuple[tuple[str, str, str, Gender], ...] = (  # as they are written, one, many
    ("ml ML mL Ml cc CC", "mililitro", "mililitros", "m"), ("cl", "centilitro", "centilitros", "m"),
    ("l L lt lts Lt Lts", "litro", "litros", "m"), ("g gr grs gs Gr", "gramo", "gramos", "m"),
    ("kg kgs Kg KG", "kilo", "kilos", "m"), ("mg MG Mg", "miligramo", "miligramos", "m"),
    ("mcg µg μg", "microgramo", "microgramos", "m"), ("cm cms CM", "centímetro", "centímetros", "m"),
    ("mm", "milímetro", "milímetros", "m"), ("nm", "nanómetro", "nanómetros", "m"),
    ("m mt mts", "metro", "metros", "m"), ("km kms Km KM", "kilómetro", "kilómetros", "m"),
    ("m² m2", "metro cuadrado", "metros cuadrados", "m"),
    ("cm² cm2", "centímetro cuadrado", "centímetros cuadrados", "m"), ("oz Oz", "onza", "onzas", "f"),
    ("h hr hrs Hr Hrs HRS hs", "hora", "horas", "f"), ("min mins Min", "minuto", "minutos", "m"),
    ("seg segs", "segundo", "segundos", "m"), ("sem", "semana", "semanas", "f"), ("ud uds un. und unid", "unidad", "unidades", "f"),
    ("UI IU", "unidad internacional", "unidades internacionales", "f"),
    ("ppm", "parte por millón", "partes por millón", "f"), ("°C ºC", "grado", "grados", "m"),
    ("°F ºF", "grado Fahrenheit", "grados Fahrenheit", "m"), ("%", "por ciento", "por ciento", ""),
    ("‰", "por mil", "por mil", ""),
)  # fmt: skip
_UNITS = {unit: (one, many, gender) for units, one, many, gender in _COUNTED for unit in units.split()}
_UNIT = "|".join(re.escape(u) + ("" if u in "%‰." else r"(?!\w)") for u in sorted(_UNITS, key=len, reverse=True))

_MONEY: tuple[tuple[str, tuple[str, str, Gender]], ...] = (
    (r"US|U\$|d[oó]lar", ("dólar", "dólares", "m")), (r"€|EUR|euro", ("euro", "euros", "m")),
    (r"£", ("libra", "libras", "f")), (r"UF", ("unidad de fomento", "unidades de fomento", "f")),
    ("", ("peso", "pesos", "m")),
)  # fmt: skip
_CURRENCY = r"(?:US\s?\$|USD\s?\$?|U\$[SD]?|CLP\s?\$?|\$|€|£|EUR|UF)"
_SCALE = {"mil": "mil", "k": "mil"}  # the others: «millones»

_MASCULINE = words("día días problema problemas tema temas aroma aromas sistema sistemas mapa clima programa")
_FEMININE = re.compile(
    r"(?:\w*as?|\w*[cs]i(?:ón|ones)|\w*dad(?:es)?|vez|veces|noches?|tardes?|piel(?:es)?|manos?|fotos?|bases?|leches?|partes?|fases?|clases?|series?)\Z"
)
_NO_NOUN = words(
    """de del y e o u a al en por con que para es son más menos sin se ni si no pero ya cada hasta contra desde entre
    porque como cuando está están era será ahora nunca también así coma punto"""
)  # behind a number these are not what it counts
_NUMBERED = re.compile(
    r"(?:paso|número|opción|nivel|fase|talla|factor|código|tipo|pedido|alternativa|punto|orden|omega)\s\Z",
    re.IGNORECASE,
)
_NEXT_WORD = re.compile(r"\s([^\W\d_]+)")
_THE = re.compile(r"\blas?\s\Z", re.IGNORECASE)


def _gender(match: re.Match[str]) -> Gender:
    """Of what a number counts, by the word behind it."""
    before = match.string[max(0, match.start() - 20) : match.start()]
    noun = _NEXT_WORD.match(match.string, match.end())
    word = noun[1].lower() if noun else ""
    if _NUMBERED.search(before):
        return ""
    if not word or word in _NO_NOUN:
        return "f" if _THE.search(before) else ""  # «a las 21», «la 1 de la tarde»
    return "f" if word not in _MASCULINE and _FEMININE.match(word) else "m"


def _signed(match: re.Match[str]) -> str:
    return _SIGNS.get(match["sign"], "menos ")


def _money(match: re.Match[str]) -> str:
    one, many, gender = next(names for pattern, names in _MONEY if re.search(pattern, match[0], re.IGNORECASE))
    scale = match["scale"] and _SCALE.get(match["scale"].lower(), "millones")
    amounts = [re.sub(r"[.,]00\Z", "", a) for a in (match["a"], match["b"]) if a]
    if one == "peso":  # which has no thousandths: «$12,990» groups thousands
        amounts = [re.sub(r",(?=\d{3}\Z)", ".", a) for a in amounts]
    *lower, last = amounts
    whole, decimals = numbers.value(last)
    if scale:
        count = number(last, "m")
        said = f"{count} mil {many}" if scale == "mil" else f"{count} {'millón' if count == 'un' else scale} de {many}"
    elif len(decimals) == 2 and one != "peso":
        said = f"{counted(str(whole), one, many, gender)} con {cardinal(int(decimals), 'm')} centavos"
    else:
        said = counted(last, one, many, gender)
    low = "".join(f"{number(amount, gender)} a " for amount in lower)
    minus = "menos " if match["neg"] else ""
    return f"{_signed(match)}{minus}{low}{said}"


def _quantity(match: re.Match[str]) -> str:
    one, many, gender = _UNITS[match["unit"]]
    low = f"{number(match['a'], gender)} a " if match["b"] else ""
    return f"{_signed(match)}{low}{counted(match['b'] or match['a'], one, many, gender)}"


def _number(match: re.Match[str]) -> str:
    gender, more = _gender(match), " más" if match["plus"] else ""
    said = [_plain(n, "" if more else gender) for n in (match["a"], match["b"]) if n]
    noun = gender and not more and numbers.value((match["b"] or match["a"])[:24])[0]
    return f"{_signed(match)}{' a '.join(said)}{more}{' de' if noun and noun % 10**6 == 0 else ''}"


def _plain(written: str, gender: Gender = "") -> str:
    """Long numbers without points, and those that begin with zero, are codes."""
    code = written.isdecimal() and (len(written) > 6 or (written[0] == "0" and len(written) > 1))
    return numbers.digits(written) if code else number(written, gender)


MONTHS = words("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre")


def _date(match: re.Match[str]) -> str | None:
    day, month, year = int(match["d"]), int(match["m"]), match["y"]
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    full = f" de {cardinal(int(year) + (2000 if len(year) == 2 else 0))}" if year else ""
    return f"{'primero' if day == 1 else cardinal(day)} de {MONTHS[month - 1]}{full}"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["h"]), int(match["min"])
    said = cardinal(hour, "f")
    if minute:
        said += f" {'cero ' if minute < 10 else ''}{cardinal(minute)}"
    if match["hrs"] or not (
        minute or match["half"] or _THE.search(match.string[max(0, match.start() - 5) : match.start()])
    ):
        said += " hora" if (hour, minute) == (1, 0) else " horas"
    return f"{said}{_half_day(match['half'])}{' a ' if match['to'] else ''}"


def _half_day(letter: str | None) -> str:
    return f" {letter.lower().replace('p', 'pe')} eme" if letter else ""


def _phone(match: re.Match[str]) -> str | None:
    groups = re.findall(r"\d+", match[0])
    if sum(map(len, groups)) < 8:
        return None
    abroad = ["más"] if match[0][0] == "+" else []
    if abroad:
        country, *groups = groups if len(groups) > 1 else (groups[0][:2], groups[0][2:])
        abroad.append(cardinal(int(country)))
    return " ".join((*abroad, *map(numbers.in_pairs, groups)))


def _ordinal(match: re.Match[str]) -> str:
    n, feminine = int(match[1]), match[2][-1] in "aª"
    if match[2] == "°" and n > 20:
        return f"{cardinal(n, 'm')} grados"
    noun = _NEXT_WORD.match(match.string, match.end())
    short = match[2] in ("er", ".er") or (noun is not None and noun[1].lower() not in _NO_NOUN)
    return numbers.ordinal(n, feminine=feminine, short=short)


def _fraction(match: re.Match[str]) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    if (top, bottom) == (24, 7):
        return "veinticuatro siete"
    unit, many, gender = _UNITS.get(match["unit"], ("", "", _gender(match)))
    if match["whole"]:
        count = counted(match["whole"], unit, many, gender).strip()
        part = numbers.fraction(top, bottom, feminine=gender == "f").removeprefix("un ").removeprefix("una ")
        return f"{count} y {part}"
    if (top, bottom) == (1, 2) and gender:
        return f"{'media' if gender == 'f' else 'medio'} {unit}".strip()
    return numbers.fraction(top, bottom) + (f" de {unit}" if unit else "")


def _code(match: re.Match[str]) -> str:
    """«ABC123», «B12», «5b»: letters by their names where they are no word, numbers as numbers."""
    said = []
    for run in re.findall(r"\d+|[^\W\d_]+|\.", match[0]):
        if run == ".":
            said.append("punto")
        elif run.isdecimal():
            said.append(_plain(run) if len(run) <= 4 else numbers.digits(run))
        elif len(run) == 1 or (run.isupper() and len(run) <= 3) or not re.search(r"[aeiouáéíóú]", run.lower()):
            said.append(spelled(run))
        else:
            said.append(run)
    return " ".join(said)


_HOUR, _MINUTE, _NO_WORD = r"(?<![\w:.,])(?P<h>[01]?\d|2[0-4])", r"(?P<min>[0-5]\d)", r"(?!\w|[.,-]\d)"
_HOURS, _BEFORE = r"\s?(?:hrs?\b\.?|horas?\b|h\b)", r"(?<![\w.,])"
_BY_CURRENCY = (
    rf"{_SIGN}(?<![^\W\d_]){_CURRENCY}\s{{0,2}}(?P<neg>-)?(?P<a>{_NUM})(?:{_DASH}{_CURRENCY}?\s?(?P<b>{_NUM})(?!\s?[%x×\d]))?"
    r"(?:\s?(?P<scale>mil(?:lones|l[oó]n)?|(?-i:MM?)|K)\b)?(?:[.,]?[-–](?!\w))?(?:\s?(?:de\s)?(?:pesos?|CLP|USD|d[oó]lar(?:es)?|euros?)\b)?"
)
_PHONE = (
    r"(?:\+\d{1,3}[\s.-]?(?:\(?\d{1,5}\)?[\s.-]?){1,4}\d{2,4}|\(\d{1,2}\)\s?\d{4}[\s.-]?\d{4}|[29][\s.-]\d{4}[\s.-]?\d{4}|[2-9]\d\s\d{3}\s\d{4}|9\d{8}"
    r"|\d{4}\s\d{4}|[68]00[\s.-]\d{3}[\s.-]?\d{3,4}|\d{3}[\s-]\d{3}[\s-]\d{3,4})"
)
NUMERIC = rules(
    (r"\d[\d.,]{30,}", lambda m: numbers.digits(m[0])),
    (rf"{_BEFORE}{_PHONE}{_NO_WORD}", _phone),
    (r"(?<![\w.,] )(?<![\w.,])[1-9]\d{0,2}(?: \d{3})+(?![\w.,]*\d)", lambda m: m[0].replace(" ", ".")),
    (rf"{_BEFORE}(\d{{1,2}}\.?\d{{3}}\.?\d{{3}})-([\dkK])(?!\w)", lambda m: f"{number(m[1])} guion {spelled(m[2]) if m[2] in 'kK' else number(m[2])}"),
    (rf"(?<![\w.,/])(?P<d>\d{{1,2}})(?P<s>[/.-])(?P<m>\d{{1,2}})(?P=s)(?P<y>\d{{4}}|\d{{2}})(?!/){_NO_WORD}", _date),
    (r"(?<![\w.,/-])(?P<y>\d{4})(?P<s>[/-])(?P<m>\d{2})(?P=s)(?P<d>\d{2})(?![\w/-])", _date),
    (r"(?<![\w.,/])(?P<d>\d{1,2})/(?P<m>0[1-9]|1[12]|(?<=\b[ae]l \d/)10|(?<=\b[ae]l \d\d/)10)(?P<y>)(?![\w/])", _date),
    (r"(?<![\w.,/-])(?P<m>0?[1-9]|1[0-2])/(?P<y>20\d\d)(?![\w/])", lambda m: f"{MONTHS[int(m['m']) - 1]} de {cardinal(int(m['y']))}"),
    (r"(?<=\d)(\s?)[°º]\s?(?=[CF]\b)", "°"),
    (r"(?<=\d)\s?fl\.?\s?oz\b\.?", " oz", re.I),
    (rf"\b0?1[°º]?(?=(?:\s+(?:al|y)\s+\d{{1,2}})?\s+de\s+(?:{'|'.join(MONTHS)})\b)", "primero", re.I),
    (rf"{_HOUR}:{_MINUTE}(?::[0-5]\d)?(?!\d)(?P<hrs>{_HOURS})?(?:\s?(?P<half>[ap])\.?\s?m\b\.?)?(?P<to>{_DASH}(?=\d{{1,2}}[:.]\d\d))?",
     _time, re.I),
    (rf"{_HOUR}[.h]{_MINUTE}(?!\d)(?P<hrs>{_HOURS})(?P<half>)(?P<to>)", _time, re.I),
    (r"(?<![\w:.,])(1?\d)\s?([ap])\.?\s?m\b\.?", lambda m: cardinal(int(m[1]), "f") + _half_day(m[2]), re.I),
    (rf"{_BEFORE}({_NUM})\s?[x×]\s?(?=\d|\$)", lambda m: f"{number(m[1])} por ", re.I),
    (r"(?<!\w)[x×]\s?(?=\d)", "por ", re.I),
    (r"(?<=\d)\s?k(?!\w)", " mil"),
    (_BY_CURRENCY, _money, re.I),
    (rf"{_SIGN}(?P<neg>)(?P<a>{_BEFORE}{_NUM})(?P<b>)(?P<scale>)\s?(?:€|USD|US\$|CLP|EUR|UF|\$(?!\s?\d))(?!\w)", _money),
    (rf"{_SIGN}{_BEFORE}(?<!\d/)(?P<a>{_NUM})(?:\s?(?P<same>{_UNIT})?{_DASH}(?P<b>{_NUM})(?(same)(?=\s?(?P=same))))?\s?(?P<unit>{_UNIT})(?:\.(?=\s+[a-záéíóúñ]))?", _quantity),
    (r"(?<![\w.,/])(\d{1,2}[.,]\d{1,2})/(\d{1,2})(?![\w/]|[.,]\d)", lambda m: f"{number(m[1])} de {number(m[2])}"),
    (rf"{_BEFORE}(\d{{1,3}})(\.?[ºª]|°|\.?er|ero|ro|do|to|mo|vo|no|era|ra|da|ta|va|na|ma)(?!\w)", _ordinal),
    (rf"(?<![\w.,/])(?:(?P<whole>\d{{1,3}})\s)?(?P<top>\d{{1,2}})/(?P<bottom>[1-9]\d?)(?!/|\d|[.,-]\d)"
     rf"(?:\s?(?P<unit>(?!%)(?:{_UNIT}))|(?!\w))", _fraction),
    (rf"/\s?({'|'.join(re.escape(u) for u in _UNITS if u[0] not in '%‰')}|día|mes|semana|año)\b",
     lambda m: f" por {_UNITS[m[1]][0] if m[1] in _UNITS else m[1]}"),
    (r"\b(?=\w*\d)(?=[\w.]*[^\W\d_])\w+(?:\.\d+)*", _code),
    (r"\b([A-ZÑ]{2,})-(?=\d)", lambda m: f"{m[1]} "),
    (rf"{_SIGN}(?P<a>{_NUM})(?:{_DASH}(?P<b>{_NUM})(?![-\d]))?(?P<plus>\s?\+(?!\s?\d))?", _number),
)  # fmt: skip
"""In this order, wherever there is a digit."""
