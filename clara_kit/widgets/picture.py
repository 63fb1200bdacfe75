"""The static picture of a conversation: what is stored in a notebook, and shown where no kernel runs.

Drawn from `lab/timeline.py` as SVG. Equal timelines give equal bytes. The colours are Okabe and Ito's, which
colour-blind people can tell apart ("Color Universal Design", 2008); nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from math import ceil

from clara_kit.core.outside import printable
from clara_kit.lab.lanes import SERVICE_LANES, TARGET_MS, Mark, Span, Timeline, Wait
from clara_kit.widgets.words import Language, spoken_in, whose

Words = dict[str, str]
_Place = Callable[[float], float]  # where a time lies

WIDTH, GUTTER, RIGHT = 960, 84, 14
LANE_TOP = {"customer": 52, "state": 112, "model": 144, "Clara": 202, "trouble": 258}
LANE_HEIGHT = {"customer": 54, "state": 26, "model": 36, "Clara": 50, "trouble": 22}
SERVICE_TOP, SERVICE_PX = 280, 18  # and a lane each for the services of which there is anything to tell
WAIT_Y = 192  # how long the customer waited, right above Clara's lane
HEIGHT = 340  # and a row of CELLS waits each beneath it
CELLS, CELL_HEIGHT, LONGEST_MS = 6, 36, 2400.0
CHAR_PX = 6.1  # of the 11 px font, on average

FILL = {
    "sound": "#9cc4e4", "words": "#cfe5f5", "waiting": "url(#wait)", "writing": "#e9cfe0", "on the way": "url(#wait)",
    "speaking": "#bfe6d6", "held": "#0072b2", "ducked": "#eef9f4", "unheard": "url(#unheard)", "IDLE": "#e8e8e8", "USER_SPEAKING": "#9cc4e4",
    "PROCESSING": "#e9cfe0", "AVATAR_SPEAKING": "#8fd3b8", "INTERRUPTED": "#f0b48a",
    "failing": "url(#wait)", "passed by": "#f3c9ad", "half open": "#fff", "given up": "#f0b48a", "opening": "url(#wait)",
    "there": "#fff", "speaks for Clara": "#bfe6d6",
}  # fmt: skip
EDGE = {
    "words": "#0072b2", "writing": "#a04c7d", "speaking": "#00795a", "ducked": "#00795a", "unheard": "#b34700",
    "there": "#00795a", "speaks for Clara": "#00795a",
    **dict.fromkeys(("failing", "passed by", "half open", "given up"), "#b34700"),
}  # fmt: skip
SIGN = {
    "interim": "·", "typed": "⌨", "button": "◆", "piece": "▸", "first audio": "♪", "interrupt": "■",
    "cancelled": "⊗", "fault": "▲", "failed": "✕", "recovered": "✓", "alert": "!", "close": "≈",
    "shown": "¶", "retry": "↻", "probe": "?", "switch": "⇄", "told": "⚑",
}  # fmt: skip
SIGN_Y = {"model": 34, "Clara": 52, "trouble": 16}  # of a lane
LETTER = {"IDLE": "–", "USER_SPEAKING": "C", "PROCESSING": "…", "AVATAR_SPEAKING": "A", "INTERRUPTED": "!"}
VERDICT = {"faster": "✓✓", "within": "✓", "slower": "✕", "none": "–"}


def svg(line: Timeline, *, title: str, mix: str, language: Language = "en") -> str:
    """The whole conversation in one picture, 960 units wide, and beneath it how long each answer took."""
    words, of_whom = spoken_in(language), whose(mix, language)
    lasted_ms = line.end_ms - line.begin_ms
    x = places(line.begin_ms, line.end_ms, GUTTER)
    there = {span.lane for span in line.spans} | {mark.lane for mark in line.marks}
    services = [name for name in SERVICE_LANES if name in there]
    more = len(services) * SERVICE_PX
    below = more + 16 * bool(services)  # of their signs
    tops = {**LANE_TOP, **{name: SERVICE_TOP + n * SERVICE_PX for n, name in enumerate(services)}}
    heights = {**LANE_HEIGHT, **dict.fromkeys(services, SERVICE_PX)}
    body = [
        ruler(line.begin_ms, line.end_ms, x, 280 + more),
        *(_lane(name, tops[name] + heights[name] / 2, words) for name in tops),
    ]
    body += [_took(wait, x, words) for wait in line.waits]
    body += [box(span, tops[span.lane], heights[span.lane] - 4, x, words) for span in line.spans]
    marks = (mark for mark in line.marks if mark.kind != "interim")
    body += [sign(mark, tops[mark.lane] + SIGN_Y.get(mark.lane, 12), x, words) for mark in marks]
    body += [_wait(n, wait, HEIGHT + below, words) for n, wait in enumerate(line.waits)]
    height = HEIGHT + below + ceil(len(line.waits) / CELLS) * CELL_HEIGHT + 6
    waited = (
        f'<tspan font-weight="bold">{words["w_waits"]}</tspan> ({escape(clip(of_whom, 330, CHAR_PX))}). {words["w_aim"]}.'
        * bool(line.waits)
    )
    letters = "   ".join(f"{letter} {words[state]}" for state, letter in LETTER.items())
    letters += f"   ▀ {words['kind_held']}   ▫ {words['kind_ducked']}"
    body.append(
        f'<text x="{GUTTER}" y="{294 + more}" fill="#666">{words["picture_legend"]}</text>'
        f'<text x="{GUTTER}" y="{310 + more}" fill="#666">{letters}</text>'
        f'<text x="14" y="{334 + below}" fill="#222">{waited}</text>'
    )
    if services:
        body.append(f'<text x="{GUTTER}" y="{326 + more}" fill="#666">{words["picture_services"]}</text>')
    return sheet(body, height, title, f"{title}: {lasted_ms / 1000:.1f} s, {of_whom}", of_whom)


def sheet(body: Iterable[str], height: int, title: str, summary: str, of_whom: str) -> str:
    """The picture around what is drawn."""
    return printable(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" style="max-width:100%;height:auto" role="img" '
        f'aria-label="{escape(summary, quote=True)}" font-family="sans-serif" font-size="11">'
        f"<title>{escape(summary)}</title>{DEFS}"
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#fff" stroke="#ccc"/>'
        f'<text x="14" y="22" font-size="14" font-weight="bold" fill="#222">{escape(clip(title, 560, 8))}</text>'
        f'<text x="{WIDTH - 14}" y="22" text-anchor="end" fill="#222">{escape(of_whom)}</text>'
        f"{''.join(body)}</svg>"
    )


DEFS = (
    '<defs><pattern id="wait" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#f4f4f4"/>'
    '<circle cx="3" cy="3" r="1" fill="#888"/></pattern>'
    '<pattern id="unheard" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="7" height="7" fill="#fff"/><line x1="0" y1="0" x2="0" y2="7" stroke="#b34700" stroke-width="2"/>'
    '</pattern><pattern id="aim" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<line x1="0" y1="0" x2="0" y2="5" stroke="#00795a" stroke-width="2"/></pattern></defs>'
)


def places(begin_ms: float, end_ms: float, gutter: float) -> _Place:
    """Where each time lies."""
    scale = (WIDTH - gutter - RIGHT) / max(1.0, end_ms - begin_ms)
    return lambda ms: gutter + (ms - begin_ms) * scale


def ruler(begin_ms: float, end_ms: float, x: _Place, bottom: int) -> str:
    """The seconds, down to where the lanes end."""
    lasts_s = (end_ms - begin_ms) / 1000
    step_s = next(s for s in (1, 2, 5, 10, 20, 60, 120, 300, 600, 3600, 10**9) if lasts_s / s <= 14)
    ticks = []
    for at_s in range(ceil(begin_ms / 1000 / step_s) * step_s, int(end_ms / 1000) + 1, step_s):
        at = x(at_s * 1000)
        ticks.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="44" y2="{bottom}" stroke="#eee"/>'
            f'<text x="{at:.1f}" y="42" text-anchor="middle" fill="#666">{at_s} s</text>'
        )
    return "".join(ticks)


def _lane(name: str, middle: float, words: Words) -> str:
    return f'<text x="14" y="{middle + 4:.1f}" fill="#444">{words[f"lane_{name}"]}</text>'


def box(span: Span, top: float, height: float, x: _Place, words: Words) -> str:
    """What lasted, in its lane."""
    left, width = x(span.from_ms), max(1.0, x(span.to_ms) - x(span.from_ms))
    if span.kind == "sound":
        top, height = top + height - 8, 8
    elif span.kind == "words":
        height -= 12
    elif span.kind in ("held", "ducked"):
        top, height = (top, 5) if span.kind == "held" else (top + 5, 13)
    edge = EDGE.get(span.kind, "none")
    state = span.lane == "state"
    name = words[span.label] if state else words[f"kind_{span.kind}"]
    service = span.lane in SERVICE_LANES
    fares = name if span.kind != "passed by" else ""  # what stands in its place says more
    own = ": ".join(filter(None, (fares, span.label))) if service else name if state else span.label
    text = clip(own, width - 6, CHAR_PX)
    if state and text != name:  # cut short, «Clara thinks» and «Clara speaks» would look the same
        text = LETTER[span.label] if width > 9 else ""
    strike = ' text-decoration="line-through"' if span.kind == "unheard" else ""
    told = service or span.kind in ("held", "ducked")
    label = ""
    if text and span.kind not in ("held", "ducked", "sound", "waiting", "on the way"):
        label = (
            f'<text x="{left + min(4, width / 3):.1f}" y="{top + height / 2 + 4:.1f}" fill="#111" stroke="#fff" stroke-width="2.5" '
            f'paint-order="stroke"{strike}>{escape(text)}</text>'
        )
    means = words[f"means_{span.label if state else span.kind}"]
    said = "" if state or not span.label else f". {span.label}" if told else f" «{span.label}»"
    hover = escape(f"{name}{said}: {span.from_ms / 1000:.2f} s, {span.to_ms - span.from_ms:.0f} ms. {means}")
    return (
        f'<g><title>{hover}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" rx="2" '
        f'fill="{FILL.get(span.kind) or FILL[span.label]}" stroke="{edge}"/>{label}</g>'
    )


def sign(mark: Mark, y: float, x: _Place, words: Words) -> str:
    """What happened at a moment."""
    said = f" «{mark.label}»" if mark.kind in ("interim", "typed", "piece", "shown") else ""
    if mark.lane in ("trouble", *SERVICE_LANES) or mark.kind in ("interrupt", "close"):
        said = f". {mark.label}"
    hover = f"{words[f'kind_{mark.kind}']}{said}: {mark.at_ms / 1000:.2f} s. {words[f'means_{mark.kind}']}"
    return (
        f'<text x="{x(mark.at_ms):.1f}" y="{y}" text-anchor="middle" font-size="12" font-weight="bold" fill="#7a2e00">'
        f"<title>{escape(hover)}</title>{SIGN[mark.kind]}</text>"
    )


def _took(wait: Wait, x: _Place, words: Words) -> str:
    """What the customer waited, in its place in time, beside the plan's aim."""
    if wait.total_ms is None:
        return ""
    fast, slow = (x(wait.from_ms + ms) for ms in TARGET_MS)
    begun, ended = x(wait.from_ms), x(wait.from_ms + wait.total_ms)
    return (
        f"<g><title>{escape(_waited(wait, words))}</title>"
        f'<rect x="{fast:.1f}" y="{WAIT_Y - 5}" width="{slow - fast:.1f}" height="10" fill="url(#aim)" stroke="#00795a"/>'
        f'<path d="M{begun:.1f} {WAIT_Y - 4}v8m0-4H{ended:.1f}m0-4v8" fill="none" stroke="#222" stroke-width="1.5"/></g>'
    )


