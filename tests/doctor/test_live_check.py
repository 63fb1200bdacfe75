"""One sentence through «live» vendors, played by a second server of twins or by something that differs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from aiohttp import web

from clara_kit.core.settings import Keys, Settings
from clara_kit.doctor.live import SENTENCE, live_and_twin, prices, twin_keys
from clara_kit.doctor.shapes import compare, side_by_side
from clara_kit.runtime.compose import clara_voice
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.liveavatar.twin import LiveAvatarTwin
from clara_kit.world.twins.server import TwinServer

pytestmark = pytest.mark.timeout(60)


@contextmanager
def stand_in(**liveavatar: Any) -> Iterator[Keys]:
    """A second server of twins that plays the live vendors."""
    lines, context = LineBook(), TwinContext(profile=LatencyProfile.load("fast"))
    lines.learn(SENTENCE, clara_voice().synthesize(SENTENCE))
    twins = [
        DeepgramTwin(context, lines, clara_voice()),
        AnthropicTwin(context, AnswerBook.load()),
        LiveAvatarTwin(context, **liveavatar),
    ]
    with TwinServer(twins) as server:
        yield twin_keys(server.addresses)


async def test_the_sentence_goes_through_every_vendor_and_equal_wires_show_no_difference() -> None:
    with stand_in() as keys:
        live, twin = await live_and_twin(keys, Settings(), latency="fast")
    assert [(s.service, s.state) for s in live.steps] == [
        ("voice", "ok"), ("hearing", "ok"), ("model", "ok"), ("avatar", "ok"),
    ]  # fmt: skip
    assert "4 words of 4" in live.steps[1].text and live.ok and twin.ok
    assert compare(side_by_side(live.messages, twin.messages)) == ()
    kinds = {(m.vendor, m.way, m.kind) for m in live.messages}
    assert {
        ("deepgram", "sent", "speak Speak"),
        ("deepgram", "received", "listen Results"),
        ("anthropic", "received", "content_block_delta"),
        ("liveavatar", "sent", "agent.speak"),
        ("liveavatar", "received", "agent.speak_ended"),
    } <= kinds
    assert all(here.count and there.count for _, here, there in side_by_side(live.messages, twin.messages))
    assert "despachos" not in repr(live.messages) and "test-key" not in repr((live, twin))


async def test_an_avatar_of_another_dialect_shows_what_each_side_lacks() -> None:
    with stand_in(dialect="state_updates") as keys:
        keys = keys.model_copy(update={"deepgram_api_key": None, "anthropic_api_key": None})
        live, twin = await live_and_twin(keys, Settings(), latency="fast")
    assert [s.state for s in live.steps] == ["skipped", "skipped", "skipped", "ok"]
    told = {(d.kind, d.field): d.verdict for d in compare(side_by_side(live.messages, twin.messages))}
    assert told[("agent.speak_started", "")] == "missing live"
    assert told[("agent.state_updated", "")] == "missing in twin"


@asynccontextmanager
async def anthropic_that_differs() -> AsyncIterator[str]:
    """Speaks like Anthropic, but counts in words, knows a field more, and never pings."""

    async def messages(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                 "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1}}  # fmt: skip
        for event in (
            {"type": "message_start", "message": start, "billing": {"plan": "new"}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Sí."}},
            {"type": "content_block_stop", "index": "0"},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ):  # fmt: skip
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_post("/v1/messages", messages)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_vendor_whose_messages_changed_is_found_field_by_field() -> None:
    async with anthropic_that_differs() as address:
        keys = Keys.model_validate({"anthropic_api_key": "test-key", "anthropic_base_url": address})
        live, twin = await live_and_twin(keys, Settings(), latency="fast")
    assert live.ok, live.steps
    told = {(d.kind, d.field): d.verdict for d in compare(side_by_side(live.messages, twin.messages))}
    assert told[("message_start", "billing")] == "missing in twin"
    assert told[("content_block_stop", "index")] == "type differs"
    assert told[("ping", "")] == "missing live"
    assert ("message_start", "billing.plan") not in told


async def test_a_wrong_key_fails_its_own_steps_with_a_remedy_and_no_others() -> None:
    with stand_in() as keys:
        wrong = Keys.model_validate(
            {
                **{f"{v}_base_url": getattr(keys, f"{v}_base_url") for v in ("deepgram", "anthropic")},
                "deepgram_api_key": "wrong-key",
                "anthropic_api_key": "test-key",
            }
        )
        live, twin = await live_and_twin(wrong, Settings(), latency="fast")
    assert [s.state for s in live.steps] == ["failed", "failed", "ok", "skipped"]
    assert "HTTP 401" in live.steps[0].text and "DEEPGRAM_API_KEY" in live.steps[0].text
    assert not live.ok and twin.ok and "wrong-key" not in repr(live)


async def test_a_vendor_that_is_not_there_is_told_and_the_others_are_tried() -> None:
    nowhere = "http://127.0.0.1:9"
    keys = Keys.model_validate({"liveavatar_api_key": "test-key", "liveavatar_base_url": nowhere})
    live, twin = await live_and_twin(keys, Settings(), latency="fast")
    assert live.steps[3].state == "failed" and "cannot be reached" in live.steps[3].text
    assert twin.ok


def test_the_price_names_only_vendors_with_a_key_and_where_it_comes_from() -> None:
    keys = Keys.model_validate({"deepgram_api_key": "test-key", "anthropic_api_key": "test-key"})
    table = prices(keys, Settings())
    assert [p.vendor for p in table] == ["deepgram", "deepgram", "anthropic"]
    assert 0 < sum(p.usd or 0 for p in table) < 0.01
    assert all("list" in p.text or "pages" in p.text for p in table)
    unknown = prices(keys, Settings.of(llm_model="claude-neverwas"))[2]
    assert unknown.usd is None and "not known" in unknown.text
