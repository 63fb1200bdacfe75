"""LiveAvatarLite against the kit's own twin of LiveAvatar: both ends of one wire, each in its own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from clara_kit.core.errors import ProviderRefused, ProviderUnavailable
from clara_kit.core.events import Event, ProviderFailed, SpeakingEnded, SpeakingInterrupted, SpeakingStarted
from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.pace import now_s
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.liveavatar.twin import SANDBOX_AVATAR, LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer

DIALECTS = ["speak_events", "state_updates", "both"]


class RealClock:
    def now_ms(self) -> float:
        return now_s() * 1000


class ToneTTS:
    """So many milliseconds of sound for each piece as the piece says."""

    rate_hz = 24_000

    @asynccontextmanager
    async def speak(self, pieces: AsyncIterator[str]) -> AsyncIterator[AsyncIterator[AudioChunk | PiecesVoiced]]:
        yield self._stream(pieces)

    async def _stream(self, pieces: AsyncIterator[str]) -> AsyncIterator[AudioChunk | PiecesVoiced]:
        count, total_ms = 0, 0
        async for piece in pieces:
            count, total_ms = count + 1, total_ms + int(piece)
            yield AudioChunk(b"\x05\x00" * (24 * int(piece)))
            yield PiecesVoiced(count, total_ms)

    async def aclose(self) -> None:
        return


@asynccontextmanager
async def twin(
    *faults: Fault, dialect: Any = "speak_events", **options: Any
) -> AsyncIterator[tuple[TwinServer, LiveAvatarTwin]]:
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=FaultBox(faults))
    far = LiveAvatarTwin(context, dialect=dialect, **{"connected_after_ms": 5.0, **options})
    async with TwinServer([far]) as server:
        yield server, far


def avatar_at(server: TwinServer, *, start_timeout_ms: float = 2000, **options: Any) -> LiveAvatarLite:
    defaults: dict[str, Any] = {"api_key": "test-key"}
    return LiveAvatarLite(
        tts=ToneTTS(),
        clock=RealClock(),
        avatar_id=SANDBOX_AVATAR,
        base_url=server.addresses["liveavatar"]["base_url"],
        timing=Timing(end_margin_ms=80, ack_timeout_ms=200, start_timeout_ms=start_timeout_ms),
        **{**defaults, **options},
    )


async def until_last(events: AsyncIterator[Event], utterance_id: int) -> list[Event]:
    """The utterance's events up to its end."""
    seen: list[Event] = []
    async with asyncio.timeout(8):
        async for event in events:
            if getattr(event, "utterance_id", None) == utterance_id:
                seen.append(event)
            if seen and isinstance(seen[-1], SpeakingEnded | SpeakingInterrupted | ProviderFailed):
                break
    return seen


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_twin_plays_every_sample_and_both_ends_agree_on_when(dialect: str) -> None:
    async with twin(dialect=dialect) as (server, far), avatar_at(server) as avatar:
        events = avatar.events()
        for utterance_id in (1, 2):
            for piece_no, text in enumerate(("150", "120")):
                await avatar.speak(utterance_id, piece_no, text)
            await avatar.end_speech(utterance_id)
            seen = await until_last(events, utterance_id)
            assert isinstance(seen[-1], SpeakingEnded)
            assert not seen[-1].estimated
        session = next(iter(far.sessions.values()))
        assert [u.samples for u in session.utterances] == [270 * 24, 270 * 24]
        assert [u.underruns for u in session.utterances] == [0, 0]
        assert not any(m.dropped for m in session.messages)
    assert session.state == "ended"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_interruption_in_the_middle_is_in_the_middle(dialect: str) -> None:
    async with twin(dialect=dialect) as (server, far), avatar_at(server) as avatar:
        events = avatar.events()
        await avatar.speak(1, 0, "8000")
        async for event in events:
            if isinstance(event, SpeakingStarted):
                break
        await asyncio.sleep(0.15)
        await avatar.interrupt(1)
        assert isinstance((await until_last(events, 1))[-1], SpeakingInterrupted)
        await avatar.speak(2, 0, "60")
        await avatar.end_speech(2)
        assert isinstance((await until_last(events, 2))[-1], SpeakingEnded)
        first, second = next(iter(far.sessions.values())).utterances
        assert first.interrupted
        assert 100 * 24 < first.samples < 400 * 24
        assert first.received_samples <= 3000 * 24
        assert second.samples == 60 * 24


async def test_the_lead_is_at_most_three_seconds() -> None:
    async with twin() as (server, far), avatar_at(server) as avatar:
        await avatar.speak(1, 0, "9000")
        session = next(iter(far.sessions.values()))
        for _ in range(12):
            await asyncio.sleep(0.1)
            for utterance in session.utterances:
                assert utterance.received_samples - utterance.samples <= 3040 * 24  # it counts in frames
        assert utterance.received_samples >= 3400 * 24
        await avatar.interrupt(1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("no_end", SpeakingEnded),
        ("duplicate", SpeakingEnded),
        ("premature_end", SpeakingEnded),
        ("garble", SpeakingEnded),
        ("error", SpeakingEnded),
        ("slow", SpeakingEnded),
        ("cut", ProviderFailed),
        ("stall", ProviderFailed),
    ],
)
@pytest.mark.parametrize("dialect", ["speak_events", "state_updates"])
async def test_every_fault_of_an_utterance_comes_to_one_end(kind: Any, expected: type[Event], dialect: str) -> None:
    fault = Fault(
        service="avatar", kind=kind, after_ms=0 if kind == "stall" else 40, for_ms=80 if kind == "slow" else 0
    )
    async with twin(fault, dialect=dialect) as (server, _), avatar_at(server, start_timeout_ms=500) as avatar:
        events = avatar.events()
        await avatar.speak(1, 0, "200")
        await avatar.end_speech(1)
        seen = await until_last(events, 1)
        assert isinstance(seen[-1], expected)


