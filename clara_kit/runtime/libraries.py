"""The libraries of a conversation's services, which take seconds to import the first time.

Used by the session before it connects anything, and by a desk, which imports them while somebody still looks at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from threading import Lock, Thread
from typing import Any

from clara_kit.core.settings import Mode

LIBRARIES: dict[str, tuple[str, ...]] = {  # what takes long to import, by the service that is not simulated
    "llm": ("anthropic",),
    "stt": ("deepgram.listen.v1.client",),
    "tts": ("deepgram.speak.v1.client",),
    "avatar": ("clara_kit.providers.avatar.liveavatar",),
    "backup": (
        "clara_kit.providers.avatar.full",
        "clara_kit.providers.avatar.sound_only",
        "clara_kit.providers.tts.elevenlabs",
    ),
}
TWINS = "clara_kit.world.twins.every"


async def load(modes: Mapping[str, Mode], over: asyncio.Event, *services: str) -> None:
    """Import the libraries of these; returns at once when it is `over`."""
    needed = [name for one in services if modes.get(one) in ("live", "twin") for name in LIBRARIES[one]]
    needed += [TWINS] * ("twin" in modes.values())
    if not needed:
        return
    pool = ThreadPoolExecutor(1)  # not the loop's own, for whose end the loop waits
    loading = asyncio.get_running_loop().run_in_executor(pool, partial(_import, needed, over.is_set))
    pool.shutdown(wait=False)
    until: asyncio.Future[Any] = asyncio.ensure_future(over.wait())
    await asyncio.wait({loading, until}, return_when=asyncio.FIRST_COMPLETED)
    until.cancel()
    loading.cancel()


_IMPORTING = Lock()  # of two threads in the same libraries, one could see half of a module


def _import(names: Iterable[str], over: Callable[[], bool] = lambda: False) -> None:
    for name in names:
        if not over():
            with _IMPORTING:
                import_module(name)


def load_soon() -> None:
    """Begin to import everything a conversation may need: who looks at a desk will call soon, and should not wait for it."""
    names = [TWINS, *(name for service in ("stt", "tts", "avatar", "llm") for name in LIBRARIES[service])]
    Thread(target=_import, args=(names,), name="clara-libraries", daemon=True).start()
