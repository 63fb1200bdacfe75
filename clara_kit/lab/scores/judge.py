"""A model judges two conversations by a written rubric: twice, with the places exchanged.

Judges prefer a place: the first, or the last. So a preference counts only where both orders agree on it; where they do
not, it is a tie, and `swayed` says why. Whatever could not be judged is «not judged» and no tie: a broken answer, a cut
one, one without a verdict, no recording. Scripted answers are never judged, for they say nothing of a prompt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from clara_kit.core.commands import Message
from clara_kit.core.errors import SettingsError
from clara_kit.core.events import Usage
from clara_kit.core.page import Html, escape, table
from clara_kit.core.profile import fill
from clara_kit.core.prompt import Prompt
from clara_kit.core.rng import child_rng
from clara_kit.lab.scores.heard import answers_of
from clara_kit.lab.scores.rubric import Rubric
from clara_kit.measure.run import Run
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.pricing import cost_usd
from clara_kit.world.brain import Brain, Written

if TYPE_CHECKING:
    import polars as pl

Preference = Literal["left", "right", "same"]
Key = tuple[str, str, int]
"""Scenario, customer, seed."""
VALUES: dict[Preference, float] = {"left": 0.0, "same": 0.5, "right": 1.0}
"""What a preference is worth to the right one; to the left one, what is missing to 1."""
REAL = ("live", "recorded", "local")
CHARS_A_TOKEN, ANSWER_TOKENS = 3.3, 80  # of Spanish, an estimate; the second of a reason and a verdict

_VERDICT = re.compile(r"VER[EI]?DICT\w*\W{0,8}(?:ES |LA |GANA )?\W*(A|B|EMPATE|TIE|IGUAL(?:ES)?)\b", re.IGNORECASE)
_REASON = re.compile(r"RAZ[OÓ]N\W{0,6}(.+)", re.IGNORECASE)
_ALONE = re.compile(r"\W*(A|B|EMPATE|TIE)\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What came of one pair. preference: None where it was not judged, and `why_not` says why.

    swayed: the two orders named different winners, so that it is a tie. reasons: the judge's own, one an order. usd: of
    both calls; None where it is not known. sources: who wrote them (live, recorded, local).
    """

    preference: Preference | None
    why_not: str = ""
    swayed: bool = False
    reasons: tuple[str, ...] = ()
    usd: float | None = 0.0
    calls: int = 0
    sources: tuple[str, ...] = ()
    model: str = ""
    rubric: str = ""

    @property
    def value(self) -> float | None:
        """What the right one is worth beside the left one: 1, 0.5 or 0; None where it was not judged."""
        return None if self.preference is None else VALUES[self.preference]


def unfit(run: Run) -> str:
    """Why there is nothing to judge in a conversation; empty where a model answered it wholly."""
    if run.modes.get("llm", "").split(" then ")[-1] not in REAL:
        return "the answers are scripted: they say nothing of a prompt"
    from clara_kit.lab.calls.brains import not_recorded  # brings the vendor's own parts, which most do not need

    return "an answer of it was never recorded" if not_recorded(run) else ""


def judge(left: Run, right: Run, brain: Brain, rubric: Rubric | None = None) -> Judged:
    """Which conversation serves the customer better, by what was heard of both. Never raises for what a model does."""
    rubric = rubric or Rubric.load()
    if why := unfit(left) or unfit(right) or ("a twin is no judge" if "twin" in brain.mode else ""):
        return Judged(preference=None, why_not=why, rubric=rubric.about)
    words = {**right.words, **left.words}
    odd = {
        place: word for place, word in right.words.items() if words[place] != word
    }  # the same, spelled in another way
    texts = transcript(left), fill(transcript(right), odd)
    if texts[0] == texts[1]:
        return Judged(preference="same", rubric=rubric.about)
    written = [brain.write(_request(rubric, *order), words=words) for order in (texts, texts[::-1])]
    verdicts = [_verdict(one) for one in written]
    costs = [one.usage.cost_usd if one.usage is not None else None for one in written]
    told: dict[str, Any] = {
        "reasons": tuple(_reason(one) for one in written), "calls": len(written),
        "usd": None if None in costs else sum(usd for usd in costs if usd is not None),
        "sources": tuple(dict.fromkeys(one.source for one in written)), "model": written[-1].model, "rubric": rubric.about,
    }  # fmt: skip
    if wrong := next((why for verdict, why in verdicts if verdict is None), None):
        return Judged(preference=None, why_not=wrong, **told)
    first, second = (verdict for verdict, _ in verdicts)
    sides: tuple[dict[str, Preference], ...] = ({"A": "left", "B": "right"}, {"A": "right", "B": "left"})
    one, other = sides[0].get(str(first), "same"), sides[1].get(str(second), "same")
    return Judged(
        preference=one if one == other else "same", swayed=one != other and "same" not in (one, other), **told
    )


