"""What Clara does about a sound that comes while she speaks: read in a trace, and six such moments under several settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from clara_kit.conversation.heard import estimate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings
from clara_kit.lab.cut_ins import CUT_INS, EARLY_MS, ECHO_AFTER_MS, HEARD_MS, LATE_MS
from clara_kit.lab.sheet import Sheet
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story
from clara_kit.world.sim import simulate

QUESTION = "¿Qué protector solar me recomiendas?"
MIDDLE_MS = 2000.0
SAYS = {
    "early": "a question in her first second", "late": "a question in her last half second", "backchannel": "«ajá»",
    "cough": "a cough", "question": "a question in the middle", "echo": "her own voice",
}  # fmt: skip


@dataclass(frozen=True)
class Did:
    """stopped_ms: from the sound's beginning to the order to stop; None: she spoke on. asked: what the model was asked for it. rest: what was cut off was said again."""

    stopped_ms: float | None = None
    asked: str = ""
    rest: bool = False

    def __str__(self) -> str:
        told = "spoke on" if self.stopped_ms is None else f"stopped after {self.stopped_ms / 1000:.2f} s"
        told += ", then said the rest" * self.rest
        return f"{told}; answered «{self.asked}»" if self.asked else told


def did(trace: Iterable[Record], since_ms: float) -> Did:
    """What she did about the first sound that was noticed after `since_ms`."""
    began_ms, stopped_ms, asked, rest = inf, None, "", False
    for record in trace:
        if record.at_ms < since_ms:
            continue
        match record:
            case ev.SpeechStarted():
                began_ms = min(began_ms, record.sound_at_ms)
            case do.InterruptAvatar() if stopped_ms is None:
                stopped_ms = record.at_ms - min(began_ms, record.at_ms)
            case do.RequestReply() if not asked:
                asked = record.text
            case do.Speak() if stopped_ms is not None and not asked:
                rest = True
    return Did(stopped_ms, asked, rest)


def six_moments(choices: Mapping[str, Settings], *, seed: int = 5, latency: str = "published") -> Sheet:
    """The same six moments of one answer under each of these settings, simulated: equal arguments give an equal table."""
    rows = []
    for name, says in SAYS.items():
        told = {}
        for column, settings in choices.items():
            run, since_ms = moment(name, settings, seed=seed, latency=latency)
            told[f"{column} (simulated)"] = str(did(run.trace, since_ms))
        rows.append({"while she speaks": says, **told})
    return Sheet.of(rows)


def moment(name: str, settings: Settings, *, seed: int = 5, latency: str = "published") -> tuple[Run, float]:
    """One of `CUT_INS` in the answer to `QUESTION`, simulated, and when it begins."""
    usual = Story(simulate([QUESTION], settings, seed=seed, latency=latency).trace).turns[1].utterances[0]
    began_ms, ended_ms = usual.started_ms or 0.0, usual.stopped_ms or 0.0
    one = CUT_INS[name]
    after_ms = {"early": EARLY_MS, "late": ended_ms - began_ms - LATE_MS, "now": MIDDLE_MS}[one.when]

    def played(line: dict[str, Any]) -> Run:
        more = {"interrupt_after_ms": after_ms, **line}
        return simulate({"lines": [QUESTION, more]}, settings, seed=seed, latency=latency)

    def echo(ms: float) -> dict[str, Any]:
        before, after = (estimate(usual.pieces, at_ms).heard for at_ms in (after_ms, after_ms + ms))
        text = after.removeprefix(before).strip()
        return {"text": text} if text else {"sound": "noise", "sound_ms": ms}

    if name != "echo":
        return played({"text": one.text} if one.text else {"sound": "cough"}), began_ms + after_ms
    run = played(echo(HEARD_MS[-1]))
    stopped_ms = did(run.trace, began_ms + after_ms).stopped_ms
    if stopped_ms is not None:  # then the loudspeaker gave no more
        run = played(echo(min(HEARD_MS[-1], stopped_ms + ECHO_AFTER_MS)))
    return run, began_ms + after_ms
