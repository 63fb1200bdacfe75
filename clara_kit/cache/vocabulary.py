"""The words of `words.yml`, made ready: which form belongs to which verb, what means the same, and the phrases as a tree.

Read once, when the first question is asked. `meaning.py` applies it; what the words are, the file alone decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from clara_kit import data_files
from clara_kit.audio.numbers import cardinal
from clara_kit.core.errors import ClaraError
from clara_kit.core.paths import DATA

_CATALOG = DATA / "catalog" / "products.json"
_NAME = re.compile(r"(?<=\s)[A-ZÁÉÍÓÚÑ][^\W\d]+(?: (?:[a-z]+ )?[A-ZÁÉÍÓÚÑ][^\W\d]+)+$")
FILE = Path(__file__).with_name("words.yml")
Node = dict[str, Any]  # a word to where it leads, each with whether it only has to follow
_Item = tuple[Any, bool, bool]
END = ""  # of a phrase: what it becomes
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
    titles: tuple[str, ...] = ()  # of the shop's products

    @classmethod
    def load(cls) -> Vocabulary:
        """The kit's, read once."""
        return _kit()

    def words(self, name: str) -> frozenset[str]:
        """The words of one list."""
        if name not in self._lists:
            self._lists[name] = frozenset(self.raw[name].split())
        return self._lists[name]

    def nouns(self, name: str) -> frozenset[str]:
        """The words of one list, each as the one that stands for it."""
        if name not in self._nouns:
            self._nouns[name] = frozenset(map(self.noun, self.words(name)))
        return self._nouns[name]

    @cached_property
    def _lists(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _nouns(self) -> dict[str, frozenset[str]]:
        return {}

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
        return {
            other: word if word[0].isupper() else singular(word)
            for word, others in self.raw["same"].items()
            for other in others.split()
        }

    @cached_property
    def kinds(self) -> dict[str, str]:
        kinds = {self.noun(word): kind for kind, words in self.raw["kinds"].items() for word in words.split()}
        return kinds | dict.fromkeys(self.product_names, "product")

    @cached_property
    def implied(self) -> dict[str, frozenset[str]]:
        said = {self.noun(word): frozenset(map(self.noun, more.split())) for word, more in self.raw["implied"].items()}
        return said | {name: frozenset((thing,)) for name, (_, thing) in self.product_names.items()}

    @cached_property
    def rules(self) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
        return tuple(tuple(frozenset(map(self._named, side.split())) for side in rule) for rule in self.raw["rules"])  # type: ignore[misc]

    def _named(self, mark: str) -> str:
        return mark if mark[0] in "@-" else self.noun(mark)

    @cached_property
    def phrases(self) -> Node:
        tree: Node = {}
        name = ""
        for line in self.raw["phrases"].splitlines():
            if not line.lstrip().startswith("- "):
                name, _, line = line.partition(":")
                line = line.strip().removeprefix("[").removesuffix("]")
            for phrase in _split(line.strip().removeprefix("- ")):
                _grow(tree, phrase, tuple(map(self._named, name.split())))
        for mark, (words, _) in self.product_names.items():
            _grow(tree, " ".join(words), (mark,))
        return tree

    @cached_property
    def product_names(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Names of several words («Noche Serena», «Sol Ligero»): the words, and what such a thing is («crema»)."""
        found = {}
        for title in self.titles:
            if name := _NAME.search(title):
                words = tuple(plain(name[0]).split())
                found["_".join(words)] = words, self.noun(plain(title.split()[0]))
        return found

    @cached_property
    def named(self) -> frozenset[str]:
        """The words of the shop's own in its products' names, by which a customer may call them: «aurora», «nube»."""
        return frozenset(
            plain(word) for title in self.titles for word in title.split()[1:] if word[0].isupper() and len(word) > 3
        )

    @cached_property
    def courtesies(self) -> Node:
        tree: Node = {}
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


@lru_cache(maxsize=1)
def _kit() -> Vocabulary:
    try:
        nodes = data_files.data(_CATALOG)["products"]["nodes"]
        titles = tuple(str(node["title"]) for node in nodes)
    except (ClaraError, KeyError, TypeError):
        titles = ()  # whoever reads the catalogue says what is wrong with it
    return Vocabulary(data_files.data(FILE), titles)


def _split(line: str) -> list[str]:
    """At commas; a phrase has none."""
    return [phrase.strip() for phrase in line.split(",") if phrase.strip()]


def _grow(root: Node, phrase: str, names: tuple[str, ...]) -> None:
    """One more phrase: a path from the root for each way of saying it, joined again behind every choice."""
    for end in _built([root], _parsed(iter(_NODE.findall(phrase)))[0], {}):
        if end is not root:
            end[END] = names


def _parsed(tokens: Iterator[str], closing: str = "") -> list[list[_Item]]:
    """The ways of saying it, each a list of choices: (ways, may be missing, must only follow)."""
    ways: list[list[_Item]] = [[]]
    for token in tokens:
        if token in ("[", "("):
            ways[-1].append((_parsed(tokens, "]" if token == "[" else ")"), token == "[", False))
        elif token == "|":
            ways.append([])
        elif token == closing:
            break
        elif token == "+":
            choice, missing, _ = ways[-1].pop()
            ways[-1].append((choice, missing, True))
        else:
            ways[-1].append((token, False, False))
    return ways


def _built(starts: list[Node], way: list[_Item], join: Node, follows: bool = False) -> list[Node]:
    """Where one way ends that begins at `starts`; its last word leads to `join`."""
    for n, (choice, missing, only_follows) in enumerate(way):
        behind: Node = join if n == len(way) - 1 else {}
        stays = follows or only_follows
        if isinstance(choice, str):
            for node in starts:
                node.setdefault(choice, []).append((behind, stays))
            starts = [behind]
            continue
        ends = [end for one in choice for end in _built(starts, one, behind, stays)] + (starts if missing else [])
        starts = list({id(end): end for end in ends}.values())
    return starts
