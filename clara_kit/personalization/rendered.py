"""A rendered template: the prompt and the greeting for one customer, and which of their words are the customer's.

Shows itself in a notebook: the customer's words highlighted, and, if whoever rendered it says how, the instructions
that the offline brain cannot sense underlined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from clara_kit.core.prompt import Prompt
from clara_kit.personalization.template_check import END, FROM_CUSTOMER, FROM_SHOP

Part = Literal["static", "personal", "greeting"]

_NAMES: dict[Part, str] = {
    "static": "Static part, the same for everyone",
    "personal": "Personal part",
    "greeting": "Greeting, as it is spoken",
}
_STYLE = {
    "customer": "background:#ffe9a8;color:#222;border-radius:3px",
    "unsensed": "text-decoration:underline dotted #c0392b;text-underline-offset:3px",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of one part, and whose words they are."""

    part: Part
    start: int
    end: int
    source: Literal["customer", "shop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What Clara is told of a customer, and how she greets. `unsensed`: sentences that mean nothing offline."""

    prompt: Prompt
    greeting: str
    template: str  # e.g. "warm v1"
    template_hash: str
    spans: tuple[Span, ...] = ()
    unsensed: tuple[str, ...] = ()

    @property
    def personal_spans(self) -> tuple[Span, ...]:
        """Where words stand that come from the customer's profile, or were chosen by it."""
        return tuple(s for s in self.spans if s.source == "customer")

    def text(self, part: Part) -> str:
        """The text of one part."""
        return self.greeting if part == "greeting" else str(getattr(self.prompt, part))

    def _repr_html_(self) -> str:
        shown = "".join(
            f"<b>{_NAMES[part]}</b><pre style='white-space:pre-wrap;margin:4px 0 12px'>{self._marked(part)}</pre>"
            for part in _NAMES
        )
        key = f"<span style='{_STYLE['customer']}'>from the customer's profile</span>"
        if self.unsensed:
            key += f" · <span style='{_STYLE['unsensed']}'>the offline brain cannot sense this</span>"
        return f"<div><b>{escape(self.template)}</b> ({self.template_hash}) · {key}<br><br>{shown}</div>"

    def _marked(self, part: Part) -> str:
        """The text as HTML; each character has the styles of the spans it lies in."""
        text = self.text(part)
        styles: list[tuple[str, ...]] = [()] * len(text)
        shop = {i for s in self.spans if s.part == part and s.source == "shop" for i in range(s.start, s.end)}
        for start, end in self._unsensed_in(text) if part != "greeting" else ():
            for i in set(range(start, end)) - shop:  # what the shop sells is no instruction
                styles[i] += ("unsensed",)
        for span in self.personal_spans:
            if span.part == part:
                for i in range(span.start, span.end):
                    styles[i] += ("customer",)
        return "".join(_runs(text, styles))

    def _unsensed_in(self, text: str) -> Iterator[tuple[int, int]]:
        at = 0
        for sentence in self.unsensed:
            start = text.find(sentence, at)
            if start >= 0:
                at = start + len(sentence)
                yield start, at


def _runs(text: str, styles: Sequence[tuple[str, ...]]) -> Iterator[str]:
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or styles[end] != styles[start]:
            piece = escape(text[start:end])
            css = ";".join(_STYLE[s] for s in styles[start])
            yield f"<span style='{css}'>{piece}</span>" if css else piece
            start = end


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
