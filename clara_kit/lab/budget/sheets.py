"""The latency budget as tables to be read in a notebook: designs beside each other, levers with their sources, and the
calculation beside the kit's own decisions."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from clara_kit.core.settings import Settings
from clara_kit.lab.budget.figures import bought, figures, seen
from clara_kit.lab.budget.levers import FAST, LEVERS, OPENERS, PLAN, UNPROVEN, Given, Levers
from clara_kit.lab.budget.played import played
from clara_kit.lab.budget.reach import ALL, PROVEN, percent
from clara_kit.lab.budget.times import draws
from clara_kit.lab.calibrate.mark import calibrated_mark
from clara_kit.lab.explorer import Figure
from clara_kit.lab.sentences import table
from clara_kit.lab.sheet import Sheet

DESIGNS = {
    "the plan's serial design": PLAN, "fast": FAST, "fast, with openers": OPENERS, "all that is published": PROVEN,
    "all, also what is assumed": ALL,
}  # fmt: skip
UNKNOWN = "unknown: nobody has published it"


def designs(choices: Mapping[str, Levers] = DESIGNS, given: Given | None = None) -> Sheet:
    """What comes of each choice of levers: medians with intervals, and shares of turns."""
    given, rows = given or Given(), []
    for name, levers in choices.items():
        found = figures(levers, given)
        rows.append({
            "design": name, "first sound, avatar's word": _ms(found.first_p50), "at the ear": _ms(found.ear_p50),
            "the answer's first word, at the ear": _ms(found.answer_ear_p50), "below 600 ms": percent(found.under_600.value or 0.0),
            "below 800 ms": percent(found.under_800.value or 0.0), "above 3 s": percent(found.over_3000.value or 0.0),
            "answered too early": UNKNOWN if found.cost.cut_off is None else f"{percent(found.cost.cut_off)} (6 of 27, in English)",
        })  # fmt: skip
    mark = calibrated_mark(draws(given.profile).profile)
    return Sheet.of(
        rows,
        f"Calculated from «{given.profile}» ({mark}), replies of {given.reply_tokens} tokens; from «fast» on, a kept answer fits "
        f"{percent(given.hit_share)} of the questions (assumed); shares by the avatar's word; intervals 95 %.",
    )


def sources(levers: Levers = OPENERS, given: Given | None = None) -> Sheet:
    """What each lever buys at the median, and what stands behind its figure."""
    given, words = given or Given(), table("budget")
    rows = [
        {
            "lever": words[one.lever][0], "mark": LEVERS[one.lever].mark + " for this avatar" * (one.lever in UNPROVEN),
            "the kit has it": LEVERS[one.lever].setting or "not yet", "ear, alone": f"{one.ear_alone:.0f} ms",
            "ear, last": f"{one.ear_last:.0f} ms", "answer, last": f"{one.answer_last:.0f} ms", "source": LEVERS[one.lever].source,
        }
        for one in bought(levers, given)
    ]  # fmt: skip
    return Sheet.of(
        rows,
        f"Won at the median. Alone: beside the plan. Last: beside {', '.join(words[name][0] for name in levers) or 'nothing'}.",
    )


def stages(given: Given | None = None) -> Sheet:
    """How long each stage takes, and who said so."""
    given = given or Given()
    laws = draws(given.profile).profile.laws
    rows = []
    for stage, law in laws.items():
        slow = f"; {percent(law.spike_share)} take {law.spike_low:g} to {law.spike_high:g}" if law.spike_share else ""
        often = str(seen(law) or "not said")
        rows.append({"stage": stage, "how long": f"{law}{slow}", "measured how often": often, "source": law.source})
    return Sheet.of(rows, f"Profile «{given.profile}», in ms but for rates and ratios.")


def agreement(turns: int = 400, given: Given | None = None) -> Sheet:
    """The calculation beside the kit's own decisions in simulation, at the median of so many turns."""
    given = given or Given(hit_share=0)
    rows = []
    for name, settings in {
        "serial": Settings.of(enable_chunked_heygen=False),
        "sentence by sentence": Settings(),
    }.items():
        run = played(settings, given, turns=turns)
        waits = [t.points["speaking_started"] - t.points["words_ended"] for t in run.ledger if t.kind != "greeting"]
        calculated, simulated = figures(Levers.of(settings), given).first_p50.value or 0.0, median(waits)
        rows.append({
            "design": name, "calculated": f"{calculated:.0f} ms", "simulated": f"{simulated:.0f} ms",
            "apart": f"{abs(calculated / simulated - 1) * 100:.1f} %",
        })  # fmt: skip
    return Sheet.of(rows, f"To the avatar's word, median; {turns} simulated turns each.")


def _ms(figure: Figure) -> str:
    return f"{figure.value or 0:.0f} ms ({figure.low or 0:.0f}–{figure.high or 0:.0f})"
