"""A template as the sentences that a designer writes, each with the place where it stands; and back, without loss.

Beside `language.py`: that says what is allowed, this shows what is there, also in a text that is not right yet. A field
is a run of lines under the same conditions, in the form of `braces.py`. Whatever would not come back byte for byte is
shown as it stands and stays locked. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from clara_kit.core.errors import TemplateError
from clara_kit.prompts.braces import shown, source_of, spelled_in
from clara_kit.prompts.file import front_end
from clara_kit.prompts.language import PART_NAME
from clara_kit.prompts.tags import TOKEN, Condition, Node, tree

Section = Literal["greeting", "tone", "when", "rails"]
_SECTIONS: dict[str, Section] = {"greeting": "greeting", "personal": "when", "static": "tone"}
_INCLUDE = re.compile(r"include\s+(?:'([^']*)'|\"([^\"]*)\")")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Characters `start` to `end` of a template, or of the `part` that is included at `included`, as a designer reads them.

    locked: it has no form as a sentence, and can only be changed in the template.
    """

    section: Section
    text: str
    start: int
    end: int
    when: tuple[Condition, ...] = ()
    part: str = ""
    included: tuple[int, int] = (0, 0)
    locked: bool = False


def fields(source: str, names: Mapping[str, str], part: Callable[[str], str]) -> tuple[Field, ...]:
    """Every field, in the order of the template. Raises `TemplateError` where its tags do not fit together.

    source: with plain newlines. names: how an expression is called, as {"first_name": "first name"}. part: the text of
    a part by its name; raises `ClaraError` where there is none.
    """
    found: list[Field] = []
    for block in tree(source, front_end(source)):
        if block.kind == "block" and block.said in _SECTIONS:
            for _, start, end, nodes in block.inside:
                found += _Reading(source, names, part, _SECTIONS[block.said]).of(nodes, start, end, ())
    return tuple(found)


def with_text(source: str, field: Field, text: str, names: Mapping[str, str], part: Callable[[str], str]) -> str:
    """The template with this text in the field's place, and not one character else.

    A field of a part first puts the whole part in the place of its `include`: the part's file stays as it is, for the
    other templates. Raises `TemplateError` for braces or brackets that make no sense.
    """
    if field.locked or text == field.text:
        return source
    whole = part(field.part) if field.part else source
    raw = source_of(text.strip(), names, spelled_in(whole[field.start : field.end], names))
    fresh = f"{whole[: field.start]}{raw}{whole[field.end :]}"
    return f"{source[: field.included[0]]}{fresh}{source[field.included[1] :]}" if field.part else fresh


# --- the fields of one block --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reading:
    source: str
    names: Mapping[str, str]
    part: Callable[[str], str]
    section: Section

    def of(
        self, nodes: Sequence[Node], start: int, end: int, when: tuple[Condition, ...], *, inner: bool = False
    ) -> list[Field]:
        """The fields between two places, in order; an empty one where nothing stands there yet."""
        found: list[Field] = []
        at = start
        for n, node in enumerate(nodes):
            if node.kind not in ("if", "for", "block", "include") or self._in_a_line(nodes, n):
                continue
            found += self._run(at, node.start, when)
            at = node.end
            if node.kind == "include":
                found += self._included(node, when)
            for condition, first, last, inside in node.inside:
                found += self.of(inside, first, last, (*when, condition) if condition else when)
        found += self._run(at, end, when)
        if not found and not inner:
            blank = re.match(r"[ \t]*\n", self.source[start:end])
            at = start + (blank.end() if blank else 0)
            found = [Field(section=self.section, text="", start=at, end=at, when=when)]
        return found

    def _in_a_line(self, nodes: Sequence[Node], n: int) -> bool:
        """Whether a condition is part of a sentence: one branch, in one line, beside words."""
        node = nodes[n]
        if node.kind != "if" or len(node.inside) > 1 or "\n" in self.source[node.start : node.end]:
            return False
        inside = node.inside[0][3]
        if not all(one.kind in ("text", "hole") or self._in_a_line(inside, i) for i, one in enumerate(inside)):
            return False
        before, after = (nodes[n - 1] if n else None), (nodes[n + 1] if n + 1 < len(nodes) else None)
        return any(
            beside is not None
            and (beside.kind == "hole" or (beside.kind == "text" and self._words(beside).split("\n")[line].strip()))
            for beside, line in ((before, -1), (after, 0))
        )

    def _words(self, node: Node) -> str:
        return self.source[node.start : node.end]

    def _included(self, node: Node, when: tuple[Condition, ...]) -> list[Field]:
        """The fields of a part, and what of the template makes place for it: the tag with its line, as Jinja trims it."""
        match = _INCLUDE.fullmatch(node.said)
        name = (match[1] or match[2]) if match else ""
        plain = self._words(node)[2] not in "-+" and self._words(node)[-3] not in "-+"
        if not (PART_NAME.fullmatch(name) and plain):
            return [self._locked(node.start, node.end, when)]
        line = self.source.rfind("\n", 0, node.start) + 1
        at = line if not self.source[line : node.start].strip(" \t") else node.start
        to = node.end + (self.source[node.end : node.end + 1] == "\n")
        text = self.part(name)
        reading = _Reading(text, self.names, self.part, self.section)
        inside = reading.of(tree(text, 0), 0, len(text), when, inner=True)
        return [replace(field, part=name, included=(at, to)) for field in inside]

    def _run(self, start: int, end: int, when: tuple[Condition, ...]) -> Iterator[Field]:
        """Lines between two tags: a list with its heading is one field, every other line is one of its own."""
        group: list[tuple[int, int]] = []
        for first, last in (*_lines(self.source, start, end), (end, end)):
            line = self.source[first:last].strip()
            if group and not (line and (line.startswith(("-", "*", "•")) or self._last(group).endswith(":"))):
                yield self._field(group[0][0], group[-1][1], when)
                group = []
            if line:
                group.append((first, last))

    def _last(self, group: list[tuple[int, int]]) -> str:
        return self.source[group[-1][0] : group[-1][1]].rstrip()

    def _field(self, start: int, end: int, when: tuple[Condition, ...]) -> Field:
        raw = self.source[start:end]
        start, end = start + len(raw) - len(raw.lstrip()), start + len(raw.rstrip())
        raw = self.source[start:end]
        section = self.section
        if section == "tone" and (when or re.search(r"(?m)^[ \t]*[-*•]", raw)):
            section = "rails"
        text = shown(raw, self.names)
        try:
            back = source_of(text, self.names, spelled_in(raw, self.names)) if text is not None else ""
        except TemplateError:
            back = ""
        if text is None or back != raw:
            return self._locked(start, end, when)
        return Field(section=section, text=text, start=start, end=end, when=when)

    def _locked(self, start: int, end: int, when: tuple[Condition, ...]) -> Field:
        raw = self.source[start:end]
        return Field(section=self.section, text=raw, start=start, end=end, when=when, locked=True)


def _lines(source: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The lines between two places; a newline inside of a tag ends none."""
    ends = [m.span() for m in TOKEN.finditer(source, start, end)]
    at = start
    for match in re.compile(r"\n").finditer(source, start, end):
        if not any(first <= match.start() < last for first, last in ends):
            yield at, match.start()
            at = match.end()
    yield at, end
