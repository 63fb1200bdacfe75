"""Whether a prompt may go to production: what every scenario demands, held against what was heard. For CI: yes or no.

What was not tried is never passed: a request whose answer is not kept (nobody is asked here), a scenario whose file has a
mistake, and a demand for nothing are «not tested», and then the gate stays shut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clara_kit import data_files
from clara_kit.core.errors import ScriptError, SettingsError
from clara_kit.core.page import escape, table
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calls.brains import not_recorded
from clara_kit.lab.experiment.cells import Cell
from clara_kit.lab.experiment.design import Design, usual_customers
from clara_kit.lab.experiment.playing import brains_of, play
from clara_kit.lab.scores.heard import Failure
from clara_kit.lab.scores.scoring import score
from clara_kit.lab.sentences import Language
from clara_kit.lab.statistics.telling import word
from clara_kit.prompts.template import PromptTemplate
from clara_kit.providers.llm.calls import UNKNOWN
from clara_kit.world.brain import Brain
from clara_kit.world.personas import Persona
from clara_kit.world.scenario import FOLDER, MINE, Scenario

CUSTOMERS = 4  # invented ones, beside a stranger: each scenario is tried with five people
MISSING = "an answer is not recorded"
HEAD = ("what", "scenario", "answer", "customers", "why", "the words")
Answers = Literal["scripted", "recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A demand that was not met, or an occasion that was not tested (`rule` is then empty, and `why` says why).

    known: the prompt beside which it is held does not meet it either, so it counts for nothing.
    """

    scenario: str
    customer: str
    rule: str
    why: str
    turn: int = 0
    text: str = ""
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`conversations` were held, `demands` were made in them. It is open if all that counts was tested and met.

    twin: the recorded answers are a twin's.
    """

    prompt: str
    beside: str
    answers: Answers
    scenarios: int
    conversations: int
    demands: int
    broken: tuple[Broken, ...]
    not_tested: tuple[Broken, ...]
    twin: bool = False

    @property
    def new(self) -> tuple[Broken, ...]:
        """What was not met, and counts."""
        return tuple(one for one in self.broken if not one.known)

    @property
    def open(self) -> bool:
        """Whether the prompt may pass."""
        return not self.new and not self.not_tested and self.demands > 0

    @property
    def exit_code(self) -> int:
        """0 or 1, as CI wants it."""
        return 0 if self.open else 1

    def told(self, language: Language = "en") -> str:
        """The outcome in a few sentences; what the answers are among them."""
        parts = [word("gate_open" if self.open else "gate_shut", language, prompt=self.prompt)]
        parts.append(word("gate_tried", language, n=self.conversations, scenarios=self.scenarios, demands=self.demands))
        if self.new:
            parts.append(word("gate_broken", language, n=len(self.new), scenarios=len({b.scenario for b in self.new})))
        if known := len(self.broken) - len(self.new):
            parts.append(word("gate_known", language, n=known, beside=self.beside))
        if self.not_tested:
            parts.append(word("gate_not_tested", language, n=len(self.not_tested)))
        if self.conversations and not self.demands:
            parts.append(word("gate_nothing", language))
        parts.append(word("gate_twin" if self.twin else f"gate_{self.answers}", language))
        return " ".join(parts)

    def rows(self) -> list[tuple[str, ...]]:
        """What was not met and what was not tested, one row a reason: what, scenario, answer, customers, why, the words."""
        found: dict[tuple[str, ...], tuple[list[str], str]] = {}
        for one in (*self.new, *self.not_tested, *(b for b in self.broken if b.known)):
            state = f"{one.rule or 'not tested'}{', known' if one.known else ''}"
            whom, _ = found.setdefault((state, one.scenario, str(one.turn or ""), one.why), ([], one.text))
            whom.append(one.customer or "a stranger")
        return [(*key[:3], ", ".join(whom), key[3], text) for key, (whom, text) in found.items()]

    def __repr__(self) -> str:
        return self.told()

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.told())}</p>{table(self.rows(), HEAD) if self.rows() else ''}"


def gate(
    prompt: PromptTemplate | str = "warm", *, beside: PromptTemplate | str | None = None, llm: Answers = "scripted",
    scenarios: Iterable[Scenario | str] | None = None, customers: Sequence[str] | None = None,
    settings: Settings | None = None, seed: int = 0, keys: Keys | None = None, calls: Path | str | None = None,
) -> Gate:  # fmt: skip
    """Hold a prompt to every must and must-not of the scenarios. Nobody is asked, and nothing is kept.

    beside: the prompt in production: what it does not meet either is shown, and does not count. llm: "recorded" answers,
    or "scripted" ones (which are the same for every prompt). scenarios: default all, one's own too. customers: invented
    ones by name, "": a stranger; default a stranger and four. keys: whose kept answers, default Anthropic's; never used
    to ask. calls: where they are kept (default `data/calls`). Raises `ClaraError`.
    """
    if llm not in ("scripted", "recorded"):
        raise SettingsError(f"A gate has no {llm} answers.", hint="use recorded or scripted ones.")
    held, unread = _scenarios(scenarios)
    if not held:
        return _shut(prompt, llm, unread)
    variants = [{"template": one, "settings": settings} for one in (prompt, beside) if one is not None]
    names = ("prompt", "beside")[: len(variants)]
    design = Design.of(
        dict(zip(names, variants)), held, ("", *usual_customers()[:CUSTOMERS]) if customers is None else customers,
        seed=seed, llm=llm,
    )  # fmt: skip
    if not isinstance(keys, Keys | None):
        raise SettingsError(f"{type(keys).__name__} in place of keys.", hint="give Keys(...), or leave it out.")
    silent = Keys(anthropic_base_url=keys.anthropic_base_url) if keys is not None else Keys()
    brains = brains_of(design, str(calls or ""), silent)
    results = {(c.variant, c.scenario, c.customer): _tried(design, c, brains.get(c.variant)) for c in design.cells}
    broken, untested = list[Broken](), unread
    for (variant, scenario, customer), found in sorted(results.items()):
        if variant != "prompt":
            continue
        other = results.get(("beside", scenario, customer))
        known = {(one.rule, one.why, one.turn) for one in other} if isinstance(other, tuple) else set()
        if isinstance(found, str):
            why, text = (MISSING, found) if found.startswith(UNKNOWN) else (found, "")
            untested.append(Broken(scenario=scenario, customer=customer, rule="", why=why, text=text))
            continue
        if isinstance(other, str):
            untested.append(Broken(scenario=scenario, customer=customer, rule="", why=f"beside it: {other}"))
        broken += [
            Broken(
                scenario=scenario, customer=customer, rule=one.rule, why=one.why, turn=one.turn, text=one.text,
                known=(one.rule, one.why, one.turn) in known,
            )
            for one in found
        ]  # fmt: skip
    tested = [key for key, found in results.items() if key[0] == "prompt" and not isinstance(found, str)]
    return Gate(
        prompt=_name(prompt), beside=_name(beside), answers=llm, scenarios=len(held), conversations=len(tested),
        demands=sum(len(design.scenarios[s].must) + len(design.scenarios[s].must_not) for _, s, _ in tested),
        broken=tuple(broken), not_tested=tuple(untested),
        twin=any("twin" in one.mode for one in brains.values()),
    )  # fmt: skip


def _scenarios(given: Iterable[Scenario | str] | None) -> tuple[list[Scenario], list[Broken]]:
    """Those that can be read, and why the others cannot: a file with a mistake must not make a gate easier."""
    names = sorted({*data_files.known(FOLDER), *data_files.known(MINE)}) if given is None else list(given)
    whole = [one for one in names if isinstance(one, Scenario)]
    read, bad = data_files.each([one for one in names if isinstance(one, str)], Scenario.load)
    return [*whole, *read], [Broken(scenario=name, customer="", rule="", why=exc.message) for name, exc in bad.items()]


def _tried(design: Design, cell: Cell, brain: Brain | None) -> tuple[Failure, ...] | str:
    """What was not met in one conversation; a text where it was not tested."""
    run = play(design, cell, brain)
    if brain is not None and (missing := not_recorded(run)):
        return missing[0]
    scenario = design.scenarios[cell.scenario]
    try:
        return score(run, scenario, Persona.load(cell.customer).profile if cell.customer else None).broken
    except ScriptError as exc:  # a rule that is none
        return exc.message


def _shut(prompt: PromptTemplate | str, llm: Answers, unread: list[Broken]) -> Gate:
    return Gate(
        prompt=_name(prompt), beside="", answers=llm, scenarios=0, conversations=0, demands=0, broken=(),
        not_tested=tuple(unread),
    )  # fmt: skip


def _name(prompt: PromptTemplate | str | None) -> str:
    return "" if prompt is None else prompt if isinstance(prompt, str) else prompt.name
