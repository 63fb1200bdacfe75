"""What Clara does about a sound that comes while she speaks: read in a trace, and six such moments under several settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from clara_kit.conversation.heard import estimate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.page import Html, escape, table
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings
from clara_kit.lab.cut_ins import CUT_INS, EARLY_MS, ECHO_AFTER_MS, HEARD_MS, LATE_MS
from clara_kit.lab.sheet import Sheet
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story, Utterance
from clara_kit.world.sim import simulate

QUESTION = "¿Qué protector solar me recomiendas?"
MIDDLE_MS, COUGH_MS, SEED = 2000.0, 300.0, 5
SAYS = {
    "early": "a question in her first second", "late": "a question in her last half second", "backchannel": "«ajá»",
    "cough": "a cough", "question": "a question in the middle", "echo": "her own voice",
}  # fmt: skip


@dataclass(frozen=True)
class Did:
    """stopped_ms: from the sound's beginning to the order to stop; None: she spoke on. asked: what the model was asked for it. rest: what was cut off was said again. noticed: an ear did."""

    stopped_ms: float | None = None
    asked: str = ""
    rest: bool = False
    noticed: bool = False

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
    return Did(stopped_ms, asked, rest, noticed=began_ms < inf)


def six_moments(choices: Mapping[str, Settings]) -> Sheet:
    """The same six moments of one answer under each of these settings, simulated: equal arguments give an equal table."""
    rows = []
    for name, says in SAYS.items():
        told = {}
        for column, settings in choices.items():
            run, since_ms = moment(name, settings)
            told[f"{column} (simulated)"] = str(did(run.trace, since_ms))
        rows.append({"while she speaks": says, **told})
    return Sheet.of(rows)


def moment(name: str, settings: Settings) -> tuple[Run, float]:
    """One of `CUT_INS` in the answer to `QUESTION`, simulated, and when it begins."""
    usual = _answer(settings)

    def played(ms: float) -> tuple[Run, float]:
        line = _line(name, usual, ms)
        run = simulate({"lines": [QUESTION, line]}, settings, seed=SEED)
        return run, (usual.started_ms or 0.0) + line["interrupt_after_ms"]

    run, began_ms = played(HEARD_MS[-1])
    stopped_ms = did(run.trace, began_ms).stopped_ms
    if name == "echo" and stopped_ms is not None:  # then the loudspeaker gave no more
        return played(min(HEARD_MS[-1], stopped_ms + ECHO_AFTER_MS))
    return run, began_ms


def six_in_a_row(settings: Settings) -> Run:
    """A simulated customer who asks the same six times, and cuts in on each answer in another way."""
    usual = _answer(settings)
    lines = [line for name in SAYS for line in (QUESTION, _line(name, usual, HEARD_MS[-1]))]
    return simulate({"title": "a customer who cuts in six times", "lines": lines}, settings, seed=SEED)


class FourTimes(Sheet):
    """Of each sound that may have been an interruption. The last column, what was never heard, is struck through."""

    def _repr_html_(self) -> str:
        rows, names, caption = self._readable()
        struck = [(*row, Html(f"<s>{escape(unheard)}</s>")) for *row, unheard in rows]
        return table(struck, names, caption)


def four_times(run: Run) -> Sheet:
    """When each sound was suspected, Clara's lowered, the order to stop given, acknowledged, and silence: ms from where it was made."""
    rows = []
    for row in run.interruptions.iter_rows(named=True):
        from_ms = row["suspected_ms"] if row["sound_ms"] is None else row["sound_ms"]
        times = ((name, row[f"{name}_ms"]) for name in ("suspected", "ducked", "yielded", "acknowledged", "silent"))
        told = {name: "" if at_ms is None else f"{at_ms - from_ms:.0f}" for name, at_ms in times}
        told |= {"outcome": row["outcome"], "why": row["reason"], "never heard": row["unheard"] or ""}
        rows.append({"at": f"{from_ms / 1000:.1f}\u00a0s", **told})
    caption = f"Times in ms from the sound's beginning ({run.mix})."
    return FourTimes.of(rows, caption) if rows else Sheet.of([{"outcome": "Nobody cut in."}])


def _answer(settings: Settings) -> Utterance:
    """What she says when nobody cuts in."""
    return Story(simulate([QUESTION], settings, seed=SEED).trace).turns[1].utterances[0]


def _line(name: str, usual: Utterance, echo_ms: float) -> dict[str, Any]:
    """One of `CUT_INS` as a line of a script. echo_ms: how long an echo lasts."""
    lasts_ms = (usual.stopped_ms or 0.0) - (usual.started_ms or 0.0)
    one = CUT_INS[name]
    at_ms = {"early": EARLY_MS, "late": lasts_ms - LATE_MS, "now": MIDDLE_MS}[one.when]
    before, after = (estimate(usual.pieces, ms).heard for ms in (at_ms, at_ms + echo_ms))
    text = after.removeprefix(before).strip() if name == "echo" else one.text
    sound = {"sound": "cough" if name == "cough" else "noise", "sound_ms": min(echo_ms, COUGH_MS)}
    return {"interrupt_after_ms": at_ms, **({"text": text} if text else sound)}
