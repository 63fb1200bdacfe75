"""Checks and compiles a template and the parts it includes; renders its blocks.

Between `template_check.py`, which says what is allowed, and `prompt_template.py`, which gives the values. Every part
is read when the template is; while it renders no file is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, nodes
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from clara_kit.core.errors import TemplateError
from clara_kit.prompts import file as template_file
from clara_kit.prompts import spanish
from clara_kit.prompts.language import END, FROM_CUSTOMER, FROM_SHOP, Check
from clara_kit.prompts.values import FENCE_CLOSE, FENCE_OPEN

RENDERED_CHARS = 60_000  # more than any prompt here needs; a runaway loop ends at it

_FILTERS: dict[str, Callable[..., Any]] = {
        "join_es": spanish.join_es, "join": spanish.join, "clp": spanish.clp, "skin": spanish.skin,
        "skins": spanish.skins, "days_ago": spanish.days_ago, "sayable": spanish.sayable,
        "titles": lambda things: [t.title for t in things], "first": lambda things: things[0],
        "last": lambda things: things[-1], "length": len, "lower": str.lower, "upper": str.upper,
}  # fmt: skip
FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(_FILTERS)
"""Every filter a template may use: a name and a plain function."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template ready to render. `sources`: names and texts of the parts it includes."""

    file: str
    sources: tuple[str, ...]
    _template: Template
    _parts: Mapping[str, Template]

    def block(self, part: str, held: Mapping[str, Any]) -> str:
        """The text of one block, with its marks. Raises `TemplateError` with the line."""
        context = self._template.new_context(dict(held))
        out, chars = [], 0
        try:
            for piece in self._template.blocks[part](context):
                out.append(piece)
                chars += len(piece)
                if chars > RENDERED_CHARS:
                    raise TemplateError(
                        f"The block {part} grows beyond {RENDERED_CHARS:,} characters.",
                        hint="show less of the catalogue, or loop once.",
                        file=self.file,
                    )
        except (UndefinedError, TypeError, IndexError, AttributeError) as exc:
            file, line = self._place(exc)
            raise TemplateError(
                f"This cannot be filled in: {exc}.",
                hint="ask with {% if … %} first whether there is anything; a filter needs what it is made for.",
                file=file,
                line=line,
            ) from exc
        return "".join(out)

    def _place(self, exc: BaseException) -> tuple[str, int]:
        """File and line of the innermost template code that the error came through."""
        compiled = {self.file: self._template, **self._parts}
        where, trace = (self.file, 0), exc.__traceback__
        while trace is not None:
            if template := compiled.get(trace.tb_frame.f_code.co_filename):
                where = (template.name or "", template.get_corresponding_lineno(trace.tb_lineno))
            trace = trace.tb_next
        return where


def compile_template(
    body: str, file: str, *, declared: tuple[str, ...], folder: Path, first_line: int
) -> Compiled:
    """Raises `TemplateError` for the first thing that is wrong in the body or in one of its parts."""
    compiler = _Compiler(declared, folder)
    template = compiler.compile(body, file, first_line=first_line)
    return Compiled(file, tuple(compiler.sources), template, compiler.loader.parts)


class _Parts(BaseLoader):
    """Gives the parts that were compiled with the template, and nothing else: no file is opened while rendering."""

    def __init__(self) -> None:
        self.parts: dict[str, Template] = {}

    def load(self, environment: Environment, name: str, globals: Any = None) -> Template:
        """A part that is compiled already."""
        return self.parts[name]


class _Compiler:
    """One environment for a template and its parts."""

    def __init__(self, declared: tuple[str, ...], folder: Path) -> None:
        self.sources: list[str] = []
        self._declared, self._folder = declared, folder
        self.loader = _Parts()
        self._env = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            loader=self.loader,
        )
        self._env.globals.clear()
        self._env.tests.clear()
        self._env.filters = dict(FILTERS)

    def compile(self, body: str, file: str, *, first_line: int, part: bool = False) -> Template:
        _reject_marks(body, file)
        check = Check(file, self._declared, FILTERS, part=part)
        try:
            tree = self._env.parse(body, file, file)
            check.run(tree, first_line)
            for name, line in sorted(check.parts.items()):
                self._part(name, check, line)
            return self._code(tree, file)
        except TemplateSyntaxError as exc:
            raise TemplateError(
                f"The template's language is not right: {exc.message}",
                hint="every {% if %}, {% for %} and {% block %} needs its end; {{ and }} come in pairs.",
                file=file,
                line=exc.lineno,
            ) from exc
        except (RecursionError, SyntaxError, MemoryError) as exc:
            raise TemplateError(
                "Something is nested too deep.",
                hint="take brackets or conditions apart.",
                file=file,
                line=first_line,
            ) from exc

    def _code(self, tree: nodes.Template, file: str) -> Template:
        code = self._env.compile(tree, file, file)
        return Template.from_code(self._env, code, {})

    def _part(self, name: str, check: Check, line: int) -> None:
        path = self._folder / name.removeprefix("parts/")
        if not path.is_file():
            known = ", ".join(f"parts/{p.name}" for p in sorted(self._folder.glob("*.md"))) or "none"
            raise check.error(line, f"There is no part {name}.", f"there are: {known}.")
        text = template_file.read(path)
        if len(text) > template_file.SOURCE_CHARS:
            raise check.error(line, f"The part {name} is too long.", "keep it under 20,000 characters.")
        self.sources += (name, text)
        self.loader.parts[name] = self.compile(text, name, first_line=1, part=True)


def _reject_marks(body: str, file: str) -> None:
    """A template may speak of the fence, but only `customer_data` may build it."""
    for number, line in enumerate(body.split("\n"), start=1):
        if FENCE_CLOSE in line or line.strip() == FENCE_OPEN:
            raise TemplateError(
                "The fence is built here by hand.",
                hint="write {{ customer_data }}, which brings its fence along.",
                file=file,
                line=number,
            )
        if any(mark in line for mark in (FROM_CUSTOMER, FROM_SHOP, END)):
            raise TemplateError(
                "There is a character that nobody can see.",
                hint="type the line anew.",
                file=file,
                line=number,
            )
