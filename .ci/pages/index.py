"""The overview: what Clara is, how far 600 ms is, what the plan wants, what is there, and the scoreboard."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import yaml

import clara_kit
from pages.answers import NOT_BUILT, SIM, TWIN, Answer
from pages.assets import Assets
from pages.bars import WORDS, Bar, bars
from pages.figures import answer
from pages.measured import Measured, complete, middle, stages
from pages.page import shell, whose
from pages.running import Ran
from pages.widgets import Widgets

PLAN = Path(__file__).parents[2] / "data" / "plan.yaml"
_SIGNS = {True: ("good", "✓", "reached"), False: ("bad", "✗", "not reached"), None: ("open", "○", "open")}
_BESIDE = (
    "<li><a href='peers.html'>Whose turn is it? The same ten moments through Clara, LiveKit Agents and Pipecat</a>"
    "<p>Clara simulated, the others run with stand-ins for their services: no number there is a vendor’s.</p></li>"
)
Scored = list[tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]]


def plan() -> dict[str, Any]:
    """The plan as `data/plan.yaml` has it."""
    read: dict[str, Any] = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    return read


def scored(measured: Measured, tell: Callable[[str], None] = print) -> Scored:
    """Every criterion of the plan with its answer, phase by phase."""
    out: Scored = []
    for phase in plan()["phases"]:
        out.append((phase, [(one, answer(one, measured)) for one in phase["criteria"]]))
        reached = sum(found.met is True for _, found in out[-1][1])
        tell(f"scoreboard: phase {phase['phase']}, {reached} of {len(out[-1][1])} criteria reached")
    return out


def index(
    ran: list[Ran], assets: Assets, *, when: datetime, measured: Measured | None, score: Scored, heard: Ran | None = None
) -> str:  # fmt: skip
    """The page that leads to all others. heard: the scoreboard's own conversation, as the only widget of a notebook."""
    wanted = plan()
    parts = [f"<h1>Clara: where the work stands</h1><p class='lead'>{' '.join(map(escape, wanted['clara']))}</p>"]
    if measured is not None:
        parts.append(_how_far(measured, wanted))
    widgets = Widgets(heard, assets) if heard else None
    if heard and widgets:
        parts.append("<h2>Hear her</h2><p class='lead'>An invented customer talks to Clara and once cuts in; press ▶ Play, or walk through it "
                     "event by event: below the picture stands why whatever followed followed.</p>")  # fmt: skip
        parts += [widgets.shown(name) for name, kept in heard.widgets.items() if "moments" in kept]
    parts.append(f"<h2>The notebooks</h2><ul class='toc'>{''.join(map(_entry, ran))}{_BESIDE}</ul>")
    parts.append(f"<h2>The plan’s phases</h2><div class='phases'>{''.join(map(_phase, wanted['phases']))}</div>")
    if score:
        parts.append(_scoreboard(score))
    after = (f"{ran[0].name}.html", ran[0].title) if ran else None
    mix = whose(heard) if heard else "no number here is a vendor’s"
    more = ((*widgets.styles,), (*widgets.scripts,)) if widgets else ((), ())
    return shell("Overview", "".join(parts), assets, when=when, mix=mix, before=None, after=after, more=more)


