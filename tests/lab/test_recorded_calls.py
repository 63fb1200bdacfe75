"""Claude's answers are kept and played again: the twin plays the vendor, the SDK is the real one."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_kit.core.commands import Message
from clara_kit.core.errors import SettingsError
from clara_kit.core.events import ProviderFailed, ReplyCompleted, ReplyDelta
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.profile import CustomerProfile, fill
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calls.brains import ClaudeBrain, brain_for, invented, not_recorded, written_of
from clara_kit.lab.calls.store import CallStore, calls
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.calls import Call, Frames, hidden
from clara_kit.providers.llm.claude import ClaudeStreamingLLM
from clara_kit.providers.llm.recorded import ASKING, Asking, through
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.world.faults import Fault
from clara_kit.world.personas import Persona
from clara_kit.world.sim import simulate
from tests.lab.vendor import Vendor, playing

SCRIPT = ["Hola, soy Camila", "¿Qué limpiador me recomiendas?"]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    yield from playing(Vendor())


def claude(folder: Path, keys: Keys, llm: Any = "recorded", **options: Any) -> ClaudeBrain:
    brain = brain_for(llm, Settings(), keys=keys, folder=folder, **options)
    assert isinstance(brain, ClaudeBrain)
    return brain


def without_key(folder: Path) -> ClaudeBrain:
    return claude(folder, Keys(anthropic_base_url=NOWHERE))


def request(text: str = "¿Qué hidratante me recomiendas?", personal: str = "") -> ReplyRequest:
    prompt = Prompt(static="Eres Clara.", personal=personal)
    return ReplyRequest(reply_id=1, prompt=prompt, messages=(Message(role="user", text=text),))


def test_a_conversation_once_had_with_a_key_is_had_again_without_one_byte_for_byte(
    vendor: Vendor, tmp_path: Path
) -> None:
    first = claude(tmp_path, vendor.keys)
    with_key = simulate(SCRIPT, brain=first, customer="camila")
    assert first.asked == 2
    assert first.spent_usd > 0
    assert first.spent_usd == pytest.approx(with_key.turns["cost_usd"].sum())
    vendor.server.stop()
    again = without_key(tmp_path)
    assert simulate(SCRIPT, brain=again, customer="camila").to_jsonl() == with_key.to_jsonl()
    assert again.asked == 0
    assert with_key.mix.startswith("stt sim, llm recorded (twin)")


def test_nothing_of_a_customer_nor_any_header_is_written_down(vendor: Vendor, tmp_path: Path) -> None:
    simulate(SCRIPT, brain=claude(tmp_path, vendor.keys), customer="camila")
    written = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.jsonl"))
    assert "Camila" not in written
    assert "{first_name}" in written
    assert "test-key" not in written
    assert "api-key" not in written
    assert "Camila" in str(vendor.twin.requests[0]["messages"])


def test_the_run_looks_as_if_the_provider_itself_had_told_it(vendor: Vendor, tmp_path: Path) -> None:
    brain = claude(tmp_path, vendor.keys)
    live = brain.write(request(), words={})
    kept = without_key(tmp_path).write(request(), words={})
    assert live == kept
    assert live.stop_reason == "end_turn"
    assert live.usage is not None
    assert live.usage.cost_usd
    assert len(live.chunks) > 1
    assert 0 < live.chunks[0][0] <= live.ends_ms


async def told(llm: ClaudeStreamingLLM, asked: ReplyRequest, asking: Asking) -> list[Any]:
    ASKING.set(asking)
    async with llm.reply(asked) as events:
        return [event async for event in events]


def through_the_sdk(keys: Keys) -> ClaudeStreamingLLM:
    return ClaudeStreamingLLM(
        api_key="test-key", base_url=keys.anthropic_base_url, clock=MonotonicClock(), through=through("twin")
    )


async def test_what_is_kept_says_the_same_as_the_sdk(vendor: Vendor) -> None:
    asked = request("Hola, soy {first_name}. ¿Qué limpiador me recomiendas?", "Se llama {first_name}.")
    asking, llm = Asking(words={"{first_name}": "Camila"}, notes=True), through_the_sdk(vendor.keys)
    events = await told(llm, asked, asking)
    assert asking.call is not None
    written = written_of(asking.call, asking.words, "recorded")
    texts = [e for e in events if isinstance(e, ReplyDelta)]
    assert tuple(e.text for e in texts) == tuple(text for _, text in written.chunks)
    assert isinstance(events[-1], ReplyCompleted)
    assert (events[-1].usage, events[-1].stop_reason) == (written.usage, written.stop_reason)
    for event, (came_ms, _) in zip(texts, written.chunks, strict=True):
        assert event.at_ms - events[0].at_ms >= came_ms - 1
    await llm.aclose()


async def test_an_answer_that_was_left_before_its_end_is_not_kept(vendor: Vendor) -> None:
    llm, asking = through_the_sdk(vendor.keys), Asking(notes=True)
    ASKING.set(asking)
    async with llm.reply(request()) as events:
        async for event in events:
            if isinstance(event, ReplyDelta):
                break
    await llm.aclose()
    assert asking.call is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(service="llm", kind="error", after_ms=1),
        Fault(service="llm", kind="cut", after_ms=1),
        Fault(service="llm", kind="refuse", status=401),
    ],
)
def test_an_answer_that_broke_off_or_was_refused_is_not_kept(vendor: Vendor, tmp_path: Path, fault: Fault) -> None:
    vendor.faults.add(fault)
    brain = claude(tmp_path, vendor.keys)
    assert brain.write(request(), words={}).failed is not None
    assert not list(tmp_path.rglob("*.jsonl"))
    assert brain.write(request(), words={}).failed is None


def test_equal_requests_of_several_threads_are_asked_once(vendor: Vendor, tmp_path: Path) -> None:
    brain = claude(tmp_path, vendor.keys)
    with ThreadPoolExecutor(6) as threads:
        same = list(threads.map(lambda _: brain.write(request(), words={}), range(6)))
        others = list(threads.map(lambda n: brain.write(request(f"¿Qué me recomiendas? {n}"), words={}), range(6)))
    assert brain.asked == 7
    assert all(written == same[0] for written in same)
    assert all(written.failed is None for written in others)


def test_an_answer_with_something_in_it_that_is_no_event_is_not_kept(vendor: Vendor, tmp_path: Path) -> None:
    frames = Frames()
    assert list(frames.feed(b'data: {"type":"a"}\r\n\r\nevent: b\ndata: {"type"')) == [{"type": "a"}]
    assert not frames.broken
    assert list(frames.feed(b':"ping"}\n\n: comment\n\n')) == []
    assert not frames.broken
    assert list(frames.feed(b"data: {nothing\n\ndata: 5\n\ndata: {}\n\n")) == []
    assert frames.broken
    vendor.faults.add(Fault(service="llm", kind="garble", after_ms=1))
    brain = claude(tmp_path, vendor.keys)
    assert brain.write(request(), words={}).failed is None  # the vendor's library passes over what it does not know
    assert brain.write(request(), words={}) == without_key(tmp_path).write(request(), words={})


async def test_an_answer_that_comes_packed_is_kept_as_it_reads() -> None:
    events = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "¿Sí?"}},
        {"type": "message_stop"},
    ]
    packed = gzip.compress(b"".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events))
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    vendor = httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=packed))
    )
    asking = Asking(notes=True)
    ASKING.set(asking)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hola"}]}
    async with through("anthropic")(vendor) as client:
        answer = await client.post("https://api.anthropic.com/v1/messages", json=body)
    assert "¿Sí?" in answer.text
    assert asking.call is not None
    assert text_of(asking.call.came) == "¿Sí?"


def test_a_busy_vendor_is_waited_for_as_long_as_it_asks(vendor: Vendor, tmp_path: Path) -> None:
    vendor.faults.add(Fault(service="llm", kind="refuse", status=429, for_ms=3000))
    brain = claude(tmp_path, vendor.keys)
    run = simulate(["¿Qué limpiador me recomiendas?"], brain=brain)
    assert brain.asked == 2
    assert not [e for e in run.events if isinstance(e, ProviderFailed)]


def test_a_request_that_is_not_kept_says_which_and_how_to_record_it(vendor: Vendor, tmp_path: Path) -> None:
    run = simulate(SCRIPT, brain=without_key(tmp_path), customer="camila")
    missing = not_recorded(run)
    assert len(missing) == 2
    assert "«Hola, soy {first_name}»" in missing[0]
    failed = next(e for e in run.events if isinstance(e, ProviderFailed))
    assert "ANTHROPIC_API_KEY" in failed.hint
    assert "llm='recorded'" in failed.hint
    assert not failed.retryable
    assert not_recorded(simulate(SCRIPT)) == ()


def test_live_asks_anew_and_keeps_the_first(vendor: Vendor, tmp_path: Path) -> None:
    brain = claude(tmp_path, vendor.keys, "live")
    first, second = brain.write(request(), words={}), brain.write(request(), words={})
    assert brain.asked == 2
    assert brain.mode == "twin"
    assert first.source == second.source == "live"
    assert without_key(tmp_path).write(request(), words={}).chunks == first.chunks


def test_only_invented_customers_are_kept_unless_it_is_asked_for(vendor: Vendor, tmp_path: Path) -> None:
    somebody = CustomerProfile(first_name="Rosa", skin_type="Seca")
    simulate(["¿Qué limpiador me recomiendas?"], brain=claude(tmp_path, vendor.keys), customer=somebody)
    assert not list(tmp_path.rglob("*.jsonl"))
    willing = claude(tmp_path, vendor.keys, real_customers=True)
    run = simulate(["¿Qué limpiador me recomiendas?"], brain=willing, customer=somebody)
    assert [path.parent.name for path in tmp_path.rglob("*.jsonl")] == ["mine"]
    again = simulate(["¿Qué limpiador me recomiendas?"], brain=without_key(tmp_path), customer=somebody)
    assert again.to_jsonl() == run.to_jsonl()
    assert not list(CallStore(tmp_path).all())


def test_who_is_invented_is_known_by_the_words() -> None:
    assert invented({}) == ""
    for one in Persona.all():
        assert invented(Placeholders(one.profile).map) is not None
    assert invented({"{first_name}": "Rosa"}) is None


def test_another_customer_gets_the_same_answer_with_her_own_words(vendor: Vendor, tmp_path: Path) -> None:
    asked = request("Hola, soy {first_name}.", "Se llama {first_name}. Usa su nombre en cada respuesta.")
    brain = claude(tmp_path, vendor.keys, real_customers=True)
    brain.write(asked, words={"{first_name}": "Camila"})
    other = brain.write(asked, words={"{first_name}": "Antonia"})
    assert brain.asked == 1
    text = "".join(text for _, text in other.chunks)
    assert "Camila" not in text
    assert (
        brain.write(
            request("Hola, soy {first_name}", "Se llama así: {first_name}."), words={"{first_name}": "Ana"}
        ).failed
        is None
    )
    assert brain.asked == 2  # another prompt is another request


def text_of(came: Any) -> str:
    return "".join(piece for _, piece in came if isinstance(piece, str))


@given(
    st.lists(
        st.sampled_from(["Hola", " ", "Ca", "mila", "Camila", ", piel ", "se", "ca", "seca", ".", "mi"]), max_size=12
    )
)
def test_words_are_hidden_wherever_the_pieces_are_cut_and_filled_again(pieces: list[str]) -> None:
    words = {"{first_name}": "Camila", "{skin_type}": "seca"}
    body = {"messages": [{"role": "user", "content": "{first_name} {skin_type}"}]}
    came = hidden(
        [(float(n), piece) for n, piece in enumerate(pieces)] + [(99.0, {"type": "message_stop"})], body, words
    )
    assert fill(text_of(came), words).casefold() == "".join(pieces).casefold()  # in their usual spelling
    assert " Camila " not in text_of(came)


def test_only_what_the_request_told_is_hidden_in_the_answer() -> None:
    words = {"{first_name}": "Camila", "{purchase_1}": "Crema Nube"}
    body = {"messages": [{"role": "user", "content": "Soy {first_name}"}]}
    came = hidden([(0.0, "CAMILA, te va la Crema Nube."), (1.0, {"type": "message_stop"})], body, words)
    assert text_of(came) == "{first_name}, te va la Crema Nube."


def call(n: int, text: str = "Hola") -> Call:
    body = {"model": "claude-haiku-5-5", "stream": True, "messages": [{"role": "user", "content": f"pregunta {n}"}]}
    return Call(who="twin", body=body, came=((1.0, text), (2.0, {"type": "message_stop"})), made="2026-11-28")


def test_a_damaged_line_is_told_and_costs_no_other(tmp_path: Path) -> None:
    for n in range(3):
        CallStore(tmp_path).keep(call(n))
    (path,) = tmp_path.glob("*.jsonl")
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"Hola", b"Chao")  # changed by hand
    path.write_bytes(b"\n".join(lines)[:-9])  # and the last one cut off
    store = CallStore(tmp_path)
    assert store.get(call(0).body, "twin") == call(0)
    assert store.get(call(1).body, "twin") is None
    assert store.get(call(2).body, "twin") is None
    assert "changed by hand" in store.warnings[0]
    for n in (1, 2):
        assert store.keep(call(n, "De nuevo")) == call(n, "De nuevo")
        assert CallStore(tmp_path).get(call(n).body, "twin") == call(n, "De nuevo")
    assert calls(tmp_path)["calls"].to_list() == [3]


def test_a_file_that_is_edited_or_exchanged_meanwhile_is_read_anew(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    for n in range(3):
        store.keep(call(n))
    (path,) = tmp_path.glob("*.jsonl")
    head, *lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + b"".join(reversed(lines)))  # in its place, as long as before
    assert [store.get(call(n).body, "twin") for n in range(3)] == [call(n) for n in range(3)]
    path.unlink()
    assert store.get(call(1).body, "twin") is None
    assert store.keep(call(1)) == call(1)
    assert store.warnings == ()


def test_the_first_answer_to_a_request_stays(tmp_path: Path) -> None:
    one, other = CallStore(tmp_path), CallStore(tmp_path)
    assert one.get(call(1).body, "twin") is None
    other.keep(call(1, "primera"))
    assert one.keep(call(1, "segunda")) == call(1, "primera")
    assert one.get(call(1).body, "anthropic") is None  # the twin's answers are never taken for the vendor's


def test_no_more_is_kept_than_there_is_room_for(tmp_path: Path) -> None:
    store = CallStore(tmp_path, most_bytes=600)
    for n in range(4):
        assert store.keep(call(n)) == call(n)
    assert 0 < len(list(store.all())) < 4
    assert "larger than it may be" in store.warnings[0]
    assert CallStore(tmp_path / "file" / "x").keep(call(1)) == call(1)


def _keep(folder: str, first: int) -> None:
    for n in range(first, first + 60):
        CallStore(folder).keep(call(n))


@pytest.mark.wall
def test_two_processes_write_into_one_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_keep, args=(str(tmp_path), first)) for first in (0, 40)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert sorted(c.body["messages"][0]["content"] for c in CallStore(tmp_path).all()) == sorted(
        f"pregunta {n}" for n in range(100)
    )
    (path,) = tmp_path.glob("*.jsonl")
    assert len([json.loads(line) for line in path.read_text("utf-8").splitlines()]) == 101


def test_a_brain_goes_to_another_process_without_the_key(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brain = claude(tmp_path, vendor.keys)
    brain.write(request(), words={})
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    sent = pickle.dumps(brain)
    assert b"test-key" not in sent
    there = pickle.loads(sent)
    assert there.write(request(), words={}).failed is None
    assert not there.may_ask
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", vendor.keys.anthropic_base_url)
    assert pickle.loads(sent).may_ask
    assert not pickle.loads(pickle.dumps(without_key(tmp_path))).may_ask


def test_what_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY"):
        brain_for("live", Settings(), keys=Keys(), folder=tmp_path)
    with pytest.raises(SettingsError, match="use scripted"):
        brain_for("claude", Settings(), keys=Keys())  # type: ignore[arg-type]
    assert brain_for("scripted", Settings()) is None


def test_what_is_kept_can_be_listed(vendor: Vendor, tmp_path: Path) -> None:
    assert calls(tmp_path).is_empty()
    simulate(SCRIPT, brain=claude(tmp_path, vendor.keys), customer="camila")
    (row,) = calls(tmp_path).to_dicts()
    assert (row["model"], row["answered_by"], row["calls"], row["customers"]) == ("claude-haiku-5-5", "twin", 2, 1)
    assert row["size_kb"] > 1
    (first, second) = CallStore(tmp_path).all()
    assert first.customer == "camila"
    assert written_of(second, {}, "recorded").chunks
