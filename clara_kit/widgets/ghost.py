"""`WhatIfView`: one setting dragged, and beside the recorded conversation the ghost of what would have been.

What is drawn is found by `lab/what_if.py`; the view is in `ghost.js`. What a slider does, `choose` does too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.core.outside import printable
from clara_kit.core.settings import FeatureFlags, Settings
from clara_kit.lab.sentences import in_plain
from clara_kit.lab.timeline import Mark, Span, Timeline, timeline
from clara_kit.lab.what_if import WhatIf, WhatIfs
from clara_kit.measure.run import Run
from clara_kit.widgets.picture import CHAR_PX, DEFS, EDGE, FILL, LETTER, SIGN, clip
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import HERE, view
from clara_kit.widgets.words import Language, spoken_in, usual_language, whose

KNOBS: dict[str, tuple[float, float, float]] = {
    "sustained_ms": (0, 2000, 10), "barge_in_debounce_ms": (0, 2000, 10), "protected_opening_ms": (0, 3000, 50), "min_words": (1, 5, 1),
    "words_so_far_ms": (0, 2000, 10), "turn_hold_ms": (0, 3000, 50), "unfinished_hold_ms": (0, 4000, 50), "taken_back_ms": (0, 3000, 50),
    "no_words_timeout_ms": (200, 6000, 100), "no_words_after_sound_ms": (0, 4000, 50), "final_timeout_ms": (500, 8000, 100),
    "ignore_backchannels": (0, 1, 1), "ignore_echo": (0, 1, 1), "finalize_short_sounds": (0, 1, 1),
    "duck": (0, 1, 1), "enable_barge_in": (0, 1, 1),
}  # fmt: skip
"""What can be dragged: least, most, step. 0 and 1 of a switch are off and on."""
BASES = ("recorded", "plan", "tuned")

WIDTH, GUTTER, RIGHT, HEIGHT = 960, 118, 14, 302
# Where each lane lies: the recorded Clara above the customer, the ghost beneath, the states next to the customer.
ROWS = {
    ("real", "Clara"): (56, 36), ("real", "state"): (94, 18), ("", "customer"): (118, 44), ("ghost", "state"): (168, 18),
    ("ghost", "Clara"): (188, 36),
}  # fmt: skip
BAND_TOP = 236
Words = dict[str, str]


def ghost_svg(ghost: WhatIf, language: Language = "en") -> str:
    """The recorded conversation and its ghost on one scale; what is replayed and what is drawn anew is marked."""
    words = spoken_in(language)
    real, other = (timeline(_shown(run).trace, language) for run in (ghost.of, ghost.run))
    begin, end = real.begin_ms, max(real.end_ms, other.end_ms, real.begin_ms + 1)

    def x(ms: float) -> float:
        return GUTTER + (ms - begin) * (WIDTH - GUTTER - RIGHT) / (end - begin)

    until = end if ghost.same else min(max(ghost.replayed_until_ms, begin), end)
    title = words["gh_title"].format(what=told_changes(ghost, words))
    of_whom = whose(ghost.run.mix, language)
    body = [*_ruler(begin, end, x), *_band(x(begin), x(until), x(end), words, drawn=until < end)]
    body += [
        f'<text x="12" y="{top + height / 2 + 4}" class="dim" fill="#555">{escape(_lane(side, lane, words))}</text>'
        for (side, lane), (top, height) in ROWS.items()
    ]
    for side, line in (("", real), ("real", real), ("ghost", other)):
        body += _lanes(side, line, x, words)
    if ghost.differs is not None:
        at = x(ghost.differs.at_ms)
        hover = escape(" ".join(difference(ghost, language)))
        body.append(
            f'<g class="differs"><title>{hover}</title><path d="M{at:.1f} 48V230" stroke="#b34700" stroke-width="1.5" stroke-dasharray="4 3"/>'
            f'<path d="M{at - 5:.1f} 43h10l-5 8z" fill="#b34700"/></g>'
        )
    return printable(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" style="max-width:100%;height:auto" '
        f'role="img" aria-label="{escape(f"{title}. {of_whom}", quote=True)}" font-family="sans-serif" font-size="11">{DEFS}'
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff" stroke="#ccc"/>'
        f'<text x="12" y="20" font-size="13" font-weight="bold" fill="#222">{escape(clip(title, WIDTH - 24, 7.4))}</text>'
        f'<text x="{GUTTER}" y="{BAND_TOP + 52}" fill="#222">{escape(clip(of_whom, WIDTH - GUTTER, CHAR_PX))}</text>{"".join(body)}</svg>'
    )


def told_changes(ghost: WhatIf, words: Words) -> str:
    """The settings that differ, in the reader's words."""
    told = [f"{words.get(f'set_{n}', n)}: {_value(was, words)} → {_value(now, words)}" for n, (was, now) in ghost.changes.items()]  # fmt: skip
    return ", ".join(told[:2]) + (f" … (+{len(told) - 2})" if len(told) > 2 else "") or words["gh_as_recorded"]


