"""`PromptTemplate`: a prompt and a greeting with holes, filled for each customer.

A file of `data/prompts/`: front matter, then three blocks. `static` is the same for every customer and comes first,
so that it is cached; `personal` holds what is known of this one, fenced; `greeting` is what Clara says first.
Everything that can be wrong is found when the file is loaded, and named with its line. Rendering is pure.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import Any

from clara_kit.core.errors import TemplateError
from clara_kit.core.page import escape
from clara_kit.core.profile import ANONYMOUS, CustomerProfile, Purchase
from clara_kit.core.prompt import Prompt
from clara_kit.personalization import template_file
from clara_kit.personalization.rendered import Part, Rendered, tidy
from clara_kit.personalization.template_compile import Compiled, compile_template
from clara_kit.personalization.template_values import Shelf, values

log = logging.getLogger("clara_kit.personalization")


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
    _compiled: Compiled = field(kw_only=True, repr=False, compare=False)
    _parts: Path = field(kw_only=True, repr=False, compare=False)

    # --- where it comes from ------------------------------------------------------------------------------

    @classmethod
    def load(cls, name: str | Path, *, parts: Path | None = None) -> PromptTemplate:
        """`warm`, `mine/warm.v2`, `mine/warm` (the newest), or the path of a file. Raises `TemplateError`."""
        path = template_file.find(name)
        return cls.from_source(template_file.read(path), path=path, parts=parts)

    @classmethod
    def all(cls, mine: Path | None = None) -> tuple[PromptTemplate, ...]:
        """The shipped ones, then your own, each sorted by name; an own one with a mistake is left out."""
        shipped = [cls.load(path) for path in sorted(template_file.SHIPPED.glob("*.md"))]
        own = []
        for path in sorted((mine or template_file.MINE).glob("*.md")):
            try:
                own.append(cls.load(path))
            except TemplateError as exc:
                log.warning("%s", exc)
        return (*shipped, *own)

    @classmethod
    def from_source(
        cls, source: str, *, path: Path | None = None, parts: Path | None = None
    ) -> PromptTemplate:
        """A template from its text, as it would stand in a file."""
        folder = parts or template_file.PARTS
        file = path.name if path else "template"
        source = source.replace("\r\n", "\n")
        front, body = template_file.split(source, file)
        compiled = compile_template(
            body, file, declared=front.variables, folder=folder, first_line=front.lines + 1
        )
        digest = sha256("\0".join((source, *compiled.sources)).encode()).hexdigest()[:12]
        template = cls(
            front.id, front.version, front.description, front.variables, source, digest, path,
            _compiled=compiled, _parts=folder,
        )  # fmt: skip
        for profile, recommended in ((ANONYMOUS, ()), (_SOMEONE, _PRODUCTS), (_SOMEONE, ())):
            template.render(profile, catalog=_Shelf(_PRODUCTS), recommended=recommended)
        return template

    def with_source(self, source: str) -> PromptTemplate:
        """The template as it is after an edit: checked anew, saved nowhere."""
        return PromptTemplate.from_source(source, path=self.path, parts=self._parts)

    def save(self, folder: Path | None = None) -> PromptTemplate:
        """Write the next version as a new file, `data/prompts/mine/<id>.v<number>.md`; nothing is overwritten."""
        folder = folder or template_file.MINE
        folder.mkdir(parents=True, exist_ok=True)
        shipped = template_file.SHIPPED / f"{self.id}.md"
        taken = PromptTemplate.load(shipped).version if shipped.is_file() else 0
        newest = template_file.versions(self.id, folder)
        if newest:
            taken = max(taken, template_file.version_of(newest[-1]))
        while True:
            taken += 1
            path, source = folder / f"{self.id}.v{taken}.md", template_file.with_version(self.source, taken)
            try:
                with path.open("x", encoding="utf-8") as out:
                    out.write(source)
            except FileExistsError:
                continue
            return PromptTemplate.from_source(source, path=path, parts=self._parts)

    def diff(self, other: PromptTemplate) -> str:
        """What changes from this template to the other, as unified text; empty where nothing does."""
        lines = unified_diff(
            self.source.splitlines(), other.source.splitlines(), self.label, other.label, lineterm="", n=2
        )
        return "\n".join(lines)

    @property
    def name(self) -> str:
        """What `load` takes: `warm`, `mine/warm.v2`, or a path."""
        if self.path is None or self.path.parent == template_file.SHIPPED:
            return self.id
        return f"mine/{self.path.stem}" if self.path.parent == template_file.MINE else str(self.path)

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
        self,
        profile: CustomerProfile = ANONYMOUS,
        catalog: Shelf | None = None,
        recommended: Iterable[Any] = (),
    ) -> Rendered:
        """Prompt and greeting for one customer. recommended: products, or what `recommend()` gives."""
        held = values(profile, catalog, recommended)
        parts: tuple[Part, ...] = ("static", "personal", "greeting")
        (static, s1), (personal, s2), (greeting, s3) = (tidy(self._compiled.block(p, held), p) for p in parts)
        prompt = Prompt(static=static, personal=personal)
        return Rendered(
            prompt=prompt,
            greeting=greeting,
            template=f"{self.id} v{self.version}",
            template_hash=self.hash,
            spans=s1 + s2 + s3,
        )

    def _repr_html_(self) -> str:
        about = f"<b>{escape(self.label)}</b> · {escape(self.description)}"
        return f"<div>{about}<pre style='white-space:pre-wrap'>{escape(self.source)}</pre></div>"


@dataclass(frozen=True, slots=True)
class _Shelf:
    products: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Product:
    title: str
    product_type: str = "Crema"
    price_clp: int = 9990
    skin_types: tuple[str, ...] = ("Mixta",)
    concerns: tuple[str, ...] = ("Acné",)
    ingredients: tuple[str, ...] = ("Niacinamida",)
    how_to_use: str = "De noche."
    stock: int = 1


# Whom a template is tried with when it is loaded, so that what only shows in rendering shows at once.
_PRODUCTS = (_Product("Crema A"), _Product("Crema B"))
_SOMEONE = CustomerProfile(
    first_name="Ana",
    skin_type="Mixta",
    skin_concerns=("Acné", "Manchas", "Arrugas"),
    purchases=(Purchase(handle="a", title="Crema A", days_ago=40, quantity=2),),
    orders_count=1,
)
