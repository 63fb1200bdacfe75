"""One sentence of a template as a designer reads it, and what the template writes for it.

`{{ first_name }}` is `{first name}`; `{% if first_name %}, {{ first_name }}{% endif %}` is `[, {first name}]`: said only
where the hole inside is known, or, with `[{concerns}? …]`, where that is. Between `tags.py` and `fields.py`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from clara_kit.prompts.file import VARIABLES
from clara_kit.prompts.refusals import near, refusal
from clara_kit.prompts.tags import tokens_of

_MARKS = re.compile(r"\{([^{}]*)\}|\[(?:\{([^{}]*)\}\? )?|\]|[{}]")


def shown(raw: str, names: Mapping[str, str]) -> str | None:
    """What a designer reads; None where there is something that has no form for it."""
    out: list[str] = []
    opened: list[tuple[int, str]] = []  # where in `out` a bracket stands, and its test
    for token in tokens_of(raw, 0):
        words = raw[token.start : token.end]
        if token.kind == "text":
            if re.search(r"[\[\]{}]", words):
                return None
            out.append(words)
        elif token.kind == "hole":
            out.append(f"{{{names.get(token.said, token.said)}}}")
        elif token.kind == "if":
            test = token.said.removeprefix("if").strip()
            opened.append((len(out), test))
            out.append("[")
        elif token.kind == "endif" and opened:
            at, test = opened.pop()
            if _first_hole("".join(out[at + 1 :]), names) != test:
                out[at] = f"[{{{names.get(test, test)}}}? "
            out.append("]")
        else:
            return None
    return "".join(out)


def _first_hole(said: str, names: Mapping[str, str]) -> str:
    """What must be known for the first hole of a bracket to say anything."""
    match = re.search(r"\{([^{}]*)\}", said)
    return _base(_back(names).get(match[1], match[1])) if match else ""


def _back(names: Mapping[str, str]) -> dict[str, str]:
    return {label: said for said, label in names.items()}


def _base(said: str) -> str:
    """An expression without its filters: what must not be empty."""
    depth = 0
    for n, char in enumerate(said):
        depth += (char in "([") - (char in ")]")
        if char == "|" and not depth:
            return said[:n].strip()
    return said.strip()


def spelled_in(raw: str, names: Mapping[str, str]) -> dict[str, str]:
    """How this text writes each of its holes: `{{first_name}}` stays so."""
    return {names.get(t.said, t.said): raw[t.start : t.end] for t in tokens_of(raw, 0) if t.kind == "hole"}


def source_of(text: str, names: Mapping[str, str], spelled: Mapping[str, str]) -> str:
    """What a template writes for it. Raises `TemplateError`."""
    back = _back(names)
    out: list[str] = []
    opened: list[tuple[int, str]] = []
    at = 0
    for match in _MARKS.finditer(text):
        between = text[at : match.start()]
        out.append(between)
        at = match.end()
        mark = match.group()
        if opened and "\n" in between:
            raise refusal("bracket")
        if mark in ("{", "}") or (mark[0] == "{" and (not match[1].strip() or match[1].strip()[0] in "%#{-+")):
            raise refusal("brace")
        if mark[0] == "{":
            label = match[1]
            said = back.get(label.strip(), label.strip())
            if re.fullmatch(r"[\w ]+", said) and said not in VARIABLES and label not in spelled:
                raise refusal("hole", name=said, near=near(said, back))
            out.append(spelled.get(label) or f"{{{{ {said} }}}}")
            for n, (place, test) in enumerate(opened):
                opened[n] = (place, test or _base(said))
        elif mark[0] == "[":
            opened.append((len(out), back.get(match[2], match[2]) if match[2] else ""))
            out.append("")
        elif not opened or not opened[-1][1]:
            raise refusal("bracket")
        else:
            place, test = opened.pop()
            out[place] = f"{{% if {test} %}}"
            out.append("{% endif %}")
    if opened:
        raise refusal("bracket")
    return "".join((*out, text[at:]))