def difference(ghost: WhatIf, language: Language) -> tuple[str, ...]:
    """The first decision that came out otherwise, as sentences."""
    words, differs = spoken_in(language), ghost.differs
    if differs is None:
        return (words["gh_same"],)
    was, now = (text or words["gh_nothing"] for text in differs.told(language))
    at = words["gh_at"].format(s=f"{differs.at_ms / 1000:.2f}")
    why = in_plain(differs.reason, language)
    return (f"{at} {words['gh_then']}: {was}", f"{words['gh_now']}: {now}{f' ({why})' if why else ''}")


def _value(value: Any, words: Words) -> str:
    return words["gh_on" if value else "gh_off"] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float | int) else str(value)  # fmt: skip


def _shown(run: Run) -> Run:
    return run if run.modes.get("shop", "").startswith("live") else run.revealed()


def _lane(side: str, lane: str, words: Words) -> str:
    if lane == "customer":
        return words["lane_customer"]
    return words[f"gh_{side}"] if lane == "Clara" else ""


def _ruler(begin: float, end: float, x: Callable[[float], float]) -> Iterator[str]:
    step = next(s for s in (1, 2, 5, 10, 20, 60, 120, 300, 600, 3600, 10**9) if (end - begin) / 1000 / s <= 14)
    for s in range(-int(-begin // 1000), int(end / 1000) + 1):
        if s % step == 0:
            at = x(s * 1000)
            yield f'<path d="M{at:.1f} 48V230" class="grid" stroke="#e4e4e4"/>'
            yield f'<text x="{at:.1f}" y="40" text-anchor="middle" class="dim" fill="#555">{s} s</text>'


def _band(begin: float, until: float, end: float, words: Words, *, drawn: bool) -> Iterator[str]:
    """Beneath all: what is replayed, what is drawn anew."""
    for left, right, kind in ((begin, until, "replayed"), (until, end, "drawn"))[: 1 + drawn]:
        yield (
            f'<g class="{kind}"><rect x="{left:.1f}" y="{BAND_TOP}" width="{max(1.0, right - left):.1f}" height="16" rx="2" '
            f'fill="{"#d9d9d9" if kind == "replayed" else "url(#wait)"}" stroke="#888"/>'
            f'<text x="{left + 5:.1f}" y="{BAND_TOP + 12}" fill="#222">{escape(clip(words[f"gh_{kind}"], right - left - 8, CHAR_PX))}</text></g>'
        )
    yield f'<text x="{GUTTER}" y="{BAND_TOP + 34}" class="dim" fill="#555">{escape(words["gh_legend"])}</text>'


def _lanes(side: str, line: Timeline, x: Callable[[float], float], words: Words) -> Iterator[str]:
    for span in line.spans:
        if (side, span.lane) in ROWS:
            yield _span(span, *ROWS[side, span.lane], x, words)
    for mark in line.marks:
        if (side, mark.lane) in ROWS and mark.kind in ("interrupt", "typed", "button"):
            yield _mark(mark, ROWS[side, mark.lane][0], x, words)


def _span(span: Span, top: float, height: float, x: Callable[[float], float], words: Words) -> str:
    left, width = x(span.from_ms), max(1.0, x(span.to_ms) - x(span.from_ms))
    state = span.lane == "state"
    if span.kind == "sound":
        top, height = top + height - 8, 8
    elif span.kind == "words":
        height -= 11
    name = words[span.label] if state else words[f"kind_{span.kind}"]
    text = "" if span.kind in ("sound", "on the way") else clip(name if state else span.label, width - 6, CHAR_PX)
    if state and text != name:
        text = LETTER[span.label] if width > 9 else ""
    said = "" if state or not span.label else f" «{span.label}»"
    hover = escape(f"{name}{said}: {span.from_ms / 1000:.2f} s, {span.to_ms - span.from_ms:.0f} ms")
    strike = ' text-decoration="line-through"' if span.kind == "unheard" else ""
    label = f'<text class="on" x="{left + min(4, width / 3):.1f}" y="{top + height / 2 + 4:.1f}" fill="#111"{strike}>{escape(text)}</text>' if text else ""  # fmt: skip
    return (
        f'<g><title>{hover}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" rx="2" '
        f'fill="{FILL.get(span.kind) or FILL[span.label]}" stroke="{EDGE.get(span.kind, "none")}"/>{label}</g>'
    )


def _mark(mark: Mark, top: float, x: Callable[[float], float], words: Words) -> str:
    hover = escape(f"{words[f'kind_{mark.kind}']}: {mark.at_ms / 1000:.2f} s. {mark.label}")
    return (
        f'<text class="mark" x="{x(mark.at_ms):.1f}" y="{top + 12}" text-anchor="middle" font-size="12" font-weight="bold" '
        f'fill="#7a2e00"><title>{hover}</title>{SIGN[mark.kind]}</text>'
    )


class WhatIfView(anywidget.AnyWidget):
    """The ghost of `run` (a `Run`, or the folder of one) with one setting dragged; `ghost` is the same as data."""

    _esm = view("ghost")
    _css = HERE / "ghost.css"

    words = traitlets.Dict().tag(sync=True)
    knobs: Any = traitlets.List().tag(sync=True)
    knob = traitlets.Unicode("sustained_ms").tag(sync=True)
    base = traitlets.Unicode("recorded").tag(sync=True)
    value = traitlets.Float(0.0).tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)
    told: Any = traitlets.List().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, run: Run | str | Path, setting: str = "sustained_ms", *, base: str = "recorded", language: Language | None = None
    ) -> None:  # fmt: skip
        self._language = language or usual_language()
        self._ghosts = WhatIfs(run)
        self.ghost: WhatIf = self._ghosts.of(self._ghosts.run.settings)
        words = spoken_in(self._language)
        super().__init__(words=words, knobs=[[name, words[f"set_{name}"], *range_] for name, range_ in KNOBS.items()])
        self._chosen()
        self.choose(setting, base=base)

    def choose(
        self, setting: str | None = None, value: float | bool | None = None, *, base: str | None = None
    ) -> WhatIf:
        """Drag a setting (of `KNOBS`) to a value; base: the other settings, as "recorded", or a preset's."""
        setting, base = setting or self.knob, base or self.base
        if setting not in KNOBS or base not in BASES:
            raise ClaraError(f"{setting!r} cannot be dragged here.", hint=f"use one of {', '.join(KNOBS)}.")
        self.knob, self.base = setting, base
        if value is not None:
            self.value = float(value)
        return self.ghost

    def _settings(self) -> Settings:
        return self._ghosts.run.settings if self.base == "recorded" else Settings.preset(self.base)  # type: ignore[arg-type]

    def _of(self, settings: Settings) -> float | bool | int:
        in_flags = self.knob in FeatureFlags.__struct_fields__
        return getattr(settings.flags if in_flags else settings, self.knob)  # type: ignore[no-any-return]

    @traitlets.observe("knob", "base")
    def _chosen(self, _change: Any = None) -> None:
        """Another setting begins where it stands."""
        value = float(self._of(self._settings()))
        if value != self.value:
            self.value = value
        else:
            self._draw()

    @traitlets.observe("value")
    def _dragged(self, _change: Any) -> None:
        self._draw()

    def _draw(self) -> None:
        try:
            usual = self._of(self._settings())
            value = bool(self.value) if isinstance(usual, bool) else int(self.value) if isinstance(usual, int) else self.value  # fmt: skip
            self.ghost = self._ghosts.of(self._settings().with_changes(**{self.knob: value}))
        except ClaraError as exc:
            self.problem = tell(exc, self._language)
            return
        version = [self.words["gh_version"]] if self.ghost.by_version else []
        assumed = [self.words["gh_assumed"].format(what="; ".join(self.ghost.assumed))] if self.ghost.assumed else []
        with self.hold_sync():
            self.problem, self.shown = "", _value(value, self.words)
            self.told = [*difference(self.ghost, self._language), *version, *assumed]
            self.svg = ghost_svg(self.ghost, self._language)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {**data, "image/svg+xml": self.svg, "text/plain": repr(self)}, metadata

    def __repr__(self) -> str:
        return f"<WhatIfView of {self._ghosts.run.run_id}: {self.knob} {self.shown}. {' '.join(self.told)}>"
