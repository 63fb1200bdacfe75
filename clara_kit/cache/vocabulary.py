"""The words of `words.yml`, made ready: which form belongs to which verb, what means the same, and the phrases as a tree.

Read once, when the first question is asked. `meaning.py` applies it; what the words are, the file alone decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clara_kit import data_files
from clara_kit.audio.numbers import cardinal

FILE = Path(__file__).with_name("words.yml")
Tree = dict[str, Any]
END = ""  # of a phrase, in a tree: what it becomes, and how many of its words stay
VERB = "~"  # in a phrase, before a verb of which any present form will do

_PRESENT = {
    "ar": "o as a amos an ai ais e es emos en ar ando arme arse arte are aras ara aremos aran aria arias ariamos arian",
    "er": "o es e emos en eis a as amos an er iendo erme erse erte ere eras era eremos eran eria erias eriamos erian",
    "ir": "o es e imos en is a as amos an ir iendo irme irse irte ire iras ira iremos iran iria irias iriamos irian",
}
# «compro» was «compró» for a recogniser without accents, but «compre» is nearly always «compré».
_PAST = {
    "ar": "é e aste ó aron asteis aba abas ábamos abamos aban ado",
    "er": "í iste ió io imos ieron ía ías ía ia ias íamos iamos ían ian ido",
    "ir": "í i iste ió io ieron ía ías ia ias íamos iamos ían ian ido",
}
_BEFORE_E = {"c": "qu", "g": "gu", "z": "c"}
_NODE = re.compile(r"[\[\]()|]|\+|[^\s\[\]()|+]+")


def plain(text: str) -> str:
    """In small letters, without accents, as a recogniser may write."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def singular(word: str) -> str:
    """A noun without its plural; a word that has none only looks a little odd, and always the same."""
    if word.endswith("ces"):
        return word[:-3] + "z"
    for end in ("es", "e"):  # «hombre, hombres», «gel, geles»: neither keeps its e
        if word.endswith(end) and len(word) > len(end) + 2 and word[-len(end) - 1] in "lnrdj":
            return word[: -len(end)]
    return word[:-1] if word.endswith("s") and len(word) > 3 else word


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """All that is known of words. `forms`: a form, with its accents, to a verb («usar») or its past («usar<»)."""

    raw: dict[str, Any]

    @classmethod
    def load(cls) -> Vocabulary:
        """The kit's; read anew when the file has changed."""
        return data_files.made(FILE, _read)

    def words(self, name: str) -> frozenset[str]:
        """The words of one list."""
        return frozenset(self.raw[name].split())

    @cached_property
    def forms(self) -> dict[str, str]:
        found: dict[str, str] = dict(self.raw["forms"])
        for verb, stems in self.raw["verbs"].items():
            own, kind = verb[:-2], verb[-2:]
            extra = stems.split()
            for stem in (own, *(s for s in extra if not s.startswith("="))):
                found.update((stem + end, verb) for end in _PRESENT[kind].split())
            found.update((own + end, f"{verb}<") for end in _PAST[kind].split())
            if kind == "ar" and own[-1] in _BEFORE_E:  # «pague», «aplique», «empiece»
                found[own[:-1] + _BEFORE_E[own[-1]] + "é"] = f"{verb}<"
                found |= {own[:-1] + _BEFORE_E[own[-1]] + end: verb for end in ("en", "es", "emos")}
            for form in (s[1:] for s in extra if s.startswith("=")):
                mark = form[-1] if form[-1] in "<+" else ""
                found[form.rstrip("<+")] = verb + mark
        found |= {plain(form): verb for form, verb in found.items() if plain(form) not in found and form[-1] not in "ó"}
        for word in self.words("not_verbs"):
            found.pop(word, None)
        return found

    @cached_property
    def same(self) -> dict[str, str]:
        return {other: word if word[0].isupper() else singular(word) for word, others in self.raw["same"].items() for other in others.split()}

    @cached_property
    def kinds(self) -> dict[str, str]:
        return {self.noun(word): kind for kind, words in self.raw["kinds"].items() for word in words.split()}

    @cached_property
    def bare(self) -> frozenset[str]:
        return frozenset(map(self.noun, self.words("bare")))

    @cached_property
    def of_something(self) -> frozenset[str]:
        return frozenset(map(self.noun, self.words("of_something")))

    @cached_property
    def circumstances(self) -> frozenset[str]:
        return frozenset(map(self.noun, self.words("circumstances")))

    @cached_property
    def relations(self) -> frozenset[str]:
        return frozenset(map(self.noun, self.words("relations")))

    @cached_property
    def implied(self) -> dict[str, frozenset[str]]:
        return {self.noun(word): frozenset(map(self.noun, more.split())) for word, more in self.raw["implied"].items()}

    @cached_property
    def rules(self) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
        return tuple(tuple(frozenset(map(self._named, side.split())) for side in rule) for rule in self.raw["rules"])  # type: ignore[misc]

    def _named(self, mark: str) -> str:
        return mark if mark[0] in "@-" else self.noun(mark)

    @cached_property
    def phrases(self) -> Tree:
        tree: Tree = {}
        name = ""
        for line in self.raw["phrases"].splitlines():
            if not line.lstrip().startswith("- "):
                name, _, line = line.partition(":")
                line = line.strip().removeprefix("[").removesuffix("]")
            for phrase in _split(line.strip().removeprefix("- ")):
                _grow(tree, phrase, tuple(map(self._named, name.split())))
        return tree

    @cached_property
    def courtesies(self) -> Tree:
        tree: Tree = {}
        for phrase in self.raw["courtesy"]:
            _grow(tree, phrase, ())
        return tree

    @cached_property
    def numbers(self) -> dict[str, int]:
        found = {plain(cardinal(n, gender)): n for n in (*range(2, 30), *range(30, 100, 10), *range(200, 1000, 100))
                 for gender in ("", "f")}  # fmt: skip
        return found | {"cero": 0, "cien": 100, "ciento": 100, "veintiun": 21}

    def noun(self, word: str) -> str:
        """The word that stands for this one: without plural, and one for all that mean the same."""
        if word[0].isupper() or "_" in word:
            return word
        if word in self.same:
            return self.same[word]
        one = singular(word)
        return self.same.get(one, one)

    def verb(self, accented: str, word: str) -> str:
        """The verb that this is a form of, "" for none; `accented`: the same word as it was written."""
        return self.forms.get(accented) or self.forms.get(word, "")