def transcript(run: Run) -> str:
    """The conversation as it was heard, with the placeholders that it was kept with."""
    lines = []
    for one in answers_of(run, {}):
        lines += [f"Cliente: {one.question}"] if one.question else []
        lines += [f"Clara: {one.text or '(nada)'}{' (interrumpida)' if one.unheard else ''}"]
    return re.sub(r"[<>]", " ", "\n".join(lines))  # nothing that is said closes a conversation


def _request(rubric: Rubric, a: str, b: str) -> ReplyRequest:
    asks = f"<conversacion_A>\n{a}\n</conversacion_A>\n\n<conversacion_B>\n{b}\n</conversacion_B>\n\n¿Cuál le sirve más a la persona?"
    return ReplyRequest(reply_id=1, prompt=Prompt(static=rubric.text), messages=(Message(role="user", text=asks),))


def _text(written: Written) -> str:
    return "".join(text for _, text in written.chunks).strip()


def _verdict(written: Written) -> tuple[str | None, str]:
    """A, B or a tie; or None and why there is none."""
    if written.failed is not None:
        return None, f"no answer: {written.failed.message}"
    text = _text(written)
    found = {one.upper() for one in _VERDICT.findall(text)}
    if not found and (last := _ALONE.fullmatch(text.splitlines()[-1] if text else "")):
        found = {last[1].upper()}
    if len(found) == 1:
        return found.pop(), ""
    if not text or written.stop_reason in ("refusal", "max_tokens"):
        return None, f"no verdict: the answer ended with «{written.stop_reason}»"
    return None, "two verdicts in one answer" if found else "no verdict in the answer"


def _reason(written: Written) -> str:
    found = _REASON.search(_text(written))
    return found[1].strip(" *_\"'") if found else ""


# --- a whole experiment --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdicts:
    """Many pairs judged: `rows` has (scenario, customer, seed, Judged), `a` and `b` are the variants (left and right)."""

    a: str
    b: str
    rows: tuple[tuple[Key, Judged], ...]
    stopped: str = ""
    """Why not all pairs were judged; empty where they were."""

    @property
    def counts(self) -> dict[str, int]:
        """How often each was preferred, ties, ties by place alone, and what was not judged."""
        all_of = [judged for _, judged in self.rows]
        counts = {name: sum(j.preference == name for j in all_of) for name in VALUES}
        return {
            self.a: counts["left"], self.b: counts["right"], "tie": counts["same"],
            "of these by place": sum(j.swayed for j in all_of), "not judged": sum(j.preference is None for j in all_of),
        }  # fmt: skip

    @property
    def usd(self) -> float | None:
        """What it cost; None where the price of a call is not known."""
        costs = [judged.usd for _, judged in self.rows]
        return None if None in costs else sum(usd for usd in costs if usd is not None)

    @property
    def columns(self) -> pl.DataFrame:
        """Two rows a pair, as `compare` wants them: variant, scenario, customer, seed, `judge` (1 preferred, 0.5 tie)."""
        return columns("judge", self.a, self.b, [(key, judged.value) for key, judged in self.rows])

    def __repr__(self) -> str:
        told = ", ".join(f"{name}: {n}" for name, n in self.counts.items())
        return f"<Verdicts of {len(self.rows)} pairs: {told}>"

    def _repr_html_(self) -> str:
        rows = [
            (*key[:2], j.preference or Html(f"<i>not judged: {escape(j.why_not)}</i>"), " / ".join(j.reasons))
            for key, j in self.rows
        ]
        about = next((f"{j.model} ({', '.join(j.sources)}), rubric {j.rubric}. " for _, j in self.rows if j.calls), "")
        head = ("scenario", "customer", "preferred", "reasons")
        return table(rows, head, f"{about}{repr(self)[1:-1]}. {self.stopped}")


