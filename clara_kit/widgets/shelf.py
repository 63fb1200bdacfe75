"""`runs()`: the shelf of recorded conversations, to sort, filter, open and listen to. The view is in `shelf.js`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets

from clara_kit.core.errors import RunLogError
from clara_kit.lab.shelf import Kept, kept
from clara_kit.measure.run import Run
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import HERE, view
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import Language, spoken_in, usual_language

if TYPE_CHECKING:
    import polars as pl


class ShelfView(anywidget.AnyWidget):
    """The page's half of a shelf."""

    _esm = view("shelf")
    _css = HERE / "desk.css"

    words = traitlets.Dict().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)


class Shelf(ipywidgets.VBox):  # type: ignore[misc]
    """The runs under a folder, the newest first; the chosen one in its window below. `refresh` looks again."""

    def __init__(self, root: Path | str | None = None, *, language: Language | None = None) -> None:
        self._root = root
        self._view = ShelfView()
        self.speak(language or usual_language())
        self._view.on_msg(self._asked)
        super().__init__([self._view])
        self.refresh()

    def refresh(self) -> tuple[Kept, ...]:
        """Look what there is now."""
        self.kept = kept(self._root)
        self._view.rows = [_row(one) for one in self.kept]
        return self.kept

    def show(self, name: str | int) -> Run:
        """Show a run, by its folder's name or its place from 0 (the newest), in its window below."""
        one = self.kept[name] if isinstance(name, int) else next(k for k in self.kept if k.folder.name == name)
        run = one.load()
        self._view.chosen, self._view.problem = one.folder.name, ""
        self.children = (self._view, ConversationWindow(run))
        return run

    @property
    def frame(self) -> pl.DataFrame:
        """The same as data."""
        import polars as pl

        return pl.DataFrame([{**vars(one), "folder": str(one.folder)} for one in self.kept], infer_schema_length=None)

    def speak(self, language: Language) -> None:
        """Label everything in this language."""
        self._language, self._view.words = language, spoken_in(language)

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        kind, name = (content.get("kind"), content.get("name")) if isinstance(content, dict) else (None, None)
        if kind == "refresh":
            self.refresh()
        elif kind == "open" and any(one.folder.name == name for one in self.kept):
            try:
                self.show(str(name))
            except RunLogError as exc:
                self._view.problem = tell(exc, self._language)

    def __repr__(self) -> str:
        return f"<Shelf of {len(self.kept)} runs>"


def runs(root: Path | str | None = None) -> Shelf:
    """The shelf of `data/runs`, or of another folder."""
    return Shelf(root)


def _row(one: Kept) -> dict[str, Any]:
    started = one.started.astimezone() if one.started else None
    return {
        "name": one.folder.name,
        "when": f"{started:%Y-%m-%d %H:%M}" if started else "",
        "title": one.title or "–",
        "customer": one.customer,
        "prompt": one.prompt,
        "mix": one.mix,
        "turns": one.turns,
        "first_sound": one.first_sound_ms,
        "interruptions": one.interruptions,
        "ended": one.ended,
        "size": one.size_bytes,
    }
