"""LiveAvatar's own assistant in a room that tells too little, too much, or in another order than the twin's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderUnavailable
from clara_kit.providers.avatar.full import LiveAvatarFull
from clara_kit.providers.avatar.full_protocol import CONTROL, RESPONSE, Words, parse
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import now_s
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR, LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer

ENDS = ev.SpeakingEnded | ev.SpeakingInterrupted | ev.ProviderFailed


class Scripted:
    """A room in which a test is the assistant."""

    def __init__(self) -> None:
        self.on_data: Callable[[str, bytes], object] = lambda topic, payload: None
        self.on_audio: Callable[[bytes], object] = lambda pcm: None
        self.on_closed: Callable[[str], object] = lambda why: None
        self.ordered: list[dict[str, Any]] = []
        self.came = asyncio.Event()
        self.blocks = False
        self.breaks = False

    async def connect(self, url: str, token: str, *, others: tuple[str, ...] = ()) -> None:
        return

    async def publish(self, topic: str, payload: bytes) -> None:
        assert topic == CONTROL
        if self.breaks:
            raise ProviderUnavailable("The room is closed.", kind="cut")
        if self.blocks:
            await asyncio.sleep(3600)
        self.ordered.append(json.loads(payload))
        self.came.set()

    async def send_audio(self, pcm: bytes) -> None:
        if self.breaks:
            raise ProviderUnavailable("The room is closed.", kind="cut")

    async def close(self) -> None:
        if self.blocks:
            await asyncio.sleep(3600)

    async def order(self, kind: str) -> str:
        """Wait for a command; its id."""
        async with asyncio.timeout(30):
            while not any(o["event_type"] == kind for o in self.ordered):
                self.came.clear()
                await self.came.wait()
        found = next(o for o in self.ordered if o["event_type"] == kind)
        self.ordered.remove(found)
        return str(found["event_id"])

    def tell(self, kind: str, source: str | None = None, **fields: Any) -> None:
        message = {"event_type": kind, "event_id": "e", "session_id": "s", "source_event_id": source, **fields}
        self.on_data(RESPONSE, json.dumps(message).encode())


@asynccontextmanager
async def backup(**options: Any) -> AsyncIterator[tuple[LiveAvatarFull, Scripted]]:
    room = Scripted()
    async with TwinServer([LiveAvatarTwin(TwinContext(profile=LatencyProfile.load("fast")))]) as server:
        async with LiveAvatarFull(
            api_key="test-key", clock=MonotonicClock(), avatar_id=SANDBOX_AVATAR, prompt="Eres Clara.", room=room,
            base_url=server.addresses["liveavatar"]["base_url"],
            timing=Timing(end_margin_ms=80, ack_timeout_ms=300, start_timeout_ms=2000), **options,
        ) as made:  # fmt: skip
            yield made, room


async def up_to(events: AsyncIterator[ev.Event], utterance_id: int) -> list[ev.Event]:
    seen: list[ev.Event] = []
    async with asyncio.timeout(120):
        async for event in events:
            seen.append(event)
            if isinstance(event, ENDS) and event.utterance_id == utterance_id:
                break
    return seen


def one(seen: list[ev.Event], kind: type[ev.Event]) -> Any:
    (found,) = [event for event in seen if isinstance(event, kind)]
    return found


async def test_an_end_without_a_beginning_is_believed_of_the_order_it_names_and_the_beginning_is_estimated() -> None:
    async with backup() as (far, room):
        await far.ask(1, 1, 1, "Hola")
        order = await room.order("avatar.speak_response")
        room.tell("avatar.speak_ended")  # of whatever was before
        room.tell("avatar.transcription", order, text="Buenas.")
        room.tell("avatar.speak_ended", order)
        seen = await up_to(far.events(), 1)
        assert one(seen, ev.SpeakingStarted).estimated and isinstance(seen[-1], ev.SpeakingEnded)


async def test_an_end_that_never_comes_is_estimated_and_silence_is_ordered() -> None:
    async with backup() as (far, room):
        await far.speak(1, 0, "Hola.")
        await far.end_speech(1)
        room.tell("avatar.speak_started", await room.order("avatar.speak_text"))
        began_s = now_s()
        seen = await up_to(far.events(), 1)
        assert isinstance(seen[-1], ev.SpeakingEnded) and 7 < now_s() - began_s < 12
        assert await room.order("avatar.interrupt")


async def test_words_that_come_as_chunks_and_as_a_whole_are_told_once() -> None:
    async with backup() as (far, room):
        await far.ask(1, 1, 1, "Hola")
        order = await room.order("avatar.speak_response")
        room.tell("avatar.transcription.chunk", order, text="Hola,")
        room.tell("avatar.speak_started", order)
        room.tell("avatar.speak_started", order)
        room.tell("avatar.transcription.chunk", order, text="Hola, ¿qué")
        room.tell("avatar.transcription", order, text="Hola, ¿qué tal?")
        room.tell("avatar.transcription", order, text="Soy Clara.")
        room.tell("avatar.speak_ended", order)
        room.tell("avatar.speak_ended", order)
        seen = await up_to(far.events(), 1)
        assert "".join(e.text for e in seen if isinstance(e, ev.ReplyDelta)) == "Hola, ¿qué tal? Soy Clara."
        assert one(seen, ev.SpeakingStarted) and isinstance(seen[-1], ev.SpeakingEnded)


async def test_an_answer_that_never_begins_fails_and_one_that_comes_late_is_silenced() -> None:
    async with backup() as (far, room):
        events = far.events()
        await far.ask(1, 2, 3, "Hola")
        first = await room.order("avatar.speak_response")
        room.tell("avatar.transcription", first, text="Un momento")  # it is alive
        failed = (await up_to(events, 3))[-1]
        assert isinstance(failed, ev.ProviderFailed) and failed.kind == "stalled" and failed.reply_id == 2
        await room.order("avatar.interrupt")
        room.tell("avatar.speak_started", first)
        room.tell("avatar.speak_ended", first)
        await room.order("avatar.interrupt")
        await far.ask(2, 3, 4, "Hola")
        second = await room.order("avatar.speak_response")
        room.tell("avatar.speak_started", second)
        room.tell("avatar.transcription", second, text="Hola.")
        room.tell("avatar.speak_ended", second)
        assert isinstance((await up_to(events, 4))[-1], ev.SpeakingEnded)


async def test_an_interrupt_that_is_not_confirmed_counts_after_a_while_and_a_late_start_is_silenced_again() -> None:
    async with backup() as (far, room):
        events = far.events()
        await far.ask(1, 1, 1, "Hola")
        first = await room.order("avatar.speak_response")
        await far.interrupt(1)
        await room.order("avatar.interrupt")
        room.tell("avatar.speak_started", first)
        await room.order("avatar.interrupt")
        seen = await up_to(events, 1)
        assert isinstance(seen[-1], ev.SpeakingInterrupted) and seen[-1].estimated
        await far.ask(2, 2, 2, "Hola")
        second = await room.order("avatar.speak_response")
        room.tell("avatar.speak_ended", first)
        room.tell("avatar.transcription", first, text="Lo de antes.")
        room.tell("avatar.speak_started", second)
        room.tell("avatar.transcription", second, text="Lo de ahora.")
        room.tell("avatar.speak_ended", second)
        assert one(await up_to(events, 2), ev.ReplyDelta).text == "Lo de ahora."


async def test_what_it_answers_by_itself_and_nobody_asks_for_is_silenced_after_a_while() -> None:
    async with backup(hears=True) as (far, room):
        room.tell("user.speak_started")
        room.tell("user.speak_ended")
        room.tell("user.transcription", text="Mmm")
        room.tell("avatar.transcription", text="¿Sí?")
        room.tell("avatar.speak_started")
        began_s = now_s()
        await room.order("avatar.interrupt")
        assert 3 < now_s() - began_s < 8
        await far.ask(1, 1, 1, "¿Hola?", heard=True)  # the next one
        room.tell("avatar.speak_ended")
        room.tell("user.transcription", text="¿Hola?")
        room.tell("avatar.speak_started")
        room.tell("avatar.transcription", text="Aquí estoy.")
        room.tell("avatar.speak_ended")
        seen = await up_to(far.events(), 1)
        assert one(seen, ev.ReplyDelta).text == "Aquí estoy." and isinstance(seen[-1], ev.SpeakingEnded)


async def test_its_answer_to_an_interruption_is_heard_also_where_the_interruption_was_never_confirmed() -> None:
    async with backup(hears=True) as (far, room):
        events = far.events()
        await far.speak(1, 0, "Hacemos despachos a todas las regiones.")
        first = await room.order("avatar.speak_text")
        room.tell("avatar.speak_started", first)
        room.tell("user.speak_started")
        await far.interrupt(1)
        room.tell("user.speak_ended")
        room.tell("user.transcription", text="¿Cuánto cuesta?")
        room.tell("avatar.speak_started")
        await far.ask(2, 2, 2, "¿Cuánto cuesta?", heard=True)
        room.tell("avatar.transcription", text="Doce mil pesos.")
        room.tell("avatar.speak_ended")
        seen = await up_to(events, 2)
        told = [(type(e), e.utterance_id) for e in seen if isinstance(e, ENDS | ev.SpeakingStarted)]
        assert told[1:] == [(ev.SpeakingInterrupted, 1), (ev.SpeakingStarted, 2), (ev.SpeakingEnded, 2)]
        assert one(seen, ev.ReplyDelta).text == "Doce mil pesos."
        assert [o["event_type"] for o in room.ordered] == ["avatar.interrupt"]


async def test_what_speaks_unasked_in_a_session_that_does_not_hear_is_silenced_and_tells_nothing() -> None:
    async with backup() as (far, room):
        room.tell("avatar.speak_started")
        await room.order("avatar.interrupt")
        room.tell("user.speak_started")
        room.tell("user.transcription", text="Hola")
        await far.ask(1, 1, 1, "Hola")
        order = await room.order("avatar.speak_response")
        room.tell("avatar.speak_started", order)
        room.tell("avatar.speak_ended", order)
        seen = await up_to(far.events(), 1)
        assert not any(isinstance(e, ev.TranscriptFinal | ev.SpeechStarted) for e in seen)


@pytest.mark.parametrize("reason", [{"end_reason": "IDLE_TIMEOUT"}, {"stop_reason": "IDLE_TIMEOUT"}])
async def test_the_vendors_reason_for_an_end_is_told_by_either_of_its_names(reason: dict[str, str]) -> None:
    async with backup() as (far, room):
        room.tell("session.stopped", **reason)
        seen = [event async for event in far.events()]
        assert "idle, timeout" in one(seen, ev.ProviderFailed).message


async def test_a_room_that_breaks_while_it_is_spoken_to_ends_the_session_once() -> None:
    async with backup(hears=True) as (far, room):
        room.breaks = True
        await far.ask(1, 2, 3, "Hola")
        await far.send(bytes(640), 0.0)
        seen = [event async for event in far.events()]
        failed = [event for event in seen if isinstance(event, ev.ProviderFailed)]
        assert [(f.utterance_id, f.reply_id) for f in failed] == [(3, 2), (None, None)]
        await far.ask(2, 3, 4, "Hola")
        await far.interrupt(3)
        await far.send(bytes(640), 0.0)


@pytest.mark.wall
async def test_a_room_that_takes_nothing_holds_up_nobody() -> None:
    async with backup() as (far, room):
        await far.ask(1, 1, 1, "Hola")
        room.tell("avatar.speak_started", await room.order("avatar.speak_response"))
        room.blocks = True
        began_s = now_s()
        await far.interrupt(1)
        assert now_s() - began_s < 1
        began_s = now_s()
    assert now_s() - began_s < 2  # the twin's own end is in it


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        lambda x: json.dumps(x).encode()
    )
)
@settings(max_examples=60)
def test_no_message_breaks_the_reader(raw: bytes) -> None:
    assert parse(raw) is None


@given(st.lists(st.sampled_from(["Hola,", "¿qué", "tal?", "Sí.", "No"]), min_size=1), st.booleans())
def test_chunks_of_either_kind_give_the_same_text(parts: list[str], cumulative: bool) -> None:
    words, told = Words(), ""
    for at, part in enumerate(parts):
        new = f" {part}" if at else part
        told += words.chunk(" ".join(parts[: at + 1]) if cumulative else new)
    told += words.said(" ".join(parts))
    assert told == " ".join(parts)
