"""`Comparison`: two prompts side by side, on one's own questions; differences marked, each answer to be heard.

The view is in `comparison.js`. Everything is simulated and spoken by the offline voice: no model and no vendor is asked.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from clara_kit.audio.wav import wav_bytes
from clara_kit.core.errors import ClaraError
from clara_kit.lab.apart import Pair, answers
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import HERE, view
from clara_kit.widgets.words import Language, spoken_in, usual_language
from clara_kit.world.personas import Persona
from clara_kit.world.voices import clara_voice

QUESTIONS = (
    "¿Qué limpiador me recomiendas?", "¿Qué protector solar me recomiendas?", "¿Cuánto cuesta el despacho?",
    "¿Hacen despachos a regiones?", "¿Qué me recomiendas para las manchas?", "¿Puedo usar retinol embarazada?",
)  # fmt: skip


class Comparison(anywidget.AnyWidget):
    """`choose` and `compare` do what the fields and the button do; `pairs`: what came of it, as data."""

    _esm = view("comparison")
    _css = HERE / "desk.css"

    words = traitlets.Dict().tag(sync=True)
    customers: Any = traitlets.List().tag(sync=True)
    prompts: Any = traitlets.List().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    questions = traitlets.Unicode("\n".join(QUESTIONS)).tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    same = traitlets.Int(0).tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self, customer: str = "camila", left: str = "warm", right: str = "brief", *, language: Language | None = None
    ) -> None:
        self._language = language or usual_language()
        super().__init__(words=spoken_in(self._language))
        self.pairs: tuple[Pair, ...] = ()
        self.customers = [[p.name, p.about] for p in Persona.all()]
        self.on_msg(self._asked)
        self.choose(customer=customer, left=left, right=right)

    def choose(self, **changes: str) -> None:
        """Choose customer, left and right prompt by their names, all or some."""
        self.prompts = [t.name for t in PromptTemplate.all()]
        self.chosen = {**self.chosen, **changes}

    def compare(self, questions: str | None = None) -> tuple[Pair, ...]:
        """Ask both prompts every question (one a line); raises `ClaraError`."""
        if questions is not None:
            self.questions = questions
        chosen = self.chosen
        self.pairs = answers(self.questions.splitlines(), chosen["customer"], chosen["left"], chosen["right"])
        self.same = sum(pair.same for pair in self.pairs)
        self.rows = [[pair.question, *pair.pieces()] for pair in self.pairs]
        return self.pairs

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        self.problem = ""
        try:
            if kind == "compare":
                self.compare()
            elif (
                kind == "hear"
                and content.get("side") in ("left", "right")
                and content.get("row") in range(len(self.pairs))
            ):
                text = getattr(self.pairs[content["row"]], content["side"])
                self.send({"kind": "sound"}, [wav_bytes(clara_voice().synthesize(text).sound)])
        except ClaraError as exc:
            self.problem = tell(exc, self._language)

    def __repr__(self) -> str:
        return f"<Comparison of {self.chosen['left']} and {self.chosen['right']}: {self.same} of {len(self.pairs)} the same>"
