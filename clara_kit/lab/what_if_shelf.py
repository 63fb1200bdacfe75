"""`what_if` for a whole shelf: which of its conversations would have gone otherwise, and why.

What comes out is what `WhatIfs` says of each; `stretches.py` is why it does not take as long. The ghost itself is drawn when
somebody opens it.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clara_kit.conversation.policies import Policies
from clara_kit.core.errors import ClaraError, RunLogError, SettingsError
from clara_kit.core.page import escape, table
from clara_kit.core.settings import Settings, sure
from clara_kit.lab.deciding import Changed
from clara_kit.lab.recorded import Recorded
from clara_kit.lab.stretches import Stretches
from clara_kit.lab.what_if import WhatIf, WhatIfs
from clara_kit.measure.run import Run
from clara_kit.turns import usual_policies

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Otherwise:
    """One conversation that would have gone otherwise under the settings called `name`.

    differs: the first decision that changed. vouched: the share of the recorded time, 0..1, that is replayed and not drawn anew.
    """

    run_id: str
    title: str
    name: str
    settings: Settings = field(repr=False)
    differs: Changed
    vouched: float
    mix: str
    source: Run | Path = field(repr=False)

    def open(self) -> WhatIf:
        """The whole ghost. Raises `RunLogError` where the run is not there any more."""
        return WhatIfs(self.source).of(self.settings)


@dataclass(frozen=True, kw_only=True)
class ShelfWhatIf:
    """What a shelf's conversations would have become. `refused`: what could not be decided again, with the reason."""

    asked: int
    otherwise: tuple[Otherwise, ...]
    refused: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In sentences: how many, of how many, under which settings."""
        counts = Counter(one.name for one in self.otherwise)
        of = f"of {self.asked:,} conversations"
        lines = [f"{name}: {of} {counts[name]:,} would have gone otherwise." for name in self.names]
        if self.refused:
            why = "; ".join(dict.fromkeys(self.refused.values()))
            lines.append(f"{len(self.refused)} cannot be decided again: {why}")
        return "\n".join(lines)

    __repr__ = __str__

    def by_reason(self, name: str | None = None) -> dict[str, tuple[Otherwise, ...]]:
        """Those that would have gone otherwise (under the settings `name`, or any), by what would have been decided."""
        found: dict[str, list[Otherwise]] = {}
        for one in self.otherwise:
            if name in (None, one.name):
                found.setdefault(_what(one.differs), []).append(one)
        return {why: tuple(ones) for why, ones in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))}

    @cached_property
    def table(self) -> pl.DataFrame:
        """One row for each conversation and name of settings: what would have been decided first, when (s), and `vouched`."""
        import polars as pl

        rows = [
            (o.name, o.run_id, o.title, _what(o.differs), o.differs.policy, round(o.differs.at_ms / 1000, 3), round(o.vouched, 3), o.mix)
            for o in self.otherwise
        ]  # fmt: skip
        schema = {"settings": pl.Utf8, "run_id": pl.Utf8, "title": pl.Utf8, "would": pl.Utf8, "policy": pl.Utf8,
                  "at_s": pl.Float64, "vouched": pl.Float64, "mix": pl.Utf8}  # fmt: skip
        return pl.DataFrame(rows, schema=schema, orient="row")

    def _repr_html_(self) -> str:
        rows = [
            (name, why, len(ones), f"{sum(o.vouched for o in ones) / len(ones):.0%}")
            for name in self.names
            for why, ones in self.by_reason(name).items()
        ]
        return table(rows, ("settings", "would have been", "conversations", "vouched for"), escape(str(self)))


def _what(differs: Changed) -> str:
    was, now = (type(r).__name__ if r is not None else "nothing" for r in (differs.recorded, differs.now))
    return f"{now} in place of {was}" + (f", by {differs.policy}" if differs.policy else "")


def what_if_shelf(
    runs: str | Path | Iterable[Run | str | Path],
    choices: Mapping[str, Settings | Mapping[str, Any]] | Sequence[Settings] | Settings,
    *,
    policies: Policies | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ShelfWhatIf:
    """Which conversations of a shelf would have gone otherwise under each of the settings.

    runs: a folder of runs (`data/runs`), or runs, or paths to them. choices: settings, or what is changed of each run's own
    ({"sustained_ms": 500}), by what they are called.
    progress: told how many of how many are done. Raises `SettingsError` where no settings are given.
    """
    named = _named(choices)
    policies, sources = policies or usual_policies(), _sources(runs)
    found: list[Otherwise] = []
    refused: dict[str, str] = {}
    collects = gc.isenabled()
    gc.disable()  # millions of small things, and no circle among them
    try:
        for number, source in enumerate(sources, 1):
            try:
                found += _otherwise(source, named, policies)
            except ClaraError as exc:
                refused[source.run_id if isinstance(source, Run) else source.name] = exc.message
            if progress is not None:
                progress(number, len(sources))
    finally:
        if collects:
            gc.enable()
    order = {name: n for n, name in enumerate(named)}
    found.sort(key=lambda one: order[one.name])
    return ShelfWhatIf(asked=len(sources) - len(refused), otherwise=tuple(found), refused=refused, names=tuple(named))


def _named(choices: Any) -> dict[str, Settings | Mapping[str, Any]]:
    if isinstance(choices, Settings):
        choices = {"these settings": choices}
    elif isinstance(choices, Sequence) and not isinstance(choices, str):
        choices = {f"settings {n}": one for n, one in enumerate(choices, 1)}
    if not isinstance(choices, Mapping) or not choices:
        raise SettingsError("There are no settings to ask about.", hint='give {"a name": Settings.preset("tuned")}.')
    for settings in choices.values():
        if isinstance(settings, Mapping):
            Settings.of(**settings)  # what cannot be is refused before a thousand runs are read
        else:
            sure(settings)
    return {str(name): settings for name, settings in choices.items()}


def _sources(runs: Any) -> list[Run | Path]:
    if isinstance(runs, str | Path):
        if not Path(runs).is_dir():
            raise RunLogError(f"There is no folder {runs}.", hint="give a folder of runs, such as data/runs.")
        from clara_kit.lab.shelf import kept

        return [one.folder for one in kept(runs)]
    return [one if isinstance(one, Run) else Path(one) for one in runs]


def _otherwise(
    source: Run | Path, named: Mapping[str, Settings | Mapping[str, Any]], policies: Policies
) -> Iterator[Otherwise]:
    run = source if isinstance(source, Run) else Run.load(source)
    recorded, run_id, mix = Recorded(run), run.run_id, run.mix
    was, lasts_ms = run.settings, recorded.ends_ms or 1.0
    wanted = {name: one if isinstance(one, Settings) else was.with_changes(**one) for name, one in named.items()}
    stretches = Stretches(recorded, was, wanted, policies)
    for name, settings in wanted.items():
        differs, departed = stretches.again(name)
        if differs is not None:
            yield Otherwise(
                run_id=run_id, title=run.title, name=name, settings=settings, differs=differs, mix=mix, source=source,
                vouched=1.0 if departed is None else min(1.0, departed.at_ms / lasts_ms),
            )  # fmt: skip
