"""A template's file: front matter in YAML, then the body; where files lie, and which version is the newest.

Comes before `template_check.py`, which reads the body. Every error names the line as an editor counts it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clara_kit import data_files
from clara_kit.core.errors import TemplateError
from clara_kit.core.paths import DATA

SHIPPED = DATA / "prompts"
MINE = SHIPPED / "mine"
PARTS = SHIPPED / "parts"
SOURCE_CHARS = 20_000

VARIABLES = {
    "first_name": "the customer's first name, or empty",
    "skin_type": "seca, grasa, mixta, sensible or normal, or empty",
    "concerns": "what worries the customer about the skin, in lower case; a list, perhaps empty",
    "purchases": "what was bought, newest first: .title, .days_ago, .quantity; a list, perhaps empty",
    "recommended": "products that fit, best first: .title, .price_clp, .reasons …; a list, perhaps empty",
    "catalog": "the products in stock: .title, .kind, .price_clp, .skin_types, .concerns, .ingredients …",
    "customer_data": "all that is known of the customer, fenced as data; empty when nothing is",
}
"""Every variable a template may declare, and what it holds."""

_FRONT = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)", re.DOTALL)
_ID = re.compile(r"[a-z][a-z0-9_]*")
_VERSIONED = re.compile(r"(?P<id>[a-z][a-z0-9_]*)\.v(?P<version>\d+)\.md")
_FIELDS = ("id", "version", "description", "variables")


@dataclass(frozen=True, slots=True)
class Front:
    """The front matter. `lines`: how many lines of the file it takes."""

    id: str
    version: int
    description: str
    variables: tuple[str, ...]
    lines: int


def read(path: Path) -> str:
    """The text of a template or part."""
    try:
        return data_files.text(path)
    except UnicodeDecodeError as exc:
        raise TemplateError(
            "This is not UTF-8 text.", hint="save it as UTF-8 in the editor.", file=path.name
        ) from exc
    except OSError as exc:
        known = ", ".join(p.stem for p in sorted(SHIPPED.glob("*.md")))
        raise TemplateError(
            f"There is no such template ({exc.strerror}).",
            hint=f"choose one of {known}, one of your own as mine/<id>.v<number>, or give the path of a .md file.",
            file=path.name,
        ) from exc


def find(name: str | Path) -> Path:
    """`warm` is shipped; `mine/warm.v2` is your own, `mine/warm` the newest of it; anything with .md is a path."""
    text = str(name)
    if isinstance(name, Path) or text.endswith(".md"):
        return Path(name)
    if text.startswith("mine/"):
        own = versions(text.removeprefix("mine/"), MINE)
        return own[-1] if own else MINE / f"{text.removeprefix('mine/')}.md"
    return SHIPPED / f"{text}.md"


def versions(template_id: str, folder: Path) -> list[Path]:
    """The saved versions of a template, oldest first."""
    found = [(m, p) for p in folder.glob("*.md") if (m := _VERSIONED.fullmatch(p.name))]
    mine = [(int(m["version"]), p) for m, p in found if m["id"] == template_id]
    return [path for _, path in sorted(mine)]


def version_of(path: Path) -> int:
    """The number in the name of a saved version."""
    match = _VERSIONED.fullmatch(path.name)
    return int(match["version"]) if match else 0


def with_version(source: str, version: int) -> str:
    """The source with another version in its front matter."""
    return re.sub(r"(?m)^version[ \t]*:.*$", f"version: {version}", source, count=1)


def split(source: str, file: str) -> tuple[Front, str]:
    """Front matter and body; the body keeps its lines' numbers by empty lines before it."""
    if len(source) > SOURCE_CHARS:
        raise TemplateError(
            f"{len(source):,} characters are too many for a prompt.",
            hint=f"keep it under {SOURCE_CHARS:,}.",
            file=file,
        )
    match = _FRONT.match(source)
    if match is None:
        raise TemplateError(
            "The front matter is missing or not closed.",
            hint="begin the file with a line ---, then id, version, description and variables, then a line ---.",
            file=file,
            line=1,
        )
    lines = match.group().count("\n")
    front = _front(_yaml(match.group(1), file), match.group(1), lines, file)
    return front, "\n" * lines + source[match.end() :]


def _yaml(text: str, file: str) -> dict[str, Any]:
    try:
        data = data_files.yaml_of(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        raise TemplateError(
            f"The front matter is not YAML: {getattr(exc, 'problem', None) or exc}.",
            hint="write one «field: value» a line; a value with a colon needs quotes.",
            file=file,
            line=mark.line + 2 if mark else 1,
        ) from exc
    if not isinstance(data, dict):
        raise TemplateError(
            "The front matter has no fields.", hint=f"it needs {', '.join(_FIELDS)}.", file=file, line=1
        )
    return data


def _front(data: dict[str, Any], text: str, lines: int, file: str) -> Front:
    def wrong(field: str, message: str, hint: str) -> TemplateError:
        match = re.search(rf"(?m)^{re.escape(field)}[ \t]*:", text)
        line = text[: match.start()].count("\n") + 2 if match else 1
        return TemplateError(f"{field}: {message}", hint=hint, file=file, line=line)

    for field in _FIELDS:
        if field not in data:
            raise wrong(field, "is missing from the front matter.", f"add a line «{field}: …».")
    for field in data:
        if field not in _FIELDS:
            raise wrong(
                str(field), "is no field of the front matter.", f"the fields are {', '.join(_FIELDS)}."
            )
    id_, version, description, variables = (data[f] for f in _FIELDS)
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise wrong("id", f"{id_!r} is no id.", "use small letters, digits and _, as in warm_2.")
    if type(version) is not int or version < 1:
        raise wrong("version", f"{version!r} is no version.", "write a whole number from 1 on.")
    if not isinstance(description, str) or not description.strip():
        raise wrong("description", "is empty.", "say in a sentence what is special about this template.")
    if not isinstance(variables, list) or not all(isinstance(v, str) for v in variables):
        raise wrong("variables", "is no list of names.", "write them as [first_name, skin_type].")
    for name in variables:
        if name not in VARIABLES:
            raise wrong("variables", f"nothing gives {name!r}.", f"there are {', '.join(VARIABLES)}.")
    return Front(id_, version, description.strip(), tuple(variables), lines)
