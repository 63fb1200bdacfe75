"""The curated questions of `data/faq/`: written and read by people, who vouch for every way of asking.

Comes before `responses.py`. A file is refused, with the entry that is to blame, where two answers could be meant by one question.
"""

from __future__ import annotations

from datetime import date
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from clara_kit import data_files
from clara_kit.cache.meaning import NAMELESS, meaning
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA

FAQ = DATA / "faq"
HINT = "an entry has id, question, answer, asked and unlike; the shape is described in data/README.md."

Kind = Literal[
    "verb", "negation", "number", "date", "ingredient", "product", "place", "person", "pregnancy", "child", "condition", "skin",
    "comparison", "tense", "follows", "topic",
]  # fmt: skip
"""What tells two questions apart."""
_Text = Annotated[str, Meta(pattern=r"\S")]
_Plain = Annotated[str, Meta(pattern=r"^[^{}]*\S[^{}]*$")]  # nothing is filled in


class Unlike(Struct, frozen=True, forbid_unknown_fields=True):
    """A near miss: it looks alike and wants another answer."""

    text: _Text
    differs: Kind


class Curated(Struct, frozen=True, forbid_unknown_fields=True):
    """One question with its answer. `written_for`: the states of the shop for which it holds, by what it depends on."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9_]+$")]
    question: _Text
    answer: _Plain
    asked: tuple[_Text, ...] = ()
    unlike: tuple[Unlike, ...] = ()
    depends: tuple[Literal["catalog", "price", "stock", "prompt"], ...] = ()
    skin: tuple[_Text, ...] = ()
    from_: date | None = field(default=None, name="from")
    until: date | None = None
    written_for: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def ways(self) -> tuple[str, ...]:
        """Every way of asking, the leading one first."""
        return self.question, *self.asked

    def meets(self, other: Curated) -> bool:
        """Whether there is a customer and a day for whom both hold."""
        skins = not (self.skin and other.skin) or bool({*self.skin} & {*other.skin})
        (begins, ends), (begins_other, ends_other) = self.days, other.days
        return skins and begins <= (ends_other or "~") and begins_other <= (ends or "~")

    @property
    def days(self) -> tuple[str, str]:
        """The first and the last day on which it holds, "" where there is none."""
        return str(self.from_ or ""), str(self.until or "")


class _File(Struct, forbid_unknown_fields=True):
    answers: Annotated[list[Curated], Meta(min_length=1)]
    written_for: dict[Literal["catalog", "price", "stock", "prompt"], str | list[str]] = {}


def faq_files(folder: Path = FAQ) -> tuple[Path, ...]:
    """The files of a folder, sorted; none where there is no such folder."""
    return tuple(sorted(folder.glob("*.yml")))


def read_faq(folder: Path | str = FAQ) -> tuple[Curated, ...]:
    """All entries of a folder, or of one file. Raises `ScriptError`, which names file and entry."""
    where = Path(folder)
    files = faq_files(where) if where.is_dir() else (where,) if where.exists() else ()
    return checked(tuple(chain.from_iterable(data_files.made(file, _read) for file in files)))


def checked(entries: tuple[Curated, ...]) -> tuple[Curated, ...]:
    """The same entries. Raises `ScriptError` where one question could mean two of them."""
    ids: set[str] = set()
    asked: dict[Any, list[Curated]] = {}
    for entry in entries:
        if entry.id in ids:
            raise ScriptError(
                f"The id {entry.id!r} stands there twice.", hint="ids are unique among all files of a folder."
            )
        ids.add(entry.id)
        for way in entry.ways:
            for other in asked.setdefault(meaning(way).key, []):
                if other is not entry and other.meets(entry):
                    why = f"«{way}» of {entry.id} means the same as a question of {other.id}."
                    raise ScriptError(why, hint="keep it in one of them, or let their skins or dates differ.")
            asked[meaning(way).key].append(entry)
    return entries


def _read(path: Path) -> tuple[Curated, ...]:
    def made(data: Any) -> tuple[Curated, ...]:
        file = msgspec.convert(data, _File)
        marks = {name: (value,) if isinstance(value, str) else tuple(value) for name, value in file.written_for.items()}
        for n, entry in enumerate(file.answers):
            if why := _wrong(entry):
                raise ScriptError(f"{entry.id}: {why}", where=f"$.answers[{n}].id", hint=HINT)
        return tuple(
            msgspec.structs.replace(e, written_for=tuple((name, marks.get(name, ())) for name in e.depends))
            for e in file.answers
        )

    return data_files.built(path, made, HINT)


def _wrong(entry: Curated) -> str:
    """What is wrong with an entry by itself, "" for nothing."""
    meant = {meaning(way).key: way for way in entry.ways}
    for way in entry.ways:
        if (why := meaning(way).follows) not in (
            "",
            NAMELESS,
        ):  # what names nothing, a person vouches for, word by word
            return f"«{way}» is not a whole question ({why}); name what it is about."
    for near in entry.unlike:
        if (same := meant.get(meaning(near.text).key)) is not None and not meaning(near.text).follows:
            return f"the near miss «{near.text}» cannot be told from «{same}»; tell them apart, or take it out."
    return ""
