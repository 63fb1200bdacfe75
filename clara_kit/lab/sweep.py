"""The same script under several settings, simulated: what does each knob cost the customer's patience?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import Settings
from clara_kit.measure.run import Run
from clara_kit.world.script import ScriptLike
from clara_kit.world.sim import simulate

if TYPE_CHECKING:
    import polars as pl

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")  # Okabe and Ito's
PATTERNS = ("", "/", "x", ".", "\\", "+", "|")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One simulated run for each named choice of settings. `refused`: why the others cannot be had."""

    runs: dict[str, Run]
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def waits(self) -> pl.DataFrame:
        """Settings, turn, total_ms (the customer's last word to Clara's first sound) and mix; answered turns only."""
        import polars as pl

        rows = [
            (name, turn.turn_id, None if turn.total_ms is None else round(turn.total_ms, 3), run.mix)
            for name, run in self.runs.items()
            for turn in run.ledger
            if turn.kind != "greeting"
        ]
        schema = {"settings": pl.Utf8, "turn": pl.Int64, "total_ms": pl.Float64, "mix": pl.Utf8}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def table(self) -> pl.DataFrame:
        """One row for each choice, one column for each turn, ms; then `mean`, and the mix."""
        import polars as pl

        wide = self.waits.pivot("turn", index=["settings", "mix"], values="total_ms")
        turns = {c: f"turn {c}" for c in wide.columns if c not in ("settings", "mix")}
        means = pl.mean_horizontal(pl.col(list(turns.values()))).round(3).alias("mean") if turns else pl.lit(None)
        return wide.rename(turns).select("settings", *turns.values(), means.alias("mean"), "mix")

    def __repr__(self) -> str:
        """What each choice costs beside the first, in sentences: over the turns that were answered under both."""
        rows = {name: waits for name, *waits, _, _ in self.table().iter_rows()}
        told, first = [], next(iter(rows), "")
        for name, waits in rows.items():
            pairs = [(ms, usual) for ms, usual in zip(waits, rows[first]) if None not in (ms, usual)]
            mean = sum(ms - usual * (name != first) for ms, usual in pairs) / max(1, len(pairs))
            says = f"{mean:,.0f} ms on average" if name == first else f"{mean:+,.0f} ms beside «{first}»"
            lost = f"; {waits.count(None)} of {len(waits)} turns not answered" * (None in waits)
            told.append(f"{name}: {says} (simulated){lost}." if pairs else f"{name}: no answered turn to compare.")
        told += [f"{name}: ✗ {why}" for name, why in self.refused.items()]
        return "\n".join(told or ["There is no choice to simulate."])

    def figure(self, title: str) -> Any:
        """The waits as bars, a colour and a pattern for each turn."""
        import plotly.graph_objects as go

        waits, figure = self.waits, go.Figure()
        for n, turn in enumerate(waits["turn"].unique().sort().to_list()):
            part = waits.filter(waits["turn"] == turn)
            figure.add_bar(
                y=part["settings"].to_list(), x=part["total_ms"].round(0).to_list(), name=f"turn {turn}",
                orientation="h", marker={"color": COLOURS[n % 7], "pattern": {"shape": PATTERNS[n % 7]}},
            )  # fmt: skip
        figure.update_yaxes(autorange="reversed")
        figure.update_xaxes(title="ms from the customer's last word<br>to Clara's first sound (simulated)")
        figure.update_layout(title=title, template="plotly_white", height=120 + 70 * len(self.runs))
        return figure


def sweep(script: ScriptLike, choices: Mapping[str, Settings | Mapping[str, Any]], *, seed: int = 0) -> Sweep:
    """Simulate `script` once under each of the named settings (or what is changed of «tuned»), with the same seed."""
    found = Sweep(runs={})
    for name, choice in choices.items():
        try:
            settings = choice if isinstance(choice, Settings) else Settings.preset("tuned").with_changes(**choice)
            found.runs[name] = simulate(script, settings, seed=seed)
        except ClaraError as exc:
            found.refused[name] = str(exc)
    return found