def _waited(wait: Wait, words: Words) -> str:
    took = f": {words['w_wait'].format(ms=f'{wait.total_ms:.0f}')}" if wait.total_ms is not None else ""
    ms = f"{wait.longest_ms:.0f}"
    longest = words["w_longest"].format(what=words[f"part_{wait.longest}"], ms=ms) if wait.longest else ""
    told = "; ".join(filter(None, (words[f"verdict_{wait.verdict}"], longest)))
    return f"{words['w_turn'].format(turn=wait.turn)}{took}. {told}"


def _wait(n: int, wait: Wait, below: int, words: Words) -> str:
    """One turn's wait by itself, every turn on the same scale."""
    left, top, most = 14 + n % CELLS * 156, below + n // CELLS * CELL_HEIGHT, 140.0
    fast, slow = (ms / LONGEST_MS * most for ms in TARGET_MS)
    took = min(wait.total_ms or 0.0, LONGEST_MS) / LONGEST_MS * most
    figure = VERDICT[wait.verdict]
    if wait.total_ms is not None:
        figure = f"{wait.total_ms:.0f} ms {figure}{' »' * (wait.total_ms > LONGEST_MS)}"
    return (
        f"<g><title>{escape(_waited(wait, words))}</title>"
        f'<text x="{left}" y="{top + 12}" fill="#222">{words["w_turn"].format(turn=wait.turn)}: {figure}</text>'
        f'<path d="M{left} {top + 17}v14" stroke="#888"/>'
        f'<rect x="{left + fast:.1f}" y="{top + 17}" width="{slow - fast:.1f}" height="14" fill="url(#aim)" stroke="#00795a"/>'
        f'<rect x="{left}" y="{top + 21}" width="{took:.1f}" height="6" fill="#222"/></g>'
    )


def clip(text: str, width: float, char_px: float) -> str:
    """As much of a text as has room; nothing where that would be two letters."""
    count = int(width / char_px)
    return text if len(text) <= count else "" if count < 3 else f"{text[: count - 1]}…"