def judge_experiment(
    experiment: Any, a: str, b: str, brain: Brain, rubric: Rubric | None = None, *, most: int | None = None, seed: int = 0,
    budget_usd: float | None = None, progress: Callable[[int, int], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Verdicts:  # fmt: skip
    """Judge two variants of an experiment, pair by pair. most: so many pairs at the most, drawn by `seed`.

    budget_usd: no call once so much is spent; an answer whose price is not known ends it too. Raises `SettingsError`
    where the experiment is on scripted answers, which a judge could say nothing of.
    """
    if budget_usd is not None and not (isinstance(budget_usd, int | float) and budget_usd > 0):
        raise SettingsError(f"budget_usd is above 0, not {budget_usd}.", hint="leave it out for no limit.")
    if experiment.rehearsal:
        hint = "run it with llm='recorded' or 'live'."
        raise SettingsError("The answers of this experiment are scripted: there is nothing to judge.", hint=hint)
    keys = pairs(experiment.rows, a, b)
    if most is not None and most < len(keys):
        keys = sorted(child_rng(seed, "judge").sample(keys, most))
    rows: list[tuple[Key, Judged]] = []
    spent, stopped = 0.0, ""
    for key in keys:
        if should_stop is not None and should_stop():
            stopped = f"Stopped after {len(rows)} of {len(keys)} pairs."
        elif budget_usd is not None and spent >= budget_usd:
            stopped = f"The budget of US$ {budget_usd:g} was spent after {len(rows)} of {len(keys)} pairs."
        if stopped:
            break
        judged = judge(experiment.run(a, *key), experiment.run(b, *key), brain, rubric)
        rows.append((key, judged))
        spent = spent + judged.usd if judged.usd is not None else float("inf")
        if progress is not None:
            progress(len(rows), len(keys))
    return Verdicts(a, b, tuple(rows), stopped)


class Quote(NamedTuple):
    """What judging would take at the most, by the letters of the transcripts; usd None: the model has no known price."""

    calls: int
    usd: float | None


def quote(
    experiment: Any, a: str, b: str, model: str, rubric: Rubric | None = None, *, most: int | None = None
) -> Quote:
    """Calls and US dollars, before anything is asked."""
    keys, turns = pairs(experiment.rows, a, b), experiment.turns
    count = len(keys) if most is None else min(most, len(keys))
    chars = sum(int(turns[name].str.len_chars().sum()) for name in ("said", "heard"))
    each = 2 * chars / max(1, len(experiment.rows)) + len((rubric or Rubric.load()).text)
    usd = cost_usd(model, Usage(input_tokens=round(each / CHARS_A_TOKEN), output_tokens=ANSWER_TOKENS))
    return Quote(2 * count, None if usd is None else 2 * count * usd)


def pairs(rows: pl.DataFrame, a: str, b: str) -> list[Key]:
    """Where both variants were tried: (scenario, customer, seed), in the order of the rows of `a`."""
    tried = {
        name: [key for v, *key in rows.select("variant", "scenario", "customer", "seed").iter_rows() if v == name]
        for name in (a, b)
    }
    other = set(map(tuple, tried[b]))
    return [(str(s), str(c), int(n)) for s, c, n in tried[a] if (s, c, n) in other]


def columns(metric: str, a: str, b: str, rows: Sequence[tuple[Key, float | None]]) -> pl.DataFrame:
    """What `b` was worth beside `a` in each pair (0 to 1), as a metric of both variants; null where that is not known."""
    import polars as pl

    told = []
    for key, value in rows:
        told += [(a, *key, None if value is None else 1 - value), (b, *key, value)]
    schema = {"variant": pl.String, "scenario": pl.String, "customer": pl.String, "seed": pl.Int64, metric: pl.Float64}
    return pl.DataFrame(told, schema=schema, orient="row")
