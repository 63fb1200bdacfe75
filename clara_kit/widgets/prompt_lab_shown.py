"""What the prompt lab shows, as plain data for its view: what there is to choose, pairs, transcripts, the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, zip_longest
from statistics import fmean
from typing import Any, get_args

from clara_kit.lab.apart import marked
from clara_kit.lab.experiment.design import usual_customers
from clara_kit.lab.experiment.experiment import Experiment
from clara_kit.lab.experiment.runner import plan
from clara_kit.lab.scores.metrics import METRICS, Metric
from clara_kit.lab.statistics import telling
from clara_kit.lab.statistics.compare import Compared
from clara_kit.lab.statistics.effects import Effect
from clara_kit.lab.statistics.showing import losing
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets.prompt_lab_run import Running
from clara_kit.widgets.prompt_studio import PromptStudio
from clara_kit.widgets.telling import tell
from clara_kit.widgets.words import Language, spoken_in
from clara_kit.world.personas import Persona
from clara_kit.world.scenario import Scenario, Topic

_WORST = 8
LOOKED_AT = "kept"  # the metric that may end a run early
_FEW = 10  # scenarios: below, intervals are wide
Key = tuple[str, str, int]
"""Scenario, customer, seed: what both variants of a pair have in common."""


def offers() -> dict[str, Any]:
    """Scenarios by topic, and customers."""
    topics: dict[str, list[list[Any]]] = {topic: [] for topic in get_args(Topic)}
    for one in Scenario.all():
        topics.setdefault(one.topic, []).append([one.name, one.title, one.reacts is not None])
    customers = [*([name, Persona.load(name).about] for name in usual_customers()), ["", ""]]
    return {"topics": [[topic, found] for topic, found in topics.items() if found], "customers": customers}


def changes(given: Any) -> dict[str, Any]:
    """Of what a page sends only what can be chosen, as it must be."""
    kinds = {
        "a": str,
        "scenarios": list,
        "customers": list,
        "seeds": int,
        "llm": str,
        "budget_usd": int | float,
        "until_sure": bool,
    }
    known: dict[str, Any] = given if isinstance(given, dict) else {}
    return {k: v for k, v in known.items() if isinstance(v, kinds.get(k, ())) and (k != "seeds" or 0 < known[k] <= 20)}


def sides(a: PromptTemplate, studio: PromptStudio, words: Mapping[str, str]) -> dict[str, Any]:
    """Both prompts by their names; b: the studio's last good text."""
    b = studio.template
    label = f"{b.id} v{b.version}"
    return {
        "a": f"{a.id} v{a.version}", "equal": a.hash == b.hash, "wrong": bool(studio.problem),
        "b": words["pl_draft"].format(label=label) if studio.changed else label,
    }  # fmt: skip