def _how_far(measured: Measured, wanted: dict[str, Any]) -> str:
    target_ms = float(wanted["target_ms"])
    turns = complete(measured.shown)
    now, usual, best = middle(turns), middle(measured.usual), middle(measured.best)
    ms = now.total_ms or 0.0
    longest, longest_ms = max(stages(best).items(), key=lambda stage: stage[1])
    missing = f"{(ms - target_ms) / 1000:.1f} s are missing" if ms > target_ms else "it is reached"
    rows = [
        Bar(f"Now: {TWIN} at the vendors’ published speeds (median of {len(turns)} spoken turns)", now),
        Bar(f"The same, {SIM} (median of {len(measured.usual)} turns)", usual),
        Bar(f"At best: every vendor at its published median or better, {SIM}", best),
    ]
    says = (
        f"With stand-ins for the services ({TWIN}) Clara is heard <b>{ms / 1000:.1f} s</b> after the customer’s last word; the plan wants "
        f"<b>{target_ms / 1000:.1f} s</b>: {missing}. With every service at its published best ({SIM}) it is {(best.total_ms or 0.0) / 1000:.1f} s; "
        f"the longest stage of it, «{WORDS[longest]}», takes {longest_ms / 1000:.1f} s."
    )
    note = "Nothing here was measured at a vendor: the stand-ins take as long as published measurements of each vendor say (data/latency/)."
    drawn = bars(rows, target_ms=target_ms, band_ms=(wanted["band_ms"][0], wanted["band_ms"][1]))
    return (
        f"<h2 id='target'>How far is {target_ms:.0f} ms?</h2><p class='big'>{says}</p>{drawn}<p class='note'>{note}</p>"
    )


def _entry(ran: Ran) -> str:
    broken = f"<p class='bad'>✗ Stopped on the way: {escape(ran.why)}</p>" if ran.broke_at is not None else ""
    return f"<li><a href='{ran.name}.html'>{escape(ran.title)}</a><p>{escape(whose(ran))}</p>{broken}</li>"


def _phase(phase: dict[str, Any]) -> str:
    built = [(what, hasattr(clara_kit, name)) for name, what in phase["parts"].items()]
    count = sum(there for _, there in built)
    state = "built" if count == len(built) else f"{count} of {len(built)} parts built" if count else NOT_BUILT
    kind = "good" if count == len(built) else "bad" if count else "open"
    items = "".join(
        f"<li><span class='{'good' if there else 'open'}'>{'✓' if there else '○'}</span> {escape(what)}{'' if there else f' <i>({NOT_BUILT})</i>'}</li>"
        for what, there in built
    )
    return (
        f"<article><h3>{phase['phase']}. {escape(phase['title'])}</h3><p class='{kind}'><b>{state}</b></p>"
        f"<p>{escape(phase['wants'])}</p><ul>{items}</ul></article>"
    )


def _scoreboard(score: Scored) -> str:
    rows = []
    for phase, answers in score:
        rows.append(
            f"<tr class='phase'><th colspan='5' scope='colgroup'>Phase {phase['phase']}: {escape(phase['title'])}</th></tr>"
        )
        rows += [_criterion(one, found) for one, found in answers]
    every = [found for _, answers in score for _, found in answers]
    counts = [sum(found.met is met for found in every) for met in (True, False, None)]
    return (
        f"<h2 id='scoreboard'>Scoreboard</h2><p class='big'>Of the plan’s {len(every)} criteria {counts[0]} are reached, {counts[1]} are not, "
        f"and {counts[2]} are open: not built yet, or not measured.</p><p class='note'>Every figure was computed when this page was made. "
        "«Offline twins»: the services’ own software, talking to stand-ins on this machine. «Simulated»: only the decisions, in virtual time. "
        "Where a target is marked [ours] the plan names no figure.</p>"
        "<div class='wide'><table class='score'><thead><tr><th>criterion</th><th></th><th>figure</th><th>target</th><th>how measured</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _criterion(one: dict[str, Any], found: Answer) -> str:
    kind, sign, word = _SIGNS[found.met]
    word = found.value if found.met is None and found.value == NOT_BUILT else word
    note = f"<small>{escape(found.note)}</small>" if found.note else ""
    value = "–" if found.value == word else escape(found.value)
    return (
        f"<tr id='{one['id']}'><th scope='row'>{escape(one['says'])}</th><td class='sign {kind}'>{sign} {escape(word)}</td>"
        f"<td><b>{value}</b>{note}</td><td>{escape(one['target'])}</td><td class='mode'>{escape(found.mode)}</td></tr>"
    )
