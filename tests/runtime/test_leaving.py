"""Leaving a conversation, at whatever moment and on whatever way: nothing of ours runs afterwards, and what went wrong is told."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic  # noqa: F401  # not what is measured here, and slow on a busy machine
import deepgram.listen.v1.client
import deepgram.speak.v1.client  # noqa: F401
import polars  # noqa: F401
import pytest

import clara_kit.providers.avatar.liveavatar
import clara_kit.world.twins.every  # noqa: F401
from clara_kit import ConversationManager, ConversationState, Settings, compose
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.providers.avatar.pacing import Timing
from clara_kit.runtime import ending
from clara_kit.runtime import thread as thread_module
from clara_kit.world.faults import Fault

S = ConversationState
QUICK = Settings.of(greeting="", initial_retry_delay_ms=50)
ASK = "¿Hacen despachos a regiones?"
LEAVES_S = 60.0  # of the conversation's time, for what takes one on a machine that does nothing else
LIMIT_S = 600.0  # how long a vendor is waited for, unless somebody hangs up
PATIENT: dict[tuple[str, str], dict[str, Any]] = {
    ("stt", "deepgram"): {"open_timeout_s": LIMIT_S}, ("tts", "deepgram"): {"open_timeout_s": LIMIT_S},
    ("avatar", "heygen"): {"timeout_s": LIMIT_S},
    ("avatar", "liveavatar"): {"timing": Timing(start_timeout_ms=LIMIT_S * 1000)}, ("llm", "anthropic"): {},
}  # fmt: skip


def manager(
    tmp_path: Path, *, settings: Settings = QUICK, faults: tuple[Fault, ...] = (), **modes: Any
) -> ConversationManager:
    services = compose(modes.pop("mode", "twin"), settings=settings, latency="fast", faults=faults, **modes)
    return ConversationManager(services, log_root=tmp_path)


def ours() -> list[str]:
    """What of a conversation runs, or is open."""
    names = [t.name for t in threading.enumerate() if t.name.startswith(("clara", "twin"))]
    fds = Path("/proc/self/fd")
    links = [os.readlink(fds / fd) for fd in os.listdir(fds) if (fds / fd).is_symlink()] if fds.exists() else []
    return [*names, *(link for link in links if link.startswith("socket:"))]


@pytest.fixture(autouse=True)
async def nothing_is_left() -> Any:
    before = Counter(ours())
    yield
    gc.collect()
    assert not Counter(ours()) - before


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address where everybody may come in and nobody is ever answered."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield "http://{}:{}".format(*server.getsockname())


def nobody_answers(clara: ConversationManager, address: str, *services: str) -> None:
    services_access = clara.services.access

    def access(service: str, vendor: str) -> dict[str, Any]:
        found = services_access(service, vendor)
        return {**found, "base_url": address, **PATIENT[service, vendor]} if service in services else found

    clara.services.access = access  # type: ignore[method-assign]


MOMENTS_S = [0.0, 0.001, 0.02, 0.1, 0.2, 0.3, 0.5]


@pytest.mark.parametrize("moment_s", MOMENTS_S)
async def test_stop_at_any_moment_of_start_ends_both(tmp_path: Path, moment_s: float) -> None:
    clara = manager(tmp_path)
    starting = asyncio.create_task(clara.start())
    await asyncio.sleep(moment_s)
    async with asyncio.timeout(LEAVES_S):
        run = await clara.stop()
        await asyncio.wait({starting})
    assert run is clara.run
    if (error := starting.exception()) is not None:
        assert isinstance(error, ClaraError) and "stopped before it began" in str(error)
    assert clara.run is not None or clara.error is not None or starting.exception() is not None


@pytest.mark.parametrize("moment_s", MOMENTS_S)
async def test_a_cancelled_start_leaves_nothing(tmp_path: Path, moment_s: float) -> None:
    clara = manager(tmp_path)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(moment_s):
            await clara.start()
            await asyncio.sleep(60)
    async with asyncio.timeout(LEAVES_S):
        await clara.stop()


async def test_stop_does_not_wait_until_a_vendors_name_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    asked, release, found, look_up = threading.Event(), threading.Event(), threading.Event(), socket.getaddrinfo

    def slow(host: Any, *more: Any, **options: Any) -> Any:
        if host != "vendor.invalid":
            return look_up(host, *more, **options)
        asked.set()
        release.wait(10)
        found.set()
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    clara = manager(tmp_path)
    nobody_answers(clara, "http://vendor.invalid", "stt")
    starting = asyncio.create_task(clara.start())
    await asyncio.to_thread(asked.wait)
    await clara.stop()
    assert not found.is_set()
    release.set()
    assert "stopped before it began" in str((await asyncio.gather(starting, return_exceptions=True))[0])


@pytest.mark.parametrize("who", ["stt", "avatar", "llm", "tts"])
@pytest.mark.parametrize("vendor", ["liveavatar", "heygen"])
async def test_stop_does_not_wait_for_a_vendor_who_never_answers(
    tmp_path: Path, deaf: str, who: str, vendor: str
) -> None:
    clara = manager(tmp_path, settings=Settings.of(greeting="Hola.", avatar_vendor=vendor))
    nobody_answers(clara, deaf, who)
    starting = asyncio.create_task(clara.start())
    if who in ("llm", "tts"):
        await starting  # they are not waited for
    await asyncio.sleep(0.5)
    async with asyncio.timeout(LEAVES_S):
        await clara.stop()
    await asyncio.wait({starting})
    error = starting.exception()
    if who not in ("llm", "tts"):
        assert "stopped before it began" in str(error)  # and not: did not answer in time


@pytest.mark.parametrize("vendor", ["liveavatar", "heygen"])
async def test_stop_does_not_wait_for_a_vendor_who_does_not_answer_the_farewell(
    tmp_path: Path, deaf: str, vendor: str
) -> None:
    clara = manager(tmp_path, settings=Settings.of(avatar_vendor=vendor))
    await clara.start()
    await clara.until(S.AVATAR_SPEAKING)
    clara._session._board.orders.avatar._rest._base_url = deaf  # type: ignore[union-attr]
    clara._session._board.orders.avatar._rest.timeout_s = LIMIT_S  # type: ignore[union-attr]
    await clara.interrupt()
    async with asyncio.timeout(LEAVES_S):
        assert await clara.stop() is not None


async def test_stop_does_not_wait_for_a_shop_that_never_answers(tmp_path: Path) -> None:
    clara = manager(tmp_path, faults=(Fault(service="shop", kind="stall"),), customer="camila")
    await clara.start()
    async with asyncio.timeout(LEAVES_S):
        assert await clara.stop() is not None


@pytest.mark.parametrize("vendor", ["liveavatar", "heygen"])
@pytest.mark.parametrize("state", [S.PROCESSING, S.AVATAR_SPEAKING])
async def test_stop_in_mid_answer_does_not_wait_for_its_end(tmp_path: Path, vendor: str, state: S) -> None:
    settings = Settings.of(greeting="", avatar_vendor=vendor)
    faults = (Fault(service="llm", kind="stall", after_ms=1),) if state is S.PROCESSING else ()
    clara = manager(tmp_path, settings=settings, faults=faults)
    await clara.start()
    await clara.type(ASK)
    await clara.until(state)
    async with asyncio.timeout(LEAVES_S):
        run = await clara.stop()
    assert run is not None and run.ledger


async def test_stop_may_come_before_start_twice_and_from_two_places_at_once(tmp_path: Path) -> None:
    clara = manager(tmp_path, mode="sim")
    assert await clara.stop() is None
    await clara.start()
    one, other = await asyncio.gather(clara.stop(), clara.stop())
    assert one is other is await clara.stop() is clara.run is not None
    with pytest.raises(ClaraError, match="not running"):
        await clara.type("Hola")


async def test_a_listener_may_hang_up(tmp_path: Path) -> None:
    clara = manager(tmp_path, mode="sim")
    hanging_up = []
    clara.subscribe(lambda _: hanging_up or hanging_up.append(asyncio.get_running_loop().create_task(clara.stop())))
    async with asyncio.timeout(LEAVES_S):
        with pytest.raises(ClaraError, match=r"ended|not running"):
            async with clara:
                await clara.wait(60)
    assert clara.run is not None


async def test_what_is_being_waited_for_ends_with_the_conversation(tmp_path: Path) -> None:
    clara = manager(tmp_path, mode="sim")
    await clara.start()
    waits = [asyncio.create_task(w) for w in (clara.ask("Hola"), clara.wait(600), clara.until(S.INTERRUPTED))]
    await asyncio.sleep(0.01)
    await clara.stop()
    async with asyncio.timeout(LEAVES_S):
        await asyncio.wait(waits)
    assert all(isinstance(w.exception(), ClaraError) for w in waits)


async def test_a_wait_that_is_cancelled_ends_at_once_and_the_conversation_goes_on(tmp_path: Path) -> None:
    async with manager(tmp_path, mode="sim") as clara:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await clara.ask(ASK)
        assert (await clara.ask(ASK)).clara


async def test_ask_says_what_happened_when_no_answer_came_in_time(tmp_path: Path) -> None:
    faults = (Fault(service="llm", kind="stall"),)
    settings = Settings.of(greeting="", llm_first_token_timeout_ms=1000, max_retries=3)
    async with manager(tmp_path, settings=settings, faults=faults) as clara:
        with pytest.raises(ClaraError, match=r"within 1\.5 s.*Nothing useful came from Anthropic"):
            await clara.ask("Hola", timeout_s=1.5)


@pytest.mark.parametrize("what", ["the log", "the recording", "the tables"])
async def test_a_disk_that_is_full_at_the_end_is_told_and_the_run_is_not_lost(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device", what)

    def fails(*_: object, **__: object) -> None:
        raise full

    clara = manager(tmp_path, mode="sim")
    with pytest.raises(ClaraError, match=r"cannot be written.*No space left.*What to do: make room") as told:
        async with clara:
            await clara.ask("Hola")
            target = {
                "the log": "clara_kit.runtime.run_log.RunLog.close",
                "the recording": "clara_kit.runtime.ears.Recorder.close",
                "the tables": "polars.DataFrame.write_parquet",
            }[what]
            monkeypatch.setattr(target, fails)
    assert told.value is clara.error and told.value.__cause__ is full
    assert clara.run is not None and clara.run.ledger[0].customer == "Hola"
    assert await clara.stop() is clara.run  # it was told once


async def test_stop_raises_what_failed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clara = manager(tmp_path, mode="sim")
    await clara.start()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clara_kit.runtime.run_log.RunLog.close", full)
    with pytest.raises(ClaraError, match="No space left"):
        await clara.stop()
    assert clara.run is not None and clara.error is not None


async def test_a_folder_that_cannot_be_made_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    clara = manager(tmp_path / "taken", mode="sim")
    with pytest.raises(ClaraError):
        await clara.start()
    assert clara.error is not None


async def test_a_mistake_of_ours_in_mid_conversation_is_told(tmp_path: Path) -> None:
    clara = manager(tmp_path, mode="sim")

    async def breaks(*_: object) -> None:
        raise ZeroDivisionError("one by none")

    with pytest.raises(ClaraError, match="one by none"):
        async with clara:
            clara._session.microphone._on_frame = breaks
            await clara.say(ASK)
    assert clara.run is not None and clara.run.facts["error"] == str(clara.error)


async def test_the_error_of_ones_own_code_is_not_hidden_by_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    clara = manager(tmp_path, mode="sim")
    with pytest.raises(KeyboardInterrupt):
        async with clara:
            monkeypatch.setattr("clara_kit.runtime.run_log.RunLog.close", full)
            raise KeyboardInterrupt
    assert clara.error is not None


async def test_a_conversation_that_nothing_refers_to_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clara = manager(tmp_path, mode="sim")
    await clara.start()
    await clara.ask("Hola")
    thread = clara._thread
    assert thread is not None and thread.is_alive()
    del clara
    gc.collect()
    await asyncio.to_thread(thread.join)
    assert "nothing refers to it" in caplog.text and str(tmp_path) in caplog.text
    assert thread.session.run is not None


async def test_a_conversation_that_everybody_has_forgotten_ends_and_says_so(tmp_path: Path) -> None:
    clara = manager(tmp_path, mode="sim", settings=Settings.of(greeting="", absence_ms=50))
    async with clara:
        async with asyncio.timeout(600):
            while clara.run is None:
                await asyncio.sleep(0.05)
        assert "no word of the customer" in clara.why_over and clara.error is None
        with pytest.raises(ClaraError, match="no word of the customer"):
            await clara.type("¿Hola?")


async def test_what_comes_while_the_last_helpers_end_comes_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, ending_helpers, shutdown = threading.Event(), threading.Event(), thread_module._Helpers.shutdown

    def after_the_call(self: Any, wait: bool = True, **more: Any) -> None:
        ending_helpers.set()  # the loop runs on until this returns
        asked.wait(60)
        shutdown(self, wait, **more)

    monkeypatch.setattr(thread_module._Helpers, "shutdown", after_the_call)
    clara = manager(tmp_path, mode="sim", settings=Settings.of(greeting="", absence_ms=50))
    async with clara:
        await asyncio.to_thread(ending_helpers.wait, 600)
        typing = asyncio.create_task(clara.type("¿Hola?"))
        await asyncio.sleep(0)
        clara._thread.loop.call_soon_threadsafe(asked.set)  # type: ignore[union-attr]
        with pytest.raises(ClaraError, match="no word of the customer"):
            await typing
    assert not any(type(record).__name__ == "TextTyped" for record in clara.conversation.trace)


async def test_a_word_of_the_customer_is_none_of_it_but_a_sound_is() -> None:
    now_s, ended = [0.0], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ending, "monotonic", lambda: now_s[0])
        absence = ending.Absence()
        absence.hang_up = ended.append
        now_s[0] = 0.9
        absence.saw(ev.TranscriptInterim(at_ms=0, text="ya"))
        now_s[0] = 1.4
        absence.saw(ev.SpeechStarted(at_ms=0, source="vad", sound_at_ms=0))
        lasting = asyncio.create_task(absence.lasts(1000))
        await asyncio.sleep(2)
        assert not ended
        now_s[0] = 1.9
        await lasting
        assert len(ended) == 1
        await absence.lasts(0)
        assert len(ended) == 1
