"""Spanish abbreviations: whether a full stop belongs to the word before it or ends the sentence.

All lists are here, without the stop, in lower case and without accents, which customers and models drop. Many
abbreviations end sentences too; what follows decides, and where both can be meant the reason stands beside the list.
To wrongly join two sentences costs a pause; to wrongly cut one breaks a number off its word. So where nothing
tells, a number stays with what it counts, and a capital letter begins a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import takewhile


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A title, an address or «for example»: something always follows («la Dra. Rojas», «Av. Providencia», «p. ej. $990»,
# «vit. C»). Not «Ud.», «Ltda.», «S.A.», «etc.», «a. m.»: these end sentences, so a capital or a number begins the
# next one («a las 5 p. m. Mañana…», «jabón, etc. 3 cremas…»).
NEVER_ENDS = _words(
    """
    sr sra srta sres sras srs dr dra dres dras drs dn dna prof profa lic licda ing arq abg mtro mtra sto
    sta st mons fr gral cnel tte pdte pdta hno hna mr mrs q.f av avda avd pje psje pza pl clle urb pobl prov esq edif hosp
    univ soc cia hnos ac lab labs ntra ntro p.ej ej vs cf ca vit vits atte ee ff rr dd jj ss
    """
)

# These want a number («máx. 2», «dcto. 20 %», «tel. +56…»); before anything else the stop ends the sentence
# («Te llega con dcto. Gracias»). «mar.» is Tuesday, March or the sea: a number behind it stays with it all the same.
BEFORE_NUMBER = _words(
    """
    aprox max min dcto dscto dsct desc dto env cont conc cant temp tam pres frec venc vto prox ult tot subtot
    inc incl equiv exp fono fco c/u und unid unids hr hrs h sem km tel telef cel spf fps s.p.f f.p.s v t
    """
)

# A number or a code («cód. ABC123», «cap. IV», «depto. B»); a code is told by its digits or capitals.
BEFORE_CODE = _words(
    """
    n nº n° num nums nro nros pag pags pg pp p art arts cap caps fig figs vol vols ed of ofic depto dpto dep int
    ext ref cod prom lt lte lote mz bl loc mod sku
    """
)

# Days and months: before a number («lun. 15», «dic. 2026») or another of them («Lun. – Vie. 9 a 18 hrs») the date
# goes on; before any other capital the sentence is over («Te llega el lun. Gracias»).
DATES = _words("lun mar mie jue vie sab dom ene feb abr may jun jul ago sep sept oct nov dic")

# Behind a number these are what was counted, and end the sentence also before the next number: «a 3 km. 5 minutos…»,
# «por 10 min. 2 veces…», «12 und. 3 de regalo…», but «ruta 5, km. 12», «min. 2 unidades».
COUNTED = _words("km min hr hrs h sem und unid unids c/u arts cap caps pags vols lt reg")

# Behind these a single capital is a thing of its own («vitamina C. Además»), not the initial of a name.
BEFORE_LETTER = _words(
    """
    vitamina vitaminas vit vits tipo tipos zona zonas clase clases plan planes letra letras grupo grupos talla tallas
    opcion opciones factor hepatitis omega complejo nivel serie paso y o e u
    """
)

# Behind these a single capital is an initial («doctora J. Rojas»).
BEFORE_INITIAL = _words("senor senora senorita doctor doctora don dona profesor profesora san santa")

# No sentence ends with these: a stop behind them that touches the next word is part of a name («La.Roche-Posay»).
NEVER_LAST = _words("el la los las un una unos unas de del al a con en por para y e o u que su sus tu tus mi mis")

_BEFORE_SIGNS = frozenset("$€£+#±≈≤≥<>=")
_CURRENCIES = ("US$", "USD", "CLP")
_AROUND = "\"'“”‘’«»‹›()[]{}*_`~—–-¿¡"
# What stands before a list's number or letter on its line: bullets, other marks («• 1.», «1. a.»), no word and no «$».
_MARK = re.compile(
    r"[^\w$€£+%]*(?:(?:\d{1,2}|[a-z])[.)][^\w$€£+%]+)*(?:\d{1,2}(?:\.\d{1,2})*|[^\W\d_]|[ivx]{1,4}|[IVX]{1,4})"
)
_ENDS_CHAIN = ("S.A", "C.V")  # «Beta S. A.» may end a sentence, «J. R.» does not
_BULLETS = frozenset("•·▪◦‣")
_JOINT = re.compile("[/–-]")
_ABBREVIATIONS = COUNTED | NEVER_ENDS | DATES | BEFORE_NUMBER | BEFORE_CODE
_COUNT = re.compile(r"\S*\d\S*(?<![,;:])|[IVX]+")


def belongs_to_word(before: str, ahead: str, *, final: bool) -> bool | None:
    """Whether a single full stop is its word's rather than the sentence's; None: more must come to tell.

    before: the sentence up to the stop, at most its last 64 characters. ahead: what follows, from its first letter,
    number or sign on, which is no lower-case letter. final: nothing follows `ahead`.
    """
    words = unicodedata.normalize("NFC", before).split()
    if not words or before[-1].isspace():
        return False
    word = words[-1].lstrip(_AROUND)
    previous, two_before = (words[-2] if len(words) > 1 else ""), (words[-3] if len(words) > 2 else "")
    if _MARK.fullmatch(word) and _is_mark(word, previous, before):
        return True
    if len(word) == 1 and word.isupper():
        return _is_initial(word, previous, two_before, ahead, final)
    plain = _plain(word)
    keys = {plain, _JOINT.split(plain)[-1]} & _ABBREVIATIONS  # «c/u», «Sr./Sra.»
    if not keys and word != "No":  # as it is with nearly every word
        return False
    if keys & COUNTED and _COUNT.fullmatch(previous):
        return False
    if keys & NEVER_ENDS or word == "Reg":  # «Reg. Metropolitana»; «despacho a reg. Consulta»
        return True
    if keys & DATES and (more := _date(ahead, final)) is not False:
        return more
    numbers_no = word == "No" and previous != ""  # «el No. 5», but «No. 5 días bastan»
    if numbers_no or keys & (BEFORE_NUMBER | BEFORE_CODE | DATES):
        number = _number(ahead, final)
        return _code(ahead, final) if number is False and keys & BEFORE_CODE else number
    return False


def _plain(word: str) -> str:
    """Lower case, without accents; `º` stays."""
    plain = word.casefold()
    if plain.isascii():
        return plain
    return "".join(c for c in unicodedata.normalize("NFD", plain) if not unicodedata.combining(c))


def _is_mark(word: str, previous: str, before: str) -> bool:
    """Whether what may be a list's mark is one: alone on its line, or «Pasos: 1. Limpia 2. Hidrata», «luego • 3. Protege»."""
    if _MARK.fullmatch(before.rpartition("\n")[2].strip()):
        return True
    if word.isupper():
        return False  # «Le gusta: A. Pérez» is a name
    counts_on = word.isdecimal() and re.search(rf"(?<!\S){int(word) - 1}[.)]\s", before)
    return previous.endswith((":", ";")) or previous in _BULLETS or bool(counts_on)


