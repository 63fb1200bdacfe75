"""A customer of a script or a scenario talks to a running conversation, from the first line to the last reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from clara_kit.core.states import ConversationState
from clara_kit.runtime.session import Session
from clara_kit.world.reacting import Reacts, customer_of
from clara_kit.world.script import Line, Script
from clara_kit.world.scripted import ScriptPlayer

log = logging.getLogger("clara_kit.runtime")


async def visit(
    session: Session, plays: Script | Reacts, say: Callable[[Line], Awaitable[float]], **facts: Any
) -> None:
    """Let the customer talk. say: as `ScriptPlayer` has it. What became of one who reacts, and `facts`, are noted."""
    services = session.services
    customer = customer_of(plays, session.door, greeted=bool(services.greeting.strip()), seed=services.seed)
    player = ScriptPlayer(customer, session.clock, say)
    session.listeners.append(player.see)
    try:
        await player.play()
        if not customer.gone:
            await _hear_clara_out(session)
    finally:
        session.listeners.remove(player.see)
        account = customer.account()
        session.note(**facts, **({} if account is None else {"customer": account}))


async def _hear_clara_out(session: Session, *, at_most_s: float = 30) -> None:
    """After the last line: wait for Clara's reply and its end, or until it is clear that none comes."""
    try:
        async with asyncio.timeout(at_most_s):
            await session.when(lambda: session.conversation.state is ConversationState.AVATAR_SPEAKING)
            await session.when(lambda: session.is_quiet)
    except TimeoutError:
        log.warning("no reply to the last line within %.0f s", at_most_s)
