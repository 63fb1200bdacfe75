"""Answers that are kept, in whole conversations over twins: given at once, to whom they fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationManager, ConversationState, Settings, compose
from clara_kit.cache.faq import Curated
from clara_kit.cache.responses import ResponseCache
from clara_kit.core import commands as do
from clara_kit.core import events as ev

S = ConversationState
ASK = "¿Hacen despachos a regiones?"
ANSWER = "Sí, despachamos a todo Chile. Demora entre tres y cinco días hábiles."
CURATED = Curated(id="regions", question=ASK, answer=ANSWER, asked=("¿Despachan a regiones?",))
CACHE = {"greeting": "", "enable_response_cache": True}


def manager(tmp_path: Path, cache: ResponseCache | None = None, **more: Any) -> ConversationManager:
    settings = Settings.of(**{**CACHE, **more.pop("settings", {})})
    services = compose("twin", settings=settings, latency=more.pop("latency", "fast"), **more)
    services.answers = cache or ResponseCache(faq=[CURATED])
    return ConversationManager(services, log_root=tmp_path)


def of(clara: ConversationManager, kind: type) -> list[Any]:
    return [record for record in clara.conversation.trace if isinstance(record, kind)]


async def test_a_frequent_question_is_answered_without_asking_the_model(tmp_path: Path) -> None:
    async with manager(tmp_path) as clara:
        turn = await clara.ask(ASK)
    assert turn.clara == ANSWER
    assert not of(clara, do.RequestReply)
    assert [found.text for found in of(clara, ev.AnswerFound)] == [ANSWER]
