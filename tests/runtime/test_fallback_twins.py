"""A vendor is lost in mid-conversation, over twins: who answers, speaks and hears then, and that ours comes back."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import anthropic  # noqa: F401  # not what is measured here, and slow on a busy machine
import deepgram.listen.v1.client
import deepgram.speak.v1.client  # noqa: F401
import pytest

from clara_kit import ConversationManager, ConversationState, Run, Settings, compose, replay
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.runtime.services import Services
from clara_kit.world.faults import APPLIES, Fault

S = ConversationState
ASK, THEN = "¿Hacen despachos a regiones?", "¿Qué protector solar me recomiendas?"
LEAVES_S = 60.0  # of the conversation's time, as in test_leaving.py


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


def settings(**changes: Any) -> Settings:
    usual = {"greeting": "", "enable_auto_fallback": True, "initial_retry_delay_ms": 20, "fallback_open_ms": 4000}
    return Settings.of(**{**usual, "fallback_successes": 1, "local_vad": False, **changes})


def manager(
    tmp_path: Path, *faults: Fault, ears: bool = False, customer: str = "", **changes: Any
) -> ConversationManager:
    """ears: what is said has a sound, fifty frames a second of it; else it is typed, and time flies."""
    modes: dict[str, Any] = {} if ears else {"stt": "sim"}
    services = compose(settings=settings(**changes), latency="fast", faults=faults, customer=customer, **modes)
    return ConversationManager(services, log_root=tmp_path, record=ears)


def often(service: Any, kind: Any, times: int, **more: Any) -> list[Fault]:
    return [Fault(service=service, kind=kind, on=n, **more) for n in range(1, times + 1)]


def switched(run: Run | ConversationManager) -> list[str]:
    trace = run.conversation.trace if isinstance(run, ConversationManager) else run.trace
    return [f"{r.service} {r.target or 'ours'}" for r in trace if isinstance(r, do.SwitchTo)]


async def until(clara: ConversationManager, *there: str, timeout_s: float = 60) -> None:
    """Until these switches were made, in this order."""
    async with asyncio.timeout(timeout_s):
        while True:
            rest = iter(switched(clara))
            if all(one in rest for one in there):
                return
            await asyncio.sleep(0.1)


async def heard_out(clara: ConversationManager) -> None:
    await clara.until(S.AVATAR_SPEAKING)
    await clara.until(S.IDLE)


async def test_the_model_is_lost_and_the_vendors_own_answers_until_ours_is_back(tmp_path: Path) -> None:
    async with manager(tmp_path, *often("llm", "refuse", 3, status=529)) as clara:
        await clara.type(ASK)
        await until(clara, "llm backup", "avatar backup")
        await heard_out(clara)
        for switches in (("llm ours",), ("llm ours", "avatar ours")):
            await until(clara, *switches)
            await clara.type(THEN)
            await heard_out(clara)
    run = clara.run
    assert run is not None and replay(run).same
    first, *then = [turn for turn in run.ledger if turn.customer]
    models = [r.model for r in run.trace if isinstance(r, ev.ReplyStarted)]
    assert "despachamos a todo Chile" in first.clara and all(turn.clara for turn in then)
    assert models[-3] == "liveavatar: its own" and models[-1].startswith("claude")
    assert (
        [m.text for m in run.conversation().history.messages()][:1] == [ASK] if hasattr(run, "conversation") else True
    )
    assert sum(isinstance(r, do.CloseBackup) for r in run.trace) == 1


async def test_the_recogniser_is_lost_and_what_was_said_is_heard_by_the_vendors_own(tmp_path: Path) -> None:
    deaf = often("stt", "refuse", 1, status=401)[0]
    async with manager(tmp_path, ears=True) as clara:
        clara.inject(deaf)
        clara.inject(Fault(service="stt", kind="cut"))
        await until(clara, "stt backup")
        await clara.say(ASK)
        await until(clara, "avatar backup")
        async with asyncio.timeout(60):
            while not any(isinstance(r, ev.TranscriptFinal) for r in clara.conversation.trace):
                await asyncio.sleep(0.1)
    assert clara.run is not None and replay(clara.run).same
    assert [r.text for r in clara.run.trace if isinstance(r, ev.TranscriptFinal)] == [ASK]


async def test_the_voice_is_lost_and_another_speaks_and_without_that_it_is_shown(tmp_path: Path) -> None:
    async with manager(tmp_path, *often("tts", "refuse", 3)) as clara:
        await clara.type(ASK)
        await heard_out(clara)
        assert switched(clara)[:1] == ["tts other"]
        clara.inject(Fault(service="tts", kind="refuse"))
        await until(clara, "tts ours")  # it is tried after a while, and speaks again
        await clara.type(THEN)
        await heard_out(clara)
    assert clara.run is not None and all(turn.clara for turn in clara.run.ledger if turn.customer)
    assert replay(clara.run).same


async def test_the_avatar_is_lost_and_her_voice_goes_on(tmp_path: Path) -> None:
    heard: list[int] = []
    async with manager(tmp_path) as clara:
        clara.subscribe_sound(lambda utterance_id, pcm, rate_hz: heard.append(len(pcm)))
        for fault in (Fault(service="avatar", kind="refuse", status=401), Fault(service="avatar", kind="cut")):
            clara.inject(fault)
        await until(clara, "avatar sound")
        before = len(heard)
        await clara.type(ASK)
        await heard_out(clara)
        assert len(heard) > before
        await until(clara, "avatar ours")
        await clara.type(THEN)
        await heard_out(clara)
    assert clara.run is not None and all(turn.clara for turn in clara.run.ledger if turn.customer)
    assert replay(clara.run).same


async def test_who_begins_while_the_recogniser_is_down_begins_and_is_heard_as_soon_as_it_is_there(
    tmp_path: Path,
) -> None:
    down = Fault(service="stt", kind="refuse", status=503)
    async with manager(tmp_path, down, ears=True, initial_retry_delay_ms=300) as clara:
        await clara.say(ASK)
        async with asyncio.timeout(60):
            while not any(isinstance(r, ev.TranscriptFinal) for r in clara.conversation.trace):
                await asyncio.sleep(0.1)
    assert clara.run is not None and replay(clara.run).same
    assert [r.text for r in clara.run.trace if isinstance(r, ev.TranscriptFinal)] == [ASK]
    wrong_key = Fault(service="stt", kind="refuse", status=401)
    for fault, changes in ((wrong_key, {}), (down, {"enable_auto_fallback": False})):
        with pytest.raises(ClaraError, match="Deepgram"):
            await manager(tmp_path, fault, ears=True, **changes).start()


async def test_the_backup_is_told_of_the_customer_what_ours_was_and_the_run_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    backup = Services.backup

    def noted(self: Services, clock: Any, messages: Any, hears: bool, *, prompt: Any = None) -> Any:
        told.extend((prompt.text, messages))
        return backup(self, clock, messages, hears, prompt=prompt)

    monkeypatch.setattr(Services, "backup", noted)
    lost = [Fault(service="llm", kind="refuse", status=529, on=n) for n in (2, 3, 4)]
    async with manager(tmp_path, *lost, customer="camila", greeting=None) as clara:
        await heard_out(clara)
        await clara.type("Soy Camila, hola")
        await heard_out(clara)
        await clara.type(ASK)
        await until(clara, "llm backup", "avatar backup")
        await heard_out(clara)
    assert clara.run is not None and replay(clara.run).same
    prompt, messages = told
    assert "Camila" in prompt and any("Camila" in m.text for m in messages)
    assert "{first_name}" not in "".join([prompt, *(m.text for m in messages)])
    assert "Camila" not in clara.run.to_jsonl()


# The backup's own faults: it is refused, or breaks while it answers.
CASES = [kind for kind in APPLIES["backup"] if kind != "slow"]


@pytest.mark.parametrize("kind", CASES)
async def test_a_fault_of_the_backup_ends_nothing(tmp_path: Path, kind: Any) -> None:
    faults = (*often("llm", "refuse", 3, status=529), Fault(service="backup", kind=kind, for_ms=700.0))
    async with manager(tmp_path, *faults) as clara:
        await clara.type(ASK)
        await clara.until(S.AVATAR_SPEAKING)
        await clara.wait(8)
        await clara.type(THEN)
        async with asyncio.timeout(60):
            await clara._call(clara._session.when(lambda: clara._session.is_quiet))
    assert clara.run is not None and replay(clara.run).same
    assert any(isinstance(r, ev.FaultInjected) and r.service == "backup" for r in clara.run.trace)


def test_a_fault_of_a_backup_that_nobody_will_ask_is_refused(tmp_path: Path) -> None:
    fault = Fault(service="backup", kind="cut")
    with pytest.raises(ClaraError, match="ENABLE_AUTO_FALLBACK"):
        compose(faults=[fault])
    with pytest.raises(ClaraError, match="not there"):
        ConversationManager(compose("sim"), log_root=tmp_path).inject(fault)
    assert compose(settings=settings()).modes["backup"] == "twin" and "backup" not in compose().modes


# --- hanging up ----------------------------------------------------------------------------------------------------

STATES: dict[str, tuple[list[Fault], str]] = {
    "the backup is being opened": (often("llm", "refuse", 3, status=529), "llm backup"),
    "the backup answers": (often("llm", "refuse", 3, status=529), "avatar backup"),
    "the other voice speaks": (often("tts", "refuse", 3), "tts other"),
    "the backup hears": ([], "stt backup"),
    "the bare voice speaks": ([], "avatar sound"),
}


@pytest.mark.parametrize("state", STATES)
async def test_hanging_up_takes_no_longer_then_and_leaves_nothing(tmp_path: Path, state: str) -> None:
    faults, there = STATES[state]
    clara = manager(tmp_path, *faults, ears=there == "stt backup")
    await clara.start()
    if not faults:
        service: Any = there.split()[0]
        clara.inject(Fault(service=service, kind="refuse", status=401))
        clara.inject(Fault(service=service, kind="cut"))
    else:
        await clara.type(ASK)
    await until(clara, there)
    async with asyncio.timeout(LEAVES_S):
        run = await clara.stop()
    assert run is not None and replay(run).same
