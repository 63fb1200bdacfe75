"""Writes a run while it happens: `data/runs/<run_id>/` with manifest, events, sound, and tables at the end."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

from clara_kit.core.commands import Message, RequestReply
from clara_kit.core.paths import DATA
from clara_kit.core.records import Record
from clara_kit.measure import codec
from clara_kit.measure.run import WORDS_FILE, Run, experiment_id

PACKAGES = ("clara-kit", "anthropic", "deepgram-sdk", "httpx", "websockets", "polars", "pydantic")


class RunLog:
    """One folder. `append` what the trace has new; `close` writes the tables and returns the run."""

    def __init__(
        self,
        inputs: dict[str, Any],
        *,
        title: str = "",
        note: str = "",
        tags: tuple[str, ...] = (),
        root: Path | None = None,
    ) -> None:
        started = datetime.now(UTC)
        self.inputs = json.loads(json.dumps(inputs))  # exactly what a reader will get
        run_id = f"{experiment_id(self.inputs)}-{started:%Y%m%dT%H%M%S}{started.microsecond // 1000:03d}"
        self.run_id, self.folder = _new_folder(root or DATA / "runs", run_id)
        self.facts: dict[str, Any] = {
            "run_id": self.run_id,
            "title": title,
            "note": note,
            "tags": list(tags),
            "started": started.isoformat(timespec="milliseconds"),
            "versions": versions(),
            **_git(),
        }
        self._written = 0
        self._said: tuple[Message, ...] = ()  # of the last request written
        self._write_manifest()
        self._file = (self.folder / "events.jsonl").open("w", encoding="utf-8", newline="\n")

    @property
    def sound_path(self) -> Path:
        """Where the recording goes."""
        return self.folder / "conversation.wav"

    def append(self, trace: list[Record]) -> None:
        """Write what the trace has gained since the last call."""
        end = len(trace)
        if end > self._written:
            fresh = trace[self._written : end]
            self._file.write(codec.to_log(fresh, self._said))
            self._file.flush()
            self._written = end
            self._said = next((r.messages for r in reversed(fresh) if type(r) is RequestReply), self._said)

    def close(self, trace: list[Record], *, error: str = "", words: dict[str, str] | None = None) -> Run:
        """Write the rest, the tables and the end of the manifest.

        `words`: what the placeholders stand for. They lie in a file of their own, readable by its owner only,
        which may be deleted: everything else works without it.
        """
        self.append(trace)
        self._file.close()
        if words:
            _write_private(self.folder / WORDS_FILE, json.dumps(words, ensure_ascii=False, indent=1) + "\n")
        self.facts |= {"ended": datetime.now(UTC).isoformat(timespec="milliseconds"), "error": error}
        self._write_manifest()
        run = Run(inputs=self.inputs, facts=self.facts, trace=tuple(trace), folder=self.folder, words=words or {})
        run.turns.write_parquet(self.folder / "turns.parquet")
        run.event_table.write_parquet(self.folder / "events.parquet")
        return run

    def _write_manifest(self) -> None:
        manifest = {"schema": codec.SCHEMA, "experiment_id": experiment_id(self.inputs), "inputs": self.inputs}
        text = json.dumps({**manifest, "facts": self.facts}, ensure_ascii=False, indent=1)
        fresh = self.folder / "manifest.json.new"
        fresh.write_text(text + "\n", encoding="utf-8")
        os.replace(fresh, self.folder / "manifest.json")


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _new_folder(root: Path, run_id: str) -> tuple[str, Path]:
    """A folder that nobody has yet: equal conversations may begin in the same millisecond."""
    for number in count(1):
        name = run_id if number == 1 else f"{run_id}-{number}"
        try:
            (root / name).mkdir(parents=True)
            return name, root / name
        except FileExistsError:
            continue
    raise AssertionError("count() does not end")


@cache
def versions() -> dict[str, str]:
    """Versions of Python, the kit and the packages that shape a run."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache  # it is the code that was loaded which counts, and asking takes a while
def _git() -> dict[str, str]:
    """The commit of the kit, and the patch where the tree was dirty; empty outside a checkout."""

    def git(*args: str) -> str:
        done = subprocess.run(("git", *args), cwd=DATA.parent, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout

    try:
        return {
            "commit": git("rev-parse", "HEAD").strip(),
            "patch": git("diff", "HEAD", "--", "clara_kit", "data")[:200_000],
        }
    except (OSError, subprocess.SubprocessError):
        return {"commit": "", "patch": ""}
