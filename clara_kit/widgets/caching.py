"""`CacheExplorer`: ask, and see whether an answer is ready and why; change what is true, and see which answers fall.

The model is here, what it asks of is `lab/caching.py`, the view is `caching.js`. What a click does, a method does too. Nothing that
the kit ships is changed: ways of asking that are added are drafts of this machine, and answers that are kept here are forgotten with the
widget. The model that writes an answer where none is ready is the scripted one, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from clara_kit.cache.faq import FAQ
from clara_kit.cache.responses import Hit, Remembered, ResponseCache
from clara_kit.core.commands import RequestReply
from clara_kit.core.errors import ClaraError, ScriptError
from clara_kit.core.events import AnswerFound, AnswerNotFound
from clara_kit.core.settings import Settings
from clara_kit.lab.caching import LETS_PASS, Curve, Drafts, Pair, Situation, both, curve
from clara_kit.lab.sheet import Sheet
from clara_kit.measure.run import Run
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.template import PromptTemplate
from clara_kit.providers.llm.pricing import PRICES
from clara_kit.widgets.telling import in_language, tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.words import Language, spoken_in, usual_language, whose
from clara_kit.world.answers import AnswerBook
from clara_kit.world.personas import Persona
from clara_kit.world.sim import simulate

SOME = [
    "¿Cuánto cuesta el despacho?",
    "¿Puedo usar retinol si estoy embarazada?",
    "¿Y niacinamida si estoy embarazada?",
]
QUESTION = "hola oye cuánto sale el envío po"
_KINDS = {field.name: field.type for field in fields(Situation)}


class CacheExplorer(anywidget.AnyWidget):
    """The response cache with its curated answers. drafts: the file that keeps added ways of asking (default: `data/faq/mine/`).

    `ask`, `situate`, `choose`, `add_way`, `drop_way`, `let_model_answer`, `interrupt`, `measure` and `hear` do what the page does.
    """

    _esm = view("caching")
    _css = style("desk", "caching")

    words = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    offers = traitlets.Dict().tag(sync=True)
    situation = traitlets.Dict().tag(sync=True)
    holding = traitlets.Dict().tag(sync=True)
    found = traitlets.Dict().tag(sync=True)
    entry = traitlets.Dict().tag(sync=True)
    curve = traitlets.Dict().tag(sync=True)
    heard = traitlets.Dict().tag(sync=True)
    status = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self, question: str = QUESTION, *, drafts: Path | None = None, language: Language | None = None
    ) -> None:
        self._language: Language = language or usual_language()
        super().__init__(words=spoken_in(self._language), language=self._language)
        self._drafts = Drafts(drafts)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.cache: ResponseCache = self._drafts.on(ResponseCache(faq=FAQ))
        self.now = Situation()
        self.measured: Curve | None = None
        self.pair: Pair | None = None
        self.sound = b""
        self.offers = {
            "customers": [[p.name, p.about] for p in Persona.all()],
            "prompts": [one.name for one in PromptTemplate.listed()[0]],
            "products": [[p.handle, p.title, p.price_clp, p.stock] for p in Catalog.load()],
            "models": [*PRICES][:3],
            "questions": [[one.id, one.question] for one in self.cache.entries()],
        }
        self.on_msg(self._asked)
        self.situate()
        self.ask(question)

    # --- what the hand does, without a hand -------------------------------------------------------------

    def ask(self, question: str) -> Any:
        """Look a question up in the situation that is chosen; returns the `Hit` or `Miss`, and shows what came close."""
        found = self.cache.look_up(question, self.now.scope)
        near = self.cache.nearest(question, n=3)
        self.found = {
            "question": question, "hit": False, "answer": "", "trust": 0, "learnt": False, "note": "",
            "why": in_language(found.why, self._language) if isinstance(found, Hit) or found.nearest is None else self.words["ca_no_same"],
            "near": [[one.entry.id, one.asked, round(one.similarity, 2), list(one.differs)] for one in near],
        }  # fmt: skip
        closest = near[0].entry if near else None
        if isinstance(found, Hit):
            closest, learnt = found.entry, found.entry.origin == "learnt"
            self.found = {**self.found, "hit": True, "answer": found.answer, "trust": found.trust, "learnt": learnt}
        if closest is not None and closest.origin == "curated":
            self.choose(closest.id)
        return found

    def situate(self, **changes: Any) -> dict[str, str]:
        """Change who asks or what is true, see `Situation`; returns the answers that fall, and why. Raises `ScriptError`."""
        now = replace(self.now, **changes)
        scope = now.scope
        self.now = now
        fallen = {one: why for one in self.cache.entries() if (why := self.cache.holds(one, scope))}
        self.situation = asdict(now)
        self.holding = {
            "of": len(self.cache.entries()),
            "fallen": [[one.question, in_language(why, self._language), one.origin] for one, why in fallen.items()],
        }
        if self.found:
            self.ask(self.found["question"])
        return {one.id: why for one, why in fallen.items()}

    def reset(self) -> None:
        """The situation that the kit ships with."""
        self.now = Situation()
        self.situate()

    def choose(self, name: str) -> None:
        """Show an answer with the ways to ask for it and what it must not be given for, by its name. Raises `ScriptError`."""
        one = next((one for one in self.cache.curated if one.id == name), None)
        if one is None:
            raise ScriptError(f"There is no answer {name!r}.", hint="choose one of the list.")
        mine = self._drafts.asked.get(name, ())
        self.entry = {
            "id": one.id, "question": one.question, "answer": one.answer, "depends": list(one.depends), "skin": list(one.skin),
            "until": str(one.until or ""), "mine": list(mine), "asked": [way for way in one.asked if way not in mine],
            "unlike": [[miss.text, miss.differs] for miss in one.unlike],
        }  # fmt: skip

    def add_way(self, way: str) -> None:
        """One more way to ask for the answer that is shown, kept as a draft. Raises `ScriptError` where it belongs to another."""
        self.cache = self._drafts.add(self.entry["id"], way, self.cache)
        self.status = self.words["ca_added"].format(way=way)
        self._again()

    def drop_way(self, way: str) -> None:
        """Forget a draft."""
        self._drafts.drop(self.entry["id"], way)
        self.cache = self._drafts.on(ResponseCache(faq=FAQ))
        self.status = self.words["ca_dropped"].format(way=way)
        self._again()

    def let_model_answer(self) -> Remembered:
        """Let the scripted model answer what was asked, as if it was heard to its end; returns whether that is kept, and why."""
        question = self.found["question"]
        answer = AnswerBook.load().reply(question).text
        kept = self.cache.remember(question, answer, self.now.scope)
        self.situate()
        self.found = {**self.found, "said": answer, "note": in_language(kept.why, self._language), "kept": kept.kept}
        return kept

    def interrupt(self) -> None:
        """What was found was cut short by the customer's words: it is trusted less, and gone the second time."""
        self.cache.distrust(self.found["question"], self.found["answer"])
        self.situate()

    def measure(self) -> Curve:
        """Try every way of asking and every near miss at every strictness; some seconds the first time."""
        self.measured = found = curve(self.cache.curated)
        self.curve = {
            "guards": found.guards, "passes": LETS_PASS, "shipped": found.shipped, "ways": found.ways, "misses": found.misses,
            "wrong": found.wrong,
        }  # fmt: skip
        return found

    def hear(self, question: str | None = None) -> Pair:
        """What was asked, or another question, without the cache and with it, one after the other; `sound`: as a WAV."""
        asked = question or self.found["question"]
        pair = both(asked)
        self.sound = pair.sound()
        self.pair, self.heard = pair, {"question": asked, "waits": pair.waits_ms}
        self.send({"kind": "sound"}, [self.sound])
        return pair

    def __repr__(self) -> str:
        return (
            f"<CacheExplorer: {self.holding['of'] - len(self.holding['fallen'])} of {self.holding['of']} answers hold>"
        )

    # --- what follows from it ---------------------------------------------------------------------------

    def _again(self) -> None:
        name = self.entry["id"]
        self.situate()
        self.choose(name)

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        text = asked["text"] if isinstance(asked.get("text"), str) else ""
        changes = asked["changes"] if isinstance(asked.get("changes"), dict) else {}
        acts: dict[Any, Callable[[], Any]] = {
            "ask": lambda: self.ask(text), "choose": lambda: self.choose(text), "reset": self.reset,
            "situate": lambda: self.situate(**_checked(changes)), "add": lambda: self.add_way(text), "drop": lambda: self.drop_way(text),
            "model": self.let_model_answer, "interrupt": self.interrupt,
            "measure": lambda: self._soon(self.measure, curve, self.cache.curated),
            "hear": lambda: self._soon(self.hear, both, self.found["question"]),
        }  # fmt: skip
        self.problem = self.status = ""
        self._do(acts.get(asked.get("kind"), lambda: None))

    def _do(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except ClaraError as exc:
            self.problem = tell(exc, self._language)

    def _soon(self, show: Callable[[], Any], work: Callable[[Any], Any], on: Any) -> None:
        """Work in a thread, which keeps what it found, so that no cell and no conversation waits for it; then show it."""

        async def later() -> None:
            try:
                await asyncio.to_thread(work, on)
                show()
            except ClaraError as exc:
                self.problem = tell(exc, self._language)

        task = asyncio.get_event_loop().create_task(later())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def what_was_ready(run: Run | None = None, language: Language | None = None) -> Sheet:
    """Each question of a run, whether an answer was ready, why, and the wait until Clara was heard; without one, of a simulated customer."""
    which = language or usual_language()
    words, run = spoken_in(which), run or simulate(SOME, Settings.preset("fast").with_changes(greeting=""))
    found = {e.turn_id: e.why for e in run.events if isinstance(e, AnswerFound | AnswerNotFound)}
    ready = {e.turn_id for e in run.events if isinstance(e, AnswerFound)}
    for asked in run.trace:
        if isinstance(asked, RequestReply) and asked.by == "kept_answer":  # it was not even looked up
            found.setdefault(asked.turn_id, asked.reason.rpartition("; ")[2])
    rows = [
        {
            words["ca_row_asked"]: turn.customer,
            words["ca_row_ready"]: words["ca_yes" if turn.turn_id in ready else "ca_no"],
            words["ca_row_why"]: in_language(found.get(turn.turn_id, ""), which) or words["ca_not_asked"],
            words["ca_row_wait"]: "–" if turn.total_ms is None else f"{turn.total_ms / 1000:.2f}\u00a0s",
        }
        for turn in run.ledger
        if turn.kind != "greeting"
    ]
    return Sheet.of(rows or [{words["ca_row_asked"]: "–"}], whose(run.mix, which))


def _checked(changes: dict[str, Any]) -> dict[str, Any]:
    """What of it a situation has, as what it is."""
    kinds: dict[str, type] = {"str": str, "int": int, "bool": bool}
    return {name: value for name, value in changes.items() if isinstance(value, kinds.get(str(_KINDS.get(name)), ()))}