def _number(ahead: str, final: bool) -> bool | None:
    if ahead[0].isnumeric() or ahead[0] in _BEFORE_SIGNS or ahead.startswith(_CURRENCIES):
        return True
    return None if not final and any(sign.startswith(ahead) for sign in _CURRENCIES) else False


def _code(ahead: str, final: bool) -> bool | None:
    """Whether the next word is a code: it has a digit, or capitals only («A», «E», «Y»… alone are words)."""
    code = "".join(takewhile(lambda c: c.isalnum() or c == "-", ahead))
    if any(map(str.isdigit, code)):
        return True
    if len(code) == len(ahead) and not final:
        return None
    return code.isupper() and not (code in "AEOUY" and ahead[1:2].isspace())


def _date(ahead: str, final: bool) -> bool | None:
    """Whether the next word is an abbreviated day or month."""
    day = "".join(takewhile(str.isalpha, ahead))
    if len(day) == len(ahead) and not final:
        return None
    return _plain(day) in DATES and ahead[len(day) : len(day) + 1] == "."


def _is_initial(letter: str, previous: str, two_before: str, ahead: str, final: bool) -> bool | None:
    """Whether a single capital with a stop is a name's initial."""
    chained = len(previous) == 2 and previous.endswith(".")
    ends_chain = previous + letter in _ENDS_CHAIN or (
        previous + letter in ("A.M", "P.M") and _COUNT.fullmatch(two_before)
    )
    if ahead[0].isdigit():
        return chained and not ends_chain  # «S. P. F. 50»
    plain = _plain(previous.strip(_AROUND + ",;:."))
    if not ahead[0].isalpha() or plain in BEFORE_LETTER:
        return False
    if plain in BEFORE_INITIAL or plain in NEVER_ENDS:
        return True
    if chained:
        return not ends_chain
    if previous[:1].isupper() and not previous.endswith((",", ";", ":")):
        return True
    return None if len(ahead) < 2 and not final else ahead[1:2] == "."  # «de J. R. Soto», «10 A. M.»
