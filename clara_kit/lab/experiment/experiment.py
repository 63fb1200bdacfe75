"""An experiment as it is kept: its rows, its turns, each of its conversations, and how it differs from another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clara_kit.core.errors import ClaraError, RunLogError, SettingsError
from clara_kit.core.page import Figure, escape, table
from clara_kit.lab.experiment.design import Design
from clara_kit.lab.experiment.playing import brains_of, play, played
from clara_kit.lab.experiment.store import MANIFEST, ROOT, Shelf
from clara_kit.lab.scores.metrics import METRICS
from clara_kit.lab.statistics.telling import level
from clara_kit.measure.run import Run, experiment_id

if TYPE_CHECKING:
    import polars as pl

    from clara_kit.lab.experiment.plan import Plan

REHEARSAL = "A rehearsal of the method, no verdict on the prompts: the answers are scripted."


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """Variants tried on the same occasions. `rows`: one a conversation; `turns`: one an answer; `run`: the conversation.

    `inputs` are what the outcome depends on, and `id` their hash; `facts` what it does not depend on. `note`: why it is not
    whole, or not anew, for people; empty where there is nothing to say.
    """

    folder: Path
    inputs: dict[str, Any] = field(repr=False)
    facts: dict[str, Any] = field(repr=False, default_factory=dict)
    plan: Plan | None = field(repr=False, default=None)
    note: str = ""

    @classmethod
    def load(cls, folder: Path | str) -> Experiment:
        """One that was kept, also while it still runs. folder: its own, or its id in `data/experiments`.

        Raises `RunLogError`.
        """
        where = Path(folder)
        if not where.exists() and len(where.parts) == 1:
            where = ROOT / where
        kept = Shelf(where).manifest()
        return cls(folder=where, inputs=kept["inputs"], facts=kept["facts"])

    @cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the inputs: one byte of a prompt makes another experiment."""
        return experiment_id(self.inputs)

    @cached_property
    def conversations(self) -> int:
        """How many there are when it is whole."""
        return prod(len(self.inputs[part]) for part in ("variants", "scenarios", "customers", "seeds"))

    @property
    def complete(self) -> bool:
        """Whether all that is to be played has been played."""
        return bool(self.facts.get("complete"))

    @cached_property
    def rows(self) -> pl.DataFrame:
        """One row a conversation: variant, scenario, topic, customer, seed, the metrics, failed, mix, answers."""
        return Shelf(self.folder).table("rows")

    @cached_property
    def turns(self) -> pl.DataFrame:
        """One row an answer: what was said, what Clara answered, what of it was heard, and how long it took (ms)."""
        return Shelf(self.folder).table("turns")

    @property
    def variants(self) -> tuple[str, ...]:
        """Their names, in the order in which they were given."""
        return tuple(v["name"] for v in self.inputs["variants"])

    @cached_property
    def mix(self) -> str:
        """What stood behind the services, and who wrote the answers, with how many conversations each."""
        if not len(self.rows):
            return f"nothing played yet; answers to be {self.inputs['llm']}"
        mixes = sorted(set(self.rows["mix"].to_list()))
        answers = Counter(self.rows["answers"].to_list())
        told = (
            ", ".join(f"{who} ({n:,})" for who, n in sorted(answers.items()))
            if len(answers) > 1
            else next(iter(answers))
        )
        return f"{'; '.join(mixes)}; answers {told}"

    @cached_property
    def rehearsal(self) -> bool:
        """Whether answers are scripted, or a twin's (which are too), so that it says nothing about prompts."""
        return self.inputs["llm"] == "scripted" or bool(self.inputs.get("twin"))

    @cached_property
    def design(self) -> Design:
        """What was asked for, ready to be played. Raises `RunLogError` where templates or data are others here."""
        return Design.kept(self.inputs)

    def run(
        self, variant: str, scenario: str, customer: str = "", seed: int = 0, *, calls: Path | str | None = None
    ) -> Run:  # fmt: skip
        """One conversation, played again: equal bytes, or `problems` says that the kit has changed since.

        calls: where its answers are kept (default: those that came with it, as out of a bundle, else `data/calls`); nobody is
        asked.

        Raises `SettingsError` where the experiment has no such conversation, `RunLogError` as `design`.
        """
        wanted = (variant, scenario, customer, seed)
        cell = next((c for c in self.design.cells if (c.variant, *c.occasion) == wanted), None)
        if cell is None:
            raise SettingsError(
                f"There is no conversation {wanted} in experiment {self.id}.",
                hint="take variant, scenario, customer and seed from a row of `rows`.",
            )
        own = self.folder / "calls"
        where = str(calls or (own if own.is_dir() else ""))
        run = play(self.design, cell, brains_of(self.design, where, asking=False).get(variant))
        return run if self._as_kept(run, cell) else replace(run, problems=(*run.problems, _OTHERWISE))

    def _as_kept(self, run: Run, cell: Any) -> bool:
        """Whether it goes as its turns say; true where it was not kept."""
        where = {"variant": cell.variant, "scenario": cell.scenario, "customer": cell.customer, "seed": cell.seed}
        kept = self.turns.filter(**where).drop("source").to_dicts()  # asked then, from the record now
        now = [
            {name: turn[name] for name in turn if name != "source"} for turn in played(self.design, cell, run)["turns"]
        ]
        return not kept or kept == now

    def differences(self, other: Experiment | Design) -> tuple[str, ...]:
        """What this one has otherwise than the other, in words; empty where their inputs are equal."""
        return tuple(_differences(other.inputs, self.inputs))

    def _repr_html_(self) -> str:
        from statistics import fmean

        head = f"Experiment {self.id} ({self.mix})"
        if not len(self.rows):
            plan = "" if self.plan is None else f" {self.plan}"
            return f"<p>{escape(f'{head}. {self.note}{plan}')}</p>"
        rows: list[tuple[Any, ...]] = []
        shown = [
            m
            for name, m in METRICS.items()
            if name in self.rows.columns and self.rows[name].null_count() < len(self.rows)
        ]
        for variant in self.variants:
            held = self.rows.filter(variant=variant)
            cells = []
            for metric in shown:
                values = [float(v) for v in held[metric.name].to_list() if v is not None]
                cells.append(Figure(level(metric, fmean(values) if values else None)))
            rows.append((variant, len(held), *cells))
        names = ("variant", "conversations", *(m.label[0] for m in shown))
        said = " ".join(filter(None, (self.headline, self.note)))
        warn = f"<p><b>{escape(REHEARSAL)}</b></p>" if self.rehearsal else ""
        return f"<div>{warn}{table(rows, names, head)}<p>{escape(said)}</p></div>"

    @property
    def headline(self) -> str:
        """How much of it there is, in a sentence."""
        done, of = len(self.rows), self.conversations
        size = (
            f"{len(self.variants)} variants × {len(self.inputs['scenarios'])} scenarios × "
            f"{len(self.inputs['customers'])} customers × {len(self.inputs['seeds'])} seeds"
        )
        if self.complete:
            early = str(self.facts.get("ended_early") or "")
            return f"{size}: {done:,} conversations. {early}".strip()
        return f"{size}: {done:,} of {of:,} conversations so far; ask for it again, and it goes on."

    def __repr__(self) -> str:
        try:
            return f"<Experiment {self.id}: {self.headline} ({self.mix}){' ' + self.note if self.note else ''}>"
        except RunLogError as exc:  # one that is damaged hides none of a list
            return f"<Experiment {self.id}: {exc.message}>"


