"""Whole conversations with a customer whom the shop knows, half knows, or will not tell: nobody notices, nothing leaks."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationManager, ConversationState, Fault, Run, Settings, compose, replay, simulate, store
from clara_kit.conversation.heard import CHARS_PER_S
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import Keys
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime import services
from clara_kit.shop.cache import ProfileCache
from clara_kit.world.faults import APPLIES
from clara_kit.world.personas import Persona
from clara_kit.world.twins.shopify.twin import ShopifyTwin

S = ConversationState
ASK = "¿Qué hidratante me recomiendas?"
PERSONAL = "te recomiendo el gel hidratante Lluvia"  # what the offline model says to mixed skin, asked this
STRANGER = "Te recomiendo la crema Nube"


def shop(kind: Any, **how: Any) -> Fault:
    return Fault(service="shop", kind=kind, **how)


MENDED = [shop("cut"), shop("refuse", status=429), shop("refuse", status=503), shop("error", detail="THROTTLED"),
          shop("error", detail="INTERNAL_SERVER_ERROR"), shop("slow", for_ms=50), shop("truncate")]  # fmt: skip
REFUSED = [*(shop("refuse", status=s) for s in (401, 402, 403, 404, 423, 430)), shop("garble"),
           shop("error", detail="ACCESS_DENIED"), shop("error", detail="SHOP_INACTIVE")]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Any:
    before = set(threading.enumerate())
    yield
    left = [t for t in set(threading.enumerate()) - before if t.name.startswith(("clara", "twin"))]
    assert not left


def manager(folder: Path, customer: str = "camila", **how: Any) -> ConversationManager:
    how.setdefault("settings", Settings.of(local_vad=False))
    return ConversationManager(compose("twin", customer=customer, latency="fast", **how), log_root=folder)


async def talk(clara: ConversationManager, question: str = ASK) -> Run:
    """Clara begins to greet, the customer types a question into it, Clara begins to answer."""
    async with clara:
        await clara.until(S.AVATAR_SPEAKING)
        await clara.type(question)
        await clara.until(S.AVATAR_SPEAKING)
    assert clara.run is not None
    return clara.run


def written(folder: Path) -> str:
    """Everything in a run's folder but the file that may be deleted."""
    files = [p for p in folder.iterdir() if p.suffix != ".wav" and p.name != "customer_words.json"]
    return "".join(p.read_bytes().decode("utf-8", errors="ignore") for p in files)


def test_every_fault_of_the_shop_is_tried_here() -> None:
    stalls = {"stall"}  # in a test of its own
    assert {f.kind for f in (*MENDED, *REFUSED)} | stalls == set(APPLIES["shop"])


async def test_clara_greets_by_name_and_answers_for_the_skin_and_no_file_knows_the_customer(tmp_path: Path) -> None:
    clara = manager(tmp_path)
    run = await talk(clara)
    greeting, answer = run.revealed().ledger
    assert greeting.clara.startswith("¡Hola, Camila!") and "piel mixta" in greeting.clara
    assert "Camila" in answer.clara and PERSONAL in answer.clara
    assert run.folder is not None
    text = written(run.folder)
    assert not any(word in text for word in ("Camila", "camila", "Customer/1001"))
    events = (run.folder / "events.jsonl").read_text(encoding="utf-8")
    assert not any(word in events for word in ("mixta", "brillo", "Crema Nube"))  # the catalogue may speak of them
    assert "{first_name}" in text and "{skin_type}" in text
    assert replay(run.folder).same
    assert run.modes["shop"] == "twin"
    assert run.inputs["template"]["id"] == "warm" and "{first_name}" in run.facts["personal_prompt"]


