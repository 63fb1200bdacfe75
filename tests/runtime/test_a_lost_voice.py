"""Deepgram's voice is lost, or the avatar: over the vendors' twins another voice says what was to be said, or it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.runtime.compose import compose
from clara_kit.runtime.manager import ConversationManager
from clara_kit.world.faults import Fault, FaultKind

ENDS = ev.SpeakingEnded | ev.SpeakingInterrupted | ev.ProviderFailed


def several(service: ev.Service, kind: FaultKind, occasions: Iterable[int]) -> tuple[Fault, ...]:
    return tuple(Fault(service=service, kind=kind, status=503, on=on) for on in occasions)


class Call:
    """One conversation, with what was heard of each utterance, in ms."""

    def __init__(self, clara: ConversationManager) -> None:
        self.clara, self.heard_ms = clara, dict[int, float]()
        clara.subscribe_sound(self._hear)

    def _hear(self, utterance_id: int, pcm: bytes, rate_hz: int) -> None:
        self.heard_ms[utterance_id] = self.heard_ms.get(utterance_id, 0.0) + len(pcm) / 2 / rate_hz * 1000

    def of(self, kind: Any) -> list[Any]:
        return [record for record in self.clara.conversation.trace if isinstance(record, kind)]

    async def until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not happened():
                await asyncio.sleep(0.05)


@asynccontextmanager
async def call(folder: Path, *faults: Fault, greeting: str = "") -> AsyncIterator[Call]:
    settings = Settings.of(enable_auto_fallback=True, greeting=greeting)
    services = compose("twin", settings=settings, faults=faults, latency="fast")
    async with ConversationManager(services, log_root=folder) as clara:
        yield Call(clara)


async def test_an_answer_whose_voice_is_refused_again_and_again_is_spoken_by_another_vendors(tmp_path: Path) -> None:
    async with call(tmp_path, *several("tts", "refuse", range(1, 4))) as one:
        await one.clara.type("¿Hacen despachos a regiones?")
        await one.until(lambda: one.of(ev.SpeakingEnded))
        switched = [(c.service, c.target) for c in one.of(do.SwitchTo)]
        ended = one.of(ev.SpeakingEnded)[-1]
        said = [c.text for c in one.of(do.Speak) if c.utterance_id == ended.utterance_id]
    assert switched[0] == ("tts", "other") and any("despachamos" in text for text in said)
    assert list(one.heard_ms) == [ended.utterance_id] and one.heard_ms[ended.utterance_id] > 2000


async def test_where_the_other_voice_is_lost_too_it_is_shown_and_no_word_is_missing(tmp_path: Path) -> None:
    async with call(tmp_path, *several("tts", "refuse", range(1, 40))) as one:
        await one.clara.type("¿Hacen despachos a regiones?")
        await one.until(lambda: "despachamos" in " ".join(c.text for c in one.of(do.ShowText)))
        targets = [c.target for c in one.of(do.SwitchTo) if c.service == "tts"]
        failed = {f.message.split()[0] for f in one.of(ev.ProviderFailed)}
    assert targets[:2] == ["other", "text"] and failed == {"Deepgram", "ElevenLabs"}
    assert one.heard_ms == {}


async def test_without_her_face_the_same_voice_goes_on(tmp_path: Path) -> None:
    faults = (Fault(service="avatar", kind="cut", on=1, after_ms=300), *several("avatar", "refuse", range(2, 20)))
    async with call(tmp_path, *faults, greeting="Hola, soy Clara.") as one:
        await one.until(lambda: ("avatar", "sound") in [(c.service, c.target) for c in one.of(do.SwitchTo)])
        await one.clara.type("¿Hacen despachos a regiones?")
        await one.until(lambda: one.of(ev.SpeakingEnded))
        ended = one.of(ev.SpeakingEnded)[-1]
        ends = [record.utterance_id for record in one.of(ENDS) if record.utterance_id is not None]
    assert ended.estimated and one.heard_ms[ended.utterance_id] > 2000
    assert len(ends) == len(set(ends))