_OTHERWISE = "It does not go as it went when the experiment was run: the kit has changed since."


def experiments(root: Path | str | None = None) -> tuple[Experiment, ...]:
    """Every experiment that is kept (default: in `data/experiments`), the newest first; what cannot be read is left out."""
    found = []
    for manifest in Path(root or ROOT).glob(f"*/{MANIFEST}"):
        try:
            found.append(Experiment.load(manifest.parent))
        except RunLogError:
            continue
    return tuple(sorted(found, key=lambda e: (str(e.facts.get("times", {}).get("started", "")), e.id), reverse=True))


def nearest(design: Design, root: Path) -> tuple[Experiment | None, tuple[str, ...]]:
    """The kept experiment that differs least from what is asked for, and how; none where nothing is alike."""
    best: tuple[Experiment | None, tuple[str, ...]] = None, ()
    for one in experiments(root):
        try:
            found = tuple(_differences(one.inputs, design.inputs))
        except (KeyError, TypeError, ClaraError):
            continue
        if found and (best[0] is None or len(found) < len(best[1])):
            best = one, found
    return best


def _differences(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    told = []
    before, after = ({v["name"]: v for v in inputs["variants"]} for inputs in (was, now))
    for name in dict.fromkeys((*before, *after)):
        a, b = before.get(name), after.get(name)
        if a is None or b is None:
            told.append(f"the variant «{name}» is {'new' if a is None else 'gone'}")
            continue
        if a["template"] != b["template"]:
            told.append(f"the prompt of «{name}»: {_prompts(a['template'], b['template'])}")
        told += [
            f"{key} of «{name}»: {a['settings'].get(key)}, now {value}"
            for key, value in b["settings"].items()
            if a["settings"].get(key) != value
        ]
    for what in ("scenarios", "customers", "seeds"):
        a, b = ({(s["name"] if isinstance(s, dict) else s): s for s in inputs[what]} for inputs in (was, now))
        told += [f"{what} new: {', '.join(map(str, new))}"] if (new := [k for k in b if k not in a]) else []
        told += [f"{what} gone: {', '.join(map(str, gone))}"] if (gone := [k for k in a if k not in b]) else []
        told += (
            [f"{what} changed: {', '.join(map(str, other))}"]
            if (other := [k for k in b if k in a and a[k] != b[k]])
            else []
        )
    for key in ("seed", "latency", "llm", "stop_when_sure"):
        if was.get(key) != now.get(key):
            a, b = ((v.get("name") if isinstance(v, dict) else v) for v in (was.get(key), now.get(key)))
            told.append(f"{key}: {a}, now {b}" if a != b else f"{key}: other figures under the same name")
    names = [key for key, value in now["data"].items() if was["data"].get(key) != value and key != "customers"]
    both = [c for c in now["customers"] if c in was["customers"]]
    held = [dict(zip(inputs["customers"], inputs["data"]["customers"], strict=True)) for inputs in (was, now)]
    names += [f"the customer {c}" for c in both if held[0][c] != held[1][c]]
    return told + [f"the data have changed: {name}" for name in names]


def _prompts(a: dict[str, Any], b: dict[str, Any]) -> str:
    """The first lines that differ."""
    lines = unified_diff(a["source"].splitlines(), b["source"].splitlines(), lineterm="", n=0)
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    label = f"{a['id']} v{a['version']} ({a['hash']}), now {b['id']} v{b['version']} ({b['hash']})"
    return f"{label}: {' / '.join(changed[:4])}" if changed else f"{label}: a part that it includes"
