"""`PromptStudio`: a prompt as plain sentences, with what Clara would be told and say; hear her, save, use.

The model of the text is `lab/draft.py`, the view `prompt_studio.js`. Whatever the hand does, a method does too, and
`briefing` is ordinary data for the next cell. What a hand wrote and did not save is kept by the kernel (`lab/kernel.py`):
a studio that is shown anew takes it up. A mistake is named, while the last good text stays shown.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from clara_kit.audio.pcm import concat, silence
from clara_kit.audio.wav import wav_bytes
from clara_kit.core.errors import ClaraError
from clara_kit.lab.draft import Draft, Note
from clara_kit.lab.kernel import KERNEL
from clara_kit.prompts.briefing import Briefing
from clara_kit.prompts.fields import Field
from clara_kit.prompts.template import Part, PromptTemplate
from clara_kit.prompts.wording import in_words, offered
from clara_kit.widgets.telling import in_language, tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language
from clara_kit.world.instructions import unsensed
from clara_kit.world.personas import Persona
from clara_kit.world.voices import clara_voice

QUESTION = "¿Qué protector solar me recomiendas?"
PAUSE_MS = 600  # after the greeting, as if the customer spoke
_given = lru_cache(maxsize=16)(unsensed)  # most edits leave one of the two parts as it was
_PARTS: tuple[Part, ...] = ("greeting", "personal", "static")


class PromptStudio(anywidget.AnyWidget):
    """A template and an invented customer, side by side. `folder`: where new versions are saved."""

    _esm = view("prompt_studio")
    _css = style("desk", "prompt_studio")

    words = traitlets.Dict().tag(sync=True)
    customers: Any = traitlets.List().tag(sync=True)
    prompts: Any = traitlets.List().tag(sync=True)
    unusable: Any = traitlets.List().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    text = traitlets.Unicode("").tag(sync=True)
    fields: Any = traitlets.List().tag(sync=True)
    told = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)
    status = traitlets.Unicode("").tag(sync=True)
    saved = traitlets.Dict().tag(sync=True)
    changed = traitlets.Bool(False).tag(sync=True)
    kept = traitlets.Bool(False).tag(sync=True)
    question = traitlets.Unicode(QUESTION).tag(sync=True)
    heard: Any = traitlets.List().tag(sync=True)
    heard_under = traitlets.Unicode("").tag(sync=True)
    busy = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        customer: str = "camila",
        template: str = "warm",
        *,
        folder: str | Path | None = None,
        language: Language | None = None,
    ) -> None:
        self._language = language or usual_language()
        super().__init__(words=spoken_in(self._language))
        self._folder = Path(folder) if folder is not None else None
        self._draft = Draft(template, self.words, folder=self._folder)
        self._root: Path | None = None  # what JupyterLab serves
        self.sound = b""
        self.customers = [[p.name, p.about] for p in Persona.all()]
        self.chosen = {"customer": Persona.load(customer).name, "template": template}
        self.on_msg(self._asked)
        self._list()
        self._draw()

    # --- what the hand does, without a hand -------------------------------------------------------------

    def choose(self, customer: str | None = None, template: str | None = None) -> Briefing:
        """Choose a customer, a template, or both."""
        if template is not None and template != self._draft.name:
            if template not in [name for name, *_ in self.prompts] + [name for name, _ in self.unusable]:
                PromptTemplate.load(template)  # raises with the names that exist
            self._draft.open(template)
        if customer is not None:
            self.chosen = {**self.chosen, "customer": Persona.load(customer).name}
        self.status, self.saved, self.kept = "", {}, False
        self._draw()
        return self.briefing

    def edit(self, text: str) -> str:
        """Replace the template's text; returns what is wrong with it, empty when nothing is."""
        self._draft.edit(text)
        self._draw()
        return self.problem

    def write(self, n: int, text: str) -> str:
        """Replace the text of the `n`-th of `fields`; returns what is wrong with it, empty when nothing is."""
        self._draft.begin(n)
        self._draft.write(text)
        self._draw()
        return self.problem

    def undo(self) -> None:
        """Forget the changes that were not saved."""
        self._draft.undo()
        self.status, self.saved, self.kept = "", {}, False
        self._draw()

    def save(self, note: str = "") -> Path:
        """Write the text as a new version, unless there is one that says the same; returns its file.

        Raises `TemplateError` while something is wrong with it, `OSError`.
        """
        fresh, is_new = self._draft.save(note)
        assert fresh.path is not None
        self._list()
        self._draw()
        self.status = self.words["studio_saved" if is_new else "studio_not_new"].format(version=fresh.version)
        self.saved, self.kept = {"name": str(fresh.path), "path": self._served(fresh.path)}, False
        return fresh.path

    def use(self, note: str = "") -> str:
        """Let the next conversation of this kernel take the prompt that is shown, saved first; returns its name."""
        self.status, self.saved = "", {}
        if self._draft.changed:
            self.save(note)
        KERNEL.use(self._draft.name)
        self.status = f"{self.words['studio_used'].format(name=self._draft.name)} {self.status}".strip()
        return self._draft.name

    def hear(self, question: str | None = None) -> tuple[str, str]:
        """Clara's greeting and her answer to a question under the text as it stands, in words and as sound.

        Simulated, with the offline voice: no model and no vendor is asked. `sound`: the same as a WAV.
        """
        self.question = (question or self.question).strip() or QUESTION
        try:
            self.busy = "studio_thinking"
            said = self.briefing.greeting, self._draft.answer(self.question, self.chosen["customer"])
            self.heard = [["clara", said[0]], ["customer", self.question], ["clara", said[1]]]
            not_saved = f", {self.words['studio_unsaved']}" if self._draft.changed else ""
            label = f"{self.template.id} v{self.template.version}{not_saved}"
            self.heard_under = self.words["studio_under"].format(label=label)
            self.busy = "studio_voicing"
            parts = [clara_voice().synthesize(text).sound for text in said if text.strip()]
            if parts:
                pauses = [silence(PAUSE_MS, parts[0].rate_hz)] * len(parts)
                self.sound = wav_bytes(concat(*(s for pair in zip(parts, pauses, strict=True) for s in pair)))
                self.send({"kind": "sound"}, [self.sound])
        finally:
            self.busy = ""
        return said

    @property
    def template(self) -> PromptTemplate:
        """The last text that had no mistake in it."""
        return self._draft.good

    @property
    def briefing(self) -> Briefing:
        """What Clara would be told."""
        return self._draft.briefing(self.chosen["customer"])

    def __repr__(self) -> str:
        return f"<PromptStudio {self.template.id} v{self.template.version} for {self.chosen['customer']}>"

    # --- what follows from it ---------------------------------------------------------------------------

    def _list(self) -> None:
        """What there is to choose."""
        good, bad = PromptTemplate.listed(self._folder)
        mine = f" ({self.words['studio_mine']})"
        labels = [f"{t.id} v{t.version}{mine if t.name.startswith('mine/') else ''}" for t in good]
        rows = [[t.name, label, t.note] for t, label in zip(good, labels, strict=True)]
        for row in rows:  # two of one label: the files' names tell them apart
            row[1] += f": {Path(row[0]).name}" if labels.count(row[1]) > 1 else ""
        self.prompts = rows
        self.unusable = [[name, tell(exc, self._language)] for name, exc in bad.items()]

    def _draw(self) -> None:
        draft = self._draft
        name = draft.name
        if name not in [row[0] for row in (*self.prompts, *self.unusable)]:
            self.prompts = [*self.prompts, [name, Path(name).stem, ""]]
        with self.hold_sync():
            self.chosen = {**self.chosen, "template": name}
            self.text, self.changed = draft.text, draft.changed
            self.fields = [self._field(field) for field in draft.fields]
            self.problem = in_language(draft.problem, self._language)
            with contextlib.suppress(ClaraError):  # a customer for whom it fails: the last that could be told stays
                self.told = self._told()

    def _told(self) -> dict[str, list[tuple[str, list[str]]]]:
        """The text of each part, cut where marks begin and end."""
        made = self.briefing
        given = [*_given(made.prompt.static), *_given(made.prompt.personal)]
        return {
            part: [(t, sorted(m)) for t, m in made.rendered.pieces(part, () if part == "greeting" else given)]
            for part in _PARTS
        }

    def _field(self, field: Field) -> dict[str, Any]:
        return {
            "section": field.section,
            "when": in_words(field.when, self.words),
            "text": field.text,
            "locked": field.locked,
            "shared": Path(field.part).stem,
            "offers": offered(field, self.words),
            "notes": [self._noted(note) for note in self._draft.notes(field)],
        }

    def _noted(self, note: Note) -> dict[str, str]:
        does = self.words.get(f"does_{note.kind}")
        says = self.words["studio_senses"].format(does=does) if does else self.words["studio_cannot_sense"]
        return {"sentence": note.sentence, "sensed": "yes" if does else "", "says": says, "nearest": note.nearest}

    def _served(self, path: Path) -> str:
        """Where JupyterLab finds the file; empty where it does not."""
        if self._root is None:
            return ""
        found = os.path.relpath(path.resolve(), self._root)
        return "" if found.startswith("..") else Path(found).as_posix()

    # --- what the page asks for ---------------------------------------------------------------------------

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        texts = ("text", "note", "root", "customer", "template")
        said = {key: asked[key] for key in texts if isinstance(asked.get(key), str)}
        acts: dict[Any, Callable[[], Any]] = {
            "shown": lambda: self._shown(said.get("root", "")),
            "begin": lambda: self._draft.begin(asked["n"] if isinstance(asked.get("n"), int) else -1),
            "write": lambda: self._typed(said.get("text", "")),
            "text": lambda: self.edit(said.get("text", "")),
            "choose": lambda: self.choose(said.get("customer"), said.get("template")),
            "hear": lambda: self.hear(said.get("text")),
            "save": lambda: self.save(said.get("note", "")),
            "use": lambda: self.use(said.get("note", "")),
            "undo": self.undo,
        }  # fmt: skip
        try:
            acts.get(asked.get("kind"), lambda: None)()
        except ClaraError as exc:
            self.problem = tell(exc, self._language)
        except OSError as exc:
            self.problem = f"{self.words['studio_not_saved']}: {tell(exc, self._language)}"

    def _typed(self, text: str) -> None:
        self._draft.write(text)
        self._draw()

    def _shown(self, root: str) -> None:
        """A page shows this studio: what was written by hand before comes back, and from now on the kernel keeps it."""
        self._root = Path(root).expanduser() if root else None
        if self._draft.keep_in(KERNEL.drafts):
            self.kept = True
            self._draw()
