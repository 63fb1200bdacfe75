"""What is chosen at the desk, and what a change of it does: the part of `desk.py` that a conversation goes by."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import Settings
from clara_kit.lab.spending import rate
from clara_kit.runtime.config import load_keys
from clara_kit.runtime.manager import ConversationManager
from clara_kit.widgets.choice import Choice, offers
from clara_kit.widgets.desk_view import DeskView


class Choosing:
    """Of a desk, which has the rest."""

    clara: ConversationManager | None
    _view: DeskView
    _settings: Settings | None
    _exchanging: bool
    _folds: Any
    _below: tuple[Any, ...]
    _soon: Callable[..., None]
    _start: Callable[[Coroutine[Any, Any, None]], None]
    _do: Callable[..., Coroutine[Any, Any, None]]
    _line: Callable[[], ConversationManager]

    @property
    def chosen(self) -> Choice:
        """What is chosen now, by hand or by `choose`."""
        values = {**self._view.chosen}
        return Choice(**{**values, "live": tuple(values.get("live", ()))})

    def choose(self, choice: Choice | None = None, **changes: Any) -> Choice:
        """Choose anew, all of it or a part: `desk.choose(customer="camila")`."""
        # Which may tell of a prompt that was chosen elsewhere.
        self._view.offers = self._offers()
        fresh = replace(choice or self.chosen, **changes)
        self._view.chosen = {**vars(fresh), "live": list(fresh.live)}
        return fresh

    def _offers(self) -> dict[str, Any]:
        return offers(presets=self._settings is None, settings=self._settings)

    def _chosen_anew(self) -> None:
        """By hand or by code; or a key has come. Who thinks can be exchanged at once, the rest waits for the next call."""
        self._view.offers = self._offers()
        if self.clara is None or not self._below or self._view.phase != "talking":
            with contextlib.suppress(ClaraError):  # a setting is wrong: the call will say so
                self._view.rate = rate(self.chosen.live, self.chosen.settings(self._settings))._asdict()
            self._ask_for_keys()
            return
        wants, has = "llm" in self.chosen.live, self.clara.services.modes["llm"] == "live"
        if wants != has and not self._exchanging and not (wants and self._ask_for_keys("llm")):
            self._exchanging = True
            self._start(self._do(partial(self._exchange_llm, self.clara, wants)))

    def _rules_anew(self, change: Any) -> None:
        """Whose turn it is can be judged otherwise at once."""
        presets = change.old.get("preset"), change.new["preset"]
        if self.clara is not None and self._view.phase == "talking" and all(presets) and presets[0] != presets[1]:
            changes = self.chosen.changes(self.clara.conversation.settings)
            self._soon(lambda: self._start(self._do(partial(self._line().change, **changes))))

    def _ask_for_keys(self, *services: str) -> bool:
        """Open the panel where something is to be real whose key is not there; returns whether it is so."""
        lacking = [one for one in self.chosen.lacks(load_keys()) if one in services or not services]
        if lacking:
            self._folds.selected_index = 1
        return bool(lacking)

    async def _exchange_llm(self, clara: ConversationManager, wants: bool) -> None:
        try:
            await clara.exchange_llm("live" if wants else "twin", load_keys())
        except ClaraError:  # the box tells who thinks, not who was to think
            others = set(self.chosen.live) - {"llm"}
            self.choose(live=tuple(others if wants else others | {"llm"}))
            raise
        finally:
            self._exchanging = False
            self._soon(self._chosen_anew)  # something else may have been chosen meanwhile
