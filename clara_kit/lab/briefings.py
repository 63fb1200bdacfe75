"""What Clara is told, laid out to be read: one customer, two templates side by side, one template for everybody.

Personal words are highlighted, and so are the sentences that the offline model cannot sense: nobody should take its
silence about an instruction for the real model's. Comes after `prompts`; the notebooks show what is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from clara_kit.core.commands import Notify, Speak
from clara_kit.core.errors import ClaraError
from clara_kit.core.events import ProfileLoaded, ProviderWarned, SpeakingStarted
from clara_kit.core.outside import printable
from clara_kit.core.page import escape
from clara_kit.core.profile import CustomerProfile
from clara_kit.core.settings import Settings
from clara_kit.lab.sheet import Sheet
from clara_kit.measure.run import Run
from clara_kit.prompts.briefing import Briefing, brief, brief_or_why
from clara_kit.prompts.template import Part, PromptTemplate
from clara_kit.world.faults import Fault
from clara_kit.world.instructions import unsensed
from clara_kit.world.personas import Persona
from clara_kit.world.sim import simulate

Customer: TypeAlias = str | Persona | CustomerProfile  # the name of an invented one, or the thing itself
Template: TypeAlias = str | PromptTemplate

# Not by colour alone: personal words are bold on a tint, what is not sensed is dotted below. Both themes have these.
_STYLE = (
    "<style>.clara-told{white-space:pre-wrap;font-size:13px;line-height:1.5;max-width:110ch}"
    ".clara-told mark{font-weight:700;background:#f4b94255;color:inherit;padding:0 .15em;border-radius:3px}"
    ".clara-told .unsensed{text-decoration:underline dotted currentColor;text-underline-offset:3px}"
    ".clara-told h4{margin:.8em 0 .2em;font-size:13px;font-weight:700}.clara-told details{margin:.3em 0}"
    ".clara-side{display:flex;gap:2em;flex-wrap:wrap}.clara-side>div{flex:1 1 38ch;min-width:0}</style>"
)
ASKED = "¿Qué hidratante me recomiendas?"
LEGEND = (
    "<small><mark>bold on a tint</mark>: comes from this customer. <span class='unsensed'>Dotted</span>: the offline "
    "model cannot sense this sentence; only the real one obeys it.</small>"
)


@dataclass(frozen=True)
class Told:
    """A briefing to look at: greeting, personal part, static part. `whole`: the static part unfolded."""

    briefing: Briefing
    whole: bool = False

    @property
    def unsensed(self) -> tuple[str, ...]:
        """The sentences of the prompt in which the offline model senses nothing."""
        return unsensed(self.briefing.prompt.text)

    def _parts(self) -> str:
        opened, chars = " open" if self.whole else "", len(self.briefing.prompt.static)
        return (
            f"<h4>Greeting</h4>{self._marked('greeting')}"
            f"<h4>Personal part of the prompt</h4>{self._marked('personal') or '(nothing)'}"
            f"<details{opened}><summary>Static part, the same for everybody ({chars:,} characters)"
            f"</summary>{self._marked('static')}</details>"
        )

    def _marked(self, part: Part) -> str:
        html = []
        for text, marks in self.briefing.rendered.pieces(part, () if part == "greeting" else self.unsensed):
            piece = f"<mark>{escape(text)}</mark>" if "customer" in marks else escape(text)
            if "given" in marks:
                piece = f"<span class='unsensed' title='not sensed by the offline model'>{piece}</span>"
            html.append(piece)
        return "".join(html)

    def _repr_html_(self) -> str:
        return f"{_STYLE}<div class='clara-told'>{self._parts()}{LEGEND}</div>"

    def __repr__(self) -> str:
        told = self.briefing
        return printable(f"<Told by {told.template.id} v{told.template.version}: {told.greeting}>")


@dataclass(frozen=True)
class SideBySide:
    """Several briefings of one customer beside each other."""

    briefings: tuple[Briefing, ...]

    def _repr_html_(self) -> str:
        columns = [
            f"<div><h3>{escape(b.template.id)} v{b.template.version}</h3>{Told(b)._parts()}</div>"
            for b in self.briefings
        ]
        return (
            f"{_STYLE}<div class='clara-told clara-side'>{''.join(columns)}</div><div class='clara-told'>{LEGEND}</div>"
        )

    def __repr__(self) -> str:
        return printable("\n".join(f"{b.template.id}: {b.greeting}" for b in self.briefings))


def told(customer: Customer, template: Template = "warm", *, whole: bool = False) -> Told:
    """What Clara is told of this customer with this template."""
    return Told(brief(template, profile_of(customer)), whole)


def side_by_side(customer: Customer, *templates: Template) -> SideBySide:
    """What different templates make of one customer."""
    profile = profile_of(customer)
    return SideBySide(tuple(brief(template, profile) for template in templates))


def across(template: Template, customers: Sequence[Persona] | None = None) -> Sheet:
    """One row an invented customer: what is known, how Clara greets, what she would recommend first."""
    return Sheet.of([_row(template, p) for p in customers or _easy_first(Persona.all())])


def _row(template: Template, persona: Persona) -> dict[str, object]:
    template = PromptTemplate.load(template) if isinstance(template, str) else template
    b = brief_or_why(template, persona.profile)
    if isinstance(b, ClaraError):
        return {"customer": persona.name, "known": ", ".join(persona.profile.known_fields), "greeting": f"✗ {b.message}",
                "first recommendation": "", "left out": len(persona.profile.left_out)}  # fmt: skip
    return {
        "customer": persona.name,
        "known": ", ".join(b.profile.known_fields) or "nothing",
        "greeting": b.greeting,
        "first recommendation": b.recommended[0].product.title if len(b.recommended) else "",
        "left out": len(b.profile.left_out),
    }


def profile_of(customer: Customer) -> CustomerProfile:
    """The profile of an invented customer by name, or a profile as it is."""
    if isinstance(customer, CustomerProfile):
        return customer
    return (Persona.load(customer) if isinstance(customer, str) else customer).profile


def noticed(
    faults: Sequence[Fault],
    customer: str | Persona = "camila",
    template: Template = "warm",
    *,
    settings: Settings | None = None,
    seed: int = 0,
) -> Sheet:
    """What a customer would notice of each fault of the shop, simulated: the greeting, when, and the answer after it."""
    rows = []
    for fault in (None, *faults):
        broken = [fault] if fault else []
        run = simulate([ASKED], settings, seed=seed, customer=customer, template=template, faults=broken)
        rows.append({"the shop": str(fault).removeprefix("shop: ") if fault else "works", **_noticed(run)})
    return Sheet.of(rows)


def _noticed(run: Run) -> dict[str, object]:
    shown = run.revealed()
    greeting = next(r for r in shown.trace if isinstance(r, Speak))
    started = next(r for r in shown.trace if isinstance(r, SpeakingStarted))
    known = any(isinstance(r, ProfileLoaded) for r in shown.trace)
    told_us = [r.message for r in shown.trace if isinstance(r, Notify | ProviderWarned)]
    return {
        "Clara greets": greeting.text,
        "first sound (ms)": round(started.at_ms),
        "then answers": shown.ledger[-1].clara,
        "profile": "came" if known else "never came",
        "told to the team": "; ".join(told_us),
        "mix": run.mix,
    }


def replies(questions: Sequence[str], customer: Customer, *templates: Template, seed: int = 0) -> Sheet:
    """What Clara answers this customer under each template, simulated: one row a question, one column a template."""
    columns: dict[str, list[str]] = {"question": list(questions)}
    for template in templates:
        made = brief(template).template
        run = simulate(questions, seed=seed, customer=customer, template=made).revealed()
        answers = {turn.customer: turn.clara for turn in run.ledger}
        name = f"{made.id} v{made.version} ({run.mix})"
        columns[name + f", column {len(columns)}" * (name in columns)] = [answers.get(q, "") for q in questions]
    return Sheet.of(columns)


def _easy_first(personas: Sequence[Persona]) -> list[Persona]:
    return sorted(personas, key=lambda p: bool(p.hard))
