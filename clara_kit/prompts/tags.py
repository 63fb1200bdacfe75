"""The tags of a template with their exact places, as a tree; also of a text that is not right yet.

Jinja's own tree knows lines alone, and drops the white space that its tags take with them. Comes before `fields.py`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from clara_kit.core.errors import TemplateError
from clara_kit.prompts.refusals import refusal

_QUOTED = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
TOKEN = re.compile(
    rf"(?s)(?P<odd>\{{#.*?#\}}|\{{%[-+]?\s*raw\s*-?%\}}.*?\{{%[-+]?\s*endraw\s*[-+]?%\}})"
    rf"|\{{%(?P<tag>(?:{_QUOTED}|(?!%\}}).)*)%\}}|\{{\{{(?P<hole>(?:{_QUOTED}|(?!\}}\}}).)*)\}}\}}"
)
_FOR = re.compile(r"for\s+(\w+)\s+in\s+(.*)", re.DOTALL)
_WORDLESS = re.compile(r"\{%.*?%\}|\{#.*?#\}")


class Condition(NamedTuple):
    """One condition above a field. tests: one, or, of an `else`, those that were not true; of a loop, what it goes through."""

    kind: Literal["if", "elif", "else", "each"]
    tests: tuple[str, ...]


class Node(NamedTuple):
    """A piece of a template: text, hole, odd, include, or (with `inside`) a block, a condition's branches, a loop."""

    kind: str
    start: int
    end: int
    said: str = ""
    inside: tuple[tuple[Condition | None, int, int, tuple[Node, ...]], ...] = ()


def tree(source: str, start: int) -> tuple[Node, ...]:
    """What stands after this place. Raises `TemplateError` where the tags do not fit together."""
    tokens = [*tokens_of(source, start)]
    nodes, at = _several(tokens, 0, ())
    if at < len(tokens):
        raise _unfit(source, tokens[at])
    return nodes


def _unfit(source: str, token: Node) -> TemplateError:
    line = source.count("\n", 0, token.start) + 1
    return refusal("syntax", file="template", line=line, why="its tags do not fit together.")


def tokens_of(source: str, at: int) -> Iterator[Node]:
    """Texts, holes and tags from this place on; joined they are the source."""
    for match in TOKEN.finditer(source, at):
        if match.start() > at:
            yield Node("text", at, match.start())
        at = match.end()
        if match["odd"] is not None:
            yield Node("odd", *match.span())
        elif match["hole"] is not None:
            said = match["hole"]
            yield Node("odd" if said[:1] in "-+" or said[-1:] in "-+" else "hole", *match.span(), said.strip())
        else:
            said = match["tag"].strip("-+ \t\n")
            word = (said.split() or [""])[0]
            known = ("if", "elif", "else", "endif", "for", "endfor", "block", "endblock", "include")
            yield Node(word if word in known else "odd", *match.span(), said)
    if at < len(source):
        yield Node("text", at, len(source))


def newlines_kept(source: str) -> str:
    """The same for Jinja, where a sentence that ends with `{% endif %}` keeps its newline: the next is not glued to it."""
    out, at = "", 0
    for match in TOKEN.finditer(source):
        before = source[source.rfind("\n", 0, match.start()) + 1 : match.start()]
        ends = (match["tag"] or "").strip() in ("endif", "endfor") and source[match.end() : match.end() + 1] == "\n"
        if ends and _WORDLESS.sub("", before).strip():
            out, at = f"{out}{source[at : match.end() - 2]}+%}}", match.end()
    return out + source[at:]


def _several(tokens: Sequence[Node], at: int, ends: tuple[str, ...]) -> tuple[tuple[Node, ...], int]:
    nodes: list[Node] = []
    while at < len(tokens) and tokens[at].kind not in ("elif", "else", "endif", "endfor", "endblock"):
        if tokens[at].kind in ("if", "for", "block"):
            node, at = _nested(tokens, at)
            nodes.append(node)
        else:
            nodes.append(tokens[at])
            at += 1
    if ends and (at >= len(tokens) or tokens[at].kind not in ends):
        raise refusal("syntax", file="template", why=f"{{% {ends[-1]} %}} is missing.")
    return tuple(nodes), at


def _nested(tokens: Sequence[Node], at: int) -> tuple[Node, int]:
    opened, tag, end = tokens[at], tokens[at], f"end{tokens[at].kind}"
    tests: list[str] = []
    branches = []
    while tag.kind != end:
        test = tag.said.removeprefix(tag.kind).strip()
        if tag.kind == "for":
            loop = _FOR.fullmatch(tag.said)
            test = loop[2].strip() if loop else test
        condition: Condition | None = None
        if tag.kind == "else":
            condition = Condition("else", tuple(tests))
        elif tag.kind != "block":
            condition = Condition("each" if tag.kind == "for" else "elif" if tag.kind == "elif" else "if", (test,))
            tests.append(test)
        more = (end,) if tag.kind in ("else", "block") else ("elif", "else", end)
        inside, at = _several(tokens, at + 1, more)
        branches.append((condition, tag.end, tokens[at].start, inside))
        tag = tokens[at]
    name = opened.said.split()[1] if opened.kind == "block" and len(opened.said.split()) > 1 else ""
    return Node(opened.kind, opened.start, tag.end, name, tuple(branches)), at + 1
