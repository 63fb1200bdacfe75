"""An experiment's folder: what was asked for, what has been played so far, and the tables when it is over.

`manifest.json`, and while it runs `cells.jsonl`: one line a conversation, appended as it ends. At the end they become
`rows.parquet` and `turns.parquet`, in the order of the cells, whoever played them and however often it was stopped. A line
that was cut off in the middle is played again. One process writes; whoever looks needs no leave.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from clara_kit.core.errors import RunLogError
from clara_kit.core.paths import DATA
from clara_kit.core.text import whole
from clara_kit.lab.experiment.playing import Played
from clara_kit.lab.scores.metrics import METRICS
from clara_kit.runtime.run_log import write_whole

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import polars as pl

ROOT = DATA / "experiments"
SCHEMA = 1
MANIFEST, CELLS, LOCK = "manifest.json", "cells.jsonl", ".lock"
_WHERE = {"variant": "String", "scenario": "String", "customer": "String", "seed": "Int64"}
_ALWAYS = {"rows": ("variant", "scenario", "customer", "seed", "mix", "answers"), "turns": (*_WHERE, "source")}
_KINDS = {"yes_no": "Boolean"}
_CHUNK = 2_000  # conversations held as plain objects at a time


def columns() -> dict[str, dict[str, str]]:
    """The columns of both tables, and their types."""
    metrics = {name: _KINDS.get(m.kind, "Float64") for name, m in METRICS.items()}
    where = {"variant": "String", "scenario": "String", "topic": "String", "customer": "String", "seed": "Int64"}
    return {
        "rows": {**where, **metrics, "failed": "List", "mix": "String", "answers": "String"},
        "turns": {**_WHERE, "turn": "Int64", **dict.fromkeys(("said", "clara", "heard", "unheard"), "String"),
                  "total_ms": "Float64", "failed": "List", "source": "String"},
    }  # fmt: skip


class Shelf:
    """One experiment's folder. `writing` is entered by whoever adds to it; everything else only reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: Any = None

    # --- to read ----------------------------------------------------------------------------------------

    def manifest(self) -> dict[str, Any]:
        """What it says of itself. Raises `RunLogError`."""
        try:
            found = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            if found["schema"] > SCHEMA:
                raise RunLogError(
                    f"A newer kit wrote the experiment in {self.folder}.", hint="open it with that version."
                )
            inputs, facts = dict(found["inputs"]), dict(found["facts"])
            _sound(inputs, facts)
            return {"inputs": inputs, "facts": facts, "schema": found["schema"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            why = getattr(exc, "strerror", None) or f"{type(exc).__name__} {exc}"
            raise RunLogError(
                f"There is no experiment in {self.folder}: {why}.", hint="give the folder that holds its manifest.json."
            ) from exc

    def table(self, name: str) -> pl.DataFrame:
        """`rows` or `turns`: of the whole experiment, or of what has been played so far."""
        import polars as pl

        file = self.folder / f"{name}.parquet"
        if file.exists():
            try:
                found = pl.read_parquet(file, glob=False)
                found.select(_ALWAYS[name])  # raises where it is another table
                return found
            except (OSError, pl.exceptions.PolarsError) as exc:
                raise RunLogError(
                    f"{file} cannot be read: {exc}.", hint="ask for the experiment again, and it is run anew."
                ) from exc
        return self._made()[name]

    def whole(self) -> bool:
        """Whether both tables are there, and can be read."""
        try:
            return all(
                (self.folder / f"{name}.parquet").exists() and self.table(name) is not None for name in columns()
            )
        except RunLogError:
            return False

    def done(self) -> set[int]:
        """The numbers of the cells that were played."""
        return {int(one["n"]) for one in self.lines()}

    def spent_usd(self) -> float:
        """What its calls have cost so far, in US dollars."""
        return max((float(one.get("spent_usd") or 0.0) for one in self.lines()), default=0.0)

    def lines(self) -> Iterator[Played]:
        """What was played, in the order in which it came; cut lines are passed over."""
        with self._cells() as file:
            for line in file:
                if (one := _read(line)) is not None:
                    yield one

    def _cells(self) -> BinaryIO:
        """The file of the lines, or an empty one. Raises `RunLogError`."""
        try:
            return open(self.folder / CELLS, "rb")
        except (FileNotFoundError, NotADirectoryError):
            return io.BytesIO()
        except OSError as exc:
            raise RunLogError(
                f"{self.folder / CELLS} cannot be read: {exc.strerror}.", hint="give yourself the right to read it."
            ) from exc

    def _made(self) -> dict[str, pl.DataFrame]:
        """Both tables of the lines that there are, in the order of the cells."""
        import polars as pl

        at: dict[int, int] = {}  # where the line of each cell begins: the first, should one stand there twice
        place = 0
        tables: dict[str, list[pl.DataFrame]] = {name: [] for name in columns()}
        with self._cells() as file:
            for line in file:
                if (one := _read(line)) is not None:
                    at.setdefault(int(one["n"]), place)
                place += len(line)
            places = [at[n] for n in sorted(at)]
            for begin in range(0, max(1, len(places)), _CHUNK):
                some = []
                for where in places[begin : begin + _CHUNK]:
                    file.seek(where)
                    some.append(json.loads(file.readline()))
                parts = {"rows": [one["row"] for one in some], "turns": [turn for one in some for turn in one["turns"]]}
                for name, schema in columns().items():
                    kinds = {
                        n: pl.List(pl.String) if kind == "List" else getattr(pl, kind) for n, kind in schema.items()
                    }
                    try:
                        tables[name].append(pl.DataFrame(parts[name], schema=kinds))
                    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as exc:
                        raise RunLogError(
                            f"{self.folder / CELLS} holds what no conversation gives: {exc}.",
                            hint="again=True runs the experiment anew.",
                        ) from exc
        return {name: pl.concat(parts, rechunk=True) for name, parts in tables.items()}

    # --- to write ---------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder. Raises `RunLogError` where another process, or another thread, writes it, or nobody may."""
        with ExitStack() as opened:
            with self._on_disk():
                self.folder.mkdir(parents=True, exist_ok=True)
                self.folder.chmod(0o700)
                lock = opened.enter_context(open(self.folder / LOCK, "a+b"))
                if fcntl is not None:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Unbuffered: what could not be written is not written later either, behind what was.
                self._file = opened.enter_context(open(self.folder / CELLS, "a+b", buffering=0))
                self._mend()
            try:
                yield
            finally:
                self._file = None
            with self._on_disk():
                if not (self.folder / CELLS).stat().st_size:
                    (self.folder / CELLS).unlink()

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """Entered for what the disk may refuse; whoever plays may meet other errors of that kind. Raises `RunLogError`."""
        try:
            yield
        except BlockingIOError as exc:
            raise RunLogError(
                f"This experiment is being run already, in {self.folder}.",
                hint="wait until it is over (its rows can be read meanwhile), or stop it where it runs.",
            ) from exc
        except OSError as exc:
            raise RunLogError(
                f"The experiment cannot be written to {self.folder}: {exc.strerror}.",
                hint="make room on the disk, or give another folder; what was played so far is kept.",
            ) from exc

    def _mend(self) -> None:
        """Take back a last line that is not whole: what is appended must not continue it."""
        size = self._file.seek(0, os.SEEK_END)
        while size:
            back = min(size, 65_536)
            self._file.seek(size - back)
            end = self._file.read(back).rfind(b"\n")
            if end >= 0:
                size = size - back + end + 1
                break
            size -= back
        self._file.truncate(size)

    def add(self, played: list[Played]) -> None:
        """Keep conversations that are over."""
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in played)
        data = memoryview(whole(text).encode())
        with self._on_disk():
            while data:
                data = data[self._file.write(data) :]

    def write_manifest(self, inputs: dict[str, Any], facts: dict[str, Any]) -> None:
        """Say what it is, whole or not at all."""
        text = json.dumps({"schema": SCHEMA, "inputs": inputs, "facts": facts}, ensure_ascii=False, indent=1)
        with self._on_disk():
            write_whole(self.folder / MANIFEST, text)

    def write_tables(self) -> None:
        """Make the tables of the lines; these go only with `forget_lines`, when the manifest says that all is there."""
        for name, table in self._made().items():
            table.write_parquet(made := io.BytesIO())
            with self._on_disk():
                write_whole(self.folder / f"{name}.parquet", made.getvalue())

    def forget_lines(self) -> None:
        """The tables hold it all."""
        self._file.truncate(0)

    def begin_anew(self) -> None:
        """Nothing of what was played counts any more."""
        for name in columns():
            (self.folder / f"{name}.parquet").unlink(missing_ok=True)
        self._file.truncate(0)


def _read(line: bytes) -> Played | None:
    if not line.endswith(b"\n"):
        return None
    try:
        one = json.loads(line)
        row, turns = one["row"], one["turns"]
        sound = type(one["n"]) is int and one["n"] >= 0 and all(isinstance(turn, dict) for turn in turns)
        sound = sound and all(isinstance(row[name], str) for name in ("variant", "scenario", "mix", "answers"))
        return one if sound and isinstance(one.get("spent_usd") or 0.0, int | float) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _sound(inputs: dict[str, Any], facts: dict[str, Any]) -> None:
    """Raises `TypeError` or `KeyError` where it is no experiment's."""
    lists = [inputs[key] for key in ("variants", "scenarios", "customers", "seeds")]
    named = [each["name"] for each in (*inputs["variants"], *inputs["scenarios"])]
    told = {**inputs["data"], **inputs["latency"], **facts.get("times", {})}
    if not all(isinstance(each, list) for each in lists) or not all(
        isinstance(n, str) for n in (*named, inputs["llm"], *told)
    ):
        raise TypeError("what it says of the experiment is not whole")
