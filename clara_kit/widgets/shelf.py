"""`runs()`: the shelf of recorded conversations, to sort, filter, open, listen to and set side by side. The view is in `shelf.js`.

The list is live: while it is seen, the page asks every other second, and only what has changed on the disk is read again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

import anywidget
import ipywidgets
import traitlets

from clara_kit.core.errors import AudioError, ClaraError
from clara_kit.core.paths import DATA
from clara_kit.lab.again import again
from clara_kit.lab.differences import PARTS, Contrast, Differences, differences
from clara_kit.lab.keeping import ENDING, bundle, keep, name_of
from clara_kit.lab.recordings import from_recording
from clara_kit.lab.remarks import Remarks
from clara_kit.lab.replay import Replay, replay
from clara_kit.lab.shelf import RUNNING, Kept, kept
from clara_kit.lab.unbundling import unbundle
from clara_kit.measure.run import Run
from clara_kit.runtime.run_log import RunLog
from clara_kit.widgets.sharing import share
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import Language, mixed, spoken_in, usual_language

if TYPE_CHECKING:
    import polars as pl


HANDED_BYTES = 40_000_000
_SOUNDS = (b"RIFF", b"fLaC", b"OggS")  # how a recording begins
_NAMED = (".wav", ".flac", ".ogg")  # what one calls itself, whatever it is


class ShelfView(anywidget.AnyWidget):
    """The page's half of a shelf."""

    _esm = view("shelf")
    _css = style("desk", "shelf")

    words = traitlets.Dict().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)
    damage: Any = traitlets.List().tag(sync=True)
    apart = traitlets.Dict().tag(sync=True)
    proof = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)


