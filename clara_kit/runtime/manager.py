"""`ConversationManager`: one conversation, from sound to sound, for people.

Its methods may be called from any event loop; the conversation itself lives in `session.py`, in an event loop of its
own thread: drawing a plot, or a busy notebook cell, must not delay an interruption.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Coroutine, Iterable
from copy import copy
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from clara_kit.audio.pcm import Sound
from clara_kit.audio.voice import Speech
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.talk import Health
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.records import Record
from clara_kit.core.settings import Keys, Mode
from clara_kit.core.states import ConversationState
from clara_kit.measure.codec import reveal
from clara_kit.measure.ledger import Turn, turns
from clara_kit.measure.run import Run
from clara_kit.measure.story import LASTING
from clara_kit.providers.stt.base import ToldLines
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import Services, compose, customer_voice
from clara_kit.runtime.session import Listener, Session, SoundListener
from clara_kit.runtime.thread import ConversationThread, awake, make_room, running
from clara_kit.runtime.visit import visit
from clara_kit.world.faults import Fault
from clara_kit.world.pace import asked, loop_factory
from clara_kit.world.scenario import Scenario
from clara_kit.world.script import Line, Script, ScriptLike
from clara_kit.world.scripted import line_speech

T = TypeVar("T")


class ConversationManager:
    """Runs one conversation. Enter it, talk, leave it; `run` is then the whole record.

        async with ConversationManager() as clara:
            turn = await clara.ask("¿Qué protector solar me recomiendas?")

    services: what `compose` gives (default: twins of every vendor). record: keep the sound (default: only
    while nothing is live). log_root: the folder of the run logs (default `data/runs`).
    """

    def __init__(
        self,
        services: Services | None = None,
        *,
        title: str = "",
        note: str = "",
        tags: tuple[str, ...] = (),
        record: bool | None = None,
        log_root: Path | str | None = None,
        extra_inputs: dict[str, Any] | None = None,
    ) -> None:
        services = services or compose()
        self.settings, self.title, self.began_with = services.settings, title, services.modes
        self.since: datetime | None = None
        """By the wall's clock."""
        self._session = Session(
            services,
            record=record if record is not None else "live" not in services.modes.values(),
            about={"title": title, "note": note, "tags": tags, "root": log_root},
            extra_inputs=extra_inputs or {},
        )
        self._thread: ConversationThread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: ClaraError | None = None

    @property
    def services(self) -> Services:
        """What stands behind each service now."""
        return self._session.services

    @property
    def conversation(self) -> Conversation:
        """The decisions, with the trace so far."""
        return self._session.conversation

    @property
    def run(self) -> Run | None:
        """The whole record, once it is over."""
        return self._session.run

    @property
    def error(self) -> ClaraError | None:
        """What ended it, if anything did."""
        return self._session.error or self._session.unkept

    @property
    def why_over(self) -> str:
        """Why it was ended, where nobody hung up."""
        return self._session.why_over

    @property
    def clock(self) -> MonotonicClock:
        """The conversation's clock, while it runs."""
        return self._session.clock

    # --- for people: from any thread or event loop -----------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._start(kept=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()
        if error is None:
            self._complain()

    async def start(self) -> None:
        """Connect everything and begin. Raises what went wrong, with nothing left running.

        In a notebook one that was started before is ended; an interrupt of the kernel will end this one.
        """
        await self._start(kept=True)

    async def _start(self, *, kept: bool) -> None:
        if self._thread is not None:
            raise ClaraError("This conversation was started before.", hint="make a new ConversationManager.")
        if kept:
            await make_room()
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        caller = asyncio.get_running_loop()

        def tell(error: BaseException | None) -> None:
            def set_result() -> None:
                if not started.done():
                    started.set_exception(error) if error else started.set_result(None)

            with contextlib.suppress(RuntimeError):  # the caller may be gone, and its loop
                caller.call_soon_threadsafe(set_result)

        self._loop = (loop_factory(self.services.pace) or asyncio.new_event_loop)()
        self._thread = ConversationThread(self._session, self._loop, tell, kept=kept)
        self._thread.owner, self.since = weakref.ref(self), datetime.now().astimezone()
        self._thread.start()
        gone = "nothing refers to it any more"
        weakref.finalize(self, self._thread.hang_up, gone).atexit = False
        try:
            await awake(started)
        except BaseException:
            self._thread.hang_up()
            await self._thread.ended()
            self._told = self.error
            raise

    async def stop(self, why: str = "") -> Run | None:
        """Hang up, close everything, write the run log. May be called at any moment, and twice.

        why: for whoever talks and did not ask for it.
        Raises the `ClaraError` that ended the conversation, or kept its run from being written, unless that was raised
        before; `run` then has what there is. What the disk did not take is written by the next call, once there is room.
        """
        await self._end(why)
        if self._told is not None and self._told is self._session.unkept:
            await asyncio.to_thread(self._session.keep_again)
            if self.error is not None and str(self.error) == str(self._told):
                self._told = self.error  # the disk is as full as it was, which was told
        self._complain()
        return self.run

    async def _end(self, why: str = "") -> None:
        if self._thread is not None:
            self._thread.hang_up(why)
            await self._thread.ended()

    def _complain(self) -> None:
        """Raise what went wrong, unless somebody was told before; of one that never began, `start` tells."""
        if self.run is not None and self.error is not None and self.error is not self._told:
            self._told = self.error
            raise self.error

    def subscribe(self, listener: Listener) -> None:
        """Call `listener(record)` for every event, decision and command. Called in the conversation's thread.

        Placeholders stand for what the shop knows of the customer; `revealed` puts the words back.
        """
        self._session.listeners.append(listener)

    def subscribe_sound(self, listener: SoundListener) -> None:
        """Call `listener(utterance_id, pcm, rate_hz)` for all sound that goes to the avatar, before it is heard.

        pcm: 16-bit little-endian mono. Called in the conversation's thread; must return at once and not raise. An
        avatar that makes its own voice (the classic HeyGen) gives none.
        """
        self._session.sound_listeners.append(listener)

    def revealed(self, trace: Iterable[Record]) -> tuple[Record, ...]:
        """Records with the customer's words in place of placeholders: for a screen, not for a file."""
        profile = self._session.profile
        return reveal(trace, profile.placeholders.map if profile is not None else {})

    @property
    def stopping(self) -> bool:
        """It is being closed: soon `run` is there."""
        return self._thread is not None and self._thread.is_alive() and self._session.over.is_set()

    @property
    def state(self) -> ConversationState:
        """Whose turn it is."""
        return self.conversation.state

    @property
    def health(self) -> dict[ev.Service, Health]:
        """How each service fares that was ever in trouble, and what stands in its place: a copy, as it is now."""
        return {service: copy(health) for service, health in list(self.conversation.talk.services.items())}

    async def say(self, what: str | Sound | Speech | Line) -> None:
        """Let the customer say something (text is spoken by the offline voice); returns when it has been said.

        A `Speech` is a sound whose words a recogniser that is none may know. Cancelled, the customer falls silent.
        """
        await self._call(self._say(what))

    async def type(self, text: str) -> None:
        """Let the customer type something."""
        await self._call(self._feed_now(lambda at_ms: ev.TextTyped(at_ms=at_ms, text=text)))

    async def interrupt(self) -> None:
        """Press the button that stops Clara."""
        await self._call(self._feed_now(lambda at_ms: ev.InterruptRequested(at_ms=at_ms)))

    async def change(self, **changes: bool | int | float | str) -> None:
        """Turn knobs in mid-conversation: fields of `Settings` that decide (not those of a connection)."""
        pairs = tuple(changes.items())
        await self._call(self._feed_now(lambda at_ms: ev.SettingsChanged(at_ms=at_ms, changes=pairs)))

    async def exchange_llm(self, mode: Mode, keys: Keys | None = None) -> None:
        """Let another model write every reply that is asked for from now on; one that is being written is finished.

        mode: live, with `keys` (default: those it was composed with), or its twin again. Raises what the vendor says of the
        key, or why it cannot be; the model that was there then stays. Trace, ledger and `run.mix` tell which was whose.
        """
        await self._call(self._session.exchange_llm(mode, keys or self.services.keys))

    def inject(self, fault: Fault, *then: Fault) -> Literal["now", "next"]:
        """Let a twin play `fault` now, in what runs, or else on the service's next occasion; and `then` on those after it.

        `services.faults.mend(service)` calls off what is still to come. Raises `ClaraError`.
        """
        modes, falls_back = self.services.modes, self.conversation.settings.flags.enable_auto_fallback
        mode = modes.get("avatar" if fault.service == "backup" and falls_back else fault.service, "not there")
        if mode not in ("twin", "sim"):
            raise ClaraError(
                f"Only a twin can play {fault}, or the simulation; the {fault.service} of this conversation is {mode}."
            )
        return self.services.faults.inject(fault, *then)

    async def ask(self, what: str | Sound | Line, *, timeout_s: float = 60) -> Turn:
        """Say something, hear Clara out, and return the turn with its ledger."""
        return await self._call(self._ask(what, timeout_s))

    async def until(self, *states: ConversationState, timeout_s: float = 60) -> ConversationState:
        """Wait until the state is one of these. Raises `ClaraError` after `timeout_s`."""
        return await self._call(self._until(states, timeout_s))

    async def wait(self, seconds: float) -> None:
        """Let so much of the conversation's time go by."""
        await self._call(asyncio.sleep(seconds))

    async def play_script(self, script: ScriptLike | Scenario) -> None:
        """Let a customer talk to Clara, scripted or one who reacts, from the first line to the last reply."""
        if isinstance(script, Scenario):
            plays, facts = script.plays, {"scenario": script.about["scenario"]}
        else:
            plays, facts = Script.of(script), {}
        await self._call(visit(self._session, plays, self._say, **facts))

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        thread = self._thread
        if thread is None or not thread.loop.is_running() or not self.conversation.talk.begun:
            work.close()
            raise self._over("The conversation is not running.", hint="enter the manager first.")
        try:
            return await awake(asyncio.wrap_future(thread.submit(asked(self._or_over(work)))))
        except (_Over, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # the caller was cancelled, not the conversation
        await thread.ended()  # only then is it known what went wrong
        raise self._over("The conversation was ended meanwhile.")

    def _over(self, message: str, hint: str = "") -> ClaraError:
        """Why nothing can be done any more."""
        self._told = self.error
        if why := self._session.why_over:
            return ClaraError(f"The conversation was ended: {why}.", hint="start a new one.")
        return self.error or ClaraError(message, hint=hint)

    async def _or_over(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work, but not longer than the conversation lasts, and none once it is over."""
        if self._session.over.is_set():
            work.close()
            raise _Over
        task, over = asyncio.ensure_future(work), asyncio.ensure_future(self._session.over.wait())
        try:
            await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Over
        finally:
            over.cancel()
            task.cancel()

    # --- in the conversation's own thread --------------------------------------------------------------

    async def _feed_now(self, make: Callable[[float], ev.Event]) -> None:
        self._session.feed(make(self.clock.now_ms()))

    async def _say(self, what: str | Sound | Speech | Line) -> float:
        """Make a sound, or type; returns when it was over."""
        session = self._session
        if isinstance(what, Sound):
            return await session.microphone.play(what)
        line = what if isinstance(what, Line) else Line(text=what.text if isinstance(what, Speech) else what)
        if line.typed:
            await self._feed_now(lambda at_ms: ev.TextTyped(at_ms=at_ms, text=line.text))
            return self.clock.now_ms()
        speech = what if isinstance(what, Speech) else await asyncio.to_thread(line_speech, line, customer_voice())
        if line.sound is None:
            await asyncio.to_thread(self.services.knows, speech)
            if isinstance(ear := session.ear, ToldLines):
                ear.expect(line, self.clock.now_ms())
        return await session.microphone.play(speech.sound)

    async def _ask(self, what: str | Sound | Line, timeout_s: float) -> Turn:
        session = self._session
        await self._until((ConversationState.IDLE,), timeout_s, quiet=True)
        before, began = session.replies_spoken, len(self.conversation.trace)
        await self._say(what)
        try:
            async with asyncio.timeout(timeout_s):
                await session.when(lambda: session.is_quiet and session.replies_spoken > before)
        except TimeoutError as exc:
            fresh = self.conversation.trace[began:]
            trouble = [r.message for r in fresh if isinstance(r, ev.ProviderFailed | ev.ProviderWarned)]
            raise ClaraError(
                " ".join([f"Clara gave no answer within {timeout_s:g} s; the state is {self.state}.", *trouble[-1:]]),
                hint="the trace says what was heard: were there words in the sound? You may ask again.",
            ) from exc
        trace = self.conversation.trace  # of which a long conversation's is not read anew for each turn
        since = (r for n, r in enumerate(trace) if n >= began or type(r) in LASTING)
        return (turns(since) or turns(trace))[-1]

    async def _until(
        self, states: tuple[ConversationState, ...], timeout_s: float, *, quiet: bool = False
    ) -> ConversationState:
        session = self._session
        try:
            async with asyncio.timeout(timeout_s):
                await session.when(lambda: session.is_quiet if quiet else session.conversation.state in states)
        except TimeoutError as exc:
            raise ClaraError(
                f"The state stayed {self.state} for {timeout_s:g} s; waited for {', '.join(states)}.",
                hint="the trace says why; `stop` ends the conversation.",
            ) from exc
        return self.state


def open_conversations() -> tuple[ConversationManager, ...]:
    """Every conversation that runs in this process, or is being connected; the first that began first."""
    owners = [thread.owner() for thread in running() if thread.owner is not None and not thread.over]
    return tuple(sorted(filter(None, owners), key=lambda clara: clara.since))


class _Over(Exception):
    """The conversation ended first; never leaves this module."""
