"""A prompt on its way to its next version: its sentences, what is wrong, what the offline model makes of it.

Between `prompts/fields.py`, which takes a template apart, and the studio, which shows it. Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from clara_kit.core.errors import ClaraError
from clara_kit.lab.briefings import Customer, profile_of
from clara_kit.prompts import file as template_file
from clara_kit.prompts.briefing import Briefing, brief
from clara_kit.prompts.fields import Field, fields, with_text
from clara_kit.prompts.template import PromptTemplate
from clara_kit.prompts.wording import names
from clara_kit.world.instructions import Sensed, nearest, sense
from clara_kit.world.sim import simulate


@dataclass(frozen=True, slots=True)
class Note:
    """What a new sentence means for the offline model. kind: of `instructions.SENSED`, empty where nothing is sensed.

    nearest: the published form that is most like a sentence which is not sensed, or empty.
    """

    sentence: str
    kind: str = ""
    nearest: str = ""


class Draft:
    """The text of a template while it is edited. words: the names of its holes, see `prompts.wording.KEYS`.

    drafts: where unsaved text is kept by the template's name.
    """

    def __init__(self, name: str, words: Mapping[str, str], *, folder: Path | None = None) -> None:
        self.good = PromptTemplate.load(name)
        self.drafts: dict[str, str] = {}
        self.error: ClaraError | None = None
        self._folder, self._names = folder, names(words)
        self._based: tuple[str, Field, list[Field]] | None = None
        # Fields in which nothing stands now: whoever cleared one goes on to write there.
        self._emptied: list[Field] = []
        self.open(name)

    # --- its text -----------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Go to another template; what was written there and not saved comes back."""
        source = _source(name)
        self.name, self.saved, self._ends = name, template_file.plain(source), "\r\n" if "\r\n" in source else "\n"
        self._based = None
        self._take(self.drafts.get(name, self.saved))

    def keep_in(self, drafts: dict[str, str]) -> bool:
        """Keep unsaved text there from now on; returns whether some of this template's was there and is taken up.

        Of several versions with unsaved text the one that was written into last.
        """
        drafts.update(self.drafts)
        last = [self.name, *(name for name in drafts if Path(name).name.split(".")[0] == self.good.id)][-1]
        came = (last, drafts.get(last, self.text)) != (self.name, self.text)
        self.drafts = drafts
        if came:
            self.open(last)
        return came

    def edit(self, text: str) -> str:
        """Replace the whole text; returns what is wrong with it, empty when nothing is."""
        self._based = None
        return self._take(text)

    def begin(self, n: int) -> None:
        """Start to write into the `n`-th field: until the next start, `write` replaces what stands there now."""
        several = self.fields
        others = [one for one in self._emptied if one not in several[n : n + 1]]
        self._based = (self.text, several[n], others) if 0 <= n < len(several) else None

    def write(self, text: str) -> str:
        """Write this into the field that was begun; returns what is wrong, empty when nothing is."""
        if self._based is None:
            return self.problem
        source, field, others = self._based
        try:
            fresh = with_text(source, field, text, self._names, part_text)
        except ClaraError as exc:
            self.error = exc
            return self.problem
        self._take(fresh)
        end, longer = (field.included[1] if field.part else field.end), len(fresh) - len(source)
        self._emptied = [_empty(one, one.start + longer * (one.start >= end)) for one in others]
        if not text.strip():
            self._emptied.append(_empty(field, field.start + field.included[0]))
        return self.problem

    def undo(self) -> None:
        """Forget what was not saved."""
        self.drafts.pop(self.name, None)
        self.open(self.name)

    def _take(self, text: str) -> str:
        self.text = text
        self.error, self._emptied = None, []
        self.__dict__.pop("fields", None)
        self.drafts.pop(self.name, None)
        if self.changed:
            self.drafts[self.name] = text  # at the end: the last that was written into
        try:
            self.good = PromptTemplate.from_source(text) if self.changed else PromptTemplate.load(self.name)
        except ClaraError as exc:
            self.error = exc
        return self.problem

    @property
    def changed(self) -> bool:
        """Whether there is anything to save."""
        return self.text != self.saved

    @property
    def problem(self) -> str:
        """What is wrong with it, and what to do; empty when nothing is."""
        return str(self.error) if self.error is not None else ""

    def save(self, note: str = "") -> tuple[PromptTemplate, bool]:
        """The next version, and whether there is a new one: a text that equals a version there is gives that one.

        Raises `TemplateError` while something is wrong, `OSError`.
        """
        if self.error is not None:
            raise self.error
        text = self.text.replace("\n", self._ends)  # a browser knows no other line ends than its own
        edited = self.good if self.good.source == text else PromptTemplate.from_source(text)
        same = next((t for t in self._versions(edited.id) if template_file.same(t.source, text)), None)
        fresh = same or edited.save(self._folder, note=note)
        self.drafts.pop(self.name, None)
        self.open(fresh.name)
        return fresh, same is None

    def _versions(self, template_id: str) -> list[PromptTemplate]:
        """The version that is open, then the newest saved one."""
        good, _ = PromptTemplate.listed(self._folder)
        newest = sorted((t for t in good if t.id == template_id and t.path), key=lambda t: t.version)[-1:]
        return [t for t in good if t.name == self.name] + newest

    # --- what it says -------------------------------------------------------------------------------------

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """What a designer writes; none where the template's tags do not fit together."""
        found = _fields(self.text, tuple(self._names.items()))
        bare = {len(self.text[: one.start].rstrip()) for one in self._emptied if found}  # an empty block has one anyway
        kept = (one for one in found if one.text or len(self.text[: one.start].rstrip()) not in bare)
        both = (*kept, *self._emptied * bool(found))
        return tuple(sorted(both, key=lambda one: (one.included[0] or one.start, one.start)))

    def notes(self, field: Field) -> tuple[Note, ...]:
        """Of each sentence of a field that the saved version has not: whether the offline model senses it."""
        if field.section == "greeting" or field.locked:
            return ()  # a greeting is said as it stands
        before = _sentences(_fields(self.saved, tuple(self._names.items())))
        found = _sensed(field.text)
        sensed = [Note(i.sentence, i.kind) for i in found.instructions if i.sentence not in before]
        rest = [Note(s, "", nearest(s)) for s in found.unsensed if s not in before]
        return tuple(sorted((*sensed, *rest), key=lambda note: field.text.find(note.sentence)))

    def briefing(self, customer: Customer) -> Briefing:
        """What Clara would be told of this customer."""
        return brief(self.good, profile_of(customer))

    def answer(self, question: str, customer: Customer) -> str:
        """What she would answer, simulated: no model and no vendor is asked."""
        run = simulate([question], customer=customer, template=self.good).revealed()
        return next((turn.clara for turn in run.ledger if turn.customer == question), "")


def part_text(name: str) -> str:
    """The text of a shared part, by its name in an `include`; raises `TemplateError`."""
    return template_file.plain(template_file.read(template_file.PARTS / name.removeprefix("parts/")))


def _source(name: str) -> str:
    """The text of a file, whatever is wrong with it; empty where it is no text."""
    try:
        return template_file.read(template_file.find(name))
    except ClaraError:
        return ""


def _empty(field: Field, at: int) -> Field:
    return Field(section=field.section, text="", start=at, end=at, when=field.when)


@lru_cache(maxsize=8)
def _fields(source: str, named: tuple[tuple[str, str], ...]) -> tuple[Field, ...]:
    try:
        return fields(source, dict(named), part_text)
    except ClaraError:
        return ()


_sensed = lru_cache(maxsize=128)(sense)


@lru_cache(maxsize=8)
def _sentences(several: tuple[Field, ...]) -> frozenset[str]:
    found: list[Sensed] = [_sensed(field.text) for field in several]
    return frozenset(s for one in found for s in (*(i.sentence for i in one.instructions), *one.unsensed))