class Shelf(ipywidgets.VBox):  # type: ignore[misc]
    """The runs under a folder, the newest first; the chosen one in its window below.

    Whatever a button does, a method does: `show`, `call_it`, `remark`, `delete`, `compare`, `replay`, `again`, `keep`, `bundle`,
    `share`, `unbundle`, `add_recording`; `refresh` looks again.
    """

    def __init__(self, root: Path | str | None = None, *, language: Language | None = None) -> None:
        self._root = root
        self.kept: tuple[Kept, ...] = ()
        self._view = ShelfView()
        self.speak(language or usual_language())
        self._view.on_msg(self._asked)
        super().__init__([self._view])
        self.refresh()

    def refresh(self) -> tuple[Kept, ...]:
        """Look what there is now."""
        if (found := kept(self._root)) != self.kept:
            self.kept = found
            self._view.rows = [_row(one) for one in found]
            self.speak(self._language)
        return self.kept

    def show(self, name: str | int) -> Run:
        """Show a run, by its folder's name or its place from 0 (the newest), in its window below. Raises `RunLogError`."""
        one = self._named(name)
        self._view.chosen, self._view.problem, self._view.damage = one.folder.name, "", []
        self._put_below()
        run = one.load()
        self._view.damage = list(run.problems)
        window = ConversationWindow(run, language=self._language)
        window.asked_for = True
        self._put_below(window)
        return run

    def call_it(self, name: str | int, title: str) -> None:
        """Give a run another title; with an empty one, its first again. Raises `RunLogError`."""
        self._named(name).call_it(title)
        self.refresh()

    def delete(self, name: str | int) -> None:
        """Delete a run for good, with its sound and all that it knows of a person. Raises `RunLogError`."""
        one = self._named(name)
        one.delete()
        if one.folder.name == self._view.chosen:
            self._view.chosen, self._view.damage = "", []
            self._put_below()
        self.refresh()

    def compare(self, left: str | int, right: str | int) -> Differences:
        """Show what differs between two runs. Raises `RunLogError`."""
        found = differences(*(self._named(name).load() for name in (left, right)))
        self._view.apart = _apart(found)
        return found

    def remarks(self, name: str | int) -> Remarks:
        """Star, tags and comments of a run: change them, and give them to `remark`."""
        return self._named(name).remarks

    def remark(self, name: str | int, remarks: Remarks) -> None:
        """Keep what is said of a run; what was recorded is not touched. Raises `RunLogError`."""
        remarks.save(self._named(name).folder)
        self.refresh()

    def replay(self, name: str | int) -> Replay:
        """Show whether a run gives the same numbers today, and what has changed since. Raises `RunLogError`."""
        found = replay(self._named(name).load())
        self._view.proof = _proof(found)
        return found

    def again(self, name: str | int) -> Differences:
        """Play a run again with today's build, put that on the shelf, and show what differs. Raises `RunLogError`."""
        one = self._named(name)
        played = again(one.load())
        log = RunLog(played.inputs, title=f"{one.title or one.folder.name} ↻", tags=("again",), root=self._root)
        log.close(list(played.trace), words=played.words)
        self.refresh()
        return self.compare(one.folder.name, log.run_id)

    def keep(self, name: str | int) -> Path:
        """Copy a run into `data/runs/kept`, which git tracks. Raises `RunLogError`."""
        folder = keep(self._named(name).load(), root=self._root)
        self.refresh()
        return folder

    def bundle(self, name: str | int) -> Path:
        """One file in `data/runs/shared` that opens on another machine. Raises `RunLogError`."""
        run = self._named(name).load()
        return bundle(run, self._shared / f"{name_of(run)}{ENDING}")

    def share(self, name: str | int) -> Path:
        """One page in `data/runs/shared` that opens anywhere. Raises `RunLogError`."""
        run = self._named(name).load()
        return share(run, self._shared / f"{name_of(run)}.html", language=self._language)

    def unbundle(self, file: Path | str | BinaryIO) -> Run:
        """Put a bundle's run on the shelf and show it. Raises `RunLogError`."""
        folder = unbundle(file, self._root)
        self.refresh()
        return self.show(folder.name)

    def add_recording(self, sound: bytes, name: str) -> Run:
        """Put a recorded call on the shelf (customer left, avatar right; a WAV, FLAC or OGG) and show it. Raises `AudioError`."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / (Path(name).name or "call.wav")
            path.write_bytes(sound)
            try:
                run = from_recording(path, shelf=self._root or DATA / "runs")
            except AudioError as exc:  # whoever gave it knows its name, and not where it lay meanwhile
                raise AudioError(exc.message.replace(str(path), path.name), hint=exc.hint) from exc
        self.refresh()
        return self.show(run.run_id)

    @property
    def _shared(self) -> Path:
        return Path(self._root or DATA / "runs") / "shared"

    @property
    def frame(self) -> pl.DataFrame:
        """The same as data."""
        import polars as pl

        said = [{"star": one.remarks.star, "tags": list(one.remarks.tags or ())} for one in self.kept]
        told = [[comment.text for comment in one.remarks.comments] for one in self.kept]
        rows = [
            {**vars(one), "folder": str(one.folder), "remarks": texts, **more}
            for one, texts, more in zip(self.kept, told, said, strict=True)
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def speak(self, language: Language) -> None:
        """Label everything in this language."""
        mixes = {f"mix_{one.mix}": mixed(one.mix, language) for one in self.kept}
        self._language, self._view.words = language, {**spoken_in(language), **mixes}

    def _put_below(self, *widgets: ipywidgets.DOMWidget) -> None:
        self.children = (self._view, *widgets)

    def _named(self, name: str | int) -> Kept:
        if isinstance(name, int):
            return self.kept[name]
        found = next((one for one in self.kept if one.folder.name == name), None)
        if found is None:
            raise ClaraError("This conversation is no longer there.", hint="choose one of the list.")
        return found

    def _asked(self, _widget: Any, content: Any, buffers: Any) -> None:
        asked = content if isinstance(content, dict) else {}
        kind, names = asked.get("kind"), [asked.get(name) for name in ("name", "other")]
        if kind != "look":
            self._view.problem = ""
        try:
            match kind, names:
                case "look", _:
                    self.refresh()
                case "open", [str(name), _]:
                    self.show(name)
                case "call", [str(name), _] if isinstance(asked.get("title"), str):
                    self.call_it(name, asked["title"])
                case "delete", [str(name), _]:
                    self.delete(name)
                case "compare", [str(name), str(other)]:
                    self.compare(name, other)
                case "replay", [str(name), _]:
                    self.replay(name)
                case "again", [str(name), _]:
                    self.again(name)
                case "keep", [str(name), _]:
                    self._say_where(self.keep(name))
                case (("bundle" | "share"), [str(name), _]):
                    self._hand_on(self.bundle(name) if kind == "bundle" else self.share(name))
                case "unbundle", [str(name), _] if buffers and _is_sound(name, bytes(buffers[0][:4])):
                    self.add_recording(bytes(buffers[0]), name)
                case "unbundle", _ if buffers:
                    self.unbundle(BytesIO(buffers[0]))
                case (("star" | "tags" | "comment" | "uncomment"), [str(name), _]):
                    self.remark(name, _remarked(self.remarks(name), asked))
                case "listen", [str(name), _]:
                    with suppress(OSError):
                        sound = (self._named(name).folder / "conversation.wav").read_bytes()
                        self._view.send({"kind": "sound", "name": name}, [sound])
        except ClaraError as exc:
            self._view.problem = tell(exc, self._language)
        finally:
            self._view.send({"kind": "done", "what": kind if isinstance(kind, str) else ""})

    def _hand_on(self, file: Path) -> None:
        """The file to the page, for its reader to open or save; a large one stays in its folder."""
        self._say_where(file, *([file.read_bytes()] if file.stat().st_size <= HANDED_BYTES else []))

    def _say_where(self, made: Path, *raw: bytes) -> None:
        self._view.send({"kind": "file", "name": made.name, "path": str(made.resolve())}, [*raw])

    def __repr__(self) -> str:
        return f"<Shelf of {len(self.kept)} runs>"


def runs(root: Path | str | None = None) -> Shelf:
    """The shelf of `data/runs`, or of another folder."""
    return Shelf(root)


def _row(one: Kept) -> dict[str, Any]:
    started, running = one.started.astimezone() if one.started else None, one.ended == RUNNING
    same = {
        name: getattr(one, name) for name in ("title", "customer", "prompt", "mix", "turns", "interruptions", "ended")
    }
    return {
        **same,
        "name": one.folder.name,
        "folder": str(one.folder.resolve()),
        "at": started.timestamp() if started else 0.0,
        "when": f"{started:%Y-%m-%d %H:%M}" if started else "",
        "first_sound": one.first_sound_ms,
        "size": None if running else one.size_bytes,  # it grows, and would be sent again and again
        "sound": one.has_sound and not running,
        "star": one.remarks.star,
        "tags": list(one.remarks.tags or ()),
        "comments": [[c.text, c.turn, c.written] for c in one.remarks.comments],
        "tracked": one.tracked,
        "branch_of": one.branch_of,
    }


def _is_sound(name: str, begins: bytes) -> bool:
    return begins in _SOUNDS or (name.casefold().endswith(_NAMED) and begins[:2] != b"PK")


def _remarked(before: Remarks, asked: dict[str, Any]) -> Remarks:
    """What the page asks for, done to what was said before."""
    match asked:
        case {"kind": "star", "on": bool(on)}:
            return replace(before, star=on)
        case {"kind": "tags", "tags": str(tags)}:
            return before.tagged(tags)
        case {"kind": "comment", "text": str(text)}:
            turn = asked.get("turn")
            return before.commented(text, turn if type(turn) is int else None)
        case {"kind": "uncomment", "number": int(number)}:
            return before.without(number)
    return before


def _proof(found: Replay) -> dict[str, Any]:
    """What the view draws of a replay."""
    first = found.differences[0] if found.differences else None
    return {
        "title": found.run.title or found.run.run_id,
        "records": len(found.trace),
        "apart": len(found.differences),
        "first": str(first) if first is not None else "",
        "proven": found.proven,
        "changes": [[c.kind, c.name, c.then, c.now] for c in found.changes],
        "numbers": [[name, *pair] for name, pair in found.numbers.items()],
    }


def _apart(found: Differences) -> dict[str, Any]:
    """What the view draws: each part with its lines."""
    sides = [
        {"title": run.title or run.run_id, "when": str(run.facts.get("started") or "")[:16], "mix": run.mix}
        for run in (found.left, found.right)
    ]
    parts = [[part, [_line(one, found.comparable) for one in found.contrasts if one.part == part]] for part in PARTS]
    return {"sides": sides, "notes": list(found.notes), "parts": parts}


def _line(one: Contrast, comparable: bool) -> dict[str, Any]:
    left, right = one.pieces()
    change = one.change if comparable or one.part != "ledger" else None
    return {
        "where": one.where, "what": one.what, "same": one.same, "change": change,
        "left": None if one.left is None else left, "right": None if one.right is None else right,
    }  # fmt: skip
