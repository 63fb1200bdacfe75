"""From a customer's sound to the avatar's order to fall silent, over real sockets to the avatar's twin."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from clara_kit import ConversationManager, ConversationState, Settings, compose
from clara_kit.core import events as ev
from clara_kit.world.twins.liveavatar.twin import LiveAvatarTwin

S = ConversationState
DEBOUNCE_MS = 50.0


async def barge_ins(count: int) -> list[float]:
    """How much later than the end of the debounce the twin has the order in its hands, ms.

    The sound's event is put into the conversation's loop; the clock of the kit and that of the twin's loop are the
    same monotonic clock of the system.
    """
    settings = Settings.of(greeting="", barge_in_debounce_ms=DEBOUNCE_MS, after_false_interruption="end")
    with tempfile.TemporaryDirectory() as folder:
        clara = ConversationManager(compose(settings=settings, profile="fast"), record=False, log_root=Path(folder))
        sounds: list[float] = []
        async with clara:
            loop = clara._loop
            assert loop is not None and clara.services.twins is not None
            twin = next(t for t in clara.services.twins._twins if isinstance(t, LiveAvatarTwin))

            async def sound() -> None:
                now = clara.clock.now_ms()
                sounds.append(loop.time())
                clara._session.feed(ev.SpeechStarted(at_ms=now, source="vad", sound_at_ms=now))

            async def no_words() -> None:
                now = clara.clock.now_ms()
                clara._session.feed(ev.SpeechEnded(at_ms=now, source="vendor", sound_at_ms=now))

            for _ in range(count):
                await clara.type("¿Hacen despachos a regiones?")
                await clara.until(S.AVATAR_SPEAKING)
                await asyncio.sleep(0.1)
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(sound(), loop))
                await clara.until(S.INTERRUPTED)
                await asyncio.sleep(0.05)
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(no_words(), loop))
                await clara.until(S.IDLE)
        session = next(iter(twin.sessions.values()))
        orders = [m.at_s for m in session.messages if m.type == "agent.interrupt"]
    assert len(orders) == len(sounds)
    return [(order - begun) * 1000 - DEBOUNCE_MS for begun, order in zip(sounds, orders, strict=True)]
