"""Every fault of the vocabulary, injected by a call into a conversation that runs: it goes on afterwards."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from clara_kit import ConversationManager, ConversationState, Settings, compose, replay, simulate
from clara_kit.core import events as ev
from clara_kit.core.errors import ScriptError, SettingsError
from clara_kit.core.settings import Keys
from clara_kit.world.faults import APPLIES, Fault, FaultBox
from clara_kit.world.script import Line

S = ConversationState
SETTINGS = Settings.of(
    greeting="",
    initial_retry_delay_ms=20,
    llm_first_token_timeout_ms=1500,
    llm_stall_timeout_ms=500,
    final_timeout_ms=1500,
)
ASK = "¿Hacen despachos a regiones?"
LONG = "¿Qué protector solar me recomiendas?"
FOR_MS = {"stall": 700.0, "slow": 100.0}


def fault(service: Any, kind: Any) -> Fault:
    return Fault(service=service, kind=kind, for_ms=FOR_MS.get(kind, 0.0))


# The shop is asked once, before anybody speaks, and the backup where all else fails: their faults have tests of their own
# (test_personal_conversation.py, test_fallback_*.py).
CASES = [(one, kind) for one, kinds in APPLIES.items() if one not in ("shop", "backup") for kind in kinds]


@pytest.mark.parametrize(("service", "kind"), CASES, ids=[f"{s}-{k}" for s, k in CASES])
async def test_a_fault_injected_into_a_running_conversation_does_not_end_it(
    tmp_path: Path, service: Any, kind: Any
) -> None:
    clara = ConversationManager(compose(settings=SETTINGS, latency="fast"), log_root=tmp_path)
    async with clara:
        if service == "stt":
            saying = asyncio.create_task(clara.say("Hola, buenas."))
            await asyncio.sleep(0.3)
        else:
            await clara.type("Hola")
            if service == "avatar":
                await clara.until(S.AVATAR_SPEAKING)
        clara.inject(fault(service, kind))
        if kind == "refuse" and service in ("stt", "avatar"):  # these connect but once, unless they are cut
            clara.inject(Fault(service=service, kind="cut"))
        if service == "stt":
            await saying
        while not was_played(clara, kind):
            await asyncio.sleep(0.3)
            await clara.type("Hola")
        if kind in ("no_end", "duplicate", "premature_end"):
            await clara.until(S.IDLE, timeout_s=15)
        await asyncio.sleep(0.8)  # what was struck may be lost; a later question is not
        await clara.say("¿Cuánto demora?")
        await clara.until(S.AVATAR_SPEAKING, timeout_s=20)
    assert clara.run is not None
    played = [r for r in clara.run.trace if isinstance(r, ev.FaultInjected)]
    assert (service, kind) in [(r.service, r.kind) for r in played]
    assert clara.run.ledger[-1].customer.endswith(("¿Cuánto demora?", "¿Cuánto"))  # the second without its end
    assert replay(clara.run).same


def was_played(clara: ConversationManager, kind: str) -> bool:
    return any(isinstance(r, ev.FaultInjected) and r.kind == kind for r in clara.conversation.trace)


async def test_a_fault_strikes_what_runs_now_and_only_that(tmp_path: Path) -> None:
    clara = ConversationManager(compose(settings=SETTINGS, latency="fast"), log_root=tmp_path)
    async with clara:
        assert clara.inject(Fault(service="stt", kind="cut")) == "now"
        assert clara.inject(Fault(service="llm", kind="refuse", status=529)) == "next"
        assert [f.kind for f in clara.services.faults.waiting] == ["refuse"]
        turn = await clara.ask(ASK, timeout_s=30)
    assert turn.customer == ASK
    assert clara.services.faults.waiting == ()


async def test_faults_come_over_http_while_the_twins_run(tmp_path: Path) -> None:
    clara = ConversationManager(compose(settings=SETTINGS, latency="fast"), log_root=tmp_path)
    async with clara:
        twins = clara.services.twins
        assert twins is not None
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{twins.port}") as http:
            now = await http.post("/faults", json={"service": "avatar", "kind": "garble"})
            later = await http.post("/faults", json={"service": "llm", "kind": "decline", "on": 1})
            listed = (await http.get("/faults")).json()
            wrong = await http.post("/faults", json={"service": "llm", "kind": "premature_end"})
            nonsense = [
                await http.post("/faults", content=b)
                for b in (b"{", b"[]", b"3", b'{"service":"llm","kind":"cut","on":"x"}')
            ]
        await clara.type(LONG)
        await clara.until(S.AVATAR_SPEAKING)
    assert now.json() == {"strikes": "now"}
    assert later.json() == {"strikes": "on occasion 1"}
    assert [f["kind"] for f in listed["waiting"]] == ["decline"]
    assert "decline" in listed["vocabulary"]["llm"]
    assert wrong.status_code == 400 and "no fault 'premature_end'" in wrong.json()["error"]["message"]
    assert [n.status_code for n in nonsense] == [400] * 4
    assert clara.run is not None
    said = [t.clara for t in clara.run.ledger]
    assert said == [SETTINGS.apology]  # the model declined


async def test_a_simulated_service_plays_a_fault_too_and_a_live_one_does_not(tmp_path: Path) -> None:
    declined = Fault(service="llm", kind="decline")
    async with ConversationManager(compose("sim", settings=SETTINGS, faults=[declined]), log_root=tmp_path) as clara:
        first = await clara.ask(Line(text="Hola", typed=True))
        assert clara.inject(declined) == "next"
        second = await clara.ask(Line(text="Hola", typed=True))
    assert first.clara == second.clara == SETTINGS.apology
    with pytest.raises(SettingsError, match="No vendor plays llm: decline on order, and llm is live"):
        compose("sim", llm="live", keys=Keys.from_env({"ANTHROPIC_API_KEY": "x"}), faults=[declined])


@pytest.mark.parametrize(("service", "kind"), CASES, ids=[f"{s}-{k}" for s, k in CASES])
def test_the_simulation_plays_every_fault_and_goes_on(service: Any, kind: Any) -> None:
    run = simulate([LONG, ASK], SETTINGS, faults=[fault(service, kind)])
    assert any(isinstance(r, ev.FaultInjected) and r.kind == kind for r in run.trace)
    if (service, kind) != ("stt", "refuse"):  # a key that is refused will not be taken later
        assert run.ledger[-1].customer == ASK
    assert run.to_jsonl() == simulate([LONG, ASK], SETTINGS, faults=[fault(service, kind)]).to_jsonl()


def test_doors_and_occasions_are_counted_apart() -> None:
    box = FaultBox(
        [Fault(service="avatar", kind="refuse", on=2, detail="socket"), Fault(service="avatar", kind="cut", on=1)]
    )
    assert box.next_occasion("avatar", "token") == ()
    assert box.next_occasion("avatar", "socket") == ()
    assert [f.kind for f in box.next_occasion("avatar")] == ["cut"]
    assert [f.kind for f in box.next_occasion("avatar", "socket")] == ["refuse"]
    assert box.waiting == ()


def test_faults_may_be_added_from_many_threads_and_each_is_handed_out_once() -> None:
    box, taken = FaultBox(), []

    def add() -> None:
        for on in range(1, 201):
            box.add(Fault(service="llm", kind="cut", on=on))

    def take() -> None:
        for _ in range(200):
            taken.extend(box.next_occasion("tts"))
            taken.extend(box.next_occasion("llm"))

    threads = [threading.Thread(target=t) for t in (add, add, take)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) + len(box.waiting) == 400


def test_a_malformed_fault_says_what_fields_there_are() -> None:
    with pytest.raises(ScriptError, match="fields: service, kind"):
        Fault.from_dict({"service": "llm", "sort": "cut"})
