"""People rate two conversations without knowing whose they are: kept line by line, never changed, undone by a further line.

`Ratings` is the file, for any number of raters at once; `Blind` is what one of them does, for a widget to drive. The order
of the pairs and which variant stands on the left come from a seed and the rater's alias: nobody sees them, anybody can
work them out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import msgspec

from clara_kit.core.errors import ClaraError
from clara_kit.core.rng import child_rng
from clara_kit.core.text import whole
from clara_kit.lab.scores.judge import VALUES, Key, Preference, Verdicts, columns, pairs
from clara_kit.store import append, disk, locked

if TYPE_CHECKING:
    import polars as pl

Choice = Literal["left", "right", "same", "both_bad"]
FILE = "ratings.jsonl"
_MOST_CHARS = 40  # of an alias


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file. left, right: which variant stood where. at: when, UTC. undone: it takes the rater's last one back."""

    rater: str
    scenario: str
    customer: str
    seed: int
    left: str
    right: str
    choice: Choice
    at: str = ""
    undone: bool = False

    @property
    def key(self) -> Key:
        """Which pair it is of."""
        return self.scenario, self.customer, self.seed

    def same_pair(self, other: Rating) -> bool:
        """Whether both are of the same two conversations, whichever stood where."""
        return self.key == other.key and {self.left, self.right} == {other.left, other.right}

    @property
    def preferred(self) -> str:
        """The variant that is better; or «same», or «both_bad»."""
        return {"left": self.left, "right": self.right}.get(self.choice, self.choice)


class Ratings:
    """The ratings of an experiment, in `ratings.jsonl` of its folder. Raises `ClaraError` where a disk fails."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / FILE

    def kept(self, a: str = "", b: str = "") -> tuple[Rating, ...]:
        """What stands, in order: the newest of each rater for each pair; a line that was cut off is none. a, b: of these two."""
        standing: dict[str, list[Rating]] = {}
        for one in self._lines():
            of = standing.setdefault(one.rater, [])
            if not one.undone:
                of.append(one)
            elif (last := next((r for r in reversed(of) if r.same_pair(one)), None)) is not None:
                of.remove(last)
        newest = {(r.rater, r.key, frozenset((r.left, r.right))): r for of in standing.values() for r in of}
        return tuple(r for r in newest.values() if not a or {r.left, r.right} == {a, b})

    def add(self, rating: Rating) -> None:
        """One more line at the end."""
        with disk("The rating cannot be kept", "make room on the disk.", ClaraError):
            with locked(self.path), self.path.open("ab+") as file:
                append(file, msgspec.json.encode(whole(rating)) + b"\n")

    def _lines(self) -> Iterable[Rating]:
        with disk("The ratings cannot be read", "see whose the file is.", ClaraError):
            lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        for line in lines:
            try:
                yield msgspec.json.decode(line, type=Rating)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # cut off while it was written

    # --- for comparisons --------------------------------------------------------------------------------

    def columns(self, a: str, b: str) -> pl.DataFrame:
        """Two rows a pair, as `compare(…, metrics=[PEOPLE])` wants them; `people` is the mean over raters.

        1: preferred; 0.5: the same, or both bad; 0: the other.
        """
        given: dict[Key, list[float]] = {}
        for one in self.kept(a, b):
            given.setdefault(one.key, []).append(_value(one.preferred, a, b))
        return columns("people", a, b, [(key, fmean(values)) for key, values in sorted(given.items())])

    def by_rater(self, a: str, b: str, judge: Verdicts | None = None) -> dict[str, list[str | None]]:
        """What each rater preferred of the same pairs in the same order (None: not rated), as `agreement` wants it.

        judge: counted among them, for the pairs that people have rated.
        """
        kept = self.kept(a, b)
        keys = sorted({one.key for one in kept})
        given = {(one.rater, one.key): one.preferred for one in kept}
        table = {name: [given.get((name, key)) for key in keys] for name in sorted({one.rater for one in kept})}
        if judge is not None:
            names = {"left": judge.a, "right": judge.b, "same": "same", None: None}
            told = {key: names[judged.preference] for key, judged in judge.rows}
            table["judge"] = [told.get(key) for key in keys]
        return table

    def counts(self, a: str, b: str) -> Mapping[str, int]:
        """How often each was preferred, both were the same, or both bad, over all raters."""
        found = [one.preferred for one in self.kept(a, b)]
        return {name: found.count(name) for name in (a, b, "same", "both_bad")}


def _value(preferred: str, a: str, b: str) -> float:
    sides: dict[str, Preference] = {a: "left", b: "right"}
    return VALUES[sides.get(preferred, "same")]


class Pair(NamedTuple):
    """What is to be rated now. `left` and `right` are variants' names: to fetch the conversations, never to be shown."""

    key: Key
    left: str
    right: str

    def __repr__(self) -> str:
        return f"<Pair {self.key[0]}, {self.key[1] or 'a stranger'}>"


