"""`Desk`: choose, call Clara, talk to her, hear her, hang up, and look at what came of it; no Python to type.

The model is here, the view in `desk.js`. What a click does, a method does too, and what was chosen and said comes back
as ordinary values for the next cell. The conversation lives in its own thread (`runtime/manager.py`); what is drawn is
drawn in the notebook's loop, and her sound goes to the page from the very chunks that go to the avatar.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets

from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import Settings
from clara_kit.lab.kernel import KERNEL
from clara_kit.measure.run import Run, mix_of
from clara_kit.measure.story import Story
from clara_kit.runtime.libraries import load_soon
from clara_kit.runtime.manager import ConversationManager, open_conversations
from clara_kit.widgets.choice import Choice, in_force
from clara_kit.widgets.choosing import Choosing
from clara_kit.widgets.cutting_in import CuttingIn
from clara_kit.widgets.desk_view import DeskView, Voice, asked, why_over
from clara_kit.widgets.key_panel import KeyPanel
from clara_kit.widgets.latency_live import LatencyLive
from clara_kit.widgets.open_list import OpenList, named, told
from clara_kit.widgets.outages import Outages
from clara_kit.widgets.shelf import Shelf
from clara_kit.widgets.telling import Lasting, lasting, tell
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import Language, spoken_in, usual_language

REFRESH_S = 0.1  # how often a conversation that runs is drawn anew
BUSY = ("connecting", "talking", "ending")


class Desk(Choosing, ipywidgets.VBox):  # type: ignore[misc]
    """A desk, or, with `clara`, the same for a conversation that was started in a cell.

    `call`, `say`, `type`, `interrupt`, `cut_in` and `hang_up` do what the buttons do; `choose` what the fields do. `clara`:
    the conversation that runs, or the last one. `runs`: the records of all that are over, the newest last.
    settings: instead of a preset. cut_ins: show the buttons that cut in. outages: and those that break a service, and the
    timeline while one talks. latency: show where the milliseconds go, which otherwise waits in a fold.
    """

    def __init__(
        self,
        clara: ConversationManager | None = None,
        *,
        choice: Choice | None = None,
        settings: Settings | None = None,
        language: Language | None = None,
        log_root: Path | str | None = None,
        cut_ins: bool = False,
        outages: bool = False,
        latency: bool = False,
    ) -> None:
        self._settings, self._log_root = settings, log_root
        self._loop = asyncio.get_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._exchanging = False
        self.runs: list[Run] = []
        self.clara = clara
        self._view = DeskView(language=language or usual_language(), cut_ins_open=cut_ins)
        self._view.observe(lambda _: self._label(), names="language")
        self._view.observe(lambda _: self._soon(self._chosen_anew), names="chosen")
        self._view.observe(self._rules_anew, names="chosen")
        self._view.on_msg(self._asked)
        self._shelf, self._keys = Shelf(log_root), KeyPanel()
        self._window: tuple[ConversationWindow, ...] = ()
        self.outages = Outages(language=self._language) if outages else None
        self._keys.on_used(lambda _vendors: self._soon(self._chosen_anew))
        self.latency = LatencyLive(language=self._language)
        self._above = tuple(filter(None, [self.outages, self.latency if latency else None]))
        folds = [self._shelf, self._keys.widget, *([] if latency else [self.latency])]
        self._folds = ipywidgets.Accordion(folds, selected_index=None)
        self._label()
        self._below = (self._folds,) if clara is None else ()
        super().__init__()
        self._lay()
        if clara is not None:
            return self._attach(clara)
        still = open_conversations()  # the cell was run again, or the page was lost
        former = next((desk for desk in _DESKS if desk._view.phase == "talking" and desk.clara in still), None)
        self.choose(choice or (former.chosen if former else Choice(prompt=KERNEL.prompt)))
        self._open = OpenList(self._show_open)
        load_soon()
        if former is not None and former.clara is not None:
            former._voice.silent, self.runs = True, [*former.runs]
            self._attach(former.clara)
        _DESKS.add(self)
        KERNEL.follow(self.choose)

    # --- what the hand does, without a hand -------------------------------------------------------------

    @property
    def run(self) -> Run | None:
        """The record of the last conversation that is over."""
        return self.runs[-1] if self.runs else None

    async def call(self) -> ConversationManager:
        """Begin a conversation of what is chosen; returns when Clara is on the line."""
        if self._view.phase in BUSY:
            raise ClaraError("A conversation is running at this desk.", hint="hang up first.")
        self._view.phase, self._view.problem, self._view.said, self._view.turns = "connecting", "", [], []
        try:
            choice = self.chosen
            services = await asyncio.to_thread(choice.services, self._settings)
            clara = ConversationManager(services, title=choice.title, tags=("desk",), log_root=self._log_root)
            self._attach(clara, draw=False)
            await clara.start()
        except BaseException as exc:
            self._view.phase = "ready"
            if isinstance(exc, ClaraError):
                self._view.problem = tell(exc, self._view.language)
                self._ask_for_keys()
            raise
        self._follow(clara)
        return clara

    async def hang_up(self) -> Run | None:
        """End the conversation; returns its record, which is then shown below."""
        if self.clara is None:
            return None
        if self._view.phase != "talking":  # being connected, of which `call` tells; or over
            return await self.clara.stop()
        self._view.phase = "ending"
        try:
            return await self.clara.stop()
        finally:
            self._over(self.clara)

    async def say(self, text: str) -> None:
        """The customer says this aloud, with the offline voice."""
        self._line()
        await self._cuts.say(text)

    async def cut_in(self, how: str) -> None:
        """The customer makes a sound while Clara speaks: early, late, backchannel, cough, question or echo.

        «early» and «late» wait for their moment; asked again meanwhile, they wait no more.
        """
        self._line()
        await self._cuts.play(how)

    async def type(self, text: str) -> None:
        """The customer types this."""
        await self._line().type(text)

    async def interrupt(self) -> None:
        """Press the button that stops Clara."""
        await self._line().interrupt()

    def show(self, clara: ConversationManager) -> None:
        """Go on here with a conversation that was begun elsewhere in this kernel."""
        if self._view.phase in BUSY:
            raise ClaraError("A conversation is running at this desk.", hint="hang up first.")
        self._view.problem, self._view.said, self._view.turns = "", [], []
        self._attach(clara)
        self.choose(**in_force(clara))

    # --- what it says -------------------------------------------------------------------------------------

    @property
    def _language(self) -> Language:
        return "es" if self._view.language == "es" else "en"

    def _label(self) -> None:
        language = self._language
        words = self._view.words = spoken_in(language)
        self._shelf.speak(language)
        self._keys.speak(language)
        if self.outages is not None:
            self.outages.speak(language)
        for window in self._window:
            window.language = language
        self.latency.speak(language)
        self._folds.titles = (words["runs"], words["keys"], words["la_title"])[: len(self._folds.children)]

    # --- a conversation -----------------------------------------------------------------------------------

    def _line(self) -> ConversationManager:
        if self.clara is None:
            raise ClaraError("Nobody is on the line.", hint="call Clara first.")
        return self.clara

    def _attach(self, clara: ConversationManager, *, draw: bool = True) -> None:
        self.clara, self._story, self._read = clara, Story(), 0
        self._failed: Lasting | None = None
        modes = clara.services.modes
        self._view.mix, self._view.is_live = mix_of(modes), "live" in modes.values()
        self._view.spent_usd, self._view.unpriced = 0.0, []
        self._view.gives_sound = not (modes["avatar"] == "live" and clara.settings.avatar_vendor == "heygen")
        self._voice = Voice(self._view, clara)
        self.latency.attach(clara, log=not draw)  # of what began here; another desk's own has its file
        self._cuts = CuttingIn(self._view, clara, self._voice)
        if draw:
            self._follow(clara)

    def _lay(self, source: Run | ConversationManager | None = None) -> None:
        """What stands below each other; source: what is looked at in the window."""
        self._window = () if source is None else (ConversationWindow(source, language=self._language),)
        self.children = (self._view, *self._above, *self._window, *self._below)

    def _follow(self, clara: ConversationManager) -> None:
        self._view.phase = "talking"
        if self.outages is not None:
            self.outages.attach(clara)
            self._lay(clara)
        self._start(self._watch(clara))

    async def _watch(self, clara: ConversationManager) -> None:
        """Draw until it is over, whoever ends it."""
        while clara.run is None and clara.error is None:
            self._draw(clara)
            if self._below and self._view.spent_usd >= (limit_usd := self.chosen.limit_usd):
                self._view.problem = f"{self._view.words['limit']}: {limit_usd:.2f} USD"
                await self.hang_up()
            await asyncio.sleep(REFRESH_S)
        if clara is self.clara:
            self._over(clara)

    def _over(self, clara: ConversationManager) -> None:
        """It is over, and its record is there, in the window, below."""
        if self._view.phase not in ("talking", "ending"):
            return
        self._cuts.stop()
        self._draw(clara)
        self.latency.detach()
        if self.outages is not None:
            self.outages.detach(clara.run)
        self._view.phase, self._view.state = "over", ""
        if why := why_over(clara, self._view.words, self._language):
            self._view.problem = why
        if clara.run is not None:
            self.runs.append(clara.run)
            if self._below:  # a cell that began the conversation also shows what came of it
                self._shelf.refresh()
                if self.outages is None:
                    self._lay(clara.run)

    def _draw(self, clara: ConversationManager) -> None:
        """Show what has been said by now."""
        trace = clara.conversation.trace
        fresh, self._read = trace[self._read :], len(trace)
        for record in clara.revealed(fresh):
            self._story.read(record)
        if (failed := lasting(fresh, self._failed)) is not self._failed:
            self._failed, self._view.problem = failed, tell(failed, self._view.language) if failed else ""
        if self.outages is not None:
            self.outages.draw(clara.revealed(fresh))
        self.latency.draw()
        with self._view.hold_sync():
            self._view.draw(clara, self._story)
            self._view.did = self._cuts.told()

    def _show_open(self, rows: list[dict[str, Any]]) -> None:
        self._view.running = told(rows, self.clara)

    def _soon(self, act: Callable[..., object], *args: Any) -> None:
        """In the notebook's loop, from any thread; that loop may be closed by now."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act, *args)

    # --- what the page asks for ---------------------------------------------------------------------------

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A message of the view. JupyterLab may hand it to a thread of its own."""
        kind, text = (content.get("kind"), content.get("text")) if isinstance(content, dict) else (None, None)
        if kind == "offers":
            self._soon(self.choose)
        elif kind == "shown":
            self._soon(partial(self._view.set_trait, "is_new", False))
        elif kind in ("show", "end") and isinstance(text, str) and (clara := named(text)) is not None:
            self._soon(lambda: self._start(self._do(partial(self._of_the_list, kind, clara))))
        elif (act := asked(content, self)) is not None:
            self._soon(lambda: self._start(self._do(act)))

    async def _of_the_list(self, kind: str, clara: ConversationManager) -> None:
        if kind == "show":
            self.show(clara)
        elif clara is self.clara:
            await self.hang_up()
        else:
            await clara.stop("somebody hung up at the desk")

    async def _do(self, act: Callable[[], Awaitable[Any]]) -> None:
        self._view.problem = ""
        try:
            await act()
        except ClaraError as exc:
            self._view.problem = tell(exc, self._view.language)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def __repr__(self) -> str:  # what a page without a kernel shows
        return "<Clara's desk: run this cell (Shift+Enter) to see it; a conversation that runs goes on there>"


_DESKS: weakref.WeakSet[Desk] = weakref.WeakSet()
"""Those of this kernel from which one can call."""
