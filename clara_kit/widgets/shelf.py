"""`runs()`: the shelf of recorded conversations, to sort, filter, open, listen to and set side by side. The view is in `shelf.js`.

The list is live: while it is seen, the page asks every other second, and only what has changed on the disk is read again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets

from clara_kit.core.errors import ClaraError
from clara_kit.lab.differences import PARTS, Contrast, Differences, differences
from clara_kit.lab.shelf import RUNNING, Kept, kept
from clara_kit.measure.run import Run
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import style, view
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import Language, mixed, spoken_in, usual_language

if TYPE_CHECKING:
    import polars as pl


class ShelfView(anywidget.AnyWidget):
    """The page's half of a shelf."""

    _esm = view("shelf")
    _css = style("desk", "shelf")

    words = traitlets.Dict().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)
    damage: Any = traitlets.List().tag(sync=True)
    apart = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)


class Shelf(ipywidgets.VBox):  # type: ignore[misc]
    """The runs under a folder, the newest first; the chosen one in its window below.

    `show`, `call_it`, `delete` and `compare` do what the buttons do; `refresh` looks again.
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

    @property
    def frame(self) -> pl.DataFrame:
        """The same as data."""
        import polars as pl

        return pl.DataFrame([{**vars(one), "folder": str(one.folder)} for one in self.kept], infer_schema_length=None)

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

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
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
                case "listen", [str(name), _]:
                    with suppress(OSError):
                        sound = (self._named(name).folder / "conversation.wav").read_bytes()
                        self._view.send({"kind": "sound", "name": name}, [sound])
        except ClaraError as exc:
            self._view.problem = tell(exc, self._language)
        finally:
            self._view.send({"kind": "done", "what": kind if isinstance(kind, str) else ""})

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
