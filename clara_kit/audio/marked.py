"""A text that is rewritten step by step, each letter keeping the place in the original that it comes from. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

Span: TypeAlias = tuple[int, int]
Say: TypeAlias = Callable[[re.Match[str]], str | None]
Rule: TypeAlias = tuple[re.Pattern[str], Say]  # what a rule says for a match; None: nothing, the match stands


class Rules:
    """Rules in order, compiled when they are first used: an import would wait for a hundred patterns."""

    def __init__(self, each: tuple[Any, ...]) -> None:
        self._each = each

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._compiled)

    @cached_property
    def _compiled(self) -> tuple[Rule, ...]:
        return tuple(
            (re.compile(pattern, *flags), say if callable(say) else lambda _, said=say: said)
            for pattern, say, *flags in self._each
        )


def rules(*each: Any) -> Rules:
    """(pattern, what to say: a text or a function, flags of the pattern if any) each."""
    return Rules(each)


_PLACES = 0xE000  # private letters that stand for what rules must not touch, until `filled`
_PLACE = re.compile("[\ue000-\uf8ff]")


def place(claimed: list[str], said: str) -> str:
    """A letter that stands for `said`, which no rule will touch."""
    claimed.append(said)
    return chr(_PLACES + (len(claimed) - 1) % 6400)


@dataclass(frozen=True, slots=True)
class Marked:
    """spans: for each letter of `text` where the written letters lie that it came from."""

    text: str
    spans: Sequence[Span]

    @classmethod
    def of(cls, written: str) -> Marked:
        """A text as it was written, but with composed accents and plain letters («𝐇» is «H»), without what has no width."""
        letters: list[str] = []
        spans: list[Span] = []
        for at, letter in enumerate(written):
            kind = unicodedata.category(letter)
            if kind == "Mn" and letters:
                whole = unicodedata.normalize("NFC", letters[-1] + letter)
                if len(whole) == 1:
                    letters[-1], spans[-1] = whole, (spans[-1][0], at + 1)
                continue
            if kind == "Cf" or (kind == "Mn" and not letters):
                continue
            if letter in "\u2010\u2011":  # hyphens
                letter = "-"
            elif "\uff01" <= letter <= "\uff5e" or "\U0001d400" <= letter <= "\U0001d7ff":
                letter = unicodedata.normalize("NFKC", letter)
            letters.append(" " if kind in ("Cs", "Co", "Cn") or (kind == "Cc" and letter != "\n") else letter)
            spans.append((at, at + 1))
        return cls("".join(letters), spans)

    def sub(self, pattern: re.Pattern[str], say: Say) -> Marked:
        """`pattern.sub`; what is said for a match is kept apart from letters beside it by a blank."""
        letters: list[str] = []
        spans: list[Span] = []
        end = 0
        for match in pattern.finditer(self.text):
            said = say(match)
            if said is None or match.start() == match.end():
                continue
            before, after = self.text[end : match.start()], self.text[match.end() : match.end() + 1]
            if said and said[0].isalnum() and (before or "".join(letters[-1:]))[-1:].isalnum():
                said = " " + said
            if said and said[-1].isalnum() and after.isalnum():
                said += " "
            covered = self.spans[match.start()][0], self.spans[match.end() - 1][1]
            letters += before, said
            spans += [*self.spans[end : match.start()], *[covered] * len(said)]
            end = match.end()
        if not letters:
            return self
        return Marked("".join((*letters, self.text[end:])), [*spans, *self.spans[end:]])

    def rewritten(self, rules: Iterable[Rule]) -> Marked:
        """By each rule in turn."""
        marked = self
        for pattern, say in rules:
            marked = marked.sub(pattern, say)
        return marked

    def filled(self, claimed: Sequence[str]) -> Marked:
        """With what the places stand for."""
        return self.sub(_PLACE, lambda match: claimed[ord(match[0]) - _PLACES]) if claimed else self
