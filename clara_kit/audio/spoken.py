"""What every voice is given for a written text: words only, said as a Chilean would, and where each was written. Pure.

Between `Speak.text`, which stays as it was written, and the sound: voices of vendors, the offline voice and the
simulated ones all say `spoken(text).text`; what is known of the sound (word times, how much was heard) is led back to
the written words by its map. A text is rewritten step by step, each letter keeping the place that it comes from.
`plain.py` takes away what is only to be seen, `quantities.py` says what is counted, here is the rest.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias

from clara_kit.audio.marked import Marked, place, rules
from clara_kit.audio.numbers import cardinal, spelled, words
from clara_kit.audio.plain import SMOOTHING, VISIBLE_ONLY
from clara_kit.audio.quantities import MONTHS, NUMERIC

Pronunciation: TypeAlias = tuple[tuple[str, str], ...]
"""(written, said), as in `data/pronunciation.csv`. Capitals only are matched as they stand, the others in any case."""

_MOST_PASSES = 5  # of the rules; what they say is left alone by the second one


class Part(NamedTuple):
    """Said words and the written words that they stand for: `said_start:said_end`, `char_start:char_end`."""

    said_start: int
    said_end: int
    char_start: int
    char_end: int


class Spoken(NamedTuple):
    """The said text, and its map: every said word is in one part, parts are in order and do not overlap."""

    text: str
    map: tuple[Part, ...]

    def written_end(self, said_chars: int) -> int:
        """Where in the written text the last word ends that is over after so many characters of the said one."""
        return max((part.char_end for part in self.map if part.said_end <= said_chars), default=0)


@lru_cache(maxsize=4096)
def spoken(text: str, pronunciation: Pronunciation = ()) -> Spoken:
    """What is said for a text, and where each word of it was written. Saying that again changes nothing."""
    names, said_names = _rows(pronunciation)
    marked, before = Marked.of(text), text
    for _ in range(_MOST_PASSES):
        marked = marked.rewritten(VISIBLE_ONLY)
        claimed: list[str] = []  # out of the rules' reach: what a designer wrote is said as it stands
        marked = marked.sub(names, partial(_claim, claimed, said_names))
        marked = marked.rewritten(_SHORTHAND)
        if any(map(str.isdecimal, marked.text)):
            marked = marked.rewritten(NUMERIC)
        marked = marked.rewritten(_SIGNS).filled(claimed).rewritten(SMOOTHING)
        if marked.text == before:
            break
        before = marked.text
    return Spoken(marked.text, _map(text, marked))


def _claim(claimed: list[str], said: tuple[str, ...], name: re.Match[str]) -> str:
    return place(claimed, said[(name.lastindex or 1) - 1])


def _map(text: str, marked: Marked) -> tuple[Part, ...]:
    written = [(m.start(), m.end()) for m in re.finditer(r"\S+", text)]
    parts: list[Part] = []
    number = 0
    for word in re.finditer(r"\S+", marked.text):
        places = [n for n in range(*word.span()) if marked.text[n].isalnum()] or range(*word.span())
        spans = [marked.spans[n] for n in places]
        first, last = min(s for s, _ in spans), max(e for _, e in spans)
        while number < len(written) - 1 and written[number][1] <= first:
            number += 1
        start, end = written[number]
        end = max(end, written[bisect_left(written, (last,)) - 1][1])
        if parts and start < parts[-1].char_end:
            older = parts.pop()
            start, end = older.char_start, max(end, older.char_end)
            parts.append(Part(older.said_start, word.end(), start, end))
        else:
            parts.append(Part(word.start(), word.end(), start, end))
    return tuple(parts)


@lru_cache(maxsize=16)
def _rows(pronunciation: Pronunciation) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """A pattern with a group for each row, the longest first (a blank or hyphen stands for any of them), and what is said."""
    longest_first = sorted(pronunciation, key=lambda row: -len(row[0]))
    names = (
        f"((?{'' if written.upper() == written else 'i'}:"
        + r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", written)))
        + "))"
        for written, _ in longest_first
    )
    pattern = rf"(?<!\w)(?:{'|'.join(names) or '(?!)'})(?!\w)"
    return re.compile(pattern), tuple(said for _, said in longest_first)


def _address(match: re.Match[str]) -> str:
    """«hola arroba beta punto ce ele»; of an address on the web only the shop's name, nobody can use the rest."""
    host = re.sub(r"^(?:https?://)?(?:www\.)?", "", match[0], flags=re.IGNORECASE)
    host = re.split(r"[/?#]", host)[0] if "@" not in host else host
    host = re.sub(r"\.([a-z]{2})(?=\W|\Z)", lambda m: f" punto {spelled(m[1])}", host, flags=re.IGNORECASE)
    for sign, said in ((".", " punto "), ("@", " arroba "), ("_", " guion bajo "), ("-", " guion "), ("+", " más ")):
        host = host.replace(sign, said)
    return host


