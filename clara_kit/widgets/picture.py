"""The static picture of a conversation: what is stored in a notebook, and shown where no kernel runs.

Drawn from `lab/timeline.py` as SVG. Equal timelines give equal bytes. The colours are Okabe and Ito's, which
colour-blind people can tell apart ("Color Universal Design", 2008); nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from math import ceil

from clara_kit.core.outside import printable
from clara_kit.lab.timeline import Mark, Span, Timeline

_Place = Callable[[float], float]  # where a time lies

WIDTH, GUTTER, RIGHT = 960, 84, 14
LANE_TOP = {"customer": 52, "state": 112, "model": 144, "Clara": 186, "trouble": 242}
LANE_HEIGHT = {"customer": 54, "state": 26, "model": 36, "Clara": 50, "trouble": 22}
HEIGHT = 284
CHAR_PX = 6.1  # of the 11 px font, on average

FILL = {
    "sound": "#9cc4e4", "words": "#cfe5f5", "waiting": "url(#wait)", "writing": "#e9cfe0", "on the way": "url(#wait)",
    "speaking": "#bfe6d6", "unheard": "url(#unheard)", "IDLE": "#e8e8e8", "USER_SPEAKING": "#9cc4e4",
    "PROCESSING": "#e9cfe0", "AVATAR_SPEAKING": "#8fd3b8", "INTERRUPTED": "#f0b48a",
}  # fmt: skip
EDGE = {"words": "#0072b2", "writing": "#a04c7d", "speaking": "#00795a", "unheard": "#b34700"}
SIGN = {
    "interim": "·", "typed": "⌨", "button": "■", "piece": "▸", "first audio": "♪", "interrupt": "■",
    "cancelled": "✕", "fault": "▲", "failed": "✕", "recovered": "✓", "alert": "!",
}  # fmt: skip
LEGEND = "▸ piece sent to be spoken   ♪ first sound   ■ interrupted   ⌨ typed   ▲ fault   ✕ failed   dotted: waiting   hatched: never heard"


def svg(line: Timeline, *, title: str, mix: str) -> str:
    """The whole conversation in one picture, 960 units wide."""
    lasted_ms = line.end_ms - line.begin_ms
    scale = (WIDTH - GUTTER - RIGHT) / max(1.0, lasted_ms)

    def x(ms: float) -> float:
        return GUTTER + (ms - line.begin_ms) * scale

    body = [_ruler(line, x), *map(_lane, LANE_TOP)]
    body += [_span(span, x) for span in line.spans]
    body += [_mark(mark, x) for mark in line.marks if mark.kind != "interim"]
    summary = f"{title}: {lasted_ms / 1000:.1f} seconds, {mix}"
    whose = mix if mix == "live" else f"{mix}: no number here is a vendor’s"
    return printable(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" style="max-width:100%;height:auto" role="img" '
        f'aria-label="{escape(summary, quote=True)}" font-family="sans-serif" font-size="11">'
        f"<title>{escape(summary)}</title>{_DEFS}"
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff" stroke="#ccc"/>'
        f'<text x="14" y="22" font-size="14" font-weight="bold" fill="#222">{escape(_clip(title, 560, 8))}</text>'
        f'<text x="{WIDTH - 14}" y="22" text-anchor="end" fill="#222">{escape(whose)}</text>'
        f'{"".join(body)}<text x="{GUTTER}" y="278" fill="#666">{LEGEND}</text></svg>'
    )


_DEFS = (
    '<defs><pattern id="wait" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#f4f4f4"/>'
    '<circle cx="3" cy="3" r="1" fill="#888"/></pattern>'
    '<pattern id="unheard" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="7" height="7" fill="#fff"/><line x1="0" y1="0" x2="0" y2="7" stroke="#b34700" stroke-width="2"/>'
    "</pattern></defs>"
)


def _ruler(line: Timeline, x: _Place) -> str:
    lasts_s = (line.end_ms - line.begin_ms) / 1000
    step_s = next(s for s in (1, 2, 5, 10, 20, 60, 120, 300, 600, 3600, 10**9) if lasts_s / s <= 14)
    ticks = []
    for at_s in range(ceil(line.begin_ms / 1000 / step_s) * step_s, int(line.end_ms / 1000) + 1, step_s):
        at = x(at_s * 1000)
        ticks.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="44" y2="264" stroke="#eee"/>'
            f'<text x="{at:.1f}" y="42" text-anchor="middle" fill="#666">{at_s} s</text>'
        )
    return "".join(ticks)


def _lane(name: str) -> str:
    y = LANE_TOP[name] + LANE_HEIGHT[name] / 2 + 4
    return f'<text x="14" y="{y:.1f}" fill="#444">{name}</text>'


def _span(span: Span, x: _Place) -> str:
    left, width = x(span.from_ms), max(1.0, x(span.to_ms) - x(span.from_ms))
    top, height = LANE_TOP[span.lane], LANE_HEIGHT[span.lane] - 4
    if span.kind == "sound":
        top, height = top + height - 8, 8
    elif span.kind == "words":
        height -= 12
    edge = EDGE.get(span.kind, "none")
    text = _clip(span.label, width - 6, CHAR_PX)
    strike = ' text-decoration="line-through"' if span.kind == "unheard" else ""
    label = (
        f'<text x="{left + 4:.1f}" y="{top + height / 2 + 4:.1f}" fill="#111" stroke="#fff" stroke-width="2.5" '
        f'paint-order="stroke"{strike}>{escape(text)}</text>'
        if text and span.kind not in ("sound", "waiting", "on the way")
        else ""
    )
    hover = escape(f"{span.kind}: {span.label} ({(span.to_ms - span.from_ms):.0f} ms)")
    return (
        f'<g><title>{hover}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" rx="2" '
        f'fill="{FILL.get(span.kind) or FILL[span.label]}" stroke="{edge}"/>{label}</g>'
    )


def _mark(mark: Mark, x: _Place) -> str:
    y = LANE_TOP[mark.lane] + {"customer": 12, "model": 34, "Clara": 52, "trouble": 16}.get(mark.lane, 12)
    return (
        f'<text x="{x(mark.at_ms):.1f}" y="{y}" text-anchor="middle" font-size="12" font-weight="bold" fill="#7a2e00">'
        f"<title>{escape(f'{mark.kind}: {mark.label}')}</title>{SIGN[mark.kind]}</text>"
    )


def _clip(text: str, width: float, char_px: float) -> str:
    count = int(width / char_px)
    return text if len(text) <= count else "" if count < 3 else f"{text[: count - 1]}…"
