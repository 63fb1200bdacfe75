"""Whole conversations, from sound to sound, over real sockets to the twins; and what breaks them."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationManager, ConversationState, Run, Settings, compose, replay
from clara_kit.audio.pcm import silence, white_noise
from clara_kit.audio.wav import read_wav
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError, SettingsError
from clara_kit.core.settings import Keys
from clara_kit.runtime.compose import TWIN_KEY
from clara_kit.world.faults import Fault

S = ConversationState
QUICK = Settings.of(greeting="", initial_retry_delay_ms=50)
ASK = "¿Hacen despachos a regiones?"


def manager(
    tmp_path: Path, *, settings: Settings = QUICK, faults: tuple[Fault, ...] = (), **modes: Any
) -> ConversationManager:
    services = compose(modes.pop("mode", "twin"), settings=settings, latency="fast", faults=faults, **modes)
    return ConversationManager(services, log_root=tmp_path)


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Any:
    before = set(threading.enumerate())
    yield
    left = [t for t in set(threading.enumerate()) - before if t.name.startswith(("clara", "twin"))]
    assert not left


async def test_a_question_is_heard_answered_and_written_down(tmp_path: Path) -> None:
    clara = manager(tmp_path)
    async with clara:
        turn = await clara.ask(ASK, timeout_s=30)
    assert turn.customer == ASK
    assert turn.clara.startswith("Sí, despachamos")
    assert turn.problem == ""
    run = clara.run
    assert run is not None and run.folder is not None
    names = {p.name for p in run.folder.iterdir()}
    assert names == {"manifest.json", "events.jsonl", "conversation.wav", "turns.parquet", "events.parquet"}
    loaded = Run.load(run.folder)
    assert loaded.trace == run.trace
    assert replay(run.folder).same
    assert loaded.mix == "offline twins"
    manifest = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["facts"]["patch"]  # of a working tree that may speak of the key
    assert TWIN_KEY not in json.dumps(manifest) + (run.folder / "events.jsonl").read_text(encoding="utf-8")
    assert read_wav(run.folder / "conversation.wav").rms_dbfs > -40


async def test_an_interruption_in_mid_sentence_leaves_the_unheard_words_out_of_the_history(tmp_path: Path) -> None:
    clara = manager(tmp_path)
    async with clara:
        await clara.say(ASK)
        await clara.until(S.AVATAR_SPEAKING)
        await asyncio.sleep(0.5)
        await clara.say("Espera, ¿cuánto cuesta el protector solar?")
        await clara.until(S.AVATAR_SPEAKING)
        await clara.interrupt()
    assert clara.run is not None
    first = clara.run.ledger[0]
    assert first.interrupted and first.heard is not None and first.unheard
    assert f"{first.heard} {first.unheard}".strip() == first.clara
    assert "protector" in clara.run.ledger[1].customer
    assert replay(clara.run).same


async def test_typing_needs_no_recogniser_and_settings_can_change_meanwhile(tmp_path: Path) -> None:
    clara = manager(tmp_path, mode="sim")
    async with clara:
        await clara.change(barge_in_debounce_ms=250)
        await clara.type("Hola")
        assert await clara.until(S.AVATAR_SPEAKING) is S.AVATAR_SPEAKING
        await clara.interrupt()
        assert await clara.until(S.IDLE) is S.IDLE
    assert clara.conversation.settings.barge_in_debounce_ms == 250
    assert clara.run is not None and clara.run.mix == "simulated"


async def test_a_simulated_recogniser_is_told_what_is_said(tmp_path: Path) -> None:
    async with manager(tmp_path, stt="sim", avatar="sim", tts="sim") as clara:
        turn = await clara.ask(ASK, timeout_s=30)
    assert turn.customer == ASK
    assert clara.run is not None and clara.run.mix == "stt sim, llm twin, tts sim, avatar sim"


@pytest.mark.parametrize(
    "sound",
    [silence(1500, 16_000), white_noise(1500, 16_000), silence(700, 44_100)],
    ids=["silence", "noise", "another rate"],
)
async def test_silence_and_noise_are_no_turn(tmp_path: Path, sound: Any) -> None:
    async with manager(tmp_path) as clara:
        with pytest.raises(ClaraError, match=r"no answer within 3 s.*words in the sound"):
            await clara.ask(sound, timeout_s=3)
        assert clara.state is S.IDLE
        turn = await clara.ask(ASK, timeout_s=30)  # it has ears
    assert turn.customer == ASK
    assert clara.run is not None and [t.customer for t in clara.run.ledger] == [ASK]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(service="llm", kind="refuse", status=529),
        Fault(service="llm", kind="cut", after_ms=1),
        Fault(service="stt", kind="cut", after_ms=300),
        Fault(service="avatar", kind="no_end"),
        Fault(service="avatar", kind="duplicate"),
        Fault(service="stt", kind="garble", after_ms=200),
    ],
    ids=lambda f: f"{f.service}-{f.kind}",
)
async def test_after_a_fault_the_conversation_goes_on(tmp_path: Path, fault: Fault) -> None:
    async with manager(tmp_path, faults=(fault,)) as clara:
        await asyncio.sleep(0.6)
        await clara.type("Hola")
        await clara.until(S.AVATAR_SPEAKING)
        await clara.until(S.IDLE)
        turn = await clara.ask(ASK, timeout_s=30)
    assert turn.customer == ASK
    assert clara.run is not None and replay(clara.run).same


async def test_twins_killed_in_mid_sentence_are_given_up_and_the_conversation_says_so_and_goes_on(
    tmp_path: Path,
) -> None:
    clara = manager(tmp_path, settings=Settings.of(greeting="", initial_retry_delay_ms=20, max_retries=2))
    loop, given_up = asyncio.get_running_loop(), asyncio.Event()

    def saw(record: object) -> None:
        if isinstance(record, do.Disconnect):
            gone.add(record.service)
            if gone == {"stt", "avatar"}:
                loop.call_soon_threadsafe(given_up.set)

    gone: set[str] = set()
    clara.subscribe(saw)
    async with clara:
        await clara.say(ASK)
        await clara.until(S.AVATAR_SPEAKING)
        assert clara.services.twins is not None
        await asyncio.to_thread(clara.services.twins.kill)
        async with asyncio.timeout(30):
            await given_up.wait()
        await clara.type("¿Sigues ahí?")
    run = clara.run
    assert run is not None and run.folder is not None and clara.error is None
    told = [r.message for r in run.trace if isinstance(r, do.Notify)]
    assert any("does not hear any more" in m for m in told) and any("can still be read" in m for m in told)
    assert sum(isinstance(r, do.Connect) and r.service == "stt" for r in run.trace) == 3  # at once, then two retries
    assert any(isinstance(r, ev.TextTyped) for r in run.trace)
    assert replay(run.folder).same


async def test_a_wrong_key_is_told_at_the_start_and_nothing_is_left(tmp_path: Path) -> None:
    clara = manager(tmp_path, faults=(Fault(service="stt", kind="refuse", status=401),))
    with pytest.raises(ClaraError, match="DEEPGRAM_API_KEY"):
        await clara.start()
    assert clara.run is not None
    with pytest.raises(ClaraError):
        await clara.say("Hola")


def test_a_missing_key_is_told_before_anything_is_opened() -> None:
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY"):
        compose("twin", llm="live", keys=Keys())


async def test_a_run_cut_short_by_a_crash_can_be_read(tmp_path: Path) -> None:
    async with manager(tmp_path, mode="sim") as clara:
        await clara.type("Hola")
        await clara.until(S.AVATAR_SPEAKING)
    assert clara.run is not None and clara.run.folder is not None
    log = clara.run.folder / "events.jsonl"
    whole, _, last = log.read_bytes().rstrip(b"\n").rpartition(b"\n")
    log.write_bytes(whole + b"\n" + last[: len(last) // 2])
    assert Run.load(clara.run.folder).trace == clara.run.trace[:-1]


async def test_an_exception_of_the_users_own_code_closes_everything(tmp_path: Path) -> None:
    clara = manager(tmp_path)
    with pytest.raises(ZeroDivisionError):
        async with clara:
            raise ZeroDivisionError
    assert clara.run is not None