_SHORT = {
    "aprox": "aproximadamente", "máx": "máximo", "max": "máximo", "mín": "mínimo", "min": "mínimo", "dcto": "descuento",
    "dscto": "descuento", "desc": "descuento", "vit": "vitamina", "cód": "código", "cod": "código", "tel": "teléfono",
    "fono": "teléfono", "av": "avenida", "avda": "avenida", "sr": "señor", "sra": "señora", "srta": "señorita",
    "dr": "doctor", "dra": "doctora", "ud": "usted", "uds": "ustedes", "etc": "etcétera", "núm": "número",
    "nro": "número", "pág": "página", "dpto": "departamento", "depto": "departamento", "ref": "referencia",
    "art": "artículo", "cant": "cantidad", "incl": "incluido", "prom": "promedio", "vs": "versus", "ej": "ejemplo",
    "prod": "producto", "temp": "temperatura", "ing": "ingrediente", "apl": "aplicación", "hrs": "horas",
    "ác": "ácido", "ac": "ácido", "cel": "celular", "cía": "compañía", "conc": "concentración", "venc": "vencimiento",
    "fco": "frasco", "pje": "pasaje", "equiv": "equivalente",
}  # fmt: skip
_NO_WORDS = words("dcto dscto aprox vit máx mín cód núm pág avda srta hrs")  # abbreviations also without their stop
_BY_LETTERS = words("AHA BHA PHA LHA UV UVA UVB UVC EGF HEV IPL PCA SKU FAQ USB ADN")


def _short(match: re.Match[str]) -> str:
    """An abbreviation; its stop goes, unless it ends the sentence too."""
    after = match.string[match.end() :].lstrip()
    last = not after or (match[1].lower() == "etc" and after[0].isupper())
    return f"{_SHORT[match[1].lower()]}{'.' if last else ''}"


def _types(match: re.Match[str]) -> str:
    return match[1] + " a ".join(_value(n) for n in match.groups()[1:] if n)


def _roman(match: re.Match[str]) -> str:
    return _value(match[0])


def _value(roman: str) -> str:
    worth = [{"I": 1, "V": 5, "X": 10}[letter] for letter in roman]
    return cardinal(sum(-w if w < max([*worth[i + 1 :], 0]) else w for i, w in enumerate(worth)))


_DAYS = {d[:3]: d for d in words("lunes martes miércoles jueves viernes sábado domingo")}
_DAYS |= {"mie": "miércoles", "sab": "sábado"}
_DAY, _MONTH = "|".join(_DAYS), {**{m[:3]: m for m in MONTHS}, "sept": "septiembre", "set": "septiembre"}

