"""What an experiment is going to take, said before it begins: conversations, calls to the model, US dollars, minutes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from time import perf_counter

from clara_kit.core import commands as do
from clara_kit.core.events import Usage
from clara_kit.core.page import escape
from clara_kit.lab.experiment.cells import Cell
from clara_kit.lab.experiment.design import Design
from clara_kit.lab.experiment.playing import NOT_RECORDED, answers_of, play, played
from clara_kit.prompts.briefing import brief
from clara_kit.providers.llm.pricing import cost_usd
from clara_kit.world.brain import LLM, Brain
from clara_kit.world.personas import Persona

TRIAL = 8  # conversations played beforehand at most, evenly spread: how long does one take, how often does it ask the model?
ENOUGH_S = 0.1  # a trial that took so long is long enough, where nobody pays for a call
CALL_S = 2.0  # a spoken answer of a fast model from the request to its end, with its way there and back: an estimate
ANSWER_TOKENS = 60  # a spoken answer: two or three sentences
CHARS_PER_TOKEN = 3.3  # of Spanish; `world/answers.py`
OFF_BY = 0.5  # answers of half and of one and a half the length are usual, and the tokens are estimated from letters
START_S = 1.0  # until processes have loaded what they need
LONG_S = 60.0  # from here on a person is asked first


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The figures, and how far to trust them. `usd` None: a model without a known price; `known`: played before."""

    id: str
    conversations: int
    known: int
    calls: int
    usd: float | None
    usd_more: float
    """Plus or minus so many US dollars."""
    seconds: float
    llm: LLM
    pays: bool = False
    """Whether a vendor is asked: with "live" always, with "recorded" where answers are missing and there is a key."""
    missing: int = 0
    """With "recorded": so many conversations, about, have an answer that is not kept."""
    beside: str = ""
    """The kept experiment that differs least from this one, and how."""
    differences: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        """Conversations still to be played."""
        return self.conversations - self.known

    @property
    def costs(self) -> bool:
        """Whether somebody will have to pay, as far as is known."""
        return self.left > 0 and self.pays

    @property
    def asks(self) -> bool:
        """Whether a person should agree first."""
        return self.costs or self.seconds >= LONG_S

    def __str__(self) -> str:
        played = f" ({self.known:,} of them played before)" if self.known else ""
        calls = "no call to any model (scripted answers)" if self.llm == "scripted" else (
            f"{self.calls:,} calls to the model" if self.llm != "recorded" else f"{self.calls:,} recorded answers"
        )  # fmt: skip
        if self.missing:
            calls += f" (about {self.missing:,} conversations lack one: {'they are asked for' if self.pays else 'not tested'})"
        money = "" if not self.costs else "; the price of this model is not known" if self.usd is None else (
            f"; about US$ {self.usd:.2f} ± {self.usd_more:.2f}"
        )  # fmt: skip
        new = f" Differs from experiment {self.beside}: {'; '.join(self.differences)}." if self.differences else ""
        return f"{self.conversations:,} conversations{played}, {calls}{money}; {duration(self.seconds)}.{new}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>"


def made(
    design: Design, done: Collection[int], *, workers: int = 1, kept: Mapping[str, Brain] | None = None, may_ask: bool = False,
    beside: str = "", differences: tuple[str, ...] = (), timer: Callable[[], float] = perf_counter,
) -> Plan:  # fmt: skip
    """The plan of what is left of a design, from a short trial with scripted answers.

    kept: with "recorded", what answers from the record alone. may_ask: a vendor may be asked, and paid.
    """
    cells = [cell for cell in design.cells if cell.number not in done]
    spread = [cells[at * len(cells) // min(TRIAL, len(cells))] for at in range(min(TRIAL, len(cells)))]
    times, calls, costs, missing = list[float](), list[int](), list[float | None](), 0
    for n, cell in enumerate([*spread[:1], *spread]):  # the first twice: it also loads what all need
        if len(times) > 1 and sum(times) > ENOUGH_S and design.llm == "scripted":
            break
        began = timer()
        run = play(design, cell)
        played(design, cell, run)
        if n:
            times.append(timer() - began)
            asked = [r for r in run.trace if type(r) is do.RequestReply]
            calls.append(len(asked))
            costs.append(_usd(design, cell, asked) if may_ask else 0.0)
            if kept and answers_of(play(design, cell, kept[cell.variant])) == NOT_RECORDED:
                missing += 1
    lacks = missing / len(times) if times and design.llm == "recorded" else 1.0
    played_s, asks = (fmean(each) * len(cells) if each else 0.0 for each in (times, calls))
    usd = None if None in costs else fmean([c or 0.0 for c in costs] or [0.0]) * len(cells) * lacks
    seconds = played_s / workers + START_S * (workers > 1)
    if may_ask or design.llm == "local":
        seconds = asks * lacks * CALL_S / workers + played_s
    return Plan(
        id=design.id, conversations=len(design.cells), known=len(design.cells) - len(cells),
        calls=round(asks) if design.llm != "scripted" else 0, usd=usd, usd_more=OFF_BY * (usd or 0.0), seconds=seconds,
        llm=design.llm, pays=may_ask and (design.llm == "live" or missing > 0),
        missing=round(missing / max(1, len(times)) * len(cells)), beside=beside, differences=differences,
    )  # fmt: skip


def _usd(design: Design, cell: Cell, asked: Sequence[do.RequestReply]) -> float | None:
    """What the requests of a conversation would cost, nothing cached."""
    variant = design.variants[cell.variant]
    assert variant.settings is not None
    known = (Persona.load(cell.customer).profile,) if cell.customer else ()
    prompt = brief(variant.template, *known).prompt
    total: float | None = 0.0
    for request in asked:
        chars = len(prompt.static) + len(prompt.personal) + sum(len(m.text) for m in request.messages)
        usage = Usage(input_tokens=round(chars / CHARS_PER_TOKEN), output_tokens=ANSWER_TOKENS)
        usd = cost_usd(variant.settings.llm_model, usage)
        total = None if usd is None or total is None else total + usd
    return total


def duration(seconds: float) -> str:
    """As a person says it: «about 40 s», «about 12 min», «about 3.5 h»."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
