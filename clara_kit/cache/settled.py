"""What the marks of a question come to: with what goes without saying left out, and in order where order tells.

Comes after `meaning.py` has found them one by one, and before anything is compared. Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from clara_kit.audio.numbers import words
from clara_kit.cache.vocabulary import Vocabulary

NAMELESS = "it names nothing that it is about"  # why a question may need what was said before
_UNITS = frozenset(
    words("dia semana mes year hora minuto vez gota porciento cuota luca peso ml gr kilo AFTERNOON NIGHT AM")
)
# Whose order tells nothing.
_TOGETHER, _EITHER = frozenset(("ingredient", "product")), frozenset(("MIX", "DIFFERENCE", "ORDERSTEP"))
_NEED = frozenset(("MUST", "RECOMMEND"))
_VAGUE = frozenset(
    words("usar ir tener own hacer comprar llevar poder enviar servir")
)  # where they stand tells nothing
_COPULAS = frozenset(words("es son sera seria eres va van"))
_CIRCUMSTANCES = frozenset(("date", "condition", "skin", "pregnancy", "child", "person", "place", "comparison", "verb"))
_GENERAL = frozenset(("productos", "algo"))
_ASKING, _MODAL = frozenset(("COMO", "QUE", "CUAL")), frozenset(("CAN", "MUST"))
_WHOLE = frozenset(("RECOMMEND", "ROUTINE", "HOWCHEAP"))  # name nothing, and are whole all the same
_TIMES = frozenset(("date", "pregnancy", "comparison"))  # intents of the other kinds name what they are about


@dataclass(frozen=True, slots=True)
class Meaning:
    """words: what was said, without courtesy. marks: what it means. follows: why it needs what was said before, or "".

    order: the marks one after the other, where the order tells (A before B); empty elsewhere. whole: something is asked,
    rather than only named.
    """

    words: str
    marks: frozenset[str]
    order: tuple[str, ...]
    follows: str
    whole: bool

    @property
    def key(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Equal for questions that mean the same."""
        return self.marks, self.order


def settled(words: str, marks: list[str], follows: str, known: Vocabulary) -> Meaning:
    """Numbers with what they count; what goes without saying left out; what means something else together renamed."""
    joined: list[str] = []
    for mark in marks:
        if joined and joined[-1][0] == "#" and ":" not in joined[-1] and mark in _UNITS:
            joined[-1] += f":{mark}"
        else:
            joined.append(mark)
    for n, mark in enumerate(joined):
        if mark[0] == "#" and ":" not in mark and n and known.kinds.get(joined[n - 1]) in ("person", "child"):
            joined[n] += ":year"  # «mi hijo de 15»
    found = set(joined)
    if "first" in found and " o " in words:
        found = found - {"first"} | {"ORDERSTEP"}
    asks = not _COPULAS.isdisjoint(words.split())
    whole = asks or any(
        m.lstrip("!-")[:1].isupper() or m.lstrip("!-").rstrip("<") in known.forms or "@" in m for m in found
    )
    for before, after in known.rules:
        needed = {m for m in before if m[0] != "@"}
        kinds = {known.kinds.get(m) for m in found} if len(needed) < len(before) else set()
        if needed <= found and all(m[1:] in kinds for m in before - needed):
            found = found - needed | (after - {""})
    ingredients = sum(known.kinds.get(m) == "ingredient" for m in found)
    if ingredients > 1 and found >= {"CAN", "usar"} and "o" not in found:
        found |= {"MIX"}
    if (asking := found & known.nouns("asking")) and (asking != {"WHEN"} or "usar" in found):
        found -= known.words("modals")  # but «¿cuándo puedo pagar?» is not «¿cuándo tengo que pagar?»
    for mark in tuple(found):
        found -= known.implied.get(mark, frozenset())
    of_a_kind = Counter("number" if m[0] == "#" else known.kinds.get(m.lstrip("!-"), "") for m in joined)
    if any(m.endswith(":year") for m in found):
        found -= {"tener", "own", "edad"}
    several = any(
        n > 1
        for kind, n in of_a_kind.items()
        if kind not in ("", "verb") and not (kind in _TOGETHER and found & _EITHER)
    )
    tells = several or bool(found & known.nouns("relations"))
    placed = (m for m in joined if m[0] == "#" or (m in found and not m[0].isupper() and m not in _VAGUE))
    order = tuple(dict.fromkeys(placed)) if tells else _needed(joined, found, known)
    if not follows and found and not _names(set(joined) | found, words.split(), known, asks):
        follows = NAMELESS
    return Meaning(words, frozenset(found), order, follows, whole)


def _needed(marks: list[str], found: set[str], known: Vocabulary) -> tuple[str, ...]:
    """What is asked for, of an ingredient and a product: that retinol needs sunscreen is not that sunscreen needs retinol."""
    if found.isdisjoint(_NEED) or not {known.kinds.get(mark) for mark in found} >= _TOGETHER:
        return ()
    asked = next((n for n, mark in enumerate(marks) if mark in _NEED), 0)
    return tuple(mark for mark in marks[asked:] if known.kinds.get(mark) in _TOGETHER)[:1]


def _names(marks: set[str], words: list[str], known: Vocabulary, copula: bool) -> bool:
    """Whether it says what it is about: «¿sirve para el acné?» does not, nor does «¿se puede usar en el embarazo?»."""
    bare = {m.lstrip("!-").rstrip("<") for m in marks}
    if bare <= known.nouns("bare") or all(m[:1] == "#" and m.rpartition(":")[2] != "cuota" for m in bare):
        return False
    asking, needs = marks & _ASKING, bare & known.nouns("of_something")
    if (
        not (needs or copula)
        or marks & _WHOLE
        or not _GENERAL.isdisjoint(words)
        or ("producto" in words and (asking or "un" in words or "algun" in words))
    ):
        return True
    if asking and needs <= known.nouns("acts") | _MODAL:  # «¿cómo quito las manchas?», «¿cómo es la piel mixta?»
        return True
    nothing = (
        known.nouns("bare")
        | known.nouns("of_something")
        | (frozenset() if "WHATIS" in marks else known.nouns("circumstances"))
    )
    named = [
        m for m in marks
        if (m[0] != "#" or m.endswith(":cuota")) and (m[0] != "-" or m[1].isupper()) and (one := m.lstrip("!-").rstrip("<")) not in nothing
        and known.kinds.get(one) not in (_TIMES if one[0].isupper() or "WHATIS" in marks else _CIRCUMSTANCES)
    ]  # fmt: skip
    return len(named) > ("tener" in bare and "WHATIS" not in marks)  # «¿tiene perfume?»: what has it?
