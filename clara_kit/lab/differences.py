"""What differs between two recorded conversations, as one table: settings, prompt, what was said, where the time went."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clara_kit.conversation.sentences import SentenceChunker
from clara_kit.core.events import ServiceExchanged
from clara_kit.core.page import table
from clara_kit.lab.apart import Piece, marked
from clara_kit.lab.shelf import OF_THE_SHOP, customer_of, ended_of, prompt_of
from clara_kit.measure.ledger import LABELS, Turn
from clara_kit.measure.run import SERVICES, Run

if TYPE_CHECKING:
    import polars as pl

PARTS = ("run", "settings", "prompt", "talk", "ledger", "inputs")
CUT = " ✂ "  # what stands behind it was never heard
_TOLD_APART = {"settings", "prompt", "prompt_hash", "template", "customer"}  # inputs that have lines of their own


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One line: `what`, on both sides. None: there is no such thing on that side.

    part: one of `PARTS`. where: the question, or the part of the prompt. change: right - left, of figures; in ms except for
    counts.
    """

    part: str
    where: str = ""
    what: str
    left: str | None
    right: str | None
    change: float | None = None

    @property
    def same(self) -> bool:
        """Whether both sides say the same."""
        return self.left == self.right

    def pieces(self) -> tuple[list[Piece], list[Piece]]:
        """Both sides in pieces, in order, each with whether the other side lacks it."""
        return marked(self.left or "", self.right or "")


@dataclass(frozen=True)
class Differences:
    """`contrasts`: every line, equal ones too. `notes`: why figures or answers cannot simply be set against each other:

    mix (other services were real), speed (twins or simulated services of another speed), customer, questions (none in
    common), kit (another version of it), damaged (one of the two is not whole).
    """

    left: Run
    right: Run
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether a difference in milliseconds is one between the two, and not between what stood behind the services."""
        return not {"mix", "speed"} & set(self.notes)

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The same as data, one row a line; `left_mix` and `right_mix` say what was real."""
        import polars as pl

        mixes = {"left_mix": self.left.mix, "right_mix": self.right.mix}
        rows = [{**vars(one), "same": one.same, **mixes} for one in self.contrasts]
        return pl.DataFrame(rows, infer_schema_length=None)

    def _repr_html_(self) -> str:
        rows = [
            (one.part, one.where, one.what, *("–" if side is None else side for side in (one.left, one.right)))
            for one in self.contrasts
            if not one.same
        ]
        names = [f"{run.title or run.run_id} ({run.mix})" for run in (self.left, self.right)]
        return table(rows, ("part", "where", "what", *names), repr(self)[1:-1])

    def __repr__(self) -> str:
        apart = sum(not one.same for one in self.contrasts)
        notes = f"; mind: {', '.join(self.notes)}" if self.notes else ""
        return f"<Differences: {apart} of {len(self.contrasts)} lines{notes}>"


def differences(left: Run | str | Path, right: Run | str | Path) -> Differences:
    """What differs between two runs, or the folders of two. Raises `RunLogError` where one cannot be read.

    The words of an invented customer are shown; of a real one the placeholders stay.
    """
    a, b = ((run if isinstance(run, Run) else Run.load(run)).shown() for run in (left, right))
    pairs = list(_aligned(a.ledger, b.ledger, lambda turn: _plain(turn.customer) or turn.kind))
    contrasts = (
        *_of_run(a, b),
        *_values("settings", *(_flat(run.inputs.get("settings")) for run in (a, b))),
        *_of_prompt(a, b),
        *(line for x, y in pairs for line in _said(x, y)),
        *(line for x, y in pairs if x and y for line in _took(x, y)),
        *_values("inputs", *map(_rest, (a, b))),
    )
    common = any(x and y and x.kind != "greeting" for x, y in pairs)
    return Differences(a, b, contrasts, tuple(_notes(a, b, common)))


def _notes(a: Run, b: Run, common: bool) -> Iterator[str]:
    if _stood_behind(a) != _stood_behind(b):
        yield "mix"
    elif _speed(a) != _speed(b) and set(a.modes.values()) != {"live"}:
        yield "speed"
    who = [customer_of(run.inputs) for run in (a, b)]
    if who[0] != who[1] or (who[0] == OF_THE_SHOP and a.inputs.get("customer") != b.inputs.get("customer")):
        yield "customer"
    if not common:
        yield "questions"
    if any(a.facts.get(name) != b.facts.get(name) for name in ("commit", "patch")):
        yield "kit"
    if a.problems or b.problems:
        yield "damaged"


def _stood_behind(run: Run) -> list[tuple[str, object]]:
    """What was behind each service of the vendors', and what was exchanged meanwhile."""
    exchanged = [(record.service, record.mode) for record in run.trace if type(record) is ServiceExchanged]
    return [*((service, run.modes.get(service)) for service in SERVICES), *exchanged]


def _speed(run: Run) -> object:
    """How fast what is not live was; the first version had another name for it."""
    return run.inputs.get("latency", run.inputs.get("profile"))


