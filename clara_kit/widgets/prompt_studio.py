"""`PromptStudio`: choose a customer and a template, edit it, and see at once what Clara would be told.

Plain controls around `lab/briefings.py`. Whatever the hand does, a method does too, and `briefing` is ordinary data
for the next cell. A mistake in the template is named with its line, below the text, while the last good one stays shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as w

from clara_kit.audio.pcm import concat, silence
from clara_kit.audio.wav import wav_bytes
from clara_kit.core.errors import ClaraError
from clara_kit.core.page import escape, table
from clara_kit.lab.briefings import Told, profile_of, replies
from clara_kit.prompts import file as template_file
from clara_kit.prompts.briefing import Briefing, brief
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets.telling import in_language, tell
from clara_kit.world.instructions import SENSED, nearest, sense
from clara_kit.world.personas import Persona
from clara_kit.world.voices import clara_voice

QUESTION = "¿Qué protector solar me recomiendas?"
PAUSE_MS = 600  # after the greeting, as if the customer spoke


class PromptStudio(w.VBox):  # type: ignore[misc]
    """A template and an invented customer, side by side. `folder`: where new versions are saved."""

    def __init__(self, customer: str = "camila", template: str = "warm", *, folder: str | Path | None = None) -> None:
        self._folder = Path(folder) if folder is not None else None
        self._good = PromptTemplate.load(template)
        self._drafts: dict[str, str] = {}  # unsaved text, by template: another choice must not lose it
        wide = w.Layout(width="auto", flex="1 1 38ch")
        self._customer = w.Dropdown(
            options=[(f"{p.name}: {p.about}", p.name) for p in Persona.all()],
            value=customer,
            description="customer",
            layout=w.Layout(width="auto", max_width="90ch"),
        )
        self._template = w.Dropdown(description="template")
        self._text = w.Textarea(continuous_update=True, layout=w.Layout(width="auto", height="420px", flex="1 1 52ch"))
        self._shown = w.HTML(layout=wide)
        self._says, self._bad = w.HTML(), w.HTML()
        self._save = w.Button(description="Save as a new version", icon="save", layout=w.Layout(width="auto"))
        self._undo = w.Button(description="Undo my changes", icon="undo", layout=w.Layout(width="auto"))
        self._question = w.Text(QUESTION, continuous_update=False, layout=w.Layout(width="auto", flex="1 1 30em"))
        self._hear = w.Button(description="Hear her", icon="volume-up", layout=w.Layout(width="auto"))
        self._heard, self._player = w.HTML(), w.Audio(autoplay=True, loop=False, controls=True)
        for name in (
            "question",
            "hear",
            "heard",
            "customer",
            "template",
            "text",
            "shown",
            "says",
            "bad",
            "save",
            "undo",
        ):
            getattr(self, f"_{name}").add_class(f"clara-studio-{name}")
        self._list_templates(template)
        self._text.value = self._source(template)
        self._customer.observe(lambda _: self._draw(), "value")
        self._template.observe(self._template_chosen, "value")
        self._text.observe(lambda _: self._draw(), "value")
        self._save.on_click(lambda _: self._on_save())
        self._undo.on_click(lambda _: self.undo())
        self._hear.on_click(lambda _: self._on_hear())
        columns = w.HBox([self._text, self._shown], layout=w.Layout(flex_flow="row wrap", width="auto"))
        buttons = w.HBox([self._save, self._undo])
        listen = w.HBox([self._question, self._hear], layout=w.Layout(flex_flow="row wrap"))
        self._answer = w.VBox([self._heard])
        parts = [self._customer, self._template, self._says, columns, buttons, listen, self._answer, self._bad]
        super().__init__(parts)
        self._draw()

    # --- what the hand does, without a hand -------------------------------------------------------------

    def choose(self, customer: str | None = None, template: str | None = None) -> Briefing:
        """Choose a customer, a template, or both."""
        if template is not None:
            if template not in dict(self._template.options).values():
                PromptTemplate.load(template)  # raises with the names that exist
                self._list_templates(template)
            self._template.value = template
        if customer is not None:
            self._customer.value = Persona.load(customer).name
        return self.briefing

    def edit(self, text: str) -> str:
        """Replace the template's text; returns what is wrong with it, empty when nothing is."""
        self._text.value = text
        return self.problem

    def undo(self) -> None:
        """Forget the changes that were not saved."""
        self._text.value = self._source(self._template.value)

    def save(self) -> Path:
        """Write the edited text as a new version; raises `TemplateError` while something is wrong with it."""
        text = self._text.value
        if "\r\n" in self._source(self._template.value) and "\r" not in text:
            text = text.replace("\n", "\r\n")  # a browser knows no other line ends than its own
        fresh = PromptTemplate.from_source(text).save(self._folder)
        assert fresh.path is not None
        self._good = fresh
        self._drafts.clear()
        self._list_templates(fresh.name)
        self._text.value = fresh.source
        self._says.value = f"<b>✓ Saved</b> as {escape(fresh.path.name)} (version {fresh.version}, {fresh.hash})."
        return fresh.path

    def hear(self, question: str | None = None) -> tuple[str, str]:
        """Clara's greeting and her answer to a question under the text as it stands, in words and as sound.

        Simulated, with the offline voice: no model and no vendor is asked.
        """
        if question is not None:
            self._question.value = question
        asked = self._question.value.strip() or QUESTION
        answer = str(replies([asked], self._customer.value, self._good).frame[0, 1])
        said = (self.briefing.greeting, answer)
        rows = [("Clara", said[0]), ("customer", asked), ("Clara", said[1])]
        self._heard.value = table(rows, caption=f"simulated, with the offline voice, under {self._good.label}")
        voice = clara_voice()
        parts = [voice.synthesize(text).sound for text in said if text.strip()]
        pauses = (silence(PAUSE_MS, parts[0].rate_hz) for _ in parts) if parts else ()
        if parts:
            self._player.value = wav_bytes(concat(*(s for pair in zip(parts, pauses, strict=True) for s in pair)))
        self._answer.children = (self._heard, self._player) if parts else (self._heard,)
        return said

    @property
    def template(self) -> PromptTemplate:
        """The last text that had no mistake in it."""
        return self._good

    @property
    def problem(self) -> str:
        """What is wrong with the text as it stands; empty when nothing is."""
        return self._problem

    @property
    def briefing(self) -> Briefing:
        """What Clara would be told."""
        return brief(self._good, profile_of(self._customer.value))

    def __repr__(self) -> str:
        return f"<PromptStudio {self._good.id} v{self._good.version} for {self._customer.value}>"

    # --- what follows from it ---------------------------------------------------------------------------

    def _list_templates(self, chosen: str) -> None:
        good, bad = PromptTemplate.listed(self._folder)
        options = {t.name: f"{t.id} v{t.version}{' (mine)' if t.name.startswith('mine/') else ''}" for t in good}
        labels = list(options.values())
        for name, label in options.items():  # two of one label: the files' names tell them apart
            options[name] = f"{label}: {Path(name).name}" if labels.count(label) > 1 else label
        options.update({name: f"✗ {Path(name).name}" for name in bad})
        options.setdefault(chosen, Path(chosen).stem)
        told = "".join(f"<li><b>{escape(name)}</b>: {escape(tell(exc))}</li>" for name, exc in bad.items())
        self._bad.value = f"<p>✗ Not usable as they are; choose one to mend it:</p><ul>{told}</ul>" if told else ""
        self._listing = True  # new options choose their first by themselves
        try:
            self._template.options = [(label, name) for name, label in options.items()]
            self._template.value = chosen
        finally:
            self._listing = False

    def _template_chosen(self, _change: Any) -> None:
        if not self._listing:
            name = self._template.value
            self._text.value = self._drafts.get(name) or self._source(name)

    def _source(self, name: str) -> str:
        """The text of a file, whatever is wrong with it; empty where it is no text."""
        try:
            return template_file.read(template_file.find(name))
        except ClaraError:
            return ""

    def _draw(self) -> None:
        self._drafts[self._template.value] = self._text.value
        try:
            self._good = PromptTemplate.from_source(self._text.value)
            self._shown.value = Told(self.briefing)._repr_html_()
            self._problem = ""
            self._says.value = self._noted()
        except ClaraError as exc:
            self._problem = tell(exc)
            self._says.value = (
                f"<p role='alert'><b>✗ {escape(in_language(exc.message))}</b><br>{escape(in_language(exc.hint))}</p>"
            )
        self._save.disabled = bool(self._problem)

    def _noted(self) -> str:
        """Of each sentence that the edit brought: whether the offline model can sense it, or the nearest that it can."""
        try:
            before = PromptTemplate.load(self._template.value)
        except ClaraError:  # it is being mended
            return ""
        someone = profile_of(self._customer.value)
        saved, now = (sense(brief(template, someone).prompt.text) for template in (before, self._good))
        does = dict(SENSED)
        notes = [
            f"● «{escape(i.sentence)}»: the offline model {escape(does[i.kind])}."
            for i in now.instructions
            if i not in saved.instructions and i.kind in does
        ]
        for sentence in now.unsensed:
            if sentence not in saved.unsensed:
                near = nearest(sentence)
                hint = f" The nearest that it can sense: «{escape(near)}»" if near else ""
                notes.append(f"○ «{escape(sentence)}»: only the real model obeys this; the offline one cannot.{hint}")
        return "<br>".join(notes)

    def _on_hear(self) -> None:
        try:
            self.hear()
        except ClaraError as exc:
            self._heard.value = f"<p role='alert'><b>✗ {escape(tell(exc))}</b></p>"

    def _on_save(self) -> None:
        try:
            self.save()
        except (ClaraError, OSError) as exc:
            self._says.value = f"<p role='alert'><b>✗ Not saved: {escape(tell(exc))}</b></p>"