def planned(asked: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """What `run_experiment` of this would take, from a short trial. Raises `ClaraError`."""
    told: dict[str, Any] = {
        "nothing": not (asked["scenarios"] and asked["customers"]),
        "few": len(asked["scenarios"]) < _FEW,
    }
    if told["nothing"]:
        return told
    found = plan(**asked)
    money = "?" if found.usd is None else f"{found.usd:.2f} ± {found.usd_more:.2f}" if found.usd else "0"
    time = seconds(found.seconds, words)
    return told | {
        "conversations": found.conversations, "calls": found.calls, "usd": money, "time": time, "costs": found.costs,
        "missing": found.missing, "pays": found.pays,
    }  # fmt: skip


def progress(now: Running, words: Mapping[str, str], language: Language) -> dict[str, Any]:
    """How far it is, and what it shows so far."""
    experiment = now.experiment
    return {
        "state": now.state, "done": now.done, "all": now.all, "left": seconds(now.left_s, words),
        "time": seconds(now.seconds, words), "error": tell(now.error, language) if now.error else "",
        "folder": str(experiment.folder.resolve()) if experiment is not None else "",
    }  # fmt: skip


def pairs(experiment: Experiment, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each occasion that both variants have met, by its title: how many answers differ, and what each failed."""
    said: dict[tuple[str, Key], dict[int, str]] = {}
    for one in experiment.turns.iter_rows(named=True):
        said.setdefault((one["variant"], _key(one)), {})[one["turn"]] = " ".join((one["clara"] or "").split())
    cells: dict[Key, dict[str, Any]] = {}
    for row in experiment.rows.iter_rows(named=True):
        cells.setdefault(_key(row), {})[row["variant"]] = row
    found = []
    for key, both in cells.items():
        if both.keys() >= {"A", "B"}:
            a, b = (said.get((side, key), {}) for side in "AB")
            other = [turn for turn in {*a, *b} if a.get(turn) != b.get(turn)]
            found.append({
                "key": [*key], "title": titles.get(key[0], key[0]), "topic": both["A"]["topic"],
                "differs": sum(turn > 0 for turn in other), "greeting": 0 in other,
                "failed": [len(both[side]["failed"] or ()) for side in "AB"],
            })  # fmt: skip
    return sorted(found, key=lambda pair: (pair["title"], pair["key"]))


def _key(row: Mapping[str, Any]) -> Key:
    return row["scenario"], row["customer"], row["seed"]


def transcripts(runs: Sequence[Any], failures: Sequence[Sequence[Any]], language: Language) -> dict[str, Any]:
    """Two conversations side by side, turn by turn: the words in pieces, what was not heard, and what failed where.

    `whole`: what failed in no answer of its own, for each side.
    """
    words = spoken_in(language)

    def broke(one: Any) -> list[str]:
        return [words.get(f"pl_rule_{one.rule}") or label(one.rule, language), one.why, one.text]

    held = [[*zip(_numbers(run.ledger), run.ledger)] for run in runs]
    shown = []
    for both in zip_longest(*held):
        said = [one[1].clara if one is not None else "" for one in both]
        sides = [
            None if one is None else {
                "said": one[1].customer, "pieces": pieces, "unheard": one[1].unheard,
                "wait_s": None if one[1].total_ms is None else round(one[1].total_ms / 1000, 1),
                "failed": [broke(f) for f in failed if f.turn == one[0] and (f.turn or f.rule != "must")],
            }
            for one, pieces, failed in zip(both, marked(*said), failures, strict=True)
        ]  # fmt: skip
        shown.append({"sides": sides, "same": said[0].split() == said[1].split()})
    whole = [[broke(f) for f in failed if not f.turn and f.rule == "must"] for failed in failures]
    return {"turns": shown, "whole": whole}


def _numbers(ledger: Sequence[Any]) -> list[int]:
    """Which answer each turn is; 0: the greeting."""
    return [
        n if turn.kind != "greeting" else 0 for n, turn in zip(accumulate(t.kind != "greeting" for t in ledger), ledger)
    ]


def seconds(value: float | None, words: Mapping[str, str]) -> str:
    """A time as people say it."""
    if value is None:
        return "…"
    return (
        words["pl_seconds"].format(n=max(1, round(value)))
        if value < 90
        else words["pl_minutes"].format(n=round(value / 60))
    )


def figures(experiment: Experiment, language: Language) -> list[list[str]]:
    """Means of A and B so far, of each metric that is known."""
    rows, found = experiment.rows, []
    for name, metric in METRICS.items():
        if name in rows.columns and rows[name].null_count() < len(rows):
            known = ([float(v) for v in rows.filter(variant=side)[name].drop_nulls()] for side in "AB")
            means = (fmean(values) if values else None for values in known)
            found.append([label(name, language), *(telling.level(metric, mean) for mean in means)])
    return found


def answers(experiment: Experiment, words: Mapping[str, str]) -> str:
    """Who wrote Clara's answers, in words."""
    who = dict.fromkeys(experiment.rows["answers"].to_list())
    return " · ".join(words.get(f"pl_{one}", one) for one in who)


def early(experiment: Experiment, language: Language) -> list[str]:
    """That a run ended before all was played, and by what rule; nothing where it did not."""
    if not experiment.facts.get("ended_early"):
        return []
    from clara_kit.lab.statistics.sequential import Watch, differences

    look = Watch(planned=len(experiment.design.scenarios)).look(differences(experiment.rows, LOOKED_AT, "A", "B"))
    return [spoken_in(language)["pl_early"].format(what=label(LOOKED_AT, language), look=look.told(language))]


_SURE = {"better": "better", "worse": "worse", "differs": "moved"}


def verdict(compared: Compared, titles: Mapping[str, str], language: Language) -> dict[str, Any]:
    """What the page draws of a comparison. The plot's numbers are turned so that better is always to the right."""
    metrics = [one.metric for one in compared.found if one.difference is not None and one.metric.better != "neither"]
    losing = next((m.name for m in metrics if _losing(compared, m, titles)), metrics[0].name if metrics else "")
    return {
        "rehearsal": compared.rehearsal, "heading": telling.heading(compared, language),
        "sentence": compared.told(language), "effects": [_effect(one, language) for one in compared.found],
        "notes": [*telling.cost(compared, language), *telling.footnotes(compared, language)],
        "metrics": [[m.name, label(m.name, language)] for m in metrics], **by_scenario(compared, losing, titles),
    }  # fmt: skip


def by_scenario(compared: Compared, metric: str, titles: Mapping[str, str]) -> dict[str, Any]:
    """Where B loses on a metric, the worst first."""
    found = next((one.metric for one in compared.found if one.metric.name == metric), None)
    return {"by": metric, "scenarios": _losing(compared, found, titles) if found is not None else []}


def _losing(compared: Compared, metric: Metric, titles: Mapping[str, str]) -> list[list[str]]:
    return [
        [
            titles.get(name, name),
            telling.level(metric, a),
            telling.level(metric, b),
            telling.level(metric, d, signed=True),
        ]
        for name, a, b, d, _ in losing(metric, compared.by_scenario(metric.name))[:_WORST]
    ]


def _effect(one: Effect, language: Language) -> dict[str, Any]:
    turned = [
        value if value is None or one.metric.better != "less" else -value
        for value in (one.low, one.difference, one.high)
    ]
    interval = "" if one.low is None else " … ".join(telling.amount(one, x, language) for x in (one.low, one.high))
    says = telling.word(f"so_{one.outcome}", language)
    return {
        "name": one.metric.name, "label": telling.label(one, language), "a": telling.level(one.metric, one.a),
        "b": telling.level(one.metric, one.b), "effect": telling.amount(one, one.difference, language), "interval": interval,
        "low": turned[0], "mid": turned[1], "high": turned[2], "sure": _SURE.get(one.outcome, "unsure"), "says": says,
        "told_apart": one.outcome not in ("same", "unknown"),
        "told": f"{telling.label(one, language)}: {telling.in_range(one, language)}, {says}",
    }  # fmt: skip


def label(metric: str, language: Language) -> str:
    """A metric's or a check's name in words."""
    return METRICS[metric].label[language == "es"] if metric in METRICS else metric.replace("_", " ")
