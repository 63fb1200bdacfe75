"""Moments that people labelled, as cases of the explorer."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec.structs import replace

from clara_kit.core import events as ev
from clara_kit.core.errors import ScriptError
from clara_kit.lab.overlaps import EARS, Case, Should, pieces


class Labelled(Protocol):
    """A moment that a person has labelled, as `lab/labels.py` keeps it."""

    @property
    def label(self) -> str: ...
    @property
    def said(self) -> str: ...
    @property
    def lasts_ms(self) -> float: ...
    @property
    def results_ms(self) -> float: ...
    @property
    def events(self) -> tuple[Any, ...]: ...


_SHOULD: dict[str, Should] = {
    "should not have stopped": "go_on",
    "should have stopped": "stop",
    "answered too early": "wait",
}
_TIMES = ("at_ms", "sound_at_ms", "speech_started_ms", "speech_ended_ms")


def of_label(one: Labelled) -> Case | None:
    """The same moment as a case; None where its label is not known or nothing was heard. Raises `ScriptError` where it has none."""
    if not isinstance(getattr(one, "label", None), str):
        raise ScriptError(f"{one!r} is no labelled moment.", hint="give labels(), or cases of overlaps().")
    should, told = _SHOULD.get(one.label), [e for e in one.events if isinstance(e, EARS)]
    if should is None or not told:
        return None
    sounds = [getattr(e, name) for e in told for name in ("sound_at_ms", "speech_started_ms") if hasattr(e, name)]
    ends = [e.speech_ended_ms for e in told if isinstance(e, ev.TranscriptFinal)]
    ends += [e.sound_at_ms for e in told if isinstance(e, ev.SpeechEnded)]
    begins_ms = min(sounds, default=told[0].at_ms)
    # Where Clara answered too early she was silent before: the customer's words begin the case, half a second in.
    later_ms = 500.0 - begins_ms if should == "wait" else 0.0
    events = tuple(replace(e, **{n: getattr(e, n) + later_ms for n in _TIMES if hasattr(e, n)}) for e in told)
    texts = [e.text for e in told if isinstance(e, ev.TranscriptFinal)]
    return Case(
        kind="labelled", should=should, clara=pieces(one.said), clara_ms=0.0 if should == "wait" else one.lasts_ms,
        begins_ms=begins_ms + later_ms, ends_ms=max([*ends, begins_ms]) + later_ms, events=events,
        text=" ".join(texts).strip(), results_ms=one.results_ms,
    )  # fmt: skip
