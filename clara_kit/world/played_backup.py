"""The avatar vendor's own assistant, simulated on a clock: what stands behind `providers/avatar/base.py`'s `Backup`.

Beside `played.py`, with whose services it shares a stage: what one of them left without words, it hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.prompt import Prompt
from clara_kit.world import mouths, timelines
from clara_kit.world.answers import AnswerBook
from clara_kit.world.assistant import TURN_END_MS, Assistant
from clara_kit.world.faults import Fault
from clara_kit.world.hears import KEPT_MS
from clara_kit.world.played import Order, PlayedAvatar, Stage
from clara_kit.world.script import Line, WordTime


class _Answers(PlayedAvatar):
    """An avatar that can be asked."""

    def __init__(
        self, stage: Stage, prompt: Prompt, messages: Sequence[do.Message] = (), classic: mouths.Mouth | None = None
    ) -> None:
        self._assistant = Assistant(stage.settings, stage.draw, stage.length, AnswerBook.load(), classic)
        self._assistant.told(prompt if prompt.text else None, messages, hash_=prompt.hash)
        super().__init__(stage, self._assistant.mouth)

    async def ask(self, turn_id: int, reply_id: int, utterance_id: int, text: str, *, heard: bool = False) -> None:
        """See the Protocol."""
        stage = self._stage
        if stage.voice is not None:
            await asyncio.to_thread(lambda: [*map(stage.length, self._assistant.sentences(text))])
        order = do.AskBackup(
            at_ms=stage.clock.now_ms(), reason="", turn_id=turn_id, reply_id=reply_id, utterance_id=utterance_id,
            text=text, heard=heard,
        )  # fmt: skip
        await self._order(utterance_id, order)

    def _faults_of(self, order: Order) -> tuple[Fault, ...]:
        asked = isinstance(order, do.AskBackup)
        return self._stage.faults.next_occasion("backup") if asked else super()._faults_of(order)

    def _do(self, order: Order) -> None:
        if not isinstance(order, do.AskBackup):
            return super()._do(order)
        happens = self._assistant.ask(order, self._stage.clock.now_ms(), self._mouth.faults)
        self._await(happens)
        self._sounds(order.utterance_id, "".join(event.text for event in happens if isinstance(event, ev.ReplyDelta)))

    def _silenced(self) -> list[ev.Event]:
        return self._assistant.silence(self._stage.clock.now_ms())


class PlayedClassic(_Answers):
    """HeyGen's classic avatar with its voice: one session both repeats and answers. Nobody is heard by it here."""

    hears = False

    def __init__(self, stage: Stage, prompt: Prompt) -> None:
        classic = mouths.mouth_for(stage.settings, stage.latency, stage.draw, stage.length)
        super().__init__(stage, prompt, classic=classic)

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """It has no ears."""


class PlayedBackup(_Answers):
    """A session of its own, as LiveAvatar's FULL ones are; told what is said, for it has no ears."""

    needs_sound = False

    def __init__(
        self, stage: Stage, *, prompt: Prompt, messages: Sequence[do.Message] = (), hears: bool = False
    ) -> None:
        super().__init__(stage, prompt, messages)
        self._session = "backup"
        self._wants, self._hearing = hears, False

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.hears = self._wants
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hears = False
        await super().__aexit__()

    @property
    def hears(self) -> bool:
        """Whether it listens to the customer."""
        return self._hearing

    @hears.setter
    def hears(self, on: bool) -> None:
        stage, was, self._hearing = self._stage, self._hearing, on
        now_ms = stage.clock.now_ms()
        if on and not was:
            for words, start_ms in stage.ear.leaves(now_ms, KEPT_MS):
                self._hear(words, start_ms)
        elif was and not on:
            again = stage.ear.takes(self._assistant.deafened(now_ms), now_ms)
            for recogniser in stage.recognisers:
                recogniser.hear(again)

    def expect(self, line: Line, start_ms: float) -> None:
        """The customer begins to say this line now."""
        for words in timelines.stretches(line, TURN_END_MS):
            self._hear(words, start_ms)

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        """Sound means nothing to it."""

    def _hear(self, words: list[WordTime], start_ms: float) -> None:
        for event in self._assistant.hear(words, start_ms, self._stage.clock.now_ms()):
            self._at(event.at_ms, lambda event=event: self._heard(event))  # type: ignore[misc]

    def _heard(self, event: ev.Event) -> None:
        if self._hearing:
            self._out.put_nowait(event)
            if isinstance(event, ev.SpeechStarted) and self._mouth.utterance_id >= 0:
                self._schedule(self._silenced())
                self._go_on()

    def _faults_of(self, order: Order) -> tuple[Fault, ...]:
        return self._stage.faults.next_occasion("backup")
