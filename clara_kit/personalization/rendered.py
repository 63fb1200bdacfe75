"""A rendered template: the prompt and the greeting for one customer, and which of their words are the customer's.

Comes after `prompt_template.py`; `lab/briefings.py` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from clara_kit.core.prompt import Prompt
from clara_kit.personalization.template_check import END, FROM_CUSTOMER, FROM_SHOP

Part = Literal["static", "personal", "greeting"]
Mark = Literal["customer", "given"]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of one part, and whose words they are."""

    part: Part
    start: int
    end: int
    source: Literal["customer", "shop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What Clara is told of a customer, and how she greets. `spans`: whose words stand where."""

    prompt: Prompt
    greeting: str
    template: str  # e.g. "warm v1"
    template_hash: str
    spans: tuple[Span, ...] = ()

    @property
    def personal_spans(self) -> tuple[Span, ...]:
        """Where words stand that come from the customer's profile, or were chosen by it."""
        return tuple(s for s in self.spans if s.source == "customer")

    def text(self, part: Part) -> str:
        """The text of one part."""
        return self.greeting if part == "greeting" else str(getattr(self.prompt, part))

    def pieces(self, part: Part, sentences: Iterable[str] = ()) -> Iterator[tuple[str, frozenset[Mark]]]:
        """The text of a part, cut where marks begin and end; joined it is the text.

        customer: words of the profile, or chosen by it. given: inside one of `sentences`, but for what the shop sells.
        """
        text = self.text(part)
        marks: list[frozenset[Mark]] = [frozenset()] * len(text)
        shop = {i for s in self.spans if s.part == part and s.source == "shop" for i in range(s.start, s.end)}
        for start, end in _places(text, sentences):
            for i in set(range(start, end)) - shop:
                marks[i] |= {"given"}
        for span in self.personal_spans:
            for i in range(span.start, span.end) if span.part == part else ():
                marks[i] |= {"customer"}
        start = 0
        for end in range(1, len(text) + 1):
            if end == len(text) or marks[end] != marks[start]:
                piece = text[start:end]  # a colon between two products is no instruction
                yield piece, marks[start] if any(map(str.isalnum, piece)) else marks[start] - {"given"}
                start = end


def _places(text: str, sentences: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where the sentences stand, each after the one before."""
    at = 0
    for sentence in sentences:
        start = text.find(sentence, at)
        if start >= 0:
            at = start + len(sentence)
            yield start, at


def tidy(marked: str, part: Part) -> tuple[str, tuple[Span, ...]]:
    """Text without marks and without the white space that conditions leave behind, and the spans of the marks.

    A greeting becomes one line; elsewhere lines stay, with at most one empty line between them.
    """
    out: list[str] = []
    spans: list[Span] = []
    began, source = 0, ""
    for char in marked:
        if char in (FROM_CUSTOMER, FROM_SHOP):
            began, source = len(out), char
        elif char == END:
            if len(out) > began:
                spans.append(Span(part, began, len(out), "customer" if source == FROM_CUSTOMER else "shop"))
        elif not char.isspace():
            out.append(char)
        elif char == "\n" and part != "greeting":
            while out and out[-1] == " ":
                out.pop()
            if out and out[-2:] != ["\n", "\n"]:
                out.append("\n")
        elif out and not out[-1].isspace():
            out.append(" ")
    text = "".join(out).rstrip()
    ends = ((s, min(s.end, len(text))) for s in spans)
    return text, tuple(Span(part, s.start, end, s.source) for s, end in ends if end > s.start)
