"""Does Claude still answer as it did? A sample of the recorded requests is sent again: `drift`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clara_kit.core.commands import Message
from clara_kit.core.errors import SettingsError
from clara_kit.core.events import Usage
from clara_kit.core.page import Html, escape, table
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.profile import fill, placeholders_in
from clara_kit.core.prompt import Prompt
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calls.brains import ClaudeBrain, written_of
from clara_kit.lab.calls.store import CallStore
from clara_kit.lab.scores.checks import CHECKS
from clara_kit.lab.scores.heard import Answer, Heard
from clara_kit.lab.sentences import Language
from clara_kit.lab.statistics.telling import word
from clara_kit.providers.llm import pricing
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.calls import Call, Who, personal
from clara_kit.world.brain import Written
from clara_kit.world.personas import Persona

if TYPE_CHECKING:
    import polars as pl

    from clara_kit.lab.experiment.experiment import Experiment

AGAIN = "drift"
"""The folder within the kept calls where the new answers go, by day."""
_CHOICE = 10  # so many times the sample an experiment's conversations are looked through


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What came of asking again. `rows`: one a request, with both answers, their scores and times.

    wanted: the sample. unlike: requests that this version of the kit would word otherwise. spent_usd: what it cost.
    """

    found: tuple[dict[str, Any], ...] = field(repr=False)
    wanted: int
    unlike: int
    cap_usd: float
    spent_usd: float
    who: Who
    folder: Path

    @cached_property
    def rows(self) -> pl.DataFrame:
        """One row a request: model, customer, question, then, now, differs, checks held then and now, times (ms), failed."""
        import polars as pl

        kinds: dict[str, Any] = {
            "differs": pl.Boolean, "held_then": pl.Int64, "held_now": pl.Int64, "first_ms_then": pl.Float64,
            "first_ms_now": pl.Float64, "usd": pl.Float64,
        }  # fmt: skip
        names = ("model", "customer", "made", "question", "then", "now", "differs", "held_then", "held_now", "first_ms_then", "first_ms_now", "usd", "failed")  # fmt: skip
        rows = [{name: row[name] for name in names} for row in self.found]
        return pl.DataFrame(rows, schema={name: kinds.get(name, pl.Utf8) for name in names})

    @property
    def differ(self) -> int:
        """How many answers have other words."""
        return sum(row["differs"] for row in self._answered)

    def told(self, language: Language = "en") -> str:
        """The finding as one sentence."""
        answered, asked = self._answered, len(self.found)
        if not self.wanted:
            return f"{word('drift_none', language)}."
        parts = [word("drift_differ", language, differ=self.differ, asked=len(answered))]
        if answered:
            parts += [self._scores(language), self._times(language)]
        counts = {"failed": asked - len(answered), "unlike": self.unlike, "cap": self.wanted - asked - self.unlike}
        parts += [word(f"drift_{key}", language, n=n, cap=self.cap_usd) for key, n in counts.items() if n > 0]
        return "".join(parts) + word("drift_twin", language) * (self.who == "twin") + "."

    @property
    def _answered(self) -> list[dict[str, Any]]:
        return [row for row in self.found if not row["failed"]]

    def _scores(self, language: Language) -> str:
        from clara_kit.lab.statistics.crossed import Cells, interval

        rows = self._answered
        off = [float(row["held_now"] - row["held_then"]) for row in rows]
        if not any(off):
            return word("drift_no_score", language)
        # Answers of one conversation hang together: each conversation counts once.
        found = interval(Cells.of(off, [row["conversation"] for row in rows], [row["customer"] for row in rows]))
        if found.low is None or found.high is None or found.scenarios < 4:
            return word("drift_too_few", language, of=len(CHECKS), mean=_signed(found.mean))
        half = f"{(found.high - found.low) / 2:.1f}"
        return word("drift_score", language, of=len(CHECKS), mean=_signed(found.mean), half=half)

    def _times(self, language: Language) -> str:
        from statistics import median

        both = [(r["first_ms_then"], r["first_ms_now"]) for r in self._answered]
        both = [(a, b) for a, b in both if a is not None and b is not None]
        if not both:
            return ""
        return word("drift_first", language, then=median(a for a, _ in both), now=median(b for _, b in both))

    def _repr_html_(self) -> str:
        rows = [
            (row["customer"] or "—", row["question"], row["then"], Html(f"<b>{escape(row['now'] or row['failed'])}</b>")
             if row["differs"] or row["failed"] else row["now"], row["held_then"], row["held_now"])
            for row in sorted(self.found, key=lambda row: not row["differs"])
        ]  # fmt: skip
        return table(rows, ("customer", "asked", "then", "now", "held then", "held now"), self.told())

    def __repr__(self) -> str:
        return f"<Drift: {self.told()}>"


