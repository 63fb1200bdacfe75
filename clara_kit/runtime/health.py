"""What the conversations of this process have found out about each vendor: one tells, the others need not fail first.

Between the sessions, which live in threads of their own. Kept by address, so that two twins, or a twin and its vendor,
are not taken for one; what is simulated has no address, and no health that anybody shares. Decides nothing: a circuit
is opened and closed by a conversation, and told to the others as `HealthTold`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.talk import Health
from clara_kit.core import commands as do
from clara_kit.core.clock import Clock
from clara_kit.core.events import Circuit, Event, HealthTold, Service
from clara_kit.world.pace import now_s

Watcher = Callable[[str, Circuit, str], object]


@dataclass(frozen=True, slots=True)
class _Trouble:
    why: str
    until_s: float  # after this it may be tried


class SharedHealth:
    """Of all vendors in one process. May be asked and told from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._troubles: dict[str, _Trouble] = {}
        self._watchers: list[Watcher] = []

    def circuit(self, address: str) -> tuple[Circuit, str]:
        """How the service at an address fares, and why, for whoever begins now."""
        with self._lock:
            trouble = self._troubles.get(address)
        if trouble is None:
            return "closed", ""
        return ("open" if now_s() < trouble.until_s else "half_open"), trouble.why

    def learn(self, address: str, health: Health, why: str, *, open_ms: float, by: Watcher | None = None) -> None:
        """A conversation has opened or closed a circuit; all who watch are told, but not `by`.

        open_ms: how long it stays open the first time; twice as long each time that a try failed.
        """
        if not address or health.circuit == "half_open":  # one tries: that is nothing the others should know
            return
        with self._lock:
            known = address in self._troubles
            if health.circuit == "open":
                until_s = now_s() + open_ms / 1000 * 2 ** max(0, min(health.openings, 8) - 1)
                self._troubles[address] = _Trouble(why, until_s)
            else:
                self._troubles.pop(address, None)
            watchers = [watcher for watcher in self._watchers if watcher != by]
        if known != (health.circuit == "open"):
            for watcher in watchers:
                watcher(address, health.circuit, why)

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher(address, circuit, why)` on each change, in the thread of whoever found out; it must not raise."""
        with self._lock:
            self._watchers.append(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Tell it no more."""
        with self._lock:
            self._watchers = [one for one in self._watchers if one != watcher]

    def forget(self, base: str = "") -> None:
        """Nothing is known any more of addresses that begin so: a server that is gone may have another's port."""
        with self._lock:
            self._troubles = {one: t for one, t in self._troubles.items() if not one.startswith(base)}


HEALTH = SharedHealth()
"""The one of this process."""

_SHARED: tuple[Service, ...] = ("stt", "llm", "tts", "avatar")


class Share:
    """One conversation's part in it, in its own event loop. whose: the address of a service as it is now."""

    def __init__(
        self,
        conversation: Conversation,
        whose: Callable[[Service], str],
        feed: Callable[[Event], object],
        clock: Clock,
        *,
        health: SharedHealth = HEALTH,
    ) -> None:
        self._conversation, self._whose, self._feed, self._clock = conversation, whose, feed, clock
        self._health, self._loop = health, asyncio.get_running_loop()
        self._known: dict[Service, Circuit] = {}  # of what is not closed, as everybody knows it
        self._why: dict[Service, str] = {}

    def begin(self) -> None:
        """Tell the conversation what it is born into, and from now on what changes."""
        self._health.watch(self._changed)
        for service in _SHARED:
            if (address := self._whose(service)) and self._health.circuit(address)[0] == "open":
                self._tell(service, *self._health.circuit(address))

    def switched(self, command: do.SwitchTo) -> None:
        """It passes a service by, or trusts it again."""
        if command.service in _SHARED:
            self._known.setdefault(command.service, "closed")
            self._why[command.service] = command.reason

    def saw(self) -> None:
        """After every event: has a circuit changed?"""
        for service in tuple(self._known):
            health = self._conversation.talk.services.get(service)
            if health is None or health.circuit == self._known[service]:
                continue
            self._known[service] = health.circuit
            open_ms = self._conversation.settings.fallback_open_ms
            self._health.learn(self._whose(service), health, self._why[service], open_ms=open_ms, by=self._changed)

    def close(self) -> None:
        """It hears and tells no more."""
        self._health.leave(self._changed)

    def _changed(self, address: str, circuit: Circuit, why: str) -> None:
        """Called in another conversation's thread."""
        with contextlib.suppress(RuntimeError):  # this one's loop may be closed
            self._loop.call_soon_threadsafe(self._told, address, circuit, why)

    def _told(self, address: str, circuit: Circuit, why: str) -> None:
        for service in _SHARED:
            if self._whose(service) == address:
                self._tell(service, circuit, why)

    def _tell(self, service: Service, circuit: Circuit, why: str) -> None:
        self._known[service], self._why[service] = circuit, why
        self._feed(HealthTold(at_ms=self._clock.now_ms(), service=service, circuit=circuit, why=why))
