"""«Y también quería…»: who stops in the middle of a clause or of a number will go on; whoever has asked is done."""

from __future__ import annotations

import re

from clara_kit.conversation.lexicon import Lexicon, plain
from clara_kit.conversation.policy import Policy, Turn, Wait
from clara_kit.conversation.talk import Talk

PHONE_DIGITS = 9  # of a Chilean number
_UNITS = ["cero", "uno", "una", "un", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"]
_TEENS = [
    "diez", "once", "doce", "trece", "catorce", "quince", "dieciseis", "diecisiete", "dieciocho", "diecinueve", "veinte",
    "veintiuno", "veintidos", "veintitres", "veinticuatro", "veinticinco", "veintiseis", "veintisiete", "veintiocho", "veintinueve",
]  # fmt: skip
_TENS = ["treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"]
_HUNDREDS = [
    "cien", "ciento", "doscientos", "trescientos", "cuatrocientos", "quinientos", "seiscientos", "setecientos", "ochocientos",
    "novecientos",
]  # fmt: skip
_DIGITS = {**dict.fromkeys(_UNITS, 1), **dict.fromkeys(_TEENS + _TENS, 2), **dict.fromkeys(_HUNDREDS, 3)}
_SCALES = {"mil", "millon", "millones"}
# What a number is told of:
_NAMED = {"rut", "run", "numero", "telefono", "celular", "fono", "codigo", "pedido", "orden"}
# «Si compro dos», «aparte de eso»: not «sí», and not «¿cuándo?».
_BEFORE = re.compile(
    r"(?:y |pero |bueno )?(?:(?:si|cuando|aunque|mientras|apenas) (?!por |gracias|claro|señor)\w+ \w+|(?:aparte|además|fuera) de |en cuanto a |por otro lado|respecto )"
)
# «Quiero dos cremas, un sérum»: two things named alike, and no «y» yet.
_THING = r"(?:un|una|unos|unas|el|la|los|las|mi|mis|dos|tres|cuatro) \w+(?: de \w+)?"
_STREET = re.compile(r"\b(?:avenida|av|calle|pasaje|camino) (?P<after>.*)")
_LIST = re.compile(rf"\b{_THING}, {_THING}$")
MOST_BEFORE = 5  # words of such a beginning; a longer one has said what it means
_ADDRESS = re.compile(r"\b(?:correo|mail|email)\b.* es\b(?P<told>.*)")
_WHOLE = re.compile(r"(?:@|\barroba\b).*(?:\.|\bpunto )(?:com|cl|net|org|es|ar|pe|mx|co)\W*$")


def unfinished(lexicon: Lexicon, knows: str) -> Policy:
    """The policy that knows after which words one goes on."""

    def decide(talk: Talk, turn: Turn) -> Wait | None:
        settings = talk.settings
        if turn.occasion != "final" or settings.unfinished_hold_ms <= 0:
            return None
        hold_ms = max(settings.unfinished_hold_ms, settings.turn_hold_ms)
        if word := lexicon.goes_on(turn.text):
            return Wait(hold_ms, reason=f"after «{word}» a clause goes on: waiting {hold_ms:.0f} ms for it")
        if sign := _left_open(turn.text, talk.turn.question):
            return Wait(hold_ms, reason=f"{sign}: waiting {hold_ms:.0f} ms for the rest")
        return None

    return Policy("unfinished", decide, version=3, knows=knows)


def spoken_digits(text: str) -> int:
    """How many digits were said one by one, or in groups, at its end; 0 where it ends otherwise, or is one number.

    One number is enough where it is told of something that has more («mi RUT es doce millones…»).
    """
    words = plain(re.sub(r"(?<=\d)[.,-](?=\d)", "", text))  # «$14.990», «9.876.543-2»: one number
    groups: list[int] = []
    scaled = False
    at = len(words)
    while at and (n := len(words[at - 1]) if words[at - 1].isdigit() else _DIGITS.get(words[at - 1], 0)) | (
        words[at - 1] in _SCALES
    ):
        at -= 1
        scaled |= words[at] in _SCALES
        if n == 1 and at > 1 and words[at - 1] == "y" and words[at - 2] in _TENS:  # «ochenta y cuatro»
            at, n = at - 2, 2
        groups.append(n)
    if any(word in _NAMED for word in words[:at]) and not any(len(word) > 1 and word.isdigit() for word in words[at:]):
        return max(sum(groups), bool(groups))
    return sum(groups) if len(groups) > 1 and not scaled else 0


def _left_open(text: str, question: str) -> str:
    """What shows that more is to come, whatever the last word is; empty where nothing does. question: the whole turn."""
    said, words = text.strip(), plain(text)
    if said.endswith(("...", "…", ",", ":")):
        return "the clause is open"
    if 0 < (digits := spoken_digits(question)) < PHONE_DIGITS:
        return f"{digits} digits of a number"
    if words and said[-1] not in ".?!":
        if "¿" in said:
            return "a question without its end"
        if _LIST.search(said.casefold()):
            return "a list without its last"
        street = _STREET.search(" ".join(words))
        if street and not any(word.isdigit() or word in _DIGITS or word in _SCALES for word in street["after"].split()):
            return "a street without its number"
        if "," not in said and len(words) <= MOST_BEFORE and _BEFORE.match(said.casefold()):
            return f"what begins with «{words[0]}» comes before what is meant"
    return "an address without its end" if open_address(question) else ""


def open_address(text: str) -> bool:
    """Whether an e-mail address is being dictated and has no end yet."""
    told = _ADDRESS.search(text.casefold())
    return told is not None and "?" not in text and not _WHOLE.search(told["told"])
