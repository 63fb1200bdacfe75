"""Copies of what was recorded: kept in the repository (`keep`), or in one file for another machine (`bundle`).

After the shelf, which finds what there is. What leaves the folder of its owner holds placeholders where a person was named,
never a key, and never what the placeholders of a real person stand for. `unbundling.py` opens what comes from elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from clara_kit.core.errors import ClaraError, RunLogError
from clara_kit.core.paths import DATA
from clara_kit.core.placeholders import masked
from clara_kit.lab.remarks import REMARKS_FILE
from clara_kit.lab.shelf import KEPT, of_a_person
from clara_kit.lab.unbundling import ABOUT, FORMAT, plain_name
from clara_kit.measure import codec, opening
from clara_kit.measure.run import WORDS_FILE, Run
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.config import load_keys
from clara_kit.runtime.run_log import EVENTS_FILE, private, write_whole
from clara_kit.store import disk

MANIFEST, SOUND = "manifest.json", "conversation.wav"
RUN_FILES = (
    MANIFEST, EVENTS_FILE, "turns.parquet", "events.parquet", opening.TITLE_FILE, REMARKS_FILE, SOUND, WORDS_FILE,
)  # fmt: skip
CALLS = DATA / "calls"
ENDING = ".clara.zip"
KEPT_RUN_BYTES, KEPT_BYTES = 1_000_000, 10_000_000
"""The most that one kept run, and all together, may take in the repository."""


class HasFolder(Protocol):
    """An experiment, as far as it matters here."""

    @property
    def folder(self) -> Path | None:
        """Where it is kept; None: nowhere."""


What = Run | HasFolder | str | Path


def keep(run: Run | str | Path, *, sound: bool = False, root: Path | str | None = None) -> Path:
    """Copy a run into `data/runs/kept/`, which git tracks. Names stay placeholders; what was kept before is written anew.

    sound: its recording too. Raises `RunLogError` where it would be too large (1 MB a run, 10 MB in all), and for a
    conversation with a real customer, who is nobody to be tracked.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    if of_a_person(run):
        hint = "make a bundle for whom it concerns, or keep a conversation with an invented customer."
        raise RunLogError("A conversation with a customer of the shop is not put into the repository.", hint=hint)
    root = Path(root or DATA / "runs")
    folder = root / KEPT / name_of(run)
    with disk(f"The run cannot be kept in {folder}", "make room on the disk."):
        parts = dict(parts_of(run, sound=sound))
        size = sum(map(len, parts.values()))
        others = sum(f.stat().st_size for f in (root / KEPT).rglob("*") if f.is_file() and f.parent != folder)
        for much, most in ((size, KEPT_RUN_BYTES), (size + others, KEPT_BYTES)):
            if much > most:
                hint = "keep it without its sound, or delete others from data/runs/kept; a bundle may be larger."
                raise RunLogError(f"It would take more than the {most / 1e6:.0f} MB that are for it.", hint=hint)
        fresh = folder.with_name(f".new-{folder.name}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for name, raw in parts.items():
            write_whole(fresh / name, raw)
        shutil.rmtree(folder, ignore_errors=True)  # in place of the one that was there
        fresh.rename(folder)
    return folder


def bundle(
    what: What, path: Path | str, *, names: bool = False, sound: bool = True, calls: Path | str | None = None
) -> Path:  # fmt: skip
    """One file with everything that a run, or an experiment with its folder, needs on another machine: see `unbundle`.

    path: where it goes; in a folder it is called after what it holds. names: an invented customer's words too, instead of
    placeholders alone. Of a real customer neither words nor sound are ever in it. calls: where an experiment's recorded answers
    are (default `data/calls`); those of its prompts go along. Equal contents give equal bytes. Raises `RunLogError`.
    """
    if isinstance(what, str | Path) and (Path(what) / EVENTS_FILE).exists():
        what = Run.load(what)
    if isinstance(what, Run):
        kind, name, parts = "run", name_of(what), parts_of(what, names=names, sound=sound)
    else:
        folder = Path(what) if isinstance(what, str | Path) else what.folder
        if folder is None or not folder.is_dir():
            raise RunLogError(
                "There is no folder to be bundled.", hint="give a run, an experiment, or the folder of one."
            )
        kind, name = "experiment", folder.name
        parts = chain(_tree(folder), _calls_of(folder, Path(calls or CALLS)))
    target = Path(path)
    target = target / f"{name}{ENDING}" if target.is_dir() else target
    fresh = target.with_name(target.name + ".new")
    with disk(f"The bundle cannot be written to {target}", "choose another place."):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with private(fresh) as file, zipfile.ZipFile(file, "w") as zipped:
                files, secrets = {}, _secrets()
                for inside, raw in parts:
                    if any(secret in raw for secret in secrets):
                        hint = "take it out; then make the bundle."
                        raise RunLogError(f"One of your keys stands in {inside}.", hint=hint)
                    files[inside] = [len(raw), sha256(raw).hexdigest()]
                    _put(zipped, f"files/{inside}", raw)
                about = {"format": FORMAT, "kind": kind, "name": name, "files": files}
                _put(zipped, ABOUT, json.dumps(about, ensure_ascii=False, indent=1, sort_keys=True).encode())
            os.replace(fresh, target)
        finally:
            with suppress(OSError):
                fresh.unlink()
    return target


def name_of(run: Run) -> str:
    """What its folder is called, here and elsewhere."""
    return run.folder.name if run.folder is not None else run.run_id


def parts_of(run: Run, *, names: bool = False, sound: bool = True) -> Iterator[tuple[str, bytes]]:
    """Its files by name, as they may leave the machine: in a fixed order, with placeholders, `names` of invented ones too."""
    made = {MANIFEST: _manifest(run, names), EVENTS_FILE: codec.to_log(run.trace).encode()}
    for name in RUN_FILES:
        file = run.folder / name if run.folder is not None else None
        if (
            (name == WORDS_FILE and not names)
            or (name in (WORDS_FILE, SOUND) and of_a_person(run))
            or (name == SOUND and not sound)
        ):
            continue
        if file is not None and file.is_file() and not file.is_symlink() and name != MANIFEST:
            raw = file.read_bytes()
            personal = name in (opening.TITLE_FILE, REMARKS_FILE) and not (names and not of_a_person(run))
            yield name, masked(raw.decode("utf-8", "replace"), run.words).encode() if personal else raw
        elif name in made:
            yield name, made[name]
        elif name == WORDS_FILE and run.words:
            yield name, (json.dumps(run.words, ensure_ascii=False, indent=1) + "\n").encode()


def _manifest(run: Run, names: bool) -> bytes:
    """As it was written, but for the names in its title and note, which stand outside the hash."""
    figures = {"ended": "", "records": len(run.trace), "figures": run.figures}  # of a simulation, which nobody wrote
    whole = {
        "schema": codec.SCHEMA,
        "experiment_id": run.experiment_id,
        "inputs": run.inputs,
        "facts": figures | run.facts,
    }
    if run.folder is not None:
        with suppress(RunLogError):
            whole = opening.manifest(run.folder)
    facts = whole.get("facts")
    if isinstance(facts, dict) and (not names or of_a_person(run)):
        told = {k: masked(facts[k], run.words) for k in ("title", "note") if isinstance(facts.get(k), str)}
        whole = {**whole, "facts": {**facts, **told}}
    return (json.dumps(whole, ensure_ascii=False, indent=1) + "\n").encode()


def _tree(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of an experiment's folder; what is being written, hidden or elsewhere is none of it."""
    for file in sorted(folder.rglob("*"), key=lambda f: f.relative_to(folder).as_posix()):
        name = file.relative_to(folder).as_posix()
        if (
            file.is_file()
            and not file.is_symlink()
            and plain_name(name)
            and file.suffix not in (".new", ".lock", ".tmp")
        ):
            yield name, file.read_bytes()


def _calls_of(folder: Path, calls: Path) -> Iterator[tuple[str, bytes]]:
    """The recorded answers to its prompts, each file with the head that says of which it is; invented customers' alone."""
    try:
        inputs = opening.manifest(folder)["inputs"]
        if inputs["llm"] not in ("recorded", "live") or (folder / CALLS.name).is_dir():
            return  # scripted; or the answers came with it, and are there already
        from clara_kit.lab.experiment.experiment import Experiment  # brings all that plays one
        from clara_kit.prompts.briefing import brief

        variants = Experiment.load(folder).design.variants.values()
        told = {
            brief(v.template).prompt.static if isinstance(v.template, PromptTemplate) else v.template for v in variants
        }
    except (RunLogError, KeyError, TypeError):
        return  # what cannot be played again needs no answers
    for file in sorted(calls.glob("*.jsonl")):
        raw = file.read_bytes()
        try:
            system = json.loads(raw.split(b"\n", 1)[0])["fixed"].get("system", ())
            if any(block["text"] in told for block in system):
                yield f"{CALLS.name}/{file.name}", raw
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _secrets() -> tuple[bytes, ...]:
    """The keys of this machine, which nothing that leaves it may hold."""
    try:
        keys = load_keys()
    except (ClaraError, OSError):
        return ()
    held = (getattr(keys, name) for name in type(keys).model_fields)
    return tuple(
        k.get_secret_value().encode() for k in held if isinstance(k, SecretStr) and len(k.get_secret_value()) >= 8
    )


def _put(zipped: zipfile.ZipFile, name: str, raw: bytes) -> None:
    info = zipfile.ZipInfo(name)  # of 1980: when a bundle was made is none of its content
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o600 << 16
    zipped.writestr(info, raw, compresslevel=6)