async def test_the_sandbox_minute_ends_the_session_with_a_word() -> None:
    async with twin(sandbox_limit_s=0.2) as (server, _), avatar_at(server) as avatar:
        await avatar.speak(1, 0, "5000")
        async with asyncio.timeout(3):
            failures = [e async for e in avatar.events() if isinstance(e, ProviderFailed)]
        assert [f.utterance_id for f in failures] == [1, None]
        assert "sandbox" in failures[-1].hint


async def test_a_twin_that_is_killed_in_mid_sentence_is_told_as_a_cut() -> None:
    async with twin() as (server, _), avatar_at(server) as avatar:
        await avatar.speak(1, 0, "5000")
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.kill)
        async with asyncio.timeout(3):
            failures = [e async for e in avatar.events() if isinstance(e, ProviderFailed)]
        assert [(f.utterance_id, f.kind) for f in failures] == [(1, "cut"), (None, "cut")]


async def test_refusals_at_the_door_are_explained() -> None:
    async with twin() as (server, _):
        with pytest.raises(ProviderRefused, match="refused the key"):
            async with avatar_at(server, api_key="another-key"):
                pass
    async with twin(Fault(service="avatar", kind="refuse", status=503, detail="start")) as (server, _):
        with pytest.raises(ProviderUnavailable, match="503"):
            async with avatar_at(server):
                pass


async def woken(seed: int, *, early_s: float | None, dialect: str = "speak_events") -> tuple[float, list[Event], Any]:
    """How long after its order an utterance was heard, what it told, and what the twin saw of it."""
    context = TwinContext(profile=LatencyProfile.load("optimistic"), seed=seed)
    far = LiveAvatarTwin(context, dialect=dialect, connected_after_ms=5.0)  # type: ignore[arg-type]
    async with TwinServer([far]) as server, avatar_at(server) as avatar:
        events = avatar.events()
        await asyncio.sleep(0.1)
        if early_s is not None:
            avatar.wake(True)
            avatar.wake(True)
            await asyncio.sleep(early_s)
        ordered_ms = now_s() * 1000
        await avatar.speak(1, 0, "500")
        await avatar.end_speech(1)
        seen = await until_last(events, 1)
        utterances = list(next(iter(far.sessions.values())).utterances)
        await avatar.speak(2, 0, "60")
        await avatar.end_speech(2)
        assert isinstance((await until_last(events, 2))[-1], SpeakingEnded)
    (started,) = (e for e in seen if isinstance(e, SpeakingStarted))
    return started.at_ms - ordered_ms, seen, utterances


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_avatar_that_was_woken_begins_when_there_is_sound_and_not_before(dialect: str) -> None:
    asleep_ms, *_ = await woken(1, early_s=None)
    for early_s, wait_ms in ((2.0, 0.0), (0.4, asleep_ms - 400 + 100)):
        took_ms, seen, (played,) = await woken(1, early_s=early_s, dialect=dialect)
        assert took_ms == pytest.approx(wait_ms, abs=60)
        assert isinstance(seen[-1], SpeakingEnded) and not seen[-1].estimated
        assert played.samples == (100 + 500) * 24, "the silence and the sound are one utterance"
        assert seen[-1].at_ms - next(e.at_ms for e in seen if isinstance(e, SpeakingStarted)) == pytest.approx(
            500, abs=60
        )


async def test_a_waking_that_nothing_follows_leaves_nothing_behind() -> None:
    async with twin() as (server, far), avatar_at(server) as avatar:
        events = avatar.events()
        await asyncio.sleep(0.1)
        avatar.wake(True)
        await asyncio.sleep(0.3)
        avatar.wake(False)
        avatar.wake(False)
        await asyncio.sleep(0.3)
        await avatar.speak(1, 0, "200")
        await avatar.end_speech(1)
        seen = await until_last(events, 1)
        assert [type(e) for e in seen].count(SpeakingStarted) == 1 and isinstance(seen[-1], SpeakingEnded)
        waking, spoken = next(iter(far.sessions.values())).utterances
        assert waking.interrupted and waking.event_id == "w1" and spoken.samples == 200 * 24


async def test_what_was_woken_and_is_cut_before_its_sound_is_silenced_at_the_avatar_too() -> None:
    async with twin() as (server, far), avatar_at(server) as avatar:
        events = avatar.events()
        await asyncio.sleep(0.1)
        avatar.wake(True)
        await asyncio.sleep(0.3)
        await avatar.speak(1, 0, "0")
        await asyncio.sleep(0.05)
        await avatar.interrupt(1)
        assert [type(e) for e in await until_last(events, 1)][-1] is SpeakingInterrupted
        await avatar.speak(2, 0, "60")
        await avatar.end_speech(2)
        assert isinstance((await until_last(events, 2))[-1], SpeakingEnded)
        waking, spoken = next(iter(far.sessions.values())).utterances
        assert waking.interrupted and spoken.samples == 60 * 24
