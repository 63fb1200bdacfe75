"""The same question under several settings: how long the customer waits, and all of them heard one after the other. Simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from clara_kit.audio.pcm import Sound
from clara_kit.core.errors import AudioError
from clara_kit.core.page import escape
from clara_kit.core.settings import Settings
from clara_kit.lab.voiced import TAIL_MS, in_turn, voiced
from clara_kit.measure.run import Run
from clara_kit.world.sim import simulate

QUESTION = "¿Qué protector solar me recomiendas?"
DESIGNS = {"the plan's design": Settings.of(enable_chunked_heygen=False), "now": Settings.preset("fast")}
ROUNDS = 100
PAUSE_MS, BEFORE_MS, SAID_MS = 1200.0, 400.0, 3500.0  # between two, before the customer, of what Clara says


@dataclass(frozen=True)
class Heard:
    """`runs`: each choice's conversation of one question. `waits_s`: from the last word to the first sound at the ear, median."""

    runs: dict[str, Run]
    waits_s: dict[str, float]

    def __str__(self) -> str:
        """«The plan's design 3.4 s, now 2.5 s»."""
        told = ", ".join(f"{name} {wait_s:.1f} s" for name, wait_s in self.waits_s.items())
        return f"{told[:1].upper()}{told[1:]}: from the customer's last word to the first sound at the ear, median (simulated, published figures)."

    def __repr__(self) -> str:
        return str(self)

    def sound(self) -> bytes:
        """All of them, one after the other, as a WAV. Raises `AudioError` where the offline voice is not installed."""
        return in_turn(map(_one, self.runs.values()), PAUSE_MS)

    def _repr_html_(self) -> str:
        from base64 import b64encode

        try:
            source = f"data:audio/wav;base64,{b64encode(self.sound()).decode()}"
            player = f"<audio controls preload='auto' src='{source}'></audio>"
        except AudioError as exc:
            player = f"<em>{escape(str(exc))}</em>"
        order = escape(", then ".join(self.runs))
        return f"<p>{escape(str(self))}</p>{player}<p><small>One after the other: {order}. The voices are this machine's own.</small></p>"


def _one(run: Run) -> tuple[Sound, Sound]:
    """From just before the customer's first word to some of Clara's."""
    turn = next(turn for turn in run.ledger if turn.kind != "greeting")
    began_ms = next((e.sound_at_ms for e in run.events if hasattr(e, "sound_at_ms")), turn.points["words_ended"])
    until_ms = turn.points["words_ended"] + (turn.total_ms or 0.0) + SAID_MS
    return voiced(run, run.words, None, began_ms - BEFORE_MS, min(until_ms, run.events[-1].at_ms + TAIL_MS))


def heard(
    choices: Mapping[str, Settings] | None = None, questions: str | Sequence[str] = QUESTION, *, latency: str = "published", seed: int = 0, rounds: int = ROUNDS
) -> Heard:  # fmt: skip
    """The same questions under each of these settings. Waits are the median of so many rounds; what is heard is one round of
    the first question whose wait is the nearest to it."""
    lines = [questions] if isinstance(questions, str) else [*questions]
    runs, waits_s = {}, {}
    for name, settings in (choices or DESIGNS).items():
        silent = settings.with_changes(greeting="")
        tried = [simulate(lines, silent, seed=seed + n, latency=latency) for n in range(rounds)]
        turns = [turn for run in tried for turn in run.ledger if turn.kind != "greeting"]
        middle_ms = median(turn.total_ms for turn in turns if turn.total_ms is not None)
        alone = tried
        if len(lines) > 1:
            alone = [simulate(lines[:1], silent, seed=seed + n, latency=latency) for n in range(rounds)]
        runs[name] = min(alone, key=lambda run: abs((run.figures["first_sound_ms"] or 1e9) - middle_ms))
        waits_s[name] = middle_ms / 1000
    return Heard(runs, waits_s)