def _of_run(a: Run, b: Run) -> Iterator[Contrast]:
    """What it was, and how it went."""
    about: dict[str, Callable[[Run], str]] = {
        "title": lambda run: run.title,
        "when": lambda run: str(run.facts.get("started") or "")[:19].replace("T", " "),
        "customer": lambda run: customer_of(run.inputs),
        "prompt": lambda run: prompt_of(run.inputs),
        "mix": lambda run: run.mix,
        "ended": lambda run: ended_of(run.facts),
    }
    for name, tell in about.items():
        yield Contrast(part="run", what=name, left=tell(a), right=tell(b))
    one, other = a.figures, b.figures
    for name, unit in (("turns", ""), ("interruptions", ""), ("first_sound", " ms")):
        x, y = (found.get(name, found.get(f"{name}_ms")) for found in (one, other))
        yield _figure("run", "", name, x, y, unit)


def _rest(run: Run) -> dict[str, str]:
    """Whatever else the outcome depends on, and the versions of what recorded it."""
    rest = {name: part for name, part in run.inputs.items() if name not in _TOLD_APART}
    return _flat({**rest, "versions": run.facts.get("versions")})


def _of_prompt(a: Run, b: Run) -> Iterator[Contrast]:
    """Sentence by sentence; a simulated run keeps no text, so that its hash must do."""
    texts = [{"everybody": run.inputs.get("prompt"), "personal": run.facts.get("personal_prompt")} for run in (a, b)]
    for where in ("everybody", "personal"):
        x, y = (_sentences(str(text[where] or "")) for text in texts)
        for number, (left, right) in enumerate(_aligned(x, y, _plain), 1):
            yield Contrast(part="prompt", where=where, what=f"{number}", left=left, right=right)
    if not all(text["everybody"] for text in texts):
        left, right = (str(run.inputs.get("prompt_hash") or "") for run in (a, b))
        yield Contrast(part="prompt", where="everybody", what="hash", left=left, right=right)


def _said(x: Turn | None, y: Turn | None) -> Iterator[Contrast]:
    where = next((turn.customer or f"({turn.kind})" for turn in (x, y) if turn is not None), "")
    left, right = (None if turn is None else _heard(turn) for turn in (x, y))
    yield Contrast(part="talk", where=where, what="answer", left=left, right=right)
    cuts = [None if turn is None else str(turn.interrupted) for turn in (x, y)]
    if "True" in cuts:
        yes = {"True": "✓", "False": "–", None: None}
        yield Contrast(part="talk", where=where, what="interrupted", left=yes[cuts[0]], right=yes[cuts[1]])


def _heard(turn: Turn) -> str:
    heard = turn.clara if turn.heard is None else turn.heard
    return f"{heard}{CUT}{turn.unheard}" if turn.unheard else heard


def _took(x: Turn, y: Turn) -> Iterator[Contrast]:
    where = x.customer or f"({x.kind})"
    if x.total_ms is not None or y.total_ms is not None:
        yield _figure("ledger", where, "total", x.total_ms, y.total_ms, " ms")
    for stage, label in LABELS.items():
        if stage in x.stages or stage in y.stages:
            yield _figure("ledger", where, label, x.stages.get(stage), y.stages.get(stage), " ms")


def _figure(part: str, where: str, what: str, x: float | None, y: float | None, unit: str) -> Contrast:
    left, right = (None if n is None else f"{n:,.0f}{unit}" for n in (x, y))
    change = None if x is None or y is None else round(y - x, 1)
    return Contrast(part=part, where=where, what=what, left=left, right=right, change=change)


def _values(part: str, x: Mapping[str, str], y: Mapping[str, str]) -> Iterator[Contrast]:
    for what in dict.fromkeys((*x, *y)):
        yield Contrast(part=part, what=what, left=x.get(what), right=y.get(what))


def _flat(data: Any, before: str = "") -> dict[str, str]:
    """Nested names joined by points, and each value as text."""
    if not isinstance(data, dict):
        told = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        return {before: told} if before and data is not None else {}
    return {
        name: text for key, part in data.items() for name, text in _flat(part, f"{before}.{key}"[not before :]).items()
    }


def _sentences(text: str) -> list[str]:
    found: list[str] = []
    for line in text.splitlines():
        chunker = SentenceChunker()
        found += [piece.strip() for piece in (*chunker.feed(line), *chunker.flush()) if piece.strip()]
    return found


def _plain(text: str) -> str:
    """Words alone: how a question was punctuated or spelt large is no other question."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _aligned(left: Any, right: Any, key: Callable[[Any], str]) -> Iterator[tuple[Any, Any]]:
    """Pairs in order: equal ones together; of what was replaced, sentences in pairs and turns each alone."""
    pairs = SequenceMatcher(a=[*map(key, left)], b=[*map(key, right)], autojunk=False).get_opcodes()
    for what, a, b, c, d in pairs:
        if what == "replace" and left and isinstance(left[0], Turn):
            yield from ((one, None) for one in left[a:b])
            yield from ((None, one) for one in right[c:d])
        else:
            yield from zip_longest(left[a:b], right[c:d])
