"""What can be said of any answer by rule: small pure functions, each with its reason and the offending words.

They mean something for what is *spoken*: sentences as the kit cuts them, seconds as a voice takes them, amounts as they
are said. How well each does is counted in `tests/lab/score_examples.yml`; they are no reader, and a judge reads on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.core.placeholders import fold
from clara_kit.lab.scores import address_checks, shop_checks
from clara_kit.lab.scores.heard import Failure, Found, Heard, sentences
from clara_kit.lab.scores.products import masked
from clara_kit.lab.scores.words import usual_words
from clara_kit.world.mouths import spoken_ms

Check = Callable[[Heard], Iterable[Failure]]
MOST_SENTENCES = 3  # as the prompts of the kit ask; one of one or two words («¡Claro!») is none of them
MOST_S = 15.0  # an estimate: three short sentences; whoever listens longer forgets the first
DENIED_WORDS = 6  # so far before a claim a «no» still denies it

_CLAUSE, _STOP = re.compile(r"[.,;:!?…¿¡]"), re.compile(r"[.!…]")
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r"«[^»]*»|“[^”]*”|\"[^\"]*\"")
_UNSPEAKABLE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a list is only to be seen", re.compile(r"(?:^|[.:;!?…\n]\s{0,9})[-*•·▪–]\s+\S.*", re.M)),
    ("a list is only to be seen", re.compile(r"(?:^|[.:;!?…\n]\s{0,9})1[.)]\s.*?\b2[.)]\s.*", re.S)),
    ("markdown is only to be seen", re.compile(r"\*\*.+?\*\*|(?<!\w)[*_](?=\w)[^*_\n]+[*_](?!\w)|`[^`]+`|^#{1,6}\s.*|\|.*\||~~.+?~~", re.M)),
    ("nobody can say a link", re.compile(r"\[[^\]]+\]\([^)]*\)|(?:https?://|www\.)\S+|(?<![@\w.])(?:[\w-]+\.)+(?:cl|com|net|org|shop|store|io)\b(?:/\S*)?")),
    ("a sign that no voice says", re.compile("[\u2190-\u21ff\u23e9-\u23ff\u2460-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]+|</?[a-zA-Z][^>]*>|\\[[^\\]]*\\]|\\{\\{.*?\\}\\}")),
)  # fmt: skip


def _short(heard: Heard) -> Iterator[Failure]:
    """Also by what was written and never heard: an answer that is cut because it is long is no short one."""
    for one in heard.answers:
        yield from one.failures("short", _too_long(f"{one.text} {one.unheard}".strip(), heard.tts_speed))


@lru_cache(maxsize=8192)
def _too_long(text: str, speed: float) -> Found:
    count = sum(len(sentence.split()) > 2 for sentence in sentences(text))
    seconds = spoken_ms(text, speed, usual_pronunciation()) / 1000
    if count > MOST_SENTENCES:
        return ((f"{count} sentences, more than {MOST_SENTENCES}", text),)
    return ((f"{seconds:.0f} s when spoken, more than {MOST_S:.0f}", text),) if seconds > MOST_S else ()


def _spanish(heard: Heard) -> Iterator[Failure]:
    for one in heard.answers:
        yield from one.failures("spanish", _foreign(masked(one.text, heard.catalog)))


@lru_cache(maxsize=8192)
def _foreign(text: str) -> Found:
    """A sentence with two words that only another language has, with nothing else, or with one that leaves no doubt. Names of houses are no words."""
    words, found = usual_words(), []
    for sentence in sentences(words.brands.sub(lambda m: "·" * len(m[0]), fold(_QUOTED.sub("·", text)))):
        said = _WORD.findall(sentence)
        other = [word for word in said if word in words.foreign]
        if len(set(other)) > 1 or (other and len(other) == len(said)) or words.foreign_alone.intersection(other):
            found.append(("not Spanish", " ".join(other)))
    return tuple(found)


def _speakable(heard: Heard) -> Iterator[Failure]:
    for one in heard.answers:
        yield from one.failures("speakable", _seen(one.text))


@lru_cache(maxsize=8192)
def _seen(text: str) -> Found:
    found = []
    for why, pattern in _UNSPEAKABLE:
        if match := pattern.search(text):
            found.append((why, match[0].strip(" \n.:;!?…")))
            text = text.replace(match[0], " ")
    return tuple(found)


def _claims(heard: Heard) -> Iterator[Failure]:
    about = ""
    for one in heard.answers:
        about = f"{about} {one.question}"
        yield from one.failures("no_medical_claim", _claimed(one.text, fold(about)))


@lru_cache(maxsize=8192)
def _claimed(text: str, about: str) -> Found:
    """What the customer has said to have is no diagnosis of Clara's."""
    words, plain = usual_words(), fold(text)
    found = [("a medical claim", m) for m in words.claims.finditer(plain) if _holds(plain, m)]
    found += [("a medical claim", m) for m in words.claims_always.finditer(plain)]
    found += [
        ("a diagnosis", m) for m in words.diagnoses.finditer(plain) if m[1].split()[0] not in about and _holds(plain, m)
    ]
    if words.pregnant.search(about):
        found += [("retinol while pregnant", m) for m in words.retinol.finditer(plain) if _holds(plain, m)]
    return tuple((why, text[m.start() : m.end()]) for why, m in found)


def _holds(plain: str, match: re.Match[str]) -> bool:
    """Neither denied, nor on a condition, nor asked."""
    clause = _CLAUSE.split(plain[: match.start()])[-1].split()[-DENIED_WORDS:]
    asked = plain.find("?", match.end()) if "?" in plain else -1
    within = asked >= 0 and not _STOP.search(plain, match.end(), asked)
    return not within and not usual_words().negations.search(" ".join(clause))


CHECKS: dict[str, Check] = {
    "short": _short, "name": address_checks.name, "tu": address_checks.tu, "catalogue_only": shop_checks.catalogue_only, "price_right": shop_checks.price_right,
    "no_medical_claim": _claims, "answers_question": shop_checks.answers_question, "spanish": _spanish, "speakable": _speakable,
}  # fmt: skip
"""By name, which is that of a metric too; each gives what is wrong, nothing where all is well."""