def drift(
    of: Experiment | CallStore | str | Path | None = None, sample: int = 30, *, cap_usd: float,
    keys: Keys | None = None, seed: int = 0, calls: str | Path | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Drift:  # fmt: skip
    """Send a sample of recorded requests again and compare. Raises `SettingsError` without a key.

    of: an experiment with recorded answers, a folder of kept calls, or everything that is kept (the default). cap_usd: no
    request is sent that could lead beyond it. seed: which ones; equal seeds take the same. calls: where an experiment's
    answers are kept (`data/calls`). New answers are kept
    apart, in `drift/` within the folder, and replace none. Real customers' requests are never sent again.
    progress: called with how many are done and how many there are.
    """
    who = ClaudeBrain("live", Settings(), keys=keys).who
    kept, store = _kept(of, calls, enough=_CHOICE * sample, seed=seed)
    chosen = [call for call in kept if call.who == who]
    chosen.sort(key=lambda call: call.key)  # equal whatever the order in which they were recorded
    child_rng(seed, "drift").shuffle(chosen)
    chosen = chosen[: max(0, sample)]
    folder = _apart(store.folder)
    found, unlike, spent_usd = list[dict[str, Any]](), 0, 0.0
    brains: dict[Settings, ClaudeBrain] = {}
    known = {one.name for one in Persona.all()}
    for number, call in enumerate(chosen):
        if call.customer and call.customer not in known:
            unlike += 1  # nobody knows her words any more
            continue
        settings, request, words = _again(call)
        if settings not in brains:
            brains[settings] = ClaudeBrain("live", settings, keys=keys, folder=folder)
        brain = brains[settings]
        if brain.body(request) != call.body:
            unlike += 1
            continue
        then = written_of(call, words, "recorded")
        most_usd = _most_usd(call, then)
        if spent_usd + most_usd > cap_usd:
            break
        before_usd = brain.spent_usd
        now = brain.write(request, words=words)
        spent_usd += brain.spent_usd - before_usd
        found.append(_row(call, words, then, now, brain.spent_usd - before_usd))
        if progress is not None:
            progress(number + 1, len(chosen))
    for brain in brains.values():
        brain.close()
    return Drift(
        found=tuple(found), wanted=len(chosen), unlike=unlike, cap_usd=cap_usd, spent_usd=spent_usd, who=who, folder=folder
    )  # fmt: skip


def _kept(
    of: Experiment | CallStore | str | Path | None, calls: str | Path | None, *, enough: int, seed: int
) -> tuple[list[Call], CallStore]:
    """What may be asked again, and where it is kept; of an experiment so many as are enough to choose from."""
    if of is None or isinstance(of, str | Path | CallStore):
        store = of if isinstance(of, CallStore) else CallStore(of)
        return list(store.all()), store
    from clara_kit.lab.experiment.playing import brains_of, play

    design, store, found = of.design, CallStore(calls), dict[str, Call]()
    if design.llm not in ("recorded", "live"):
        hint = 'run it with llm="recorded", or give drift a folder of kept calls.'
        raise SettingsError(f"The answers of this experiment are {design.llm}: nothing of it is recorded.", hint=hint)
    brains = brains_of(design, str(calls or ""), asking=False)
    for brain in brains.values():
        if isinstance(brain, ClaudeBrain):
            brain.on_played = lambda call: found.setdefault(call.key, call)
    cells = list(design.cells)
    child_rng(seed, "drift of an experiment").shuffle(cells)
    for cell in cells:  # played again from the record, which tells what was asked
        if len(found) < enough:
            play(design, cell, brains.get(cell.variant))
    return list(found.values()), store


def _apart(folder: Path) -> Path:
    """A folder of its own for each time."""
    day = folder / AGAIN / date.today().isoformat()
    number = 1
    while (folder_ := day.with_name(f"{day.name}-{number}")).exists():
        number += 1
    return folder_


def _again(call: Call) -> tuple[Settings, ReplyRequest, dict[str, str]]:
    """The settings and the request that make this call, and the words of whom it was for."""
    system = call.body.get("system", [])
    prompt = Prompt(
        static="".join(b["text"] for b in system if not personal(b)),
        personal="".join(b["text"] for b in system if personal(b)),
    )
    messages = tuple(Message(role=m["role"], text=m["content"]) for m in call.body["messages"])
    words = Placeholders(Persona.load(call.customer).profile).map if call.customer else {}
    for text in (prompt.personal, *(m.text for m in messages)):
        for other in placeholders_in(text):  # another spelling, which nobody has noted
            name = other.group()
            words.setdefault(name, words.get(name.partition("~")[0] + "}", name) if "~" in name else name)
    settings = Settings.of(
        llm_model=call.body["model"],
        llm_max_tokens=call.body["max_tokens"],
        llm_temperature=call.body.get("temperature"),
    )
    return settings, ReplyRequest(reply_id=1, prompt=prompt, messages=messages), words


def _most_usd(call: Call, then: Written) -> float:
    """What it can cost at most: the same tokens, none of them cached, and an answer as long as it may be."""
    usage = then.usage or Usage()
    told = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    most = pricing.cost_usd(then.model, Usage(cache_write_tokens=told, output_tokens=call.body["max_tokens"]))
    if most is None:
        raise SettingsError(
            f"What {then.model} costs is not known, so that no cap can hold.",
            hint="choose calls of a model with a price.",
        )
    return most


def _row(call: Call, words: dict[str, str], then: Written, now: Written, usd: float) -> dict[str, Any]:
    before, after = ("".join(text for _, text in one.chunks) for one in (then, now))
    said = [(m["role"], fill(m["content"], words)) for m in call.body["messages"]]
    asked = [text for role, text in said if role == "user"]
    return {
        "model": then.model, "customer": call.customer, "made": call.made, "question": asked[-1], "then": before,
        "now": after, "differs": now.failed is None and before.split() != after.split(),
        "held_then": _held(said, before, words), "held_now": _held(said, after, words),
        "first_ms_then": then.chunks[0][0] if then.chunks else None,
        "first_ms_now": now.chunks[0][0] if now.chunks else None, "usd": usd,
        "failed": now.failed.message if now.failed is not None else "",
        "conversation": f"{call.body['model']} {call.customer} {asked[:2]}",
    }  # fmt: skip


def _held(said: Sequence[tuple[str, str]], answer: str, words: dict[str, str]) -> int:
    """How many of the rule checks this answer holds, in its conversation."""
    answers, question = list[Answer](), ""
    for role, text in (*said, ("assistant", answer)):
        if role == "user":
            question = text
        else:
            answers.append(Answer(len(answers) + 1, question, text))
    heard = Heard(tuple(answers), words.get("{first_name}", ""))
    last = answers[-1].turn
    return sum(not any(one.turn == last for one in check(heard)) for check in CHECKS.values())


def _signed(value: float) -> str:
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text
