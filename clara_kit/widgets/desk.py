"""`Desk`: choose, call Clara, talk to her, hear her, hang up, and look at what came of it; no Python to type.

The model is here, the view in `desk.js`. What a click does, a method does too, and what was chosen and said comes back
as ordinary values for the next cell. The conversation lives in its own thread (`runtime/manager.py`); what is drawn is
drawn in the notebook's loop, and her sound goes to the page from the very chunks that go to the avatar.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from clara_kit import data_files
from clara_kit.conversation.heard import estimate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.paths import DATA
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState
from clara_kit.lab.spending import spent
from clara_kit.measure.ledger import Turn, turns
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story, Utterance, Words
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.compose import compose
from clara_kit.runtime.config import load_keys
from clara_kit.runtime.manager import ConversationManager
from clara_kit.widgets.key_panel import KeyPanel
from clara_kit.widgets.shelf import Shelf
from clara_kit.widgets.view import HERE, view
from clara_kit.widgets.window import ConversationWindow
from clara_kit.widgets.words import Language, spoken_in, usual_language
from clara_kit.world.personas import Persona

REFRESH_S = 0.1  # how often a conversation that runs is drawn anew
KEYS_OF = {  # which key makes a service's real vendor possible
    "stt": "deepgram_api_key", "llm": "anthropic_api_key", "tts": "deepgram_api_key", "avatar": "liveavatar_api_key",
    "shop": "shopify_shop",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the next conversation is made of. customer: an invented one's name, or as the live shop knows them; empty:
    a stranger. prompt: a template's name. speed: a latency profile's. live: the services that are real. limit_usd: hang up when these have cost so much."""

    customer: str = ""
    prompt: str = "warm"
    speed: str = "published"
    live: tuple[str, ...] = ()
    limit_usd: float = 0.50


class DeskView(anywidget.AnyWidget):
    """The page's half of a desk."""

    _esm = view("desk")
    _css = HERE / "desk.css"

    words = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    offers = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    phase = traitlets.Unicode("ready").tag(sync=True)
    state = traitlets.Unicode("").tag(sync=True)
    said: Any = traitlets.List().tag(sync=True)
    turns: Any = traitlets.List().tag(sync=True)
    mix = traitlets.Unicode("").tag(sync=True)
    is_live = traitlets.Bool(False).tag(sync=True)
    spent_usd = traitlets.Float(0.0).tag(sync=True)
    unpriced: Any = traitlets.List().tag(sync=True)
    gives_sound = traitlets.Bool(True).tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)


