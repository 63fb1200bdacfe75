"""The checks of how Clara addresses somebody: by name, the right one and now and then, and as «tú». Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from clara_kit.core.placeholders import fold
from clara_kit.lab.scores.heard import Failure, Found, Heard, sentences
from clara_kit.lab.scores.products import masked
from clara_kit.lab.scores.words import usual_words

NAME_RUNNING = 3  # answers one after the other that all say the name

_CALLED = re.compile(r"\{first_name[~\d]*\}|(?<!\w)[A-ZÁÉÍÓÚÑ][a-záéíóúñü]+(?!\w)")
_CALL_ME = re.compile(r"\b(?:[Mm]e llamo|[Mm]i nombre es) (?:la |el )?([A-ZÁÉÍÓÚÑ][a-záéíóúñü]+)")
_NOT_ME = re.compile(r"\bno (?:me llamo |soy )?(\w+)")
_ADDRESSED = re.compile(r"(?:^|[.!?…¡¿,;:]\s*|\b(?:[Hh]ola|[Gg]racias|[Cc]laro|[Mm]ira|[Oo]ye) )$")
_BEGINS = re.compile(r"(?:^|[.!?…:])[\s¡¿«]*$")
_QUOTED = re.compile(r"«[^»]*»|“[^”]*”|\"[^\"]*\"|‘[^’]*’")
_OF_USTED = re.compile(r"(?:trat\w*|dec\w+|dig\w+|dim\w+|dirij\w+|habl\w+)(?: \w+){0,3}? de usted|de usted (?:a|ni) ")


def name(heard: Heard) -> Iterator[Failure]:
    """The right name, now and then: no stranger's, not twice in an answer, not in one after the other."""
    own, running = {*fold(heard.name).split(), "{first_name}"}, 0
    known = {"clara", *own}
    for one in heard.answers:
        if told := _CALL_ME.findall(one.question):  # what she says of herself counts, whatever the shop knows
            known -= own
            own = {fold(told[-1])}
        denied = set(_NOT_ME.findall(fold(one.question)))
        known = (known | set(re.findall(r"\w+", fold(one.question)))) - denied  # «es para mi hermana Antonia»
        said = _called(masked(one.text, heard.catalog))
        used = [word for word in said if fold(word) in own]
        running = running + 1 if used and one.turn else 0
        if len(used) > max(1, len(own & set(fold(heard.name).split()))):
            yield Failure(one.turn, "name", "the name more than once in an answer", " … ".join(used))
        elif running == NAME_RUNNING:
            yield Failure(one.turn, "name", f"the name in {NAME_RUNNING} answers one after the other", used[0])
        strange = [word for word in said if fold(word) in usual_words().names and fold(word) not in known]
        yield from one.failures("name", tuple(("somebody else's name", word) for word in strange))


@lru_cache(maxsize=8192)
def _called(text: str) -> tuple[str, ...]:
    """Words that can be people's names: those that are words, too, only where somebody is addressed by them."""
    found = []
    for match in _CALLED.finditer(text):
        before, word = text[: match.start()], "{first_name}" if match[0].startswith("{") else match[0]
        called = _ADDRESSED.search(before) and text[match.end() : match.end() + 1] in ("", *",.!?…;:")
        if called or word[0] == "{" or not (_BEGINS.search(before) or fold(word) in usual_words().also_words):
            found.append(word)
    return tuple(found)


def tu(heard: Heard) -> Iterator[Failure]:
    """No usted, none of its verbs, no «su» that means the customer, no vos."""
    about = ""
    for one in heard.answers:
        about = f"{about} {one.question}"
        others = usual_words().others.search(fold(f"{about} {one.text}"))
        yield from one.failures("tu", _formal(one.text, others is not None))


@lru_cache(maxsize=8192)
def _formal(text: str, of_others: bool) -> Found:
    """What is quoted is somebody else's word, and «de usted» may be what is spoken of. of_others: «su» may be theirs."""
    words, plain = usual_words(), fold(text)
    for hidden in (_QUOTED, _OF_USTED):
        plain = hidden.sub(lambda m: "·" * len(m[0]), plain)
    found = [*words.formal.finditer(plain)]
    if not of_others:
        found += words.formal_unless_others.finditer(plain)
        at = 0
        for sentence in sentences(plain):
            at = plain.index(sentence, at)
            begin = at + len(sentence) - len(sentence.lstrip(" ¡¿«(—-"))
            asks = "?" in sentence and not re.search(r"\btus?\b", sentence) and words.formal_asking.match(plain, begin)
            found += [match for match in (words.formal_first.match(plain, begin), asks) if match]
            at += len(sentence)
    return tuple(("not «tú»", text[m.start() : m.end()]) for m in sorted(found, key=lambda m: m.start()))