async def test_what_the_placeholders_stand_for_is_the_owners_and_may_be_deleted(tmp_path: Path) -> None:
    run = await talk(manager(tmp_path))
    assert run.folder is not None
    words = run.folder / "customer_words.json"
    assert stat.S_IMODE(words.stat().st_mode) == 0o600
    assert json.loads(words.read_text(encoding="utf-8"))["{first_name}"] == "Camila"
    assert Run.load(run.folder).revealed().ledger[0].clara.startswith("¡Hola, Camila!")
    words.unlink()
    assert replay(run.folder).same
    assert Run.load(run.folder).revealed().ledger[0].clara.startswith("¡Hola, {first_name}!")


@pytest.mark.parametrize("fault", MENDED, ids=str)
async def test_what_can_be_mended_the_customer_never_feels(tmp_path: Path, fault: Fault) -> None:
    run = await talk(manager(tmp_path, faults=[fault]))
    assert any(isinstance(r, ev.FaultInjected) and r.service == "shop" for r in run.trace)
    assert run.revealed().ledger[0].clara.startswith("¡Hola, Camila!")
    assert PERSONAL in run.revealed().ledger[1].clara
    assert replay(run).same


@pytest.mark.parametrize("fault", REFUSED, ids=str)
async def test_a_shop_that_will_not_tell_leaves_a_friendly_stranger_and_tells_the_team(
    tmp_path: Path, fault: Fault
) -> None:
    run = await talk(manager(tmp_path, faults=[fault]))
    greeting, answer = run.ledger
    assert greeting.clara.startswith("¡Hola! ") and answer.clara.startswith(STRANGER)
    (failed,) = [r for r in run.trace if isinstance(r, ev.ProviderFailed)]
    assert failed.service == "shop" and failed.message and failed.hint
    (told,) = [r for r in run.trace if isinstance(r, do.Notify)]
    assert failed.hint in told.message
    assert replay(run).same


async def test_a_simulated_shop_knows_the_invented_customers_too(tmp_path: Path) -> None:
    services = compose("sim", customer="camila", latency="fast", settings=Settings.of(local_vad=False))
    run = await talk(ConversationManager(services, log_root=tmp_path))
    assert run.mix == "simulated"
    assert run.revealed().ledger[0].clara.startswith("¡Hola, Camila!") and PERSONAL in run.revealed().ledger[1].clara


async def test_a_plan_that_hides_the_name_still_tells_the_skin(tmp_path: Path) -> None:
    run = await talk(manager(tmp_path, faults=[shop("error", detail="PROTECTED")]))
    greeting, answer = run.revealed().ledger
    assert greeting.clara.startswith("¡Hola! ") and "piel mixta" in greeting.clara and PERSONAL in answer.clara
    assert [r.service for r in run.trace if isinstance(r, ev.ProviderWarned)] == ["shop"]


async def test_a_profile_that_comes_too_late_for_the_greeting_is_known_from_the_next_answer_on(tmp_path: Path) -> None:
    settings = Settings.of(local_vad=False, profile_deadline_ms=100)
    clara = manager(tmp_path, settings=settings, faults=[shop("slow", for_ms=700)])
    async with clara:
        await clara.until(S.AVATAR_SPEAKING)
        while not any(isinstance(r, ev.ProfileLoaded) for r in clara.conversation.trace):
            await asyncio.sleep(0.02)
        await clara.type(ASK)
        await clara.until(S.AVATAR_SPEAKING)
    run = clara.run
    assert run is not None
    assert run.ledger[0].clara.startswith("¡Hola! ") and PERSONAL in run.revealed().ledger[1].clara
    assert sum(isinstance(r, do.Speak) and r.turn_id == 0 for r in run.trace) == 1  # never greeted twice
    assert replay(run).same


async def test_a_silent_shop_keeps_nobody_and_hanging_up_does_not_wait_for_it(tmp_path: Path) -> None:
    settings = Settings.of(local_vad=False, profile_deadline_ms=100)
    run = await asyncio.wait_for(talk(manager(tmp_path, settings=settings, faults=[shop("stall")])), 20)
    assert run.ledger[0].clara.startswith("¡Hola! ") and run.ledger[1].clara.startswith(STRANGER)
    assert not any(isinstance(r, ev.ProfileLoaded) for r in run.trace)


