"""`PromptLab`: two prompts, the same conversations, and how sure it is that one is better; seven steps by mouse and keyboard.

The view is in `prompt_lab*.js`; prompt B is edited in a `PromptStudio` of its own. Whatever the hand does, a method does too,
and `experiment` and `compared` are ordinary data for the next cell. What is scripted, recorded or live says so everywhere.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ipywidgets

from clara_kit.audio.wav import wav_bytes
from clara_kit.core.errors import ClaraError
from clara_kit.lab.experiment.cells import Variant
from clara_kit.lab.experiment.experiment import Experiment
from clara_kit.lab.experiment.plan import Plan
from clara_kit.lab.experiment.runner import Progress, run_experiment
from clara_kit.lab.kernel import KERNEL
from clara_kit.lab.scenarios import scenario_of
from clara_kit.lab.scores.scoring import score
from clara_kit.lab.statistics.compare import compare
from clara_kit.lab.statistics.method_check import method_check
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets import prompt_lab_shown as shown
from clara_kit.widgets.prompt_lab_judge import Judging
from clara_kit.widgets.prompt_lab_rating import BlindRating
from clara_kit.widgets.prompt_lab_run import Running
from clara_kit.widgets.prompt_lab_view import STEPS, LabView
from clara_kit.widgets.prompt_studio import PromptStudio
from clara_kit.widgets.telling import tell
from clara_kit.widgets.words import Language, mixed, spoken_in, usual_language
from clara_kit.world.brain import LLMS
from clara_kit.world.scenario import Scenario
from clara_kit.world.voices import clara_voice

CUSTOMERS = ("antonia", "benjamin", "camila", "emilia", "matias", "rosario")  # to begin with
MANY = 1000  # conversations: from here on processes of their own, which leave the kernel to its cells
log = logging.getLogger("clara_kit.widgets")


class PromptLab(ipywidgets.VBox):  # type: ignore[misc]
    """Prompts A and B on the same conversations. folder: where new versions are saved; root: where experiments are kept."""

    def __init__(
        self, a: str = "warm", b: str = "brief", *, customer: str = "camila", folder: str | Path | None = None,
        root: str | Path | None = None, scenarios: Path | None = None, workers: int | None = None,
        language: Language | None = None,
    ) -> None:  # fmt: skip
        self._language = language or usual_language()
        self._scenarios = scenarios
        self._root, self._workers = Path(root) if root is not None else None, workers
        self.studio = PromptStudio(customer, b, folder=folder, language=self._language)
        self.words = spoken_in(self._language)
        renamed = {"studio": "pl_studio", "prompt": "pl_prompt_b", "studio_customer": "pl_preview_customer"}
        self.studio.words = {**self.words, **{name: self.words[other] for name, other in renamed.items()}}
        self._view = LabView(words=self.words, offers=shown.offers())
        self._titles: dict[str, str] = {}
        self._running = Running()
        self._blind: BlindRating | None = None
        self._judging: Judging | None = None
        self._checking: Future[str] | None = None
        self._rater = self.words["pl_rater_usual"]
        self._pair: tuple[Any, ...] = ()
        self._shown: Any = None
        self._figures: list[list[str]] = []
        self._looks = 0
        self._ran: list[Any] = []
        self._ran_sides: dict[str, Any] = {}
        self._view.on_msg(self._asked)
        self.studio.observe(self._show_sides, names=["changed", "text", "chosen", "problem"])
        super().__init__([self._view, self.studio])
        self.choose(
            a=a, scenarios=[one.name for one in Scenario.all()], customers=[*CUSTOMERS], seeds=1, llm="scripted", budget_usd=1.0, until_sure=False,
        )  # fmt: skip

    # --- what the hand does, without a hand ---------------------------------------------------------------

    def go(self, step: str) -> None:
        """Go to one of `STEPS`."""
        if step not in STEPS:
            raise ClaraError(f"There is no step {step!r}.", hint=f"use one of: {', '.join(STEPS)}.")
        self.children = (self._view, self.studio) if step == "prompts" else (self._view,)
        self._view.step = step
        if step == "read" and not self._view.reading and self._view.pairs:
            self.read(*self._view.pairs[0]["key"])
        if step == "rate" and self.experiment is not None:
            self.rater(self._rater)

    def choose(self, **changes: Any) -> None:
        """Choose prompt A (`a`), `scenarios`, `customers`, `seeds` and who answers (`llm`), all or some. Raises `ClaraError`."""
        if "a" in changes:
            PromptTemplate.load(changes["a"])
        self._view.chosen = {**self._view.chosen, **changes}
        self._show_sides()

    def plan(self) -> dict[str, Any]:
        """What the choice would take: conversations, calls, US$, time. Raises `ClaraError`."""
        try:
            self._view.plan = shown.planned(self._asked_for(), self.words)
        except ClaraError:
            self._view.plan = {}  # that of another choice says nothing of this one
            raise
        return self._view.plan

    def run(self, *, agreed: bool = False) -> None:
        """Begin, or go on where it was stopped; returns at once. agreed: to what it costs. Raises `ClaraError`."""
        asked, money = self._asked_for(), {}
        if self._running.busy:
            return
        if not (asked["scenarios"] and asked["customers"]):
            raise ClaraError("Nothing is chosen.", hint="tick at least one scenario and one customer.")
        if asked["llm"] in ("live", "recorded"):  # a recorded answer that is missing is asked for, where there is a key
            money = {"budget_usd": self._view.chosen["budget_usd"]}

        def agrees(found: Plan) -> bool:
            if found.costs and not agreed:
                raise ClaraError("The model is asked, and that costs money.", hint="agree to it first.")
            return True

        def job(progress: Callable[[Progress], None], stop: Callable[[], bool]) -> Experiment:
            return run_experiment(**asked, **money, ask=agrees, progress=progress, should_stop=stop)

        if self._ran != (now := self._now()):
            self._running.forget()
        self._ran, self._view.reading, self._view.verdict, self._blind, self._judging = now, {}, {}, None, None
        self._ran_sides, self._view.rating = self._view.sides, {}
        self._running.start(job, compare)
        self._show_progress()

    def stop(self) -> None:
        """Stop soon; what is done is kept, and `run` goes on from there."""
        self._running.stop()

    def wait(self, timeout_s: float | None = None) -> str:
        """Wait until the run is over; returns what became of it."""
        state = self._running.wait(timeout_s)
        self._show_progress()
        return state

    @property
    def experiment(self) -> Any:
        """What ran last, or as much of it as there is; None before."""
        return self._running.experiment

    @property
    def compared(self) -> Any:
        """What `compare` says of it; None before it is over."""
        return self._running.compared

    def read(self, scenario: str, customer: str, seed: int) -> None:
        """Show both conversations of one occasion side by side. Raises `ClaraError`."""
        if self.experiment is None:
            raise ClaraError("There is nothing to read yet.", hint="run both prompts first.")
        expected = self.experiment.design.scenarios[scenario]
        runs = [self.experiment.run(side, scenario, customer, seed) for side in "AB"]
        failed = [score(run, expected).failed for run in runs]
        self._pair = tuple(run.revealed() for run in runs)
        self._view.reading = {
            "key": [scenario, customer, seed], "title": expected.title, "about": expected.description,
            "sides": self._ran_sides, "mix": mixed(runs[0].mix, self._language), **shown.transcripts(self._pair, failed, self._language),
        }  # fmt: skip

    def rater(self, alias: str) -> None:
        """Rate under this alias; whoever rated before goes on where they were. Raises `ClaraError`."""
        if self.experiment is None:
            raise ClaraError("There is nothing to rate yet.", hint="run both prompts first.")
        self._blind, self._rater = BlindRating(self.experiment, alias), alias
        self._show_rating()

    def rate(self, what: str) -> None:
        """ "left", "right", "same" or "both_bad" of the pair that is shown, or "undo". Raises `ClaraError`."""
        if self._blind is not None:
            self._blind.take(what)
            self._show_rating()

    def judge(self, *, agreed: bool = False) -> None:
        """Let the model judge the pairs, in a thread; returns at once. agreed: to what it costs. Raises `ClaraError`."""
        if self._judging is None:
            raise ClaraError("There is nothing to rate yet.", hint="run both prompts first.")
        if not agreed and self._judging.costs:
            raise ClaraError("The model is asked, and that costs money.", hint="agree to it first.")
        self._judging.start(self._view.chosen["budget_usd"])
        self._show_rating()

    def make(self, side: int, turn: int) -> Scenario:
        """Make what is read, up to this turn, a scenario of one's own. Raises `ClaraError`."""
        run, reading = self._pair[side], self._view.reading
        topic = self.experiment.design.scenarios[reading["key"][0]].topic
        made = scenario_of(run, run.ledger[turn].turn_id, topic=topic).keep(self._scenarios)
        self._view.reading = {**reading, "made": made.title}
        self._show_offers()
        return made

    def check(self) -> None:
        """Try the method itself on what was run (`method_check`), in a thread; returns at once."""
        metric, experiment = self._view.verdict.get("by") or "kept", self.experiment

        def tried() -> str:
            return method_check(experiment, metric).told(self._language)

        if experiment is not None and not self._view.verdict.get("checking"):
            self._checking = ThreadPoolExecutor(1).submit(tried)
            self._view.verdict = {**self._view.verdict, "checking": True}

    def lose(self, metric: str) -> None:
        """Show by scenario where B loses on a metric."""
        if self.compared is not None:
            self._view.verdict = {**self._view.verdict, **shown.by_scenario(self.compared, metric, self._titles)}

    def save(self, side: str = "B", note: str = "", *, use: bool = False) -> str:
        """Save the winner as a new version where it has changed, and let the next conversation use it; returns its name.

        Raises `ClaraError`, `OSError`.
        """
        new = side == "B" and self.studio.changed
        if new:
            self.studio.save(note)
        template = self.studio.template if side == "B" else PromptTemplate.load(self._view.chosen["a"])
        told = self.words["pl_saved" if new else "pl_not_new"].format(
            label=(label := f"{template.id} v{template.version}")
        )
        if use:
            KERNEL.use(template.name)
            told = f"{told} {self.words['pl_used'].format(label=label)}"
        self._view.saved = {"text": told, "path": str(template.path.resolve()) if template.path else ""}
        self._show_sides()
        return template.name

    # --- what follows from it -----------------------------------------------------------------------------

    def _now(self) -> list[Any]:
        """What is chosen, to see whether it has changed."""
        return [self._view.chosen, self.studio.template.hash]

    def _asked_for(self) -> dict[str, Any]:
        """What `run_experiment` is asked for."""
        now = self._view.chosen
        many = 2 * len(now["scenarios"]) * len(now["customers"]) * now["seeds"] >= MANY
        a, b = PromptTemplate.load(now["a"]), self.studio.template
        return {
            "variants": [Variant(name="A", template=a), Variant(name="B", template=b)],
            "scenarios": [one for one in Scenario.all() if one.name in now["scenarios"]],
            "customers": [*now["customers"]], "seeds": now["seeds"], "llm": now["llm"], "folder": self._root,
            "stop_when_sure": shown.LOOKED_AT if now["until_sure"] else "",
            "workers": self._workers or (min(4, os.cpu_count() or 1) if many and now["llm"] == "scripted" else 1),
        }  # fmt: skip

    def _show_sides(self, _change: Any = None) -> None:
        self._view.sides = shown.sides(PromptTemplate.load(self._view.chosen["a"]), self.studio, self.words)
        self._show_offers()
        self._show_progress()

    def _show_progress(self) -> None:
        now, experiment = self._running, self._running.experiment
        if experiment is None:
            self._view.pairs, self._figures = [], []
        elif experiment is not self._shown:
            self._view.pairs, self._figures = (
                shown.pairs(experiment, self._titles),
                shown.figures(experiment, self._language),
            )
        self._shown, self._looks = experiment, self._looks + 1
        self._view.progress = {
            **shown.progress(now, self.words, self._language), "pairs": len(self._view.pairs), "figures": self._figures,
            "stale": now.state != "idle" and self._ran != self._now(), "look": self._looks,
        }  # fmt: skip
        if experiment is not None and now.compared is not None and not self._view.verdict:
            found = shown.verdict(now.compared, self._titles, self._language)
            early = shown.early(experiment, self._language)
            self._view.verdict = {
                **found,
                "notes": [*early, *found["notes"]],
                "mix": shown.answers(experiment, self.words),
            }
            self._judging = Judging(experiment, self._language)
        if self._checking is not None and self._checking.done():
            try:
                told = self._checking.result()
            except ClaraError as exc:
                told = tell(exc, self._language)
            self._checking, self._view.verdict = None, {**self._view.verdict, "checking": False, "checked": told}

    def _say(self, asked: dict[str, Any], runs: Any) -> None:
        """Let a turn of a run be heard, by the offline voice."""
        turn = runs[asked["side"]].ledger[asked["turn"]]
        heard = turn.heard if asked["kind"] == "hear_rated" and turn.heard is not None else turn.clara
        self._view.send({"kind": "sound", "of": asked.get("of")}, [wav_bytes(clara_voice().synthesize(heard).sound)])

    def _show_result(self) -> None:
        if self._blind is not None:
            self._view.rating = {**self._view.rating, "result": self._blind.result(self._language)}

    def _show_offers(self) -> None:
        self._titles = {one.name: one.title for one in Scenario.all()}
        self._view.offers = {**shown.offers(), "prompts": self.studio.prompts, "llms": [*LLMS]}

    def _show_rating(self) -> None:
        rating = self._blind.shown() if self._blind is not None else {}
        self._view.rating = {**rating, "judge": self._judging.shown()} if self._judging is not None else rating

    # --- what the page asks for ---------------------------------------------------------------------------

    def _look(self) -> None:
        self._show_progress()
        if self._view.rating.get("judge", {}).get("busy"):
            self._view.rating = {**self._view.rating, "judge": self._judging.shown() if self._judging else {}}

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        if (kind := asked.get("kind")) != "look":
            self._view.problem = ""
        acts: dict[Any, Callable[[], Any]] = {
            "look": self._look, "go": lambda: self.go(str(asked.get("step"))),
            "choose": lambda: self.choose(**shown.changes(asked.get("changes"))), "plan": self.plan,
            "run": lambda: self.run(agreed=asked.get("agreed") is True), "stop": self.stop,
            "read": lambda: self.read(*asked["key"]), "hear": lambda: self._say(asked, self._pair),
            "hear_rated": lambda: self._say(asked, self._blind and self._blind.runs),
            "rater": lambda: self.rater(str(asked.get("name"))), "rate": lambda: self.rate(str(asked.get("which"))),
            "rates": self._show_result, "judge": lambda: self.judge(agreed=asked.get("agreed") is True),
            "make": lambda: self.make(asked["side"], asked["turn"]), "check": self.check,
            "by": lambda: self.lose(str(asked.get("metric"))),
            "save": lambda: self.save(str(asked.get("side")), str(asked.get("note", "")), use=bool(asked.get("use"))),
        }  # fmt: skip
        try:
            acts.get(kind, lambda: None)()
        except ClaraError as exc:
            self._view.problem = tell(exc, self._language)
        except OSError as exc:
            self._view.problem = f"{self.words['studio_not_saved']}: {tell(exc, self._language)}"
        except (KeyError, IndexError, TypeError, ValueError):
            log.debug("no such message: %r", content)

    def __repr__(self) -> str:
        return f"<PromptLab {self._view.sides['a']} against {self._view.sides['b']}: {self._running.state}>"