def _read(path: Path) -> Vocabulary:
    return Vocabulary(data_files.data(path))


def _split(line: str) -> list[str]:
    """At commas; a phrase has none."""
    return [phrase.strip() for phrase in line.split(",") if phrase.strip()]


def _grow(tree: Tree, phrase: str, names: tuple[str, ...]) -> None:
    for words in _expanded(iter(_NODE.findall(phrase))):
        node, stay = tree, 0
        for word in words:
            stay += word.endswith("+")
            node = node.setdefault(word.rstrip("+"), {})
        if words:
            node[END] = (names, stay)


def _expanded(tokens: Iterator[str], closing: str = "") -> list[tuple[str, ...]]:
    """Every sequence of words that a pattern allows; of the words that only have to follow each ends with a plus."""
    ways: list[tuple[str, ...]] = []
    current: list[tuple[str, ...]] = [()]
    last: list[tuple[str, ...]] = []
    before = current
    for token in tokens:
        if token in ("[", "("):
            last = _expanded(tokens, "]" if token == "[" else ")")
            last = [*last, ()] if token == "[" else last
            before, current = current, [a + b for a in current for b in last]
        elif token == "+":
            current = [a + tuple(f"{word}+" for word in b) for a in before for b in last]
        elif token == "|":
            ways, current = ways + current, [()]
        elif token == closing:
            break
        else:
            last, before = [(token,)], current
            current = [(*a, token) for a in current]
    return list(dict.fromkeys(ways + current))