async def test_who_types_before_the_profile_has_come_is_answered_at_once(tmp_path: Path) -> None:
    clara = manager(tmp_path, faults=[shop("slow", for_ms=1000)])
    async with clara:
        await clara.type("¿Cuánto cuesta el despacho?")
        await clara.until(S.AVATAR_SPEAKING)
    assert clara.run is not None
    assert clara.run.ledger[0].clara.startswith("El despacho cuesta")


async def test_a_customer_whom_the_shop_does_not_know_is_a_stranger(tmp_path: Path) -> None:
    run = await talk(manager(tmp_path, customer="nobody@example.com"))
    assert run.ledger[0].clara.startswith("¡Hola! ") and run.folder is not None
    assert "nobody@example.com" not in written(run.folder)


async def test_a_customer_who_breaks_the_template_is_greeted_as_a_stranger_and_the_team_is_told(tmp_path: Path) -> None:
    warm = PromptTemplate.load("warm")
    breaks = "{% if first_name == 'Camila' %}{{ concerns[9] }}{% endif %}"
    template = warm.with_source(warm.source.replace("¡Hola{%", f"{breaks}¡Hola{{%"))
    run = await talk(manager(tmp_path, template=template))
    assert run.ledger[0].clara.startswith("¡Hola! ") and run.ledger[1].clara.startswith(STRANGER)
    (notice,) = [r for r in run.trace if isinstance(r, do.Notify)]
    assert "concerns" in notice.message and "Camila" not in notice.message


async def test_switched_off_the_shop_is_not_asked(tmp_path: Path) -> None:
    settings = Settings.of(local_vad=False, enable_personalization=False)
    clara = manager(tmp_path, settings=settings)
    servers = []
    clara.subscribe(lambda _: servers.append(clara.services.twins))
    run = await talk(clara)
    assert servers and servers[0] is not None
    (twin,) = [t for t in servers[0]._twins if isinstance(t, ShopifyTwin)]
    assert not twin.requests
    assert run.ledger[0].clara.startswith("¡Hola! ") and run.ledger[1].clara.startswith(STRANGER)
    assert not any(isinstance(r, do.LoadProfile) for r in run.trace)


async def test_switched_off_in_mid_conversation_the_next_answer_knows_nobody(tmp_path: Path) -> None:
    clara = manager(tmp_path)
    async with clara:
        await clara.until(S.AVATAR_SPEAKING)
        await clara.change(enable_personalization=False)
        await clara.type(ASK)
        await clara.until(S.AVATAR_SPEAKING)
    assert clara.run is not None
    assert clara.run.revealed().ledger[1].clara.startswith(STRANGER)


async def test_an_interrupted_greeting_adds_up_whatever_the_name(tmp_path: Path) -> None:
    clara = manager(tmp_path, customer="nombre_largo")
    async with clara:
        await clara.until(S.AVATAR_SPEAKING)
        await asyncio.sleep(1.2)
        await clara.interrupt()
        await clara.until(S.IDLE)
    run = clara.run
    assert run is not None
    greeting = run.ledger[0]
    assert greeting.interrupted and greeting.heard is not None
    assert f"{greeting.heard} {greeting.unheard}".split() == greeting.clara.split()
    assert greeting.heard.startswith("¡Hola") and greeting.unheard
    assert replay(run).same


async def test_a_cache_makes_the_second_conversation_ask_nobody(tmp_path: Path) -> None:
    cache = ProfileCache(tmp_path / "profiles.sqlite3")
    await talk(manager(tmp_path, profile_cache=cache))
    run = await talk(manager(tmp_path, profile_cache=cache, faults=[shop("refuse", status=402)]))
    assert run.revealed().ledger[0].clara.startswith("¡Hola, Camila!")
    (loaded,) = [r for r in run.trace if isinstance(r, ev.ProfileLoaded)]
    assert loaded.age_s > 0


