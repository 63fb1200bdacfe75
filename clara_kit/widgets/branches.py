"""«Go on from here»: the part of `window.py` that enters the shown moment again, and shows what was answered as a tree.

The buttons are in `branches.js`; what comes of them is `lab/branches.py`'s. What a button does, a method does too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.lab.branches import Branch, branch
from clara_kit.lab.briefings import Customer, Template
from clara_kit.measure.ledger import STAGE_LABELS, STAGES
from clara_kit.measure.run import Run
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets.telling import tell
from clara_kit.widgets.words import whose
from clara_kit.world.brain import LLM, LLMS
from clara_kit.world.personas import Persona

KNOBS: dict[str, tuple[float, float, float]] = {"tts_speed": (0.7, 1.5, 0.05), "llm_max_tokens": (5, 400, 5)}
"""The settings that the panel offers: least, most, step. `go_on` takes all that can change in mid-conversation."""


class Branching(traitlets.HasTraits):
    """Goes on from the moment `branch_at` of the run that is shown."""

    can_branch = traitlets.Bool(False).tag(sync=True)
    branch_open = traitlets.Bool(False).tag(sync=True)
    branch_at = traitlets.Float(0.0).tag(sync=True)
    branch_choices = traitlets.Dict().tag(sync=True)
    branch_tree: Any = traitlets.List().tag(sync=True)
    branch_node = traitlets.Unicode().tag(sync=True)
    branch_shown = traitlets.Unicode().tag(sync=True)
    branch_apart = traitlets.Dict().tag(sync=True)
    branch_problem = traitlets.Unicode().tag(sync=True)
    _run: Run | None = None
    _root: Branch | None = None
    words: Any
    language: Any
    step: Any

    def _show_run(self, run: Run, node: Branch | None = None) -> None:
        """Show a run: the recorded one, or what came of it."""
        raise NotImplementedError

    def go_on(
        self, line: str, *, settings: Mapping[str, Any] | None = None, template: Template | None = None,
        customer: Customer | None = None, cuts_in: bool = True, at_ms: float | None = None, llm: LLM = "scripted",
    ) -> Branch:  # fmt: skip
        """The other answer to the shown moment (or that at `at_ms`) of what is shown: see `Branch.go_on`."""
        moment = {"step": self.step, "at_ms": self.branch_at} if at_ms is None else {"at_ms": at_ms}
        node = self._branch(self.branch_shown).go_on(
            line, settings=settings, template=template, customer=customer, cuts_in=cuts_in, llm=llm, **moment
        )
        self._grow(node)
        return node

    def show_branch(self, number: str) -> Branch:
        """Show what came of the recorded run ("": itself) in the window, at the moment where it parted."""
        node = self._branch(number)
        self.branch_shown = number
        self._show_run(node.run, node)
        self._at(node.from_ms if node.parent else node.at_ms)
        self._grow(node)
        return node

    def name_branch(self, number: str, name: str) -> None:
        """Call a node something; with an empty name, by its number again."""
        node = self._branch(number)
        node.name = " ".join(name.split())[:80] or node.number
        self._grow(node)

    def keep_branch(self, number: str) -> Run:
        """Keep a node as a run on the shelf, beside the recorded one. Raises `RunLogError`."""
        node = self._branch(number)
        run = node.keep(root=self._shelf)
        self._grow(node)
        return run

    def delete_branch(self, number: str) -> None:
        """Take a node out of the tree, with all that came of it; what was kept of them stays on the shelf."""
        node = self._branch(number)
        if node.parent is None:
            raise ClaraError("This is the recorded run itself.", hint="delete it on the shelf.")
        gone = {one.number for one in node.walk()}
        node.drop()
        if self.branch_shown in gone:
            self.show_branch(node.parent.number)
        self._grow(node.parent)

    def beside(self, left: str, right: str) -> dict[str, Any]:
        """Two answers side by side, with what the other lacks marked."""
        one, other = self._branch(left), self._branch(right)
        pairs = zip((one, other), one.beside(other), strict=True)
        self.branch_apart = {"sides": [[node.number, node.name, node.line, pieces] for node, pieces in pairs]}
        return self.branch_apart

    # --- inside -----------------------------------------------------------------------------------------

    def _branches_of(self, run: Run, node: Branch | None) -> None:
        """Another run is shown: of its tree, or one of its own."""
        self.can_branch = bool(run.events)
        if node is None:
            self._root, self.branch_open, self.branch_tree = None, False, []
            self.branch_node = self.branch_shown = ""

    def _at(self, at_ms: float) -> None:
        """Choose a moment of what is shown, between two events too."""
        self.at(at_ms)  # type: ignore[attr-defined]
        last_ms = max((event.at_ms for event in self._run.events), default=0.0) if self._run is not None else 0.0
        self.branch_at = at_ms
        self.branch_at = max(
            0.0, min(at_ms, last_ms)
        )  # in two steps: a field that holds nonsense is told the time again

    @property
    def _shelf(self) -> Path | None:
        folder = self._branch("").run.folder
        return folder.parent if folder is not None else None

    def _branch(self, number: str) -> Branch:
        if self._root is None:
            if self._run is None:
                raise ClaraError("This conversation is not over yet.", hint="go on from it when it is.")
            self._root = branch(self._run)
            self._root.gather(self._shelf)
        found = next((node for node in self._root.walk() if node.number == number), None)
        if found is None:
            raise ClaraError("This branch is no longer there.", hint="choose one of the tree.")
        return found

    def _grow(self, node: Branch) -> None:
        self.branch_tree = [self._row(one) for one in self._branch("").walk()]
        self.branch_node, self.branch_apart = node.number, {}

    def _row(self, node: Branch) -> dict[str, Any]:
        turn, about = node.turn, node.about
        changed = [str(about[name]) for name in ("customer",) if about.get(name)]
        template = about.get("template")
        if template is not None:
            changed.insert(0, f"{template['id']} v{template['version']}" if template else "prompt")
        changed += [
            f"{self.words.get(f'br_{name}', name)} {value:g}" for name, value in (about.get("settings") or {}).items()
        ]
        wait = None if turn is None or turn.total_ms is None else round(turn.total_ms)
        return {
            "number": node.number, "depth": node.number.count(".") + 1 if node.number else 0, "name": node.name,
            "line": node.line, "answer": node.answer, "unheard": "" if turn is None else turn.unheard, "ms": wait,
            "stages": _stages(node),
            "from_ms": node.from_ms, "changed": changed, "kept": str(node.kept.resolve()) if node.kept else "",
            "notes": list(node.told(self.language)), "whose": whose(node.run.mix, self.language),
        }  # fmt: skip

    def open_branches(self) -> None:
        """Open the panel, with all that was ever kept of this conversation."""
        self._grow(self._branch(self.branch_node or self.branch_shown))
        self.branch_open = True
        self.branch_choices = {
            "prompts": [one.name for one in PromptTemplate.all()], "knobs": [[name, *knob] for name, knob in KNOBS.items()],
            "llms": list(LLMS), "customers": [[one.name, one.about] for one in Persona.all()],
        }  # fmt: skip

    def _branch_asked(self, asked: dict[str, Any]) -> None:
        """A message of the panel."""
        number, text = asked.get("number"), asked.get("text")
        self.branch_problem = ""
        try:
            match asked.get("do"), number, text:
                case "open", _, _:
                    self.open_branches()
                case "close", _, _:
                    self.branch_open = False
                case "ask", _, str():
                    self.go_on(text, **_given(asked))
                case "show", str(), _:
                    self.show_branch(number)
                case "hear", str(), _:
                    self.send({"kind": "branch_sound", "number": number}, [self._branch(number).sound()])  # type: ignore[attr-defined]
                case "name", str(), str():
                    self.name_branch(number, text)
                case "keep", str(), _:
                    self.keep_branch(number)
                case "delete", str(), _:
                    self.delete_branch(number)
                case "beside", str(), str():
                    self.beside(number, text)
        except ClaraError as exc:
            self.branch_problem = tell(exc, self.language)


def _stages(node: Branch) -> list[list[Any]]:
    """Where the milliseconds of the wait went, by the names that the window has for the parts."""
    if node.turn is None:
        return []
    stages = node.turn.stages
    named = zip(STAGE_LABELS, STAGES, strict=True)
    return [[label, round(stages[stage])] for label, stage in named if round(stages.get(stage, 0.0))]


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    """What the panel's fields say; an empty one leaves it as it was recorded."""
    settings = asked.get("settings")
    wanted = {k: v for k, v in settings.items() if k in KNOBS and isinstance(v, int | float)} if isinstance(settings, dict) else {}  # fmt: skip
    llm = asked.get("llm") if asked.get("llm") in LLMS else "scripted"
    named = {name: asked[name] for name in ("template", "customer") if isinstance(asked.get(name), str) and asked[name]}
    return {**named, "llm": llm, "settings": wanted or None, "cuts_in": asked.get("cuts_in") is not False}