class Desk(ipywidgets.VBox):  # type: ignore[misc]
    """A desk, or, with `clara`, the same for a conversation that was started in a cell.

    `call`, `say`, `type`, `interrupt` and `hang_up` do what the buttons do; `choose` what the fields do. `clara`: the
    conversation that runs, or the last one. `runs`: the records of all that are over, the newest last.
    """

    def __init__(
        self,
        clara: ConversationManager | None = None,
        *,
        choice: Choice | None = None,
        settings: Settings | None = None,
        language: Language | None = None,
        log_root: Path | str | None = None,
    ) -> None:
        self._settings, self._log_root = settings, log_root
        self._loop = asyncio.get_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.runs: list[Run] = []
        self.clara = clara
        self._view = DeskView(language=language or usual_language())
        self._view.observe(lambda _: self._label(), names="language")
        self._view.on_msg(self._asked)
        self._shelf, self._keys = Shelf(log_root), KeyPanel()
        self._folds = ipywidgets.Accordion([self._shelf, self._keys.widget], selected_index=None)
        self._label()
        self._below = (self._folds,) if clara is None else ()
        super().__init__([self._view, *self._below])
        if clara is not None:
            self._attach(clara)
        else:
            self.choose(choice or Choice())

    # --- what the hand does, without a hand -------------------------------------------------------------

    @property
    def chosen(self) -> Choice:
        """What is chosen now, by hand or by `choose`."""
        values = {**self._view.chosen}
        return Choice(**{**values, "live": tuple(values.get("live", ()))})

    def choose(self, choice: Choice | None = None, **changes: Any) -> Choice:
        """Choose anew, all of it or a part: `desk.choose(customer="camila")`."""
        fresh = replace(choice or self.chosen, **changes)
        self._view.offers = self._offers()
        self._view.chosen = {**vars(fresh), "live": list(fresh.live)}
        return fresh

    @property
    def run(self) -> Run | None:
        """The record of the last conversation that is over."""
        return self.runs[-1] if self.runs else None

    async def call(self) -> ConversationManager:
        """Begin a conversation of what is chosen; returns when Clara is on the line."""
        if self._view.phase in ("connecting", "talking", "ending"):
            raise ClaraError("A conversation is running at this desk.", hint="hang up first.")
        self._view.phase, self._view.problem, self._view.said, self._view.turns = "connecting", "", [], []
        try:
            choice = self.chosen
            services = await asyncio.to_thread(partial(self._compose, choice))
            who = "a customer of the shop" if "shop" in choice.live else choice.customer or "a stranger"
            clara = ConversationManager(
                services, title=f"{who}, prompt {choice.prompt}", tags=("desk",), log_root=self._log_root
            )
            self._attach(clara, draw=False)
            await clara.start()
        except BaseException as exc:
            self._view.phase = "ready"
            if isinstance(exc, ClaraError):
                self._view.problem = str(exc)
            raise
        self._follow(clara)
        return clara

    async def hang_up(self) -> Run | None:
        """End the conversation; returns its record, which is then shown below."""
        if self.clara is None:
            return None
        self._view.phase = "ending"
        try:
            return await self.clara.stop()
        finally:
            self._over(self.clara)

    async def say(self, text: str) -> None:
        """The customer says this aloud, with the offline voice."""
        await self._line().say(text)

    async def type(self, text: str) -> None:
        """The customer types this."""
        await self._line().type(text)

    async def interrupt(self) -> None:
        """Press the button that stops Clara."""
        await self._line().interrupt()

    # --- what is chosen and offered ---------------------------------------------------------------------

    def _label(self) -> None:
        language: Language = "es" if self._view.language == "es" else "en"
        words = self._view.words = spoken_in(language)
        self._shelf.speak(language)
        self._folds.titles = (words["runs"], words["keys"])

    def _offers(self) -> dict[str, Any]:
        keys = load_keys()
        return {
            "customers": [[p.name, p.about] for p in Persona.all()],
            "prompts": [t.name for t in PromptTemplate.all()],
            "speeds": list(data_files.known(DATA / "latency")),
            "live": [[service, getattr(keys, key) is not None] for service, key in KEYS_OF.items()],
        }

    def _compose(self, choice: Choice) -> Any:
        live: dict[str, Any] = dict.fromkeys(choice.live, "live")
        if not choice.customer:
            live.pop("shop", None)
        return compose(
            "twin",
            **live,
            settings=self._settings,
            keys=load_keys(),
            customer=choice.customer,
            template=choice.prompt,
            latency=choice.speed,
        )

    # --- a conversation -----------------------------------------------------------------------------------

    def _line(self) -> ConversationManager:
        if self.clara is None:
            raise ClaraError("Nobody is on the line.", hint="call Clara first.")
        return self.clara

    def _attach(self, clara: ConversationManager, *, draw: bool = True) -> None:
        self.clara, self._story, self._read = clara, Story(), 0
        modes = clara.services.modes
        self._view.mix = Run(inputs={"modes": modes}, trace=()).mix
        self._view.is_live = "live" in modes.values()
        self._view.gives_sound = not (modes["avatar"] == "live" and clara.settings.avatar_vendor == "heygen")
        clara.subscribe(self._saw)
        clara.subscribe_sound(self._sounds)
        if draw:
            self._follow(clara)

    def _follow(self, clara: ConversationManager) -> None:
        self._view.phase = "talking"
        self._start(self._watch(clara))

    async def _watch(self, clara: ConversationManager) -> None:
        """Draw until it is over, whoever ends it."""
        while clara.run is None and clara.error is None:
            self._draw(clara)
            if self._view.spent_usd >= (limit_usd := self.chosen.limit_usd) and self._view.is_live and self._below:
                self._view.problem = f"{self._view.words['limit']}: {limit_usd:.2f} USD"
                await self.hang_up()
            await asyncio.sleep(REFRESH_S)
        if clara is self.clara:
            self._over(clara)

    def _over(self, clara: ConversationManager) -> None:
        """It is over, and its record is there, in the window, below."""
        if self._view.phase not in ("talking", "ending"):
            return
        self._draw(clara)
        self._view.phase, self._view.state = "over", ""
        if why := clara.why_over or clara.error:
            self._view.problem = str(why)
        if clara.run is not None:
            self.runs.append(clara.run)
            if self._below:  # a cell that began the conversation also shows what came of it
                self._shelf.refresh()
                self.children = (self._view, ConversationWindow(clara.run), *self._below)

    def _draw(self, clara: ConversationManager) -> None:
        """Show what has been said by now."""
        trace = clara.conversation.trace
        fresh, self._read = trace[self._read :], len(trace)
        for record in clara.revealed(fresh):
            self._story.read(record)
        now_ms = clara.clock.now_ms()
        said = [_said(one, now_ms) for one in self._story.said]
        if self._story.interim:
            said.append({"who": "customer", "text": "", "later": self._story.interim, "lost": ""})
        cost = spent(trace if self._view.is_live else (), clara.services.modes)
        with self._view.hold_sync():
            self._view.spent_usd, self._view.unpriced = round(cost.usd, 5), list(cost.unknown)
            soon = clara.state is ConversationState.IDLE and not clara.conversation.is_quiet
            self._view.state, self._view.said = "soon" if soon else str(clara.state), said
            self._view.turns = [_turn(turn) for turn in turns(self._story)]

    def _saw(self, record: Record) -> None:
        """In the conversation's thread: what the page's player must know at once."""
        match record:
            case ev.SpeakingStarted():
                self._tell("begin", record.utterance_id)
            case do.InterruptAvatar() | ev.SpeakingInterrupted():
                self._tell("silence", record.utterance_id)

    def _sounds(self, utterance_id: int, pcm: bytes, rate_hz: int) -> None:
        self._tell("sound", utterance_id, rate_hz=rate_hz, pcm=pcm)

    def _tell(self, kind: str, utterance_id: int, *, rate_hz: int = 0, pcm: bytes = b"") -> None:
        content = {"kind": kind, "utterance": utterance_id, "rate_hz": rate_hz}
        with contextlib.suppress(RuntimeError):  # the notebook's loop may be closed by now
            self._loop.call_soon_threadsafe(self._view.send, content, [pcm] if pcm else None)

    # --- what the page asks for ---------------------------------------------------------------------------

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A message of the view. JupyterLab may hand it to a thread of its own."""
        kind, text = (content.get("kind"), content.get("text")) if isinstance(content, dict) else (None, None)
        acts: dict[Any, Callable[[], Awaitable[Any]]] = {
            "call": self.call, "hang_up": self.hang_up, "interrupt": self.interrupt,
        }  # fmt: skip
        if isinstance(text, str) and text.strip():
            acts |= {"say": partial(self.say, text.strip()), "type": partial(self.type, text.strip())}
        if kind == "offers":
            self._loop.call_soon_threadsafe(lambda: self.choose() and None)
        elif isinstance(kind, str) and kind in acts:
            self._loop.call_soon_threadsafe(lambda: self._start(self._do(acts[kind])))

    async def _do(self, act: Callable[[], Awaitable[Any]]) -> None:
        self._view.problem = ""
        try:
            await act()
        except ClaraError as exc:
            self._view.problem = str(exc)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _said(one: Words | Utterance, now_ms: float) -> dict[str, str]:
    """Who said what; `later`: not spoken yet; `lost`: never heard."""
    if isinstance(one, Words):
        return {"who": "customer" if one.kind == "spoken" else "typed", "text": one.text, "later": "", "lost": ""}
    if one.heard is not None:
        return {"who": "clara", "text": one.heard.heard, "later": "", "lost": one.heard.unheard}
    if one.stopped_ms is not None:
        return {"who": "clara", "text": one.text, "later": "", "lost": ""}
    played_ms = now_ms - one.started_ms if one.started_ms is not None else 0.0
    by_now = estimate(one.pieces, played_ms)
    return {"who": "clara", "text": by_now.heard, "later": by_now.unheard, "lost": ""}


def _turn(turn: Turn) -> dict[str, Any]:
    return {"turn": turn.turn_id, "ms": turn.total_ms, "usd": turn.usage.cost_usd if turn.usage else None}
