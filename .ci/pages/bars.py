"""How far it is to the target, at one glance: one bar for each way of measuring, its stages beside each other.

The colours are Okabe and Ito's (as in `clara_kit/widgets/picture.py`); each stage is also named, so that nothing is
told by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from clara_kit.measure.ledger import STAGE_LABELS, Turn
from pages.measured import stages

COLOURS = dict(
    zip(STAGE_LABELS, ("#56b4e9", "#999999", "#cc79a7", "#e69f00", "#999999", "#009e73", "#0072b2", "#d55e00"))
)
DARK = ("#0072b2",)  # on which white is read better than black
WORDS = {
    "hear": "hear", "send": "send", "think": "think", "first sentence": "write a sentence", "hand over": "hand over",
    "voice": "voice", "avatar": "avatar begins", "ear": "until heard",
}  # fmt: skip
WIDTH, LEFT, TOP, ROW, BAR = 1040, 8, 44, 74, 34
CHAR_PX = 7.0  # of 13 px, on average


@dataclass(frozen=True)
class Bar:
    """One way of measuring: its name, and the turn in the middle."""

    name: str
    turn: Turn


def bars(rows: list[Bar], *, target_ms: float, band_ms: tuple[float, float]) -> str:
    """The drawing, as SVG that follows the page's colours."""
    longest = max([band_ms[1], *(row.turn.total_ms or 0.0 for row in rows)])
    scale = (WIDTH - LEFT - 90) / longest

    def x(ms: float) -> float:
        return LEFT + ms * scale

    height = TOP + ROW * len(rows) + 6
    says = "; ".join(f"{row.name}: {row.turn.total_ms:,.0f} ms" for row in rows)
    soft = band_ms[1]
    body = [
        f"<rect x='{x(0):.0f}' y='{TOP - 6}' width='{x(target_ms) - x(0):.0f}' height='{height - TOP}' fill='var(--soft)'/>",
        *(_row(row, TOP + ROW * n, x) for n, row in enumerate(rows)),
        f"<line class='soft' x1='{x(soft):.1f}' x2='{x(soft):.1f}' y1='{TOP - 12}' y2='{height}'/>",
        f"<line class='target' x1='{x(target_ms):.1f}' x2='{x(target_ms):.1f}' y1='{TOP - 12}' y2='{height}'/>",
        f"<text class='t' x='{x(target_ms) - 5:.1f}' y='{TOP - 18}' text-anchor='end'>target {target_ms:,.0f} ms</text>",
        f"<text class='dim' x='{x(soft) + 5:.1f}' y='{TOP - 18}'>{soft:,.0f} ms: the first aim</text>",
        *(
            f"<text class='name' x='{LEFT}' y='{TOP + ROW * n + 12}'>{escape(row.name)}</text>"
            for n, row in enumerate(rows)
        ),
    ]
    return (
        f"<div class='wide'><svg class='bars' viewBox='0 0 {WIDTH} {height}' style='min-width:640px' role='img' font-size='13' "
        f"font-family='system-ui, sans-serif' aria-label='{escape(f'Target {target_ms:.0f} ms. {says}', quote=True)}'>"
        f"{''.join(body)}</svg></div>{_legend(rows)}"
    )


def _legend(rows: list[Bar]) -> str:
    """The stages in their order, for those too narrow for their name."""
    seen = [label for label in STAGE_LABELS if any(stages(row.turn).get(label, 0.0) >= 20 for row in rows)]
    return (
        "<p class='legend'>"
        + " → ".join(
            f"<span><i style='background:{COLOURS[label]}'></i>{escape(WORDS[label])}</span>" for label in seen
        )
        + " <span class='open'>(milliseconds)</span></p>"
    )


def _row(row: Bar, y: float, x: Callable[[float], float]) -> str:
    at = 0.0
    parts = []
    for label, ms in stages(row.turn).items():
        left, width = x(at), x(at + ms) - x(at)
        at += ms
        if width < 1.5:
            continue
        words = next((w for w in (f"{WORDS[label]} {ms:,.0f}", f"{ms:,.0f}") if len(w) * CHAR_PX < width - 6), "")
        shade = "dark" if COLOURS[label] in DARK else "in"
        parts.append(
            f"<g><title>{escape(WORDS[label])}: {ms:,.0f} ms</title><rect x='{left:.1f}' y='{y + 20}' width='{width:.1f}' height='{BAR}' "
            f"rx='3' fill='{COLOURS[label]}'/><text class='{shade}' x='{left + width / 2:.1f}' y='{y + 20 + BAR / 2 + 5}' "
            f"text-anchor='middle'>{escape(words)}</text></g>"
        )
    parts.append(f"<text x='{x(at) + 7:.1f}' y='{y + 20 + BAR / 2 + 5}' font-weight='700'>{at:,.0f} ms</text>")
    return "".join(parts)
