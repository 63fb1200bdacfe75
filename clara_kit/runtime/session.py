"""The life of one conversation in its event loop: what is open, what runs, and how it ends.

Between `manager.py`, which people talk to, and everything that is real: providers' events go in at `feed`, the one
door, and the commands that come out are carried out here at once. Every task has one parent (a task group in `_live`);
when that ends, on whatever way, nothing is left running.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.door import Door
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.outside import place
from clara_kit.core.records import Record, StateChanged
from clara_kit.core.settings import Keys, Mode
from clara_kit.core.states import ConversationState
from clara_kit.measure.run import Run
from clara_kit.providers.avatar.base import Backup, TapsAudio
from clara_kit.providers.stt.base import finalize
from clara_kit.runtime import ending
from clara_kit.runtime.clock import MonotonicClock, Timers
from clara_kit.runtime.ears import LocalVad, Microphone
from clara_kit.runtime.health import Share
from clara_kit.runtime.keeping import Keeping
from clara_kit.runtime.kept import KeptAnswers
from clara_kit.runtime.libraries import load
from clara_kit.runtime.models import Models
from clara_kit.runtime.pool import Pool
from clara_kit.runtime.profile import ProfileLoader
from clara_kit.runtime.run_log import RunLog
from clara_kit.runtime.services import Services
from clara_kit.runtime.switchboard import Switchboard
from clara_kit.turns import usual_policies
from clara_kit.world.faults import Fault

log = logging.getLogger("clara_kit.runtime")
Listener = Callable[[Record], None]
SoundListener = Callable[[int, bytes, int], None]
Tell = Callable[[BaseException | None], None]


class Session:
    """Made in any thread; `live` runs it in the loop that it then belongs to."""

    def __init__(
        self, services: Services, *, record: bool, about: dict[str, Any], extra_inputs: dict[str, Any]
    ) -> None:
        self.services, self.settings = services, services.settings
        self.conversation = Conversation(self.settings, policies=usual_policies())
        self.run: Run | None = None
        self.error: ClaraError | None = None
        self.unkept: ClaraError | None = None
        """Why the end of its run could not be written."""
        self.listeners: list[Listener] = []
        self.sound_listeners: list[SoundListener] = []
        self.replies_spoken = 0
        self.over = asyncio.Event()
        self.why_over = ""
        """Why somebody else ended it."""
        self.profile: ProfileLoader | None = None
        self._record, self._about, self._extra_inputs = record, about, extra_inputs
        self._waiting: set[asyncio.Future[None]] = set()
        self._keeping: Keeping | None = None
        self.absence = ending.Absence()

    async def live(self, tell: Tell) -> None:
        """From connecting to the written run log. `tell` hears of the beginning, or of why there was none."""
        self.loop = asyncio.get_running_loop()
        try:
            # Where a slow model is passed by, its library must not be what is slow.
            flags = self.settings.flags
            more = ["backup"] * flags.enable_auto_fallback
            more += ["llm"] * (flags.enable_auto_fallback or flags.enable_connection_pool)
            await load(self.services.modes, self.over, "stt", "tts", "avatar", *more)
            if not self.over.is_set():
                await asyncio.to_thread(self.services.open)
            if self.over.is_set():
                raise ClaraError("The conversation was stopped before it began.")
            run_log = await asyncio.to_thread(partial(RunLog, self._inputs(), **self._about))
            self._keeping = Keeping(run_log, self.conversation.trace, record=self._record)
            if (recorder := self._keeping.recorder) is not None:
                self.listeners[:0], self.sound_listeners[:0] = [recorder.saw], [recorder.sent]
            try:
                await self._live(tell)
            except BaseException as exc:
                self.error = ending.worded(exc)
                raise
            finally:
                self._finish()
        finally:
            self.services.close()  # blocking, for nothing else runs here any more

    async def _live(self, tell: Tell) -> None:
        services = self.services
        self.clock = MonotonicClock(services.pace)
        assert self._keeping is not None
        self._keeping.begin(self.clock, self.feed, lambda: self.door.placeholders.map)
        services.faults.watch(self._fault_played)
        self._timers = Timers(self.clock, self.feed)
        self.microphone = Microphone(self.clock, self._on_frame)
        self._vad = LocalVad(self.clock, self.feed) if self.settings.local_vad else None
        self.profile = services.profile_loader(self.clock)
        models = self._models = Models(services, self.clock, self.feed, self.conversation, self.profile)
        board = self._board = Switchboard(
            services, self.clock, self.feed, models, open_backup=self._open_backup, shown=self._shown
        )
        self._kept = KeptAnswers(
            lambda: self.services, self.clock, self.feed, self.conversation, self.profile, services.sounds
        )
        pools = self.settings.flags.enable_connection_pool
        self._pool = Pool(model=models.probe, voice=board.voice.warm) if pools else None
        self._share = Share(self.conversation, lambda one: self.services.whose(one), self.feed, self.clock)
        self.door = Door(
            self.conversation,
            {
                **board.hands,
                **models.hands,
                **self._kept.hands,
                do.SwitchTo: self._switch,
                do.FinalizeWords: lambda command: self._tasks.create_task(finalize(self.ear, over=command.over)),
                do.LoadProfile: lambda _: self._tasks.create_task(self._load_profile()),
                do.SetTimer: self._timers.set,
                do.CancelTimer: lambda command: self._timers.cancel(command.timer_id),
            },  # StartListening, Notify, RaiseAlert, ShowText: listeners read them in the trace
        )
        self.door.placeholders = self.profile.placeholders
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._until_over())
                self.profile.begin(tasks)
                models.begin(tasks, self.over)
                self._kept.begin(tasks)
                if self._pool is not None:
                    self._pool.begin(tasks)
                    tasks.create_task(self._warm_prompt())
                await board.connect(tasks)
                tasks.create_task(services.sounds.prepare(services.openers))
                tasks.create_task(self.microphone.run())
                self.feed(
                    ev.ConversationStarted(
                        at_ms=self.clock.now_ms(), greeting=services.greeting, customer_key=services.customer_key,
                        seed=services.seed,
                    )
                )  # fmt: skip
                self._share.begin()
                tasks.create_task(self.absence.lasts(self.settings.absence_ms))
                tell(None)
        except* _HungUp:
            pass
        finally:
            self.over.set()
            self._timers.close()
            self._share.close()
            await self._kept.aclose()
            await ending.let_go(*models.made, board.voice)

    async def _until_over(self) -> None:
        """Hanging up ends everything, at whatever moment: also what is still being connected."""
        await self.over.wait()
        self.feed(ev.ConversationStopped(at_ms=self.clock.now_ms()))
        raise _HungUp

    @property
    def folder(self) -> Path | None:
        """Where its run log is."""
        return self._keeping.run_log.folder if self._keeping is not None else None

    def note(self, **facts: Any) -> None:
        """What else the run log's manifest shall tell of this conversation."""
        assert self._keeping is not None
        self._keeping.run_log.note(**facts)

    def _finish(self) -> None:
        assert self._keeping is not None
        briefing = self.profile.briefing if self.profile is not None else None
        self.run, self.unkept = self._keeping.close(briefing, self.error)

    def keep_again(self) -> None:
        """Once it is over: write what the disk did not take at its end, if anything."""
        if self.unkept is not None:
            self._finish()

    def _inputs(self) -> dict[str, Any]:
        services = self.services
        return {
            "modes": services.modes,
            "settings": services.settings.model_dump(mode="json"),
            "policies": self.conversation.policies.to_dict(),
            "latency": services.latency.to_dict(),
            "faults": [fault.to_dict() for fault in services.faults.waiting],
            "seed": services.seed,
            "prompt": services.prompt.text,
            "prompt_hash": services.prompt.hash,
            **services.about,
            **self._extra_inputs,
        }

    # --- the one door ----------------------------------------------------------------------------------

    def feed(self, event: ev.Event) -> None:
        """Let an event in; whoever looks on sees what came of it."""
        began = self.door.feed(event)
        if self._keeping is not None:
            self._keeping.soon()
        trace = self.conversation.trace
        for record in trace[began:] if len(trace) > began + 1 or self.listeners else ():
            if type(record) is StateChanged:
                idle = record.target is ConversationState.IDLE
                self.replies_spoken += idle and record.source is not ConversationState.USER_SPEAKING
            for listener in self.listeners:
                try:
                    listener(record)
                except Exception as exc:
                    log.error("a listener failed: %s", place(exc))
        self.absence.saw(event)
        self._share.saw()
        self._kept.saw(event)
        if self._pool is not None:
            self._pool.saw(event)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def when(self, happened: Callable[[], bool]) -> None:
        """Wait until something is so; looked at again after every event."""
        while not happened():
            again: asyncio.Future[None] = self.loop.create_future()
            self._waiting.add(again)
            try:
                await again
            finally:
                self._waiting.discard(again)

    @property
    def is_quiet(self) -> bool:
        """Nobody speaks, and Clara is not about to."""
        return self.conversation.state is ConversationState.IDLE and self.conversation.is_quiet

    def _fault_played(self, fault: Fault) -> None:
        """Called in a twin's thread."""
        event = ev.FaultInjected(at_ms=self.clock.now_ms(), service=fault.service, kind=fault.kind, note=str(fault))
        with contextlib.suppress(RuntimeError):  # the conversation may have ended meanwhile
            self.loop.call_soon_threadsafe(self.feed, event)

    # --- hearing ---------------------------------------------------------------------------------------

    @property
    def ear(self) -> Any:
        """Who hears the customer now: a recogniser, a backup, or None."""
        return self._board.hearing.ear

    async def _on_frame(self, pcm: bytes, captured_ms: float) -> None:
        if self._keeping is not None:
            self._keeping.frame(pcm, captured_ms)
        if self._vad is not None:
            self._vad.hear(pcm, captured_ms)
        await self._board.hearing.frame(pcm, captured_ms)

    # --- thinking --------------------------------------------------------------------------------------

    async def _load_profile(self) -> None:
        assert self.profile is not None
        events = await self.profile.load()
        self.door.placeholders = self.profile.placeholders
        briefing = self.profile.briefing
        if briefing is not None and not briefing.profile.is_anonymous:
            self.note(personal_prompt=briefing.hidden_prompt.personal)
        for event in events:
            self.feed(event)

    async def exchange_llm(self, mode: Mode, keys: Keys) -> None:
        """See `ConversationManager.exchange_llm`."""
        self.services = await self._models.exchange(mode, keys, self.over)
        self.feed(ev.ServiceExchanged(at_ms=self.clock.now_ms(), service="llm", mode=mode))

    async def _warm_prompt(self) -> None:
        if (usage := await self._models.warm_prompt(self.services.prompt)) is not None:
            self.note(prompt_warmed=to_builtins(usage))  # paid for, and in no turn

    def _switch(self, command: do.SwitchTo) -> None:
        self._board.switch(command)
        self._share.switched(command)

    def _open_backup(self, command: do.OpenBackup, hears: bool) -> AbstractAsyncContextManager[Backup]:
        assert self.profile is not None
        prompt = self.profile.prompt(personal=self.conversation.settings.flags.enable_personalization)
        self._board.prompt_hash = self.profile.logged(prompt).hash
        return self.services.backup(self.clock, command.messages, hears or command.hears, prompt=prompt)

    def _shown(self, avatar: Any, ear: Any) -> None:
        records = self._keeping is not None and self._keeping.recorder is not None
        hears = records or self._vad is not None  # and only a simulated recogniser has no ears
        self.microphone.always = hears or getattr(ear, "needs_sound", True)
        if isinstance(avatar, TapsAudio):
            avatar.on_audio = self._on_sound

    def _on_sound(self, utterance_id: int, pcm: bytes) -> None:
        for listener in self.sound_listeners:
            listener(utterance_id, pcm, self._board.voice.rate_hz)


class _HungUp(Exception):
    """Ends the task group; never leaves this module."""
