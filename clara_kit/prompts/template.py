"""`PromptTemplate`: a prompt and a greeting with holes, filled for each customer.

A file of `data/prompts/`: front matter, then three blocks. `static` is the same for every customer and comes first,
so that it is cached; `personal` holds what is known of this one, fenced; `greeting` is what Clara says first.
Everything that can be wrong is found when the file is loaded, and named with its line. Rendering is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import unified_diff
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from clara_kit import data_files
from clara_kit.core.errors import ClaraError
from clara_kit.core.page import escape
from clara_kit.core.profile import ANONYMOUS, CustomerProfile
from clara_kit.core.prompt import Prompt
from clara_kit.core.text import whole
from clara_kit.prompts import file as template_file
from clara_kit.prompts.catalog import Product
from clara_kit.prompts.compile import Compiled
from clara_kit.prompts.language import END, FROM_CUSTOMER, FROM_SHOP
from clara_kit.prompts.values import Item, Shelf, on_the_shelf, values


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A checked template. `hash`: first 12 hex digits of the SHA-256 of the source and of the parts it includes."""

    id: str
    version: int
    description: str
    variables: tuple[str, ...]
    source: str = field(repr=False)
    hash: str
    path: Path | None = field(default=None, compare=False)
    note: str = ""
    _compiled: Compiled = field(kw_only=True, repr=False, compare=False)
    _parts: Path = field(kw_only=True, repr=False, compare=False)
    _last: list[tuple[object, _Static]] = field(default_factory=list, kw_only=True, repr=False, compare=False)

    # --- where it comes from ------------------------------------------------------------------------------

    @classmethod
    def load(cls, name: str | Path, *, parts: Path | None = None) -> PromptTemplate:
        """`warm`, `mine/warm.v2`, `mine/warm` (the newest), or the path of a file. Raises `TemplateError`."""
        return data_files.made(template_file.find(name), cls._read, parts or template_file.PARTS)

    @classmethod
    def _read(cls, path: Path, parts: Path) -> PromptTemplate:
        return cls.from_source(template_file.read(path), path=path, parts=parts)

    @classmethod
    def all(cls, mine: Path | None = None) -> tuple[PromptTemplate, ...]:
        """The shipped ones, then your own, each sorted by name; one with a mistake is left out, and logged."""
        return cls.listed(mine)[0]

    @classmethod
    def listed(cls, mine: Path | None = None) -> tuple[tuple[PromptTemplate, ...], dict[str, ClaraError]]:
        """As `all`, and by name what is wrong with those that are left out."""
        folders = (template_file.SHIPPED, mine or template_file.MINE)
        paths = [path for folder in folders for path in sorted(folder.glob("*.md"))]
        good, bad = data_files.each(paths, cls.load)
        return good, {template_file.name_of(path): exc for path, exc in bad.items()}

    @classmethod
    def from_source(cls, source: str, *, path: Path | None = None, parts: Path | None = None) -> PromptTemplate:
        """A template from its text, as it would stand in a file."""
        folder = parts or template_file.PARTS
        file = path.name if path else "template"
        source = whole(source)
        plain = template_file.plain(source)
        front, body, first_line = template_file.split(plain, file)
        compiled = Compiled(body, file, front["variables"], folder, first_line=first_line)
        digest = sha256("\0".join((plain, *compiled.sources)).encode()).hexdigest()[:12]
        return cls(**front, source=source, hash=digest, path=path, _compiled=compiled, _parts=folder)

    def with_source(self, source: str) -> PromptTemplate:
        """The template as it is after an edit: checked anew, saved nowhere."""
        return PromptTemplate.from_source(source, path=self.path, parts=self._parts)

    def save(self, folder: Path | None = None, note: str = "") -> PromptTemplate:
        """Write the next version as a new file, `data/prompts/mine/<id>.v<number>.md`; nothing is overwritten.

        It differs by that number and its note alone, is checked before it is written, and is there whole or not at all.
        """
        folder = folder or template_file.MINE
        folder.mkdir(parents=True, exist_ok=True)
        named = map(template_file.version_of, template_file.versions(self.id, folder))
        held = (t.version for t in PromptTemplate.all(folder) if t.id == self.id)
        taken = max((0, *named, *held))
        while True:
            taken += 1
            path, source = folder / f"{self.id}.v{taken}.md", template_file.with_version(self.source, taken, note)
            fresh = PromptTemplate.from_source(source, path=path, parts=self._parts)
            with suppress(FileExistsError):
                template_file.write_new(path, source)
                return fresh

    def diff(self, other: PromptTemplate) -> str:
        """What changes from this template to the other, as unified text; empty where nothing does."""
        lines = unified_diff(
            self.source.splitlines(), other.source.splitlines(), self.label, other.label, lineterm="", n=2
        )
        return "\n".join(lines)

    @property
    def name(self) -> str:
        """What `load` takes: `warm`, `mine/warm.v2`, or a path."""
        return template_file.name_of(self.path) if self.path is not None else self.id

    @property
    def about(self) -> dict[str, str | int]:
        """What a run's inputs keep of it."""
        return {"id": self.id, "version": self.version, "hash": self.hash}

    @property
    def label(self) -> str:
        """For titles and tables: «warm v1 (0123456789ab)»."""
        return f"{self.id} v{self.version} ({self.hash})"

    # --- what becomes of it -------------------------------------------------------------------------------

    def render(
        self, profile: CustomerProfile = ANONYMOUS, catalog: Shelf | None = None, recommended: Iterable[Any] = ()
    ) -> Rendered:
        """Prompt and greeting for one customer. recommended: products, or what `recommend()` gives."""
        items, (static, spans) = self._on(catalog.products if catalog is not None else ())
        held = {**values(profile, recommended), "catalog": items}
        personal, more = tidy(self._compiled.block("personal", held), "personal")
        greeting, most = tidy(self._compiled.block("greeting", held), "greeting")
        prompt, about = Prompt(static=static, personal=personal), f"{self.id} v{self.version}"
        return Rendered(
            prompt=prompt, greeting=greeting, template=about, template_hash=self.hash, spans=spans + more + most
        )

    def _on(self, products: Sequence[Product]) -> _Static:
        """What is the same for every customer, kept for the catalogue that was asked with last."""
        seen, made = self._last[0] if self._last else (None, None)
        if seen is not products or made is None or not isinstance(products, tuple):
            items = on_the_shelf(products)
            made = items, tidy(self._compiled.block("static", {"catalog": items}), "static")
            self._last[:] = [(products, made)]
        return made

    def _repr_html_(self) -> str:
        about = f"<b>{escape(self.label)}</b> · {escape(self.description)}"
        return f"<div>{about}<pre style='white-space:pre-wrap'>{escape(self.source)}</pre></div>"


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

    def text(self, part: Part) -> str:
        """The text of one part."""
        return self.greeting if part == "greeting" else str(getattr(self.prompt, part))

    def pieces(self, part: Part, sentences: Iterable[str] = ()) -> Iterator[tuple[str, frozenset[Mark]]]:
        """The text of a part, cut where marks begin and end; joined it is the text.

        customer: words of the profile, or chosen by it. given: inside one of `sentences`, but for what the shop sells.
        """
        text = self.text(part)
        own, shop = (
            {i for s in self.spans if (s.part, s.source) == (part, who) for i in range(s.start, s.end)}
            for who in ("customer", "shop")
        )
        given = {i for start, end in _places(text, sentences) for i in range(start, end)} - shop
        for (is_own, is_given), run in groupby(range(len(text)), lambda i: (i in own, i in given)):
            at = tuple(run)
            piece = text[at[0] : at[-1] + 1]
            marks: set[Mark] = {"customer"} if is_own else set()
            if is_given and any(map(str.isalnum, piece)):  # a colon between two products is no instruction
                marks.add("given")
            yield piece, frozenset(marks)


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


# The catalogue's items, and the static block with its spans.
_Static = tuple[tuple[Item, ...], tuple[str, tuple[Span, ...]]]