def test_who_holds_a_run_of_a_live_shop_cannot_find_out_by_trying_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "DATA", tmp_path)
    keys = Keys.model_validate({"shopify_shop": services.TWIN_SHOP, "shopify_admin_token": "t"})

    def key(shop: Any) -> str:
        return compose("sim", shop=shop, customer=1001, keys=keys).customer_key

    guessed = sha256(f"{services.TWIN_SHOP}|gid://shopify/Customer/1001".encode()).hexdigest()[:12]
    assert key("twin") == key("sim") == guessed == "c2e43963c425"  # invented: equal inputs, equal bytes
    live = key("live")
    assert live != guessed and live == key("live")  # one customer has one key on this machine
    assert "1001" not in repr(compose("sim", shop="live", customer=1001, keys=keys))
    (tmp_path / "cache" / "salt").unlink()
    monkeypatch.setattr(store, "_SALT", "another machine")
    assert key("live") != live


def test_a_plain_prompt_and_an_invented_customer_in_a_real_shop_are_refused_with_a_word() -> None:
    from clara_kit.core.prompt import Prompt

    with pytest.raises(ClaraError, match="no place for what the shop knows"):
        compose("twin", customer="camila", prompt=Prompt(static="Eres Clara."))
    with pytest.raises(ClaraError, match="a real shop does not know"):
        compose("twin", customer="camila", shop="live")
    with pytest.raises(ClaraError, match="SHOPIFY_SHOP is not set"):
        compose("twin", customer="someone@example.com", shop="live")
    with pytest.raises(ClaraError, match="give a customer"):
        compose("twin", faults=[shop("cut")])
    with pytest.raises(ClaraError, match="give a customer"):
        simulate([ASK], faults=[shop("cut")])
    with pytest.raises(ClaraError, match="There is no invented customer 'nobody'"):
        compose("twin", customer="nobody")


@pytest.mark.parametrize("persona", Persona.all(), ids=lambda p: p.name)
def test_no_personal_word_of_any_customer_enters_a_simulated_trace(persona: Persona) -> None:
    run = simulate([ASK, "¿Y qué limpiador uso?"], seed=3, customer=persona)
    text = run.to_jsonl().casefold()
    profile = persona.profile
    words = [profile.first_name, *(p.title for p in profile.purchases), persona.email]
    assert not [w for w in words if w and w.casefold() in text]
    assert replay(run).same
    assert len(run.ledger) == 3 and all(t.clara for t in run.ledger)


def test_a_longer_name_takes_longer_to_say_in_the_simulation_as_its_letters_do() -> None:
    short, long = (simulate([ASK], seed=3, customer=Persona.load(n)) for n in ("paz", "benjamin"))
    spoken = []
    for run in (short, long):
        started, ended = (
            next(r.at_ms for r in run.trace if isinstance(r, kind)) for kind in (ev.SpeakingStarted, ev.SpeakingEnded)
        )
        spoken.append((ended - started, len(run.revealed().ledger[0].clara)))
    (short_ms, short_chars), (long_ms, long_chars) = spoken
    assert long_ms - short_ms == pytest.approx((long_chars - short_chars) / CHARS_PER_S * 1000, abs=0.01)
    assert simulate([ASK], seed=3, customer="paz").to_jsonl() == short.to_jsonl()


def test_what_the_shop_sells_becomes_keyterms_where_the_recogniser_takes_them() -> None:
    from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
    from clara_kit.runtime.clock import MonotonicClock

    def query(**changes: Any) -> dict[str, Any]:
        services = compose("twin", settings=Settings.of(**changes))
        services.open()
        try:
            stt = services.stt(MonotonicClock())
            assert isinstance(stt, DeepgramStreamingSTT)
            return stt._query
        finally:
            services.close()

    terms = query()["keyterm"]
    assert "Sérum Calma" in terms and "niacinamida" in terms and len(terms) <= 100
    assert query(stt_keyterms=("Clara",))["keyterm"] == ["Clara"]
    assert "keyterm" not in query(stt_model="nova-2")
