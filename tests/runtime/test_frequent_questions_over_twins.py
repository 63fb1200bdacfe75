"""The frequent questions that the kit ships, asked in a conversation over twins by a customer whom the shop knows."""

from __future__ import annotations

from pathlib import Path

from clara_kit import ConversationManager, Settings, compose
from clara_kit.cache.faq import FAQ
from clara_kit.cache.responses import ResponseCache
from clara_kit.core import events as ev


async def test_a_known_customer_gets_the_shops_promises_and_what_suits_her_skin_at_once(tmp_path: Path) -> None:
    services = compose("twin", settings=Settings.preset("fast"), latency="fast", customer="camila")
    services.answers = ResponseCache(faq=FAQ)
    async with ConversationManager(services, log_root=tmp_path) as clara:
        for asked in ("cuánto sale el envío", "qué limpiador me recomiendas", "cuánto cuesta el envío a Perú"):
            await clara.ask(asked)
    told = clara.revealed(clara.conversation.trace)
    found = [record for record in told if isinstance(record, ev.AnswerFound | ev.AnswerNotFound)]
    assert [type(record) for record in found] == [ev.AnswerFound, ev.AnswerFound, ev.AnswerNotFound]
    assert "$3.990" in found[0].text and "gel limpiador Brisa" in found[1].text  # her skin is «Mixta»
