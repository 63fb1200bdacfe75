"""What two prompts answer to the same questions of the same customer, and where the answers differ. Simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from clara_kit.lab.briefings import Customer, Template, replies

Piece = tuple[str, bool]
"""Some words, and whether the other answer lacks them."""


@dataclass(frozen=True)
class Pair:
    """A question and the two answers to it."""

    question: str
    left: str
    right: str

    @property
    def same(self) -> bool:
        """Whether both say the same words."""
        return self.left.split() == self.right.split()

    def pieces(self) -> tuple[list[Piece], list[Piece]]:
        """Both answers in pieces, in order."""
        return marked(self.left, self.right)


def marked(left: str, right: str) -> tuple[list[Piece], list[Piece]]:
    """Two texts in pieces, in order, word by word."""
    one, other = left.split(), right.split()
    found: tuple[list[Piece], list[Piece]] = ([], [])
    for what, a, b, c, d in SequenceMatcher(a=one, b=other, autojunk=False).get_opcodes():
        for pieces, words in zip(found, (one[a:b], other[c:d]), strict=True):
            if words:
                pieces.append((" ".join(words), what != "equal"))
    return found


def answers(questions: Sequence[str], customer: Customer, left: Template, right: Template) -> tuple[Pair, ...]:
    """One pair for each question that is not blank; each is the first of a conversation of its own."""
    asked = [q.strip() for q in questions if q.strip()]
    return tuple(Pair(q, *(str(replies([q], customer, t).frame[0, 1]) for t in (left, right))) for q in asked)