class Progress(NamedTuple):
    """How many pairs are rated, of how many."""

    done: int
    all: int


@dataclass
class Blind:
    """One rater at work. It goes on where they left off, today or after a restart.

    keys: the pairs there are. rater: an alias of 1 to 40 characters, no name. most: so many pairs at the most.
    """

    ratings: Ratings
    keys: tuple[Key, ...]
    a: str
    b: str
    rater: str
    seed: int = 0
    most: int | None = None
    order: tuple[Key, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.rater = " ".join(whole(self.rater).split())
        if not 0 < len(self.rater) <= _MOST_CHARS or not self.rater.isprintable():
            raise ClaraError("A rater needs an alias.", hint=f"write 1 to {_MOST_CHARS} letters; initials will do.")
        if self.rater == "judge":
            raise ClaraError("«judge» is the model's own name.", hint="take another alias.")
        mine = sorted(self.keys)
        chosen = mine if self.most is None else child_rng(self.seed, "rated").sample(mine, min(self.most, len(mine)))
        child_rng(self.seed, "order", self.rater).shuffle(chosen)
        self.order = tuple(chosen)

    @classmethod
    def of(cls, experiment: Any, a: str, b: str, rater: str, *, seed: int = 0, most: int | None = None) -> Blind:
        """The pairs of an experiment in which what was heard differs. Raises `ClaraError` where there is none."""
        heard: dict[tuple[str, Key], list[tuple[int, str]]] = {}
        for variant, scenario, customer, n, turn, text in experiment.turns.select(
            "variant", "scenario", "customer", "seed", "turn", "heard"
        ).iter_rows():
            heard.setdefault((variant, (scenario, customer, n)), []).append((turn, text or ""))
        keys = tuple(key for key in pairs(experiment.rows, a, b) if heard.get((a, key)) != heard.get((b, key)))
        if not keys:
            raise ClaraError(
                f"«{a}» and «{b}» said the same everywhere.", hint="there is nothing to rate; change a prompt."
            )
        return cls(Ratings(experiment.folder), keys, a, b, rater, seed=seed, most=most)

    def next(self) -> Pair | None:
        """What is to be rated now; None: all is done. Asked again it is the same."""
        done = {one.key for one in self._mine()}
        key = next((key for key in self.order if key not in done), None)
        if key is None:
            return None
        turned = child_rng(self.seed, "side", self.rater, *key).random() < 0.5
        return Pair(key, *((self.b, self.a) if turned else (self.a, self.b)))

    def rate(self, choice: Choice) -> Pair | None:
        """Keep what was chosen for the pair that is shown; gives the next one. Raises `ClaraError`."""
        pair = self.next()
        if choice not in get_args(Choice):
            raise ClaraError(f"{choice!r} is no choice.", hint=f"use one of: {', '.join(get_args(Choice))}.")
        if pair is None:
            raise ClaraError("Everything is rated.", hint="undo goes back to the last pair.")
        self._keep(pair, choice)
        return self.next()

    def undo(self) -> Pair | None:
        """Take the last rating back; gives its pair, to be rated anew. None where there is none."""
        mine = self._mine()
        if not mine:
            return None
        last = mine[-1]
        self._keep(Pair(last.key, last.left, last.right), last.choice, undone=True)
        return self.next()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(len(self._mine()), len(self.order))

    def _mine(self) -> list[Rating]:
        wanted = set(self.order)
        return [r for r in self.ratings.kept(self.a, self.b) if r.rater == self.rater and r.key in wanted]

    def _keep(self, pair: Pair, choice: Choice, *, undone: bool = False) -> None:
        scenario, customer, seed = pair.key
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.ratings.add(Rating(
            rater=self.rater, scenario=scenario, customer=customer, seed=seed, left=pair.left, right=pair.right, choice=choice,
            at=now, undone=undone,
        ))  # fmt: skip
