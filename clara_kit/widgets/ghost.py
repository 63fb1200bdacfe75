"""`WhatIfView`: one setting dragged, and beside the recorded conversation the ghost of what would have been.

What is drawn is found by `lab/what_if.py`; the view is in `ghost.js`. What a slider does, `choose` does too.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import FeatureFlags, Settings
from clara_kit.lab.sentences import in_plain
from clara_kit.lab.timeline import timeline
from clara_kit.lab.what_if import WhatIf, WhatIfs
from clara_kit.measure.run import Run
from clara_kit.widgets.picture import CHAR_PX, WIDTH, box, clip, places, ruler, sheet, sign
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

GUTTER, HEIGHT, BAND_TOP = 118, 302, 236
# Where each lane lies: the recorded Clara above the customer, the ghost beneath, the states next to the customer.
ROWS = {
    ("real", "Clara"): (56, 36), ("real", "state"): (94, 18), ("", "customer"): (118, 44), ("ghost", "state"): (168, 18),
    ("ghost", "Clara"): (188, 36),
}  # fmt: skip
Words = dict[str, str]


def ghost_svg(ghost: WhatIf, language: Language = "en") -> str:
    """The recorded conversation and its ghost on one scale; what is replayed and what is drawn anew is marked."""
    words = spoken_in(language)
    real, other = (timeline(run.shown().trace, language) for run in (ghost.of, ghost.run))
    begin, end = real.begin_ms, max(real.end_ms, other.end_ms)
    x = places(begin, end, GUTTER)
    until = end if ghost.same else min(max(ghost.replayed_until_ms, begin), end)
    title, of_whom = words["gh_title"].format(what=told_changes(ghost, words)), whose(ghost.run.mix, language)
    body = [ruler(begin, end, x, 230), *_band(x(begin), x(until), x(end), words, drawn=until < end)]
    for (side, lane), (top, height) in ROWS.items():
        name = words["lane_customer"] if lane == "customer" else words[f"gh_{side}"] if lane == "Clara" else ""
        body.append(f'<text x="14" y="{top + height / 2 + 4}" fill="#444">{escape(name)}</text>')
        line = other if side == "ghost" else real
        body += [box(span, top, height, x, words) for span in line.spans if span.lane == lane]
        shown = (mark for mark in line.marks if mark.lane == lane and mark.kind in ("interrupt", "typed", "button"))
        body += [sign(mark, top + 12, x, words) for mark in shown]
    if ghost.differs is not None:
        at, hover = x(ghost.differs.at_ms), escape(" ".join(difference(ghost, language)))
        body.append(
            f'<g class="differs"><title>{hover}</title><path d="M{at:.1f} 48V230" stroke="#b34700" stroke-width="1.5" stroke-dasharray="4 3"/>'
            f'<path d="M{at - 5:.1f} 43h10l-5 8z" fill="#b34700"/></g>'
        )
    body.append(
        f'<text x="{GUTTER}" y="{BAND_TOP + 52}" fill="#222">{escape(clip(of_whom, WIDTH - GUTTER, CHAR_PX))}</text>'
    )
    return sheet(body, HEIGHT, title, f"{title}. {of_whom}", "")


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


def _band(begin: float, until: float, end: float, words: Words, *, drawn: bool) -> Iterator[str]:
    """Beneath all: what is replayed, what is drawn anew."""
    for left, right, kind in ((begin, until, "replayed"), (until, end, "drawn"))[: 1 + drawn]:
        yield (
            f'<g class="{kind}"><rect x="{left:.1f}" y="{BAND_TOP}" width="{max(1.0, right - left):.1f}" height="16" rx="2" '
            f'fill="{"#d9d9d9" if kind == "replayed" else "url(#wait)"}" stroke="#888"/>'
            f'<text x="{left + 5:.1f}" y="{BAND_TOP + 12}" fill="#222">{escape(clip(words[f"gh_{kind}"], right - left - 8, CHAR_PX))}</text></g>'
        )
    yield f'<text x="{GUTTER}" y="{BAND_TOP + 34}" fill="#555">{escape(words["gh_legend"])}</text>'


def stands_at(settings: Settings, knob: str) -> float | bool | int:
    """Where one of `KNOBS` stands. Raises `ClaraError` for another."""
    if knob not in KNOBS:
        raise ClaraError(f"{knob!r} cannot be dragged here.", hint=f"use one of {', '.join(KNOBS)}.")
    return getattr(settings.flags if knob in FeatureFlags.__struct_fields__ else settings, knob)  # type: ignore[no-any-return]


def dragged(knob: str, value: float) -> float | bool | int:
    """A value as the setting has it: a switch, a whole number or any. Raises `ClaraError` as `stands_at`."""
    return type(stands_at(Settings(), knob))(value)


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
        stands_at(Settings(), setting)
        if base not in BASES:
            raise ClaraError(f"The other settings cannot be as in {base!r}.", hint=f"use one of {', '.join(BASES)}.")
        self.knob, self.base = setting, base
        if value is not None:
            self.value = float(value)
        return self.ghost

    def _settings(self) -> Settings:
        return self._ghosts.run.settings if self.base == "recorded" else Settings.preset(self.base)  # type: ignore[arg-type]

    @traitlets.observe("knob", "base")
    def _chosen(self, _change: Any = None) -> None:
        """Another setting begins where it stands."""
        value = float(stands_at(self._settings(), self.knob))
        if value != self.value:
            self.value = value
        else:
            self._draw()

    @traitlets.observe("value")
    def _draw(self, _change: Any = None) -> None:
        try:
            value = dragged(self.knob, self.value)
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
