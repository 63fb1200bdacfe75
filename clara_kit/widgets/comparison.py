"""`Comparison`: two prompts side by side, on one's own questions; differences marked, each answer to be heard.

The view is in `comparison.js`. Everything is simulated and spoken by the offline voice: no model and no vendor is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from clara_kit.audio.wav import wav_bytes
from clara_kit.core.errors import ClaraError
from clara_kit.lab import questions as lists
from clara_kit.lab.apart import Pair, answers
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language
from clara_kit.world.personas import Persona
from clara_kit.world.voices import clara_voice


class Comparison(anywidget.AnyWidget):
    """`choose`, `take`, `keep` and `compare` do what the fields and the buttons do; `pairs`: what came of it, as data.

    folder: where lists of questions are kept (default `data/questions`).
    """

    _esm = view("comparison")
    _css = style("desk", "shelf")

    words = traitlets.Dict().tag(sync=True)
    customers: Any = traitlets.List().tag(sync=True)
    prompts: Any = traitlets.List().tag(sync=True)
    question_lists: Any = traitlets.List().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    questions = traitlets.Unicode("\n".join(lists.USUAL)).tag(sync=True)
    kept_at = traitlets.Unicode("").tag(sync=True)
    asked: Any = traitlets.List().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    same = traitlets.Int(0).tag(sync=True)
    progress = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        customer: str = "camila",
        left: str = "warm",
        right: str = "brief",
        *,
        language: Language | None = None,
        folder: Path | None = None,
    ) -> None:
        self._language = language or usual_language()
        super().__init__(words=spoken_in(self._language))
        self.pairs: tuple[Pair, ...] = ()
        self._folder = folder
        self.customers = [[p.name, p.about] for p in Persona.all()]
        self.on_msg(self._asked)
        self.choose(customer=customer, left=left, right=right)

    def choose(self, **changes: str) -> None:
        """Choose customer, left and right prompt by their names, all or some."""
        self.prompts = [t.name for t in PromptTemplate.all()]
        self.question_lists = [list(one) for one in lists.listed(self._folder).items()]
        self.chosen = {**self.chosen, **changes}

    def take(self, name: str) -> tuple[str, ...]:
        """Take the questions of a list: `usual`, a shipped script's, or `mine/<name>`. Raises `ClaraError`."""
        found = lists.read(name, self._folder)
        self.questions = "\n".join(found)
        return found

    def keep(self, name: str) -> Path:
        """Keep the questions as they stand by a name; returns their file. Raises `ClaraError`."""
        path = lists.keep(name, self.questions.splitlines(), self._folder)
        self.kept_at = str(path.resolve())
        self.choose()
        return path

    def compare(self, questions: str | None = None) -> tuple[Pair, ...]:
        """Ask both prompts every question (one a line); raises `ClaraError`."""
        if questions is not None:
            self.questions = questions
        customer, left, right = (self.chosen[name] for name in ("customer", "left", "right"))
        asked = [question for question in self.questions.splitlines() if question.strip()]
        pairs: list[Pair] = []
        try:
            for number, question in enumerate(asked, 1):
                self.progress = f"{number} / {len(asked)}"
                pairs += answers([question], customer, left, right)
        finally:
            self.progress = ""
        self.pairs = tuple(pairs)
        self.same, self.asked = sum(pair.same for pair in pairs), [left, right]
        self.rows = [[pair.question, *pair.pieces(), pair.same] for pair in pairs]
        return self.pairs

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        kind, name = asked.get("kind"), asked.get("name")
        if kind != "offers":
            self.problem = ""
        try:
            if kind == "offers":
                self.choose()
            elif kind == "compare":
                self.problem = "" if self.compare() else self.words["compare_nothing"]
            elif kind in ("take", "keep") and isinstance(name, str):
                (self.take if kind == "take" else self.keep)(name)
            elif (
                kind == "hear" and asked.get("side") in ("left", "right") and asked.get("row") in range(len(self.pairs))
            ):
                text = getattr(self.pairs[asked["row"]], asked["side"])
                self.send({**asked, "kind": "sound"}, [wav_bytes(clara_voice().synthesize(text).sound)])
        except ClaraError as exc:
            self.problem = tell(exc, self._language)

    def __repr__(self) -> str:
        return f"<Comparison of {self.chosen['left']} and {self.chosen['right']}: {self.same} of {len(self.pairs)} the same>"
