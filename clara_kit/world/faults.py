"""What can go wrong, in words that the simulation and every twin understand.

A fault names a service, a kind and the occasion: the n-th connection (stt), request (llm, shop), utterance (tts,
avatar), whatever it says (backup), counted from 1, and how long after its beginning. A refusal by the avatar counts
requests at a door instead, one by the backup those of its sessions. `FaultBox` hands each fault out once, and brings
one into what is running now when it is asked to.

In a simulation each line of the customer's counts as a connection of the recogniser, and so does each attempt to connect
it again; of the avatar's doors, each utterance and each such attempt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from clara_kit.core.errors import ScriptError
from clara_kit.core.events import Service

FaultKind = Literal[
    "refuse",  # answered with `status` instead of service, and by `retry-after` asked to wait `for_ms`, if any
    "cut",  # the connection breaks, without a farewell
    "stall",  # nothing comes for `for_ms` (0: for ever), the connection stays open
    "slow",  # everything comes `for_ms` later
    "error",  # the vendor's own error message in mid-stream, of type `detail` (shop: THROTTLED, PROTECTED, ...)
    "garble",  # a message that no document describes (shop: a page of HTML)
    "no_end",  # the message that ends the utterance or segment never comes
    "duplicate",  # the ending message comes twice
    "premature_end",  # the ending message comes before the end
    "decline",  # the model will not answer: stop reason "refusal", no text
    "truncate",  # the model stops in mid-sentence: stop reason "max_tokens" (shop: part of the data is missing)
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

MAX_OCCASION = 1_000_000
MAX_MS = 3_600_000.0  # an hour: longer than anything lasts that a fault can strike
MAX_DETAIL_CHARS = 200

APPLIES: dict[Service, tuple[FaultKind, ...]] = {
    "stt": ("refuse", "cut", "stall", "slow", "error", "garble", "no_end", "duplicate"),
    "llm": ("refuse", "cut", "stall", "slow", "error", "garble", "decline", "truncate"),
    "tts": ("refuse", "cut", "stall", "slow", "garble"),
    "avatar": ("refuse", "cut", "stall", "slow", "error", "garble", "no_end", "duplicate", "premature_end"),
    "shop": ("refuse", "cut", "stall", "slow", "error", "garble", "truncate"),
    "backup": ("refuse", "cut", "stall", "slow", "garble"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, once."""

    service: Service
    kind: FaultKind
    on: int = 1
    after_ms: float = 0.0
    for_ms: float = 0.0
    status: int = 503
    detail: str = ""

    def __post_init__(self) -> None:
        """Whoever makes one, a script, a person or a request, gets a `ScriptError` for what can be none."""
        known = APPLIES.get(self.service, ()) if isinstance(self.service, str) else ()
        if self.kind not in known:
            vocabulary = "; ".join(f"{s}: {', '.join(k)}" for s, k in APPLIES.items())
            called, of = str(self.kind)[:40], str(self.service)[:40]
            raise ScriptError(f"There is no fault {called!r} for {of!r}.", hint=f"{vocabulary}.")
        whole = all(type(n) is int for n in (self.on, self.status))
        if not whole or not 1 <= self.on <= MAX_OCCASION or not 300 <= self.status <= 599:
            raise ScriptError(
                f"Fault {self.service}/{self.kind}: 'on' is a whole number from 1 to {MAX_OCCASION}, "
                "'status' one from 300 to 599."
            )
        numbers = all(isinstance(ms, int | float) and not isinstance(ms, bool) for ms in (self.after_ms, self.for_ms))
        if not numbers or not all(0 <= ms <= MAX_MS for ms in (self.after_ms, self.for_ms)):
            raise ScriptError(f"Fault {self.service}/{self.kind}: times are numbers from 0 to {MAX_MS} ms.")
        # It may stand in a header, on a terminal and in a run.
        if not isinstance(self.detail, str) or len(self.detail) > MAX_DETAIL_CHARS or not self.detail.isprintable():
            raise ScriptError(
                f"Fault {self.service}/{self.kind}: 'detail' is one line of at most {MAX_DETAIL_CHARS} characters."
            )

    def __str__(self) -> str:
        length = f" for {self.for_ms:.0f} ms" if self.for_ms else ""
        status = f" with status {self.status}" if self.kind == "refuse" else ""
        return f"{self.service}: {self.kind}{status}{length}{f' ({self.detail})' if self.detail else ''}"

    @property
    def retry_after(self) -> dict[str, str]:
        """The header with which a refusal asks to wait, if it does."""
        return {"retry-after": f"{self.for_ms / 1000:g}"} if self.for_ms else {}

    def to_dict(self) -> dict[str, Any]:
        """The fault as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entry: Any) -> Fault:
        """A fault from a mapping of a script; raises `ScriptError` for unknown or malformed fields."""
        names = [f.name for f in fields(cls)]
        if not isinstance(entry, Mapping) or not {"service", "kind"} <= set(entry) <= set(names):
            raise ScriptError("A fault is malformed.", hint=f"fields: {', '.join(names)}.")
        return cls(**entry)


Door = Literal["", "token", "start", "socket"]
"""Where an avatar's session may be refused; the fault's `detail` names it, token unless it does."""
DOORS: tuple[Door, ...] = ("token", "start", "socket")
Watcher = Callable[[Fault], None]
Taker = Callable[[Fault], bool]


class FaultBox:
    """The faults still to come. Twins and the simulation take from it; anyone may add, from any thread."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._waiting = list(faults)
        self._occasions: dict[tuple[Service, Door], int] = {}
        self._running: list[tuple[Service, Taker]] = []
        self._watchers: list[Watcher] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Let `fault` happen too, on the occasion that it names."""
        with self._lock:
            self._waiting.append(fault)

    def inject(self, fault: Fault, *then: Fault) -> Literal["now", "next"]:
        """Let `fault` happen `after_ms` from now in what runs, or else on the next occasion; its `on` is ignored.

        then: each on the next occasion after those before it.
        """
        with self._lock:
            takers = [take for service, take in reversed(self._running) if service == fault.service]
            later = self._queue(then)  # before it strikes: what it breaks may be back before this thread goes on
        taken = any(take(fault) for take in takers)
        if taken:
            self._tell(fault)
            return "now"
        with self._lock:
            left = [one for one in later if one in self._waiting]
            for one in left:
                self._waiting.remove(one)
            self._queue((fault, *left))
        return "next"

    def _queue(self, faults: Iterable[Fault]) -> list[Fault]:
        """Let each happen on the next occasion after those before it; the lock is held."""
        ahead: dict[tuple[Service, Door], int] = {}
        queued = []
        for one in faults:
            where = one.service, _door(one)
            ahead[where] = ahead.get(where, self._occasions.get(where, 0)) + 1
            queued.append(replace(one, on=ahead[where]))
        self._waiting += queued
        return queued

    def mend(self, service: Service) -> int:
        """Let nothing more happen to a service; returns how many faults were still to come."""
        with self._lock:
            before = len(self._waiting)
            self._waiting = [fault for fault in self._waiting if fault.service != service]
            return before - len(self._waiting)

    @contextmanager
    def running(self, service: Service, take: Taker) -> Iterator[None]:
        """While this is entered, injected faults are offered to `take`, in the injector's thread.

        It says whether it plays the fault now; a refusal, say, is too late for what runs already.
        """
        entry = (service, take)
        with self._lock:
            self._running.append(entry)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(entry)

    def next_occasion(self, service: Service, door: Door = "") -> tuple[Fault, ...]:
        """Count one more occasion of a service and take the faults that are due on it."""
        with self._lock:
            occasion = self._occasions[service, door] = self._occasions.get((service, door), 0) + 1
            due = tuple(f for f in self._waiting if f.service == service and f.on == occasion and _door(f) == door)
            for fault in due:
                self._waiting.remove(fault)
        for fault in due:
            self._tell(fault)
        return due

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` with every fault when it is handed out, in the thread of whoever takes it."""
        self._watchers.append(watcher)

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """What has not happened yet."""
        return tuple(self._waiting)

    def _tell(self, fault: Fault) -> None:
        for watcher in tuple(self._watchers):
            watcher(fault)


def _door(fault: Fault) -> Door:
    if fault.service not in ("avatar", "backup") or fault.kind != "refuse":
        return ""
    return "start" if fault.detail == "start" else "socket" if fault.detail == "socket" else "token"


def find(faults: Iterable[Fault], *kinds: FaultKind) -> Fault | None:
    """The first of `faults` that is of one of these kinds."""
    return next((f for f in faults if f.kind in kinds), None)
