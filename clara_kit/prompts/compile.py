"""Checks and compiles a template and the parts it includes; renders its blocks.

Between `language.py`, which says what is allowed, and `template.py`, which gives the values. Every part is read when
the template is; while it renders no file is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from traceback import walk_tb
from types import MappingProxyType
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, Template
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from clara_kit import data_files
from clara_kit.core.errors import TemplateError
from clara_kit.prompts import file as template_file
from clara_kit.prompts import spanish
from clara_kit.prompts.language import BLOCKS, END, FROM_CUSTOMER, FROM_SHOP, Check
from clara_kit.prompts.refusals import refusal
from clara_kit.prompts.shapes import shapes, told
from clara_kit.prompts.tags import newlines_kept
from clara_kit.prompts.values import FENCE_CLOSE, FENCE_OPEN

RENDERED_CHARS = 60_000  # more than any prompt here needs; a runaway loop ends at it
_TELLING = (UndefinedError, TypeError, IndexError, AttributeError)

FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType({
        "join_es": spanish.join_es, "join": spanish.join, "clp": spanish.clp, "skin": spanish.skin,
        "skins": spanish.skins, "days_ago": spanish.days_ago, "sayable": spanish.sayable,
        "titles": lambda things: [t.title for t in things], "first": lambda things: things[0],
        "last": lambda things: things[-1], "length": len, "lower": str.lower, "upper": str.upper,
})  # fmt: skip
"""Every filter a template may use: a name and a plain function."""


class Compiled(BaseLoader):
    """A template with its parts, ready to render: one environment, and to Jinja the loader of the parts.

    sources: names and texts of the parts. Raises `TemplateError` for the first thing that is wrong in any of them.
    """

    def __init__(self, body: str, file: str, declared: tuple[str, ...], folder: Path, *, first_line: int) -> None:
        self.sources: list[str] = []
        self._file, self._declared, self._folder = file, declared, folder
        self._parts: dict[str, Template] = {}
        self._used: dict[str, set[str]] = {block: set() for block in BLOCKS}
        self._constants: set[object] = set()
        self._env = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, loader=self
        )  # fmt: skip
        self._env.globals.clear()
        self._env.tests.clear()
        self._env.filters = dict(FILTERS)
        self._template = self._compile(body, file, first_line, part=False)
        for block, used in self._used.items():
            for held in shapes(used, self._constants):
                self.block(block, held)

    def block(self, part: str, held: Mapping[str, Any]) -> str:
        """The text of one block, with its marks. Raises `TemplateError` with the line."""
        out, chars = [], 0
        try:
            for piece in self._template.blocks[part](self._template.new_context(dict(held))):
                out.append(piece)
                chars += len(piece)
                if chars > RENDERED_CHARS:
                    raise refusal("endless", file=self._file, name=part, most=f"{RENDERED_CHARS:,}")
        except TemplateError:
            raise
        except Exception as exc:  # whatever Python says to an expression
            file, line = self._file, 0
            for frame, at in walk_tb(exc.__traceback__):  # the innermost that is a template's
                if template := frame.f_globals.get("__jinja_template__"):
                    file, line = template.name, template.get_corresponding_lineno(at)
            why = str(exc) if isinstance(exc, _TELLING) else type(exc).__name__  # others may quote what they got
            raise refusal("unfilled", file=file, line=line, why=why, whom=told(held, self._used[part])) from exc
        return "".join(out)

    def load(self, environment: Environment, name: str, globals: Any = None) -> Template:
        """A part that is compiled already; no file is opened while a template renders."""
        return self._parts[name]

    def _compile(self, body: str, file: str, first_line: int, *, part: bool) -> Template:
        for number, line in enumerate(body.split("\n"), start=1):
            if FENCE_CLOSE in line or line.strip() == FENCE_OPEN:  # a template may speak of it
                raise refusal("fence by hand", file=file, line=number)
            if any(mark in line for mark in (FROM_CUSTOMER, FROM_SHOP, END)):
                raise refusal("invisible", file=file, line=number)
        check = Check(file, self._declared, FILTERS, part=part)
        try:
            tree = self._env.parse(newlines_kept(body), file, file)
            check.run(tree, first_line)
            for block, used in check.used.items():
                self._used[block] |= used
            self._constants |= check.constants
            for name, at in sorted(check.parts.items()):
                self._part(name, check, at)
            return Template.from_code(self._env, self._env.compile(tree, file, file), {})
        except TemplateSyntaxError as exc:
            raise refusal("syntax", file=file, line=exc.lineno, why=exc.message) from exc
        except (RecursionError, SyntaxError, MemoryError) as exc:
            raise refusal("nested", file=file, line=first_line) from exc
        except TemplateError:
            raise
        except Exception as exc:  # a number of 5,000 digits, say
            raise refusal("syntax", file=file, line=_line_of(exc, first_line), why=exc) from exc

    def _part(self, name: str, check: Check, line: int) -> None:
        path = self._folder / name.removeprefix("parts/")
        if not path.is_file():
            known = tuple(f"parts/{n}.md" for n in data_files.known(self._folder, ".md")) or "none"
            raise check.no(line, "part unknown", name=name, known=known)
        text = template_file.plain(template_file.read(path))
        if len(text) > template_file.SOURCE_CHARS:
            raise check.no(line, "part too long", name=name, most=f"{template_file.SOURCE_CHARS:,}")
        self.sources += (name, text)
        self._parts[name] = self._compile(text, name, 1, part=True)


def _line_of(exc: Exception, otherwise: int) -> int:
    """The line that Jinja was at when Python raised this."""
    line = otherwise
    for frame, _ in walk_tb(exc.__traceback__):
        at = frame.f_locals.get("lineno") or getattr(frame.f_locals.get("node"), "lineno", None)
        line = at if isinstance(at, int) else line
    return line
