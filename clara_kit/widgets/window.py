"""`ConversationWindow`: one conversation to look at, walk through and listen to, in a notebook.

The same window for a run that is over (live, twin, simulated, recorded) and for a `ConversationManager` that
still runs. The model is here, the view in `window.js`. What the view does, a method does too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings
from clara_kit.lab.branches import Branch
from clara_kit.lab.margins import Margin, close_calls, margins_of, told
from clara_kit.lab.sentences import frame
from clara_kit.lab.stepping import Moment, Stepper
from clara_kit.lab.timeline import timeline
from clara_kit.lab.voiced import recording_of, spoken
from clara_kit.measure.codec import reveal
from clara_kit.measure.run import Run
from clara_kit.runtime.manager import ConversationManager
from clara_kit.widgets.branches import Branching
from clara_kit.widgets.following import follow
from clara_kit.widgets.labelling import Labelling
from clara_kit.widgets.picture import svg
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language, whose


class ConversationWindow(Labelling, Branching, anywidget.AnyWidget):
    """Timeline and stepper of `source`: a `Run`, the folder of one, or a running `ConversationManager`.

    voiced: one that has no sound is spoken by the offline voices when it is played.
    """

    _esm = view("labelling", "branches", "window")
    _css = style("window", "branches")

    _stepper: Stepper | None = None
    _node: Branch | None = None  # what came of another line, where that is shown
    _margins: tuple[Margin, ...] = ()
    _shown: tuple[Sequence[Record], Settings, Mapping[str, str]] | None = None

    title = traitlets.Unicode().tag(sync=True)
    mix = traitlets.Unicode().tag(sync=True)
    timeline = traitlets.Dict().tag(sync=True)
    steps = traitlets.Int(0).tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    moment = traitlets.Dict().tag(sync=True)
    growing = traitlets.Bool(False).tag(sync=True)
    sound_from_ms = traitlets.Float(0.0).tag(sync=True)
    has_sound = traitlets.Bool(False).tag(sync=True)
    play_from_ms = traitlets.Float(-1.0).tag(sync=True)
    telling: Any = traitlets.List().tag(sync=True)
    unfolded = traitlets.Bool(False).tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    words = traitlets.Dict().tag(sync=True)
    whose = traitlets.Unicode().tag(sync=True)
    asked_for = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self, source: Run | ConversationManager | str | Path, *, language: Language | None = None, voiced: bool = False
    ) -> None:
        super().__init__(language=language or usual_language())
        self._voiced = voiced
        self._label()
        self._sound: Path | None = None
        self.on_msg(self._asked)
        if isinstance(source, ConversationManager):
            self._manager = source
            self.growing = True
            self.title = self.words["w_running"]
            self.mix = Run(inputs={"modes": source.services.modes}, trace=()).mix
            follow(source, self._refresh)
        else:
            self._show_run(source if isinstance(source, Run) else Run.load(source))

    # --- walking ----------------------------------------------------------------------------------------

    def go_to(self, step: int) -> Moment:
        """Choose an event by its number, from 0; beyond the ends is the end."""
        self.step = max(0, min(step, self.steps - 1))
        return self.here

    def next(self) -> Moment:
        """One event on."""
        return self.go_to(self.step + 1)

    def back(self) -> Moment:
        """One event back."""
        return self.go_to(self.step - 1)

    def at(self, at_ms: float) -> Moment:
        """The last event up to this time."""
        return self.go_to(self._stepper.nearest(at_ms) if self._stepper else 0)

    @property
    def here(self) -> Moment:
        """The chosen moment: what happened, what was decided, what Clara remembers."""
        if self._stepper is None or not self.steps:
            raise ClaraError("This conversation has no events to walk through.", hint="`run.problems` may say why.")
        return self._moment(self._stepper, self.step)

    def why(self) -> str:
        """What happened at the chosen moment and why what followed followed: plain sentences, then the engineers' part."""
        return self.here.why

    def play(self, at_ms: float | None = None) -> None:
        """Let the browser play the sound from a time, or from the chosen moment."""
        if not self.has_sound:
            raise ClaraError("This conversation has no sound.", hint="simulated runs have none; twins record.")
        self.play_from_ms = -1.0
        self.play_from_ms = self.here.at_ms if at_ms is None else at_ms

    def picture(self) -> str:
        """The static picture, as SVG."""
        return svg(self._timeline, title=self.title, mix=self.mix, language=self._language)

    # --- what it shows ----------------------------------------------------------------------------------

    def _show_run(self, run: Run, node: Branch | None = None) -> None:
        self._run, self.can_label = run, "recording" not in run.modes.values()  # nothing in a recorded call was decided
        self._branches_of(run, node)
        self.can_branch = self.can_branch and self.can_label
        self._node = node if node is not None and node.parent is not None else None
        recording = recording_of(run)
        self._sound = recording.path if recording is not None else None
        self.title = str(run.facts.get("title") or f"conversation {run.run_id}")
        self.mix = run.mix
        self.sound_from_ms = 0.0 if self._node is not None else run.sound_from_ms
        self.has_sound = self._node is not None or recording is not None or (self._voiced and bool(run.events))
        self.growing = False
        # An invented customer has nothing to protect; a real one's words stay out of what a notebook may keep.
        settings = run.settings if self.can_label else Settings()
        self._show(run.trace, settings, {} if run.modes.get("shop") == "live" else run.words)

    def _show(self, trace: Sequence[Record], settings: Settings, words: Mapping[str, str]) -> None:
        """words: what the placeholders of the trace stand for; it is decided with these, and shown with the words."""
        self._shown = trace, settings, words
        self._timeline = timeline(reveal(trace, words), self._language)
        self._margins = () if self.growing else margins_of(trace, settings, self._language, words)
        self._timeline.marks += close_calls(self._margins)
        self._stepper = Stepper(trace, settings, self._language, words)
        with self.hold_trait_notifications():
            self.timeline = self._timeline.to_dict()
            self.steps = len(self._stepper)
            self.telling = [[step, round(at_ms, 1)] for step, at_ms in self._stepper.telling]
        self._step_chosen()

    @traitlets.observe("step")
    def _step_chosen(self, _change: Any = None) -> None:
        if self._stepper is not None and self.steps:
            moment = self._moment(self._stepper, max(0, min(self.step, self.steps - 1)))
            with self.hold_sync():  # the cursor and the moment it stands at, in one
                self.moment, self.branch_at = moment.to_dict(), moment.at_ms

    def _moment(self, stepper: Stepper, step: int) -> Moment:
        moment = stepper.moment(step)
        return replace(moment, plain=(*moment.plain, *told(self._margins, step)))

    @property
    def _language(self) -> Language:
        return "es" if self.language == "es" else "en"

    @traitlets.observe("language", "mix")
    def _label(self, change: Any = None) -> None:
        """Say everything in this language from now on."""
        self.words = {**spoken_in(self._language), "engineers": frame("engineers", self._language)}
        self.whose = whose(self.mix, self._language)
        if change is not None and change.name == "language" and self._shown is not None:
            self._show(*self._shown)

    def _refresh(self) -> None:
        """Show a conversation that still runs, or has just ended."""
        if self._manager.run is not None:
            return self._show_run(self._manager.run)
        at_the_end = self.step >= self.steps - 1
        trace: Sequence[Record] = tuple(self._manager.conversation.trace)
        if self._manager.services.modes.get("shop") != "live":
            trace = self._manager.revealed(trace)
        self._show(trace, self._manager.settings, {})
        if at_the_end:
            self.step = max(0, self.steps - 1)

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A message of the view."""
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind == "sound" and self._node is not None:
            self.send({"kind": "sound"}, [self._node.sound(0.0)])
        elif kind == "sound" and self._sound is not None and self._sound.is_file():
            self.send({"kind": "sound"}, [self._sound.read_bytes()])
        elif kind == "sound" and self._voiced and self._run is not None:
            self.send({"kind": "sound"}, [spoken(self._run)])
        elif kind == "at" and isinstance(content.get("at_ms"), int | float):
            self._at(content["at_ms"])
        elif kind == "branch":
            self._branch_asked(content)
        elif kind == "label":
            self._label_asked(content)
        elif kind == "seen":
            self.asked_for = False

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        data = {**data, "image/svg+xml": self.picture(), "text/plain": repr(self)}
        return data, metadata

    def __repr__(self) -> str:
        return f"<ConversationWindow {self.title}: {self.steps} events, {self.mix}>"