_SHORTHAND = rules(
    (r"(?:https?://|www\.)[^\s<>()«»\"]*[^\s<>()«»\".,;:!?…]", _address, re.I),
    (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", _address),
    (r"(?<!\w)@(?=\w)", "arroba "),
    (r"(?<![\w.])(?:[a-z0-9-]+\.)+(?:cl|com|net|org|shop|store|io|app)(?:/[^\s<>()]*)?(?![\w.]*\w)", _address, re.I),
    (r"(?<=[^\W_])[!?](?=[^\W_])|(?<=[a-záéíóúñ])\.(?=[A-ZÁÉÍÓÚÑ][a-záéíóúñ])", lambda m: f"{m[0]} "),
    (r"\bp\.\s?ej\.?(?!\w)", "por ejemplo", re.I),
    (r"(?<!\d)(?<!\d )\b([ap])\.\s?m\b\.?", lambda m: f"{'a' if m[1] in 'aA' else 'pe'} eme", re.I),
    (r"\bEE\.?\s?UU\b\.?", "Estados Unidos"),
    (r"\bc/u\b\.?", "cada uno", re.I),
    (r"\by/o\b", "y o", re.I),
    (r"(?<!\w)c/(?=\s?[^\W\d_])", "con "), (r"(?<!\w)c/\s?(?=\d)", "cada "),
    (r"(?<!\w)s/(?=\s?[^\W\d_])", "sin "),
    (r"(?<!\w)p/(?=\s?[^\W\d_])", "para "),
    (rf"\b({_DAY})\b\.?(?:\s?[-–—]\s?|\sa\s)({_DAY})\b\.?", lambda m: f"{_DAYS[m[1].lower()]} a {_DAYS[m[2].lower()]}", re.I),
    (rf"\b({_DAY})\.(?=\s\d)", lambda m: _DAYS[m[1].lower()], re.I),
    (rf"(?<=\bde )({'|'.join(_MONTH)})\b\.?(?=\s|[,;)]|\Z)", lambda m: _MONTH[m[1].lower()], re.I),
    (r"\b(?:[Nn][°º]|[Nn]\.[°º]|[Nn][uú]m\.|[Nn]ro\.?|No\.)\s?(?=\d|#)|#\s?(?=\d)", "número "),
    (r"(?:\bfactor(?: de protecci[oó]n)?\s)?\b(?:S\.?P\.?F|F\.?P\.?S)(?![^\W\d_])\.?(?:\s?[-–]\s?(?=\d))?", "factor ", re.I),
    (r"\bpH\b", "pe hache", re.I),
    (r"\bPA(?=\+)", "pe a"),
)  # fmt: skip
_SIGNS = rules(
    (rf"\b({'|'.join(_NO_WORDS)})\b(?!\.)", lambda m: _SHORT[m[1].lower()], re.I),
    (r"\b((?i:(?:foto)?tipos?|fases?|Fitzpatrick)\s)(I{1,3}|I?VI?)(?:\s?[-–]\s?(I{1,3}|I?VI?))?\b", _types),
    (rf"\b({'|'.join(_SHORT)})\.(?!\w)", _short, re.I),
    (r"\b(?=[IVX]{2,}\b)X{0,3}(?:IX|IV|V?I{0,3})\b", _roman),
    (rf"\b(?:{'|'.join(_BY_LETTERS)}|[BCDFGHJKLMNÑPQRSTVWXYZ]{{2,6}})s?\b", lambda m: spelled(m[0].rstrip("s"))),
    (r"(?:≥|>=)\s?(?=\w)", " al menos "), (r"(?:≤|<=)\s?(?=\w)", " a lo más "),
    (r">\s?(?=\w)", " más de "), (r"<\s?(?=\w)", " menos de "), (r"[~≈]\s?(?=\w)", " aproximadamente "),
    (r"±", " más menos "), (r"&", " y "), (r"=", " igual a "), (r"\+", " más "), (r"%", " por ciento "),
    (r"(?<=\w)\s?/\s?(?=h?o)", " u ", re.I), (r"(?<=\w)\s?/\s?(?=\w)", " o "), (r"@", " arroba "),
)  # fmt: skip
