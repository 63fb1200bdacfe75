"""Answers that are kept, in whole conversations over twins: given at once, to whom they fit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
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


async def test_what_the_model_said_once_is_given_again_to_whoever_asks_the_same_on_the_same_machine(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept"
    spoken = []
    for _ in range(2):
        clara = manager(tmp_path, ResponseCache(kept / "answers.sqlite3"))
        async with clara:
            spoken.append((await clara.ask(ASK)).clara)
        requests = len(of(clara, do.RequestReply))
    assert spoken[0] == spoken[1] and requests == 0


async def test_the_first_sound_of_a_kept_answer_is_there_within_a_moment_of_the_turns_end(tmp_path: Path) -> None:
    async with manager(tmp_path, latency="published") as clara:
        turn = await clara.ask(ASK)
    decided = next(r for r in of(clara, do.Speak))
    first = next(r for r in of(clara, ev.FirstAudio))
    assert turn.clara == ANSWER
    assert first.at_ms - decided.at_ms < 50, "the voice's twin alone takes 140 ms"


async def test_the_sound_of_an_answer_is_made_while_she_asks_for_it_in_words_that_nobody_wrote(tmp_path: Path) -> None:
    longer = Curated(id="longer", question=ASK.replace("?", " y a islas?"), answer="A islas demora dos semanas.")
    async with manager(tmp_path, ResponseCache(faq=[longer, CURATED])) as clara:
        voice, kept = clara.services.sounds.voice, clara._session._kept
        assert voice is not None
        made: list[str] = []
        prepare, done = voice.prepare, asyncio.Event()

        async def noted(texts: Iterable[str]) -> int:
            made.extend(texts)
            done.set()
            return await prepare(made)

        voice.prepare = noted  # type: ignore[method-assign]
        for text, first in ((ASK, "Sí,"), ("oye mandan despachos a las regiones", "Sí,"), (longer.question, "A islas")):
            made.clear()
            done.clear()
            await clara._call(_seen(kept.saw, text))
            while not done.is_set() or not kept._foreseeing.done():  # what comes meanwhile waits for no turn of its own
                await clara.wait(0.05)
            assert made[0].startswith(first) and all(map(voice.sounds.has, made)), text


async def _seen(saw: Callable[[ev.Event], None], text: str) -> None:
    saw(ev.TranscriptInterim(at_ms=0, text=text))


async def test_what_is_one_customers_is_not_kept_for_another(tmp_path: Path) -> None:
    cache = ResponseCache()
    async with manager(tmp_path, cache, customer="camila", settings={"greeting": None}) as clara:
        await clara.ask("¿Cómo me llamo y qué crema me recomiendas?")
        await clara.ask(ASK)
    assert "Camila" not in repr(cache.entries())
    for entry in cache.entries():
        assert entry.depends, "a learnt answer depends at least on its prompt and model"


async def test_an_answer_for_a_skin_is_found_by_a_customer_of_that_skin_whose_words_the_trace_hides(
    tmp_path: Path,
) -> None:
    question, answer = "¿Qué limpiador me sirve para piel mixta?", "Para piel mixta te sirve el gel limpiador suave."
    cache = ResponseCache(faq=[Curated(id="cleanser", question=question, answer=answer)])
    settings = {"greeting": None, "answers_expire_h": 24}
    async with manager(tmp_path, cache, customer="camila", settings=settings) as clara:
        assert clara.services.customer_key
        turn = await clara.ask(question)
    assert not of(clara, do.RequestReply)
    (spoken,) = clara.revealed(of(clara, do.Speak)[-1:])
    assert isinstance(spoken, do.Speak) and spoken.text == answer
    assert turn.clara.startswith("Para piel")


async def test_a_kept_answer_that_is_corrected_is_trusted_less(tmp_path: Path) -> None:
    cache = ResponseCache(faq=[CURATED])
    async with manager(tmp_path, cache) as clara:
        await clara.ask(ASK)
        await clara.ask("No, eso está mal, no es eso.")
    assert of(clara, do.DistrustAnswer)
    assert cache.entries()[0].trust < 1


async def test_a_file_of_questions_that_cannot_be_read_ends_no_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clara_kit.runtime.kept.FAQ", tmp_path / "nowhere")
    clara = manager(tmp_path)
    clara.services.answers = None
    async with clara:
        turn = await clara.ask(ASK)
    assert turn.clara and of(clara, do.RequestReply)


async def test_openers_are_ready_before_the_first_turn(tmp_path: Path) -> None:
    clara = manager(tmp_path, settings={"openers": True, "enable_response_cache": False})
    async with clara:
        voice = clara.services.sounds.voice
        assert voice is not None
        while not all(map(voice.sounds.has, clara.services.openers)):
            await clara.wait(0.05)
    assert clara.services.openers
