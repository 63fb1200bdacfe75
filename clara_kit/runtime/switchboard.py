"""Who hears, who speaks and whom to ask now: the lines of one conversation, and what was ordered of them.

Between the session and the providers. Everything here is told by commands (`Connect`, `SwitchTo`, `OpenBackup`, …) and
tells what came of it by events; when is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from msgspec.structs import replace

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ClaraError, ProviderUnavailable
from clara_kit.runtime.connections import Connection, as_failure
from clara_kit.runtime.hearing import Hearing
from clara_kit.runtime.models import Models
from clara_kit.runtime.orders import Orders
from clara_kit.runtime.services import Services
from clara_kit.runtime.voice import ExchangedVoice

PROBE_S = 3.0  # a service that takes longer to say that it is there is not


class Switchboard:
    """See above.

    open_backup: makes the backup that was ordered, not yet entered. shown: told who speaks and who hears when one changes.
    """

    def __init__(
        self,
        services: Services,
        clock: Clock,
        feed: Callable[[ev.Event], object],
        models: Models,
        *,
        open_backup: Callable[[do.OpenBackup, bool], AbstractAsyncContextManager[Any]],
        shown: Callable[[Any, Any], object],
    ) -> None:
        self._clock, self._feed, self._models, self._shown = clock, feed, models, shown
        self.voice = ExchangedVoice(services.tts(clock), partial(services.other_voice, clock))
        self.orders = Orders(clock, feed)
        self.hearing = Hearing()
        self._there: dict[str, Any] = {}  # who is connected, by line
        self._in_place: dict[ev.Service, do.Target] = {}  # of a service
        self._ordered: do.OpenBackup
        self.prompt_hash = services.prompt.hash
        """Of what the backup was told, as the log may know it."""
        self._probes: dict[ev.Service, asyncio.Task[None]] = {}

        def line(name: str, service: ev.Service, make: Callable[[], Any], **kind: bool) -> Connection:
            return Connection(service, make, partial(self._entered, name), self._told, clock, **kind)

        needed = {"needed": True, "spared": services.settings.flags.enable_auto_fallback}
        self._lines = {
            "stt": line("stt", "stt", lambda: services.stt(clock), **needed),
            "avatar": line("avatar", "avatar", lambda: services.avatar(clock, self.voice), **needed),
            "backup": line("backup", "backup", lambda: open_backup(self._ordered, self._listens)),
            "sound": line("sound", "avatar", lambda: services.sound_only(clock, self.voice), quiet=True),
        }

    @property
    def hands(self) -> dict[type, Callable[[Any], object]]:
        """What is done here, by command."""
        return {
            do.Speak: self.orders.put,
            do.EndSpeech: self.orders.put,
            do.AskBackup: self.orders.put,
            do.InterruptAvatar: self.orders.interrupt,
            do.Duck: self.orders.duck,
            do.WakeAvatar: self.orders.wake,
            do.Connect: lambda command: self._lines[command.service].connect(),
            do.Disconnect: lambda command: self._disconnect(command.service),
            do.OpenBackup: self._open_backup,
            do.CloseBackup: lambda _: self._close_backup(),
            do.ProbePrimary: self._probe,
        }

    async def connect(self, tasks: asyncio.TaskGroup) -> None:
        """Connect recogniser and avatar; raises by the group where one of them cannot."""
        self._tasks = tasks
        for connection in self._lines.values():
            connection.begin(tasks)
        for service in ("stt", "avatar"):
            self._lines[service].connect()
        for service in ("stt", "avatar"):
            await self._lines[service].opened.wait()
        tasks.create_task(self.orders.carry_out())
        tasks.create_task(self.hearing.catch_up())

    # --- who is there ------------------------------------------------------------------------------------

    def _entered(self, name: str, provider: Any) -> None:
        was = self._there.get(name)
        self._there[name] = provider
        if provider is None:
            self.orders.gone(was)
        if name == "avatar" and was is not None and self._there.get("backup") is was:  # it was both
            self._there["backup"] = None
            self._fails("backup", ProviderUnavailable("The avatar's session is gone.", kind="cut"))
        self._settle()

    def _settle(self) -> None:
        """Everybody who is there, at their place."""
        there, target = self._there, self._in_place.get("avatar", "")
        avatar = there.get(target if target in ("backup", "sound") else "avatar")
        ear = there.get("backup" if self._listens else "stt")
        changes = avatar is not self.orders.avatar or ear is not self.hearing.ear
        self.orders.avatar = avatar
        if avatar is not None or target != "sound":
            self.orders.coming.set()
        self.orders.backup = backup = there.get("backup")
        if backup is not None and backup.hears != self._listens:
            backup.hears = self._listens
        self.hearing.use(ear, waits=self._listens)
        if changes:
            self._shown(avatar, ear)

    def _told(self, event: ev.Event) -> None:
        if type(event) in (ev.TranscriptInterim, ev.TranscriptFinal):
            self.hearing.words(event.at_ms)
        elif isinstance(event, ev.ReplyStarted):
            event = replace(event, prompt_hash=self.prompt_hash)
        else:
            self.orders.saw(event)
        self._feed(event)

    @property
    def _listens(self) -> bool:
        return self._in_place.get("stt") == "backup"

    # --- orders ------------------------------------------------------------------------------------------

    def switch(self, command: do.SwitchTo) -> None:
        """Put somebody else in a service's place, or whoever was there first."""
        service, target = command.service, command.target
        self._in_place[service] = target
        if service == "stt" and target == "backup":
            self._leave("stt")  # what it has not understood, the backup hears
        elif service == "tts":
            try:
                self.voice.exchange(other=target == "other")
            except ClaraError as exc:
                self._fails("tts", exc)
        elif service == "avatar" and target == "sound":
            self._leave("avatar")  # what else breaks of it is of no interest
            if not self._lines["sound"].works:  # it costs nothing, and stays
                self.orders.coming.clear()
                self._lines["sound"].connect()
        self._settle()

    def _disconnect(self, service: str) -> None:
        if self._there.get(service) is None or self._there[service] is not self._there.get("backup"):
            self._leave(service)

    def _leave(self, name: str) -> None:
        """On purpose: what it spoke is cut, and its own word for that will not be heard."""
        for who in self.orders.given(self._there.get(name)):
            self._soon(ev.SpeakingInterrupted(at_ms=self._clock.now_ms(), utterance_id=who, estimated=True))
        self._lines[name].disconnect()

    def _open_backup(self, command: do.OpenBackup) -> None:
        """One session: another order finds it open, or on its way."""
        avatar = self._there.get("avatar")
        if hasattr(avatar, "ask"):  # the avatar's session can do both
            self._there["backup"] = avatar
            self._soon(ev.ProviderRecovered(at_ms=self._clock.now_ms(), service="backup"))
            self._settle()
        elif not self._lines["backup"].works:
            self._ordered = command
            self._lines["backup"].connect()

    def _close_backup(self) -> None:
        if self._there.get("backup") is self._there.get("avatar"):
            self._there["backup"] = None
        self._leave("backup")
        self._settle()

    # --- trials ------------------------------------------------------------------------------------------

    def _probe(self, command: do.ProbePrimary) -> None:
        service = command.service
        if service in self._lines and not self._lines[service].works:
            self._lines[service].connect()
        elif service not in self._probes:
            work = {"llm": self._models.probe, "tts": self.voice.probe}.get(service, _nothing)
            task = self._probes[service] = self._tasks.create_task(self._try(service, work))
            task.add_done_callback(lambda _: self._probes.pop(service, None))

    async def _try(self, service: ev.Service, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            async with asyncio.timeout(PROBE_S):
                await work()
        except TimeoutError:
            self._fails(service, ProviderUnavailable(f"The {service} did not answer a trial.", kind="stalled"))
        except Exception as exc:
            self._fails(service, exc)
        else:
            self._feed(ev.ProviderRecovered(at_ms=self._clock.now_ms(), service=service))

    def _fails(self, service: ev.Service, exc: Exception) -> None:
        self._soon(ev.ProviderFailed.of(as_failure(exc, service), service, self._clock.now_ms()))

    def _soon(self, event: ev.Event) -> None:
        """After the other orders that were given with this one."""
        asyncio.get_running_loop().call_soon(self._feed, event)


async def _nothing() -> None:
    """Where there is nothing to try, the next turn is the trial."""
