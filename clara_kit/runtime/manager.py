"""`ConversationManager`: one conversation, from sound to sound, in an event loop of its own thread.

The only module on both sides of the arrow: providers' events go in at `_feed`, which asks the conversation
and carries out its commands at once. Every task has one parent (a task group in `_live`); when that ends, on
whatever way, nothing is left running. The methods for people may be called from any event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from clara_kit.audio.pcm import Sound
from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.placeholders import reveal
from clara_kit.core.records import Record, StateChanged
from clara_kit.core.states import ConversationState
from clara_kit.measure.ledger import Turn
from clara_kit.measure.run import Run
from clara_kit.providers.avatar.base import AvatarProvider
from clara_kit.providers.llm.base import LLMProvider, ReplyRequest
from clara_kit.providers.stt.base import STTProvider
from clara_kit.runtime.clock import MonotonicClock, Timers
from clara_kit.runtime.compose import Services, compose, customer_voice
from clara_kit.runtime.connections import Connections
from clara_kit.runtime.ears import LocalVad, Microphone, Recorder
from clara_kit.runtime.reception import Reception
from clara_kit.runtime.run_log import RunLog
from clara_kit.runtime.scripted import ScriptPlayer, line_speech
from clara_kit.world.customer import ScriptedCustomer
from clara_kit.world.faults import Fault
from clara_kit.world.pace import asked, loop_factory
from clara_kit.world.script import Line, Script, ScriptLike

log = logging.getLogger("clara_kit.runtime")
T = TypeVar("T")
Listener = Callable[[Record], None]

LOG_EVERY_S = 0.05  # how much of the run log a crash of the whole process may cost


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
        log_root: Path | None = None,
        extra_inputs: dict[str, Any] | None = None,
    ) -> None:
        self.services = services or compose()
        self.settings = self.services.settings
        self.conversation = Conversation(self.settings)
        self.run: Run | None = None
        self.error: ClaraError | None = None
        self._record = record if record is not None else "live" not in self.services.modes.values()
        self._about = {"title": title, "note": note, "tags": tags, "root": log_root}
        self._extra_inputs = extra_inputs or {}
        self._listeners: list[Listener] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reception: Reception | None = None

    # --- for people: from any thread or event loop -----------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self.error is not None and error is None:
            raise self.error

    async def start(self) -> None:
        """Connect everything and begin. Raises what went wrong, with nothing left running."""
        if self._thread is not None:
            raise ClaraError("This conversation was started before.", hint="make a new ConversationManager.")
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        caller = asyncio.get_running_loop()

        def tell(error: BaseException | None) -> None:
            def set_result() -> None:
                if not started.done():
                    started.set_exception(error) if error else started.set_result(None)

            if not caller.is_closed():  # the caller may have given up waiting
                caller.call_soon_threadsafe(set_result)

        self._thread = threading.Thread(
            target=self._in_thread, args=(tell,), name="clara-conversation", daemon=True
        )
        self._thread.start()
        try:
            await started
        except asyncio.CancelledError:
            await self.stop()
            raise
        except BaseException:
            await asyncio.to_thread(self._thread.join)
            raise

    async def stop(self) -> Run | None:
        """Hang up, close everything, write the run log. May be called twice."""
        if self._thread is not None:
            if self._loop is not None and self._loop.is_running():
                self._loop.call_soon_threadsafe(self._hang_up.set)
            await asyncio.to_thread(self._thread.join)
        return self.run

    def subscribe(self, listener: Listener) -> None:
        """Call `listener(record)` for every event, decision and command. Called in the conversation's thread.

        Placeholders stand for what the shop knows of the customer; `revealed` puts the words back.
        """
        self._listeners.append(listener)

    def revealed(self, trace: Iterable[Record]) -> tuple[Record, ...]:
        """Records with the customer's words in place of placeholders: for a screen, not for a file."""
        told = self._reception.briefing if self._reception is not None else None
        return reveal(trace, told.placeholders.map if told is not None else {})

    @property
    def stopping(self) -> bool:
        """It is being closed: soon `run` is there."""
        over = self._loop is not None and self._loop.is_running() and self._hang_up.is_set()
        return over and self.run is None

    @property
    def state(self) -> ConversationState:
        """Whose turn it is."""
        return self.conversation.state

    async def say(self, what: str | Sound | Line) -> None:
        """Let the customer say something (text is spoken by the offline voice); returns when it has been said."""
        await self._call(self._say(what))

    async def type(self, text: str) -> None:
        """Let the customer type something."""
        await self._call(self._do_feed(lambda at_ms: ev.TextTyped(at_ms=at_ms, text=text)))

    async def interrupt(self) -> None:
        """Press the button that stops Clara."""
        await self._call(self._do_feed(lambda at_ms: ev.InterruptRequested(at_ms=at_ms)))

    async def change(self, **changes: bool | int | float | str) -> None:
        """Turn knobs in mid-conversation: fields of `Settings` that decide (not those of a connection)."""
        pairs = tuple(changes.items())
        await self._call(self._do_feed(lambda at_ms: ev.SettingsChanged(at_ms=at_ms, changes=pairs)))

    def inject(self, fault: Fault) -> Literal["now", "next"]:
        """Let a twin play `fault` now, in what runs, or else on the service's next occasion. Raises `ClaraError`."""
        mode = self.services.modes.get(fault.service, "not there")
        if mode != "twin":
            raise ClaraError(
                f"Only a twin can play {fault}; the {fault.service} of this conversation is {mode}."
            )
        return self.services.faults.inject(fault)

    async def ask(self, what: str | Sound | Line, *, timeout_s: float = 60) -> Turn:
        """Say something, hear Clara out, and return the turn with its ledger."""
        return await self._call(self._ask(what, timeout_s))

    async def until(self, *states: ConversationState, timeout_s: float = 60) -> ConversationState:
        """Wait until the state is one of these. Raises `ClaraError` after `timeout_s`."""
        return await self._call(self._until(states, timeout_s))

    async def wait(self, seconds: float) -> None:
        """Let so much of the conversation's time go by."""
        await self._call(asyncio.sleep(seconds))

    async def play_script(self, script: ScriptLike) -> None:
        """Let a scripted customer talk to Clara from the first line to the last reply."""
        await self._call(self._play_script(Script.of(script)))

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None or not self._loop.is_running():
            work.close()
            raise self.error or ClaraError(
                "The conversation is not running.", hint="enter the manager first."
            )
        future = asyncio.run_coroutine_threadsafe(asked(self._or_over(work)), self._loop)
        try:
            return await asyncio.wrap_future(future)
        except (_HungUp, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # the caller was cancelled, not the conversation
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)  # only then is it known what went wrong
        raise self.error or ClaraError("The conversation was ended meanwhile.")

    async def _or_over(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work, but not longer than the conversation lasts."""
        task, over = asyncio.ensure_future(work), asyncio.ensure_future(self._hang_up.wait())
        try:
            await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _HungUp
        finally:
            over.cancel()
            task.cancel()

    # --- the conversation's own thread -----------------------------------------------------------------

    def _in_thread(self, tell: Callable[[BaseException | None], None]) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory(self.services.pace)) as runner:
                self._loop = runner.get_loop()
                runner.run(self._main(tell))
        except BaseException as exc:
            tell(exc)
            if not isinstance(exc, ClaraError):
                log.exception("the conversation's thread failed")
        else:
            tell(self.error)

    async def _main(self, tell: Callable[[BaseException | None], None]) -> None:
        self._hang_up = asyncio.Event()
        self._waiting: set[asyncio.Future[None]] = set()
        self._log_due = False
        self._replies: dict[int, asyncio.Task[None]] = {}
        self._avatar_orders: asyncio.Queue[do.Command] = asyncio.Queue()
        self._stt: STTProvider | None = None
        self._avatar: AvatarProvider | None = None
        await asyncio.to_thread(self.services.open)
        try:
            self._run_log = RunLog(self._inputs(), **self._about)  # type: ignore[arg-type]
            self._recorder = Recorder(self._run_log.sound_path) if self._record else None
            try:
                await self._live(tell)
            except* ClaraError as group:
                self.error = self.error or _first(group)
            finally:
                self._finish()
        finally:
            self.services.close()  # blocking, for nothing else runs here any more

    async def _live(self, tell: Callable[[BaseException | None], None]) -> None:
        self.clock = MonotonicClock(self.services.pace)
        self.services.faults.watch(self._fault_played)
        self._timers = Timers(self.clock, self._feed)
        self._connections = Connections(self.clock, self.settings, self._feed)
        self._microphone = Microphone(self.clock, self._on_frame)
        self._vad = LocalVad(self.clock, self._feed) if self.settings.local_vad else None
        self._llm: LLMProvider = self.services.llm(self.clock)
        reception = self._reception = self.services.reception(self.clock)
        tts = self.services.tts()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                reception.begin(tasks)
                stt_open, avatar_open = asyncio.Event(), asyncio.Event()
                tasks.create_task(self._keep_stt(stt_open))
                tasks.create_task(self._keep_avatar(avatar_open, tts))
                tasks.create_task(self._carry_avatar_orders())
                tasks.create_task(self._warm())
                await stt_open.wait()
                await avatar_open.wait()
                tasks.create_task(self._microphone.run())
                self._feed(
                    ev.ConversationStarted(
                        at_ms=self.clock.now_ms(),
                        greeting=self.services.greeting,
                        customer_key=self.services.customer_key,
                    )
                )
                tell(None)
                await self._hang_up.wait()
                self._feed(ev.ConversationStopped(at_ms=self.clock.now_ms()))
                raise _HungUp
        except* _HungUp:
            pass
        finally:
            self._hang_up.set()
            self._timers.close()
            await self._llm.aclose()
            await tts.aclose()

    def _finish(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
            self._run_log.facts["sound_from_ms"] = self._recorder.from_ms or 0.0
        told = self._reception.briefing if self._reception is not None else None
        if told is not None and not told.profile.is_anonymous:
            self._run_log.facts["personal_prompt"] = told.hidden_prompt.personal
        self.run = self._run_log.close(
            self.conversation.trace,
            error=str(self.error or ""),
            words=told.placeholders.map if told is not None else {},
        )

    def _inputs(self) -> dict[str, Any]:
        services = self.services
        return {
            "modes": services.modes,
            "settings": services.settings.model_dump(mode="json"),
            "profile": services.profile.to_dict(),
            "faults": [fault.to_dict() for fault in services.faults.waiting],
            "seed": services.seed,
            "prompt": services.prompt.text,
            "prompt_hash": services.prompt.hash,
            **services.told,
            **self._extra_inputs,
        }

    # --- the one door ----------------------------------------------------------------------------------

    def _feed(self, event: ev.Event) -> None:
        """Hide what is personal, trace, decide, do."""
        trace, reception = self.conversation.trace, self._reception
        assert reception is not None
        before = len(trace)
        if reception.hides:
            for hidden in reception.hide(event):
                for command in self.conversation.handle(hidden):
                    self._carry_out(reception.fill(command))
        else:
            for command in self.conversation.handle(event):
                self._carry_out(command)
        if not self._log_due:
            self._log_due = True
            asyncio.get_running_loop().call_later(LOG_EVERY_S, self._write_log)
        if self._recorder is None and not self._listeners and not self._waiting:
            return
        for record in trace[before:]:
            if self._recorder is not None:
                self._recorder.saw(record)
            for listener in self._listeners:
                try:
                    listener(record)
                except Exception:
                    log.exception("a listener failed")
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def _do_feed(self, make: Callable[[float], ev.Event]) -> None:
        self._feed(make(self.clock.now_ms()))

    async def _when(self, happened: Callable[[], bool]) -> None:
        """Wait until something is so; looked at again after every event."""
        while not happened():
            again: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(again)
            try:
                await again
            finally:
                self._waiting.discard(again)

    def _carry_out(self, command: do.Command) -> None:
        match command:
            case do.Speak() | do.EndSpeech() | do.InterruptAvatar():
                self._avatar_orders.put_nowait(command)
            case do.RequestReply():
                task = self._tasks.create_task(self._reply(command))
                self._replies[command.reply_id] = task
                task.add_done_callback(partial(self._reply_done, command.reply_id))
            case do.CancelReply():
                if command.reply_id in self._replies:
                    self._replies.pop(command.reply_id).cancel()
            case do.LoadProfile():
                self._tasks.create_task(self._load_profile())
            case do.SetTimer():
                self._timers.set(command)
            case do.CancelTimer():
                self._timers.cancel(command.timer_id)
            case _:
                pass  # StartListening, Notify, RaiseAlert: listeners read them in the trace

    def _fault_played(self, fault: Fault) -> None:
        """Called in a twin's thread."""
        event = ev.FaultInjected(
            at_ms=self.clock.now_ms(), service=fault.service, kind=fault.kind, note=str(fault)
        )
        with contextlib.suppress(RuntimeError):  # the conversation may have ended meanwhile
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._feed, event)

    def _reply_done(self, reply_id: int, _: asyncio.Task[None]) -> None:
        self._replies.pop(reply_id, None)

    # --- the services ----------------------------------------------------------------------------------

    async def _on_frame(self, pcm: bytes, captured_ms: float) -> None:
        if self._recorder is not None:
            self._recorder.frame(pcm, captured_ms)
        if self._vad is not None:
            self._vad.hear(pcm, captured_ms)
        if self._stt is not None:
            await self._stt.send(pcm, captured_ms)

    async def _warm(self) -> None:
        """Open the model's connection before the first question; a failure will show with that."""
        warm = getattr(self._llm, "warm", None)
        if warm is not None:
            try:
                await warm()
            except Exception as exc:
                log.info("warming the model's connection failed: %s", type(exc).__name__)

    async def _load_profile(self) -> None:
        assert self._reception is not None
        for event in await self._reception.load():
            self._feed(event)

    async def _reply(self, command: do.RequestReply) -> None:
        reception = self._reception
        assert reception is not None
        prompt = reception.prompt(personal=self.conversation.settings.flags.enable_personalization)
        request = ReplyRequest(reply_id=command.reply_id, prompt=prompt, messages=command.messages)
        async with self._llm.reply(request) as events:
            async for event in events:
                if reception.hides and isinstance(event, ev.ReplyStarted):  # known without its person
                    event = replace(event, prompt_hash=reception.logged(prompt).hash)
                self._feed(event)

    async def _keep_stt(self, opened: asyncio.Event) -> None:
        async def use(stt: STTProvider) -> ev.ProviderFailed | None:
            self._stt = stt
            heard = getattr(stt, "needs_sound", True) or self._recorder is not None or self._vad is not None
            self._microphone.always = heard
            try:
                return await self._connections.pump(stt.events())
            finally:
                self._stt = None

        await self._connections.keep("stt", lambda: self.services.stt(self.clock), use, opened)

    async def _keep_avatar(self, opened: asyncio.Event, tts: Any) -> None:
        async def use(avatar: AvatarProvider) -> ev.ProviderFailed | None:
            self._avatar = avatar
            if self._recorder is not None and hasattr(avatar, "on_audio"):
                recorder, rate_hz = self._recorder, tts.rate_hz
                avatar.on_audio = lambda utterance_id, pcm: recorder.sent(utterance_id, pcm, rate_hz)
            try:
                return await self._connections.pump(avatar.events())
            finally:
                self._avatar = None

        await self._connections.keep("avatar", lambda: self.services.avatar(self.clock, tts), use, opened)

    async def _carry_avatar_orders(self) -> None:
        while True:
            order = await self._avatar_orders.get()
            avatar = self._avatar
            if avatar is None:
                if isinstance(order, do.Speak):
                    self._feed(
                        ev.ProviderFailed(
                            at_ms=self.clock.now_ms(),
                            service="avatar",
                            kind="unreachable",
                            message="The avatar is not connected.",
                            hint="wait for it to be connected again.",
                            retryable=True,
                            utterance_id=order.utterance_id,
                        )
                    )
                continue
            match order:
                case do.Speak():
                    await avatar.speak(order.utterance_id, order.piece_no, order.text)
                case do.EndSpeech():
                    await avatar.end_speech(order.utterance_id)
                case do.InterruptAvatar():
                    await avatar.interrupt(order.utterance_id)

    def _write_log(self) -> None:
        self._log_due = False
        self._run_log.append(self.conversation.trace)

    # --- the customer ----------------------------------------------------------------------------------

    async def _say(self, what: str | Sound | Line) -> float:
        """Make a sound, or type; returns when it was over."""
        if isinstance(what, Sound):
            return await self._microphone.play(what)
        line = what if isinstance(what, Line) else Line(text=what)
        if line.typed:
            await self._do_feed(lambda at_ms: ev.TextTyped(at_ms=at_ms, text=line.text))
            return self.clock.now_ms()
        speech = await asyncio.to_thread(line_speech, line, customer_voice())
        if line.sound is None:
            await asyncio.to_thread(self.services.knows, speech)
            expect = getattr(self._stt, "expect", None)
            if expect is not None:  # a simulated recogniser has no ears: it is told
                expect(line, self.clock.now_ms())
        return await self._microphone.play(speech.sound)

    async def _ask(self, what: str | Sound | Line, timeout_s: float) -> Turn:
        await self._until((ConversationState.IDLE,), timeout_s, quiet=True)
        before = self._replies_spoken()
        await self._say(what)
        async with asyncio.timeout(timeout_s):
            await self._when(lambda: self._quiet() and self._replies_spoken() > before)
        from clara_kit.measure.ledger import turns

        return turns(self.conversation.trace)[-1]

    def _quiet(self) -> bool:
        """Nobody speaks, and Clara is not about to."""
        return self.state is ConversationState.IDLE and self.conversation.is_quiet

    def _replies_spoken(self) -> int:
        return sum(
            1
            for r in self.conversation.trace
            if isinstance(r, StateChanged)
            and r.target is ConversationState.IDLE
            and r.source is not ConversationState.USER_SPEAKING
        )

    async def _until(
        self, states: tuple[ConversationState, ...], timeout_s: float, *, quiet: bool = False
    ) -> ConversationState:
        try:
            async with asyncio.timeout(timeout_s):
                await self._when(lambda: self._quiet() if quiet else self.state in states)
        except TimeoutError as exc:
            raise ClaraError(
                f"The state stayed {self.state} for {timeout_s:.0f} s; waited for {', '.join(states)}."
            ) from exc
        return self.state

    async def _play_script(self, script: Script) -> None:
        customer = ScriptedCustomer(script, greeted=bool(self.services.greeting.strip()))
        player = ScriptPlayer(customer, self.clock, self._say)
        self._listeners.append(player.see)
        try:
            await player.play()
            await self._hear_clara_out()
        finally:
            self._listeners.remove(player.see)

    async def _hear_clara_out(self, *, at_most_s: float = 30) -> None:
        """After the last line: wait for Clara's reply and its end, or until it is clear that none comes."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._when(lambda: self.state is ConversationState.AVATAR_SPEAKING)
                await self._when(self._quiet)
        except TimeoutError:
            log.warning("no reply to the last line within %.0f s", at_most_s)


class _HungUp(Exception):
    """Ends the task group; never leaves this module."""


def _first(group: BaseExceptionGroup[ClaraError]) -> ClaraError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ClaraError)
    return error
