"""The desk's buttons that cut in: which of them wait for their moment, and what Clara did about the last."""

from __future__ import annotations

import asyncio
from typing import Any

from clara_kit.audio.pcm import Sound
from clara_kit.lab.cut_ins import CutIns
from clara_kit.lab.six_moments import did
from clara_kit.runtime.manager import ConversationManager
from clara_kit.widgets.desk_view import DeskView, Voice


class CuttingIn:
    """Of one conversation at one desk."""

    def __init__(self, view: DeskView, clara: ConversationManager, voice: Voice) -> None:
        self._view, self._clara, self._voice = view, clara, voice
        self._cut_ins = CutIns(clara, self._hear)
        self._waits: dict[str, asyncio.Task[None]] = {}
        self._last: tuple[str, float] | None = None
        view.armed, view.did = [], {}
        self.say = self._cut_ins.say

    def _hear(self, name: str, sound: Sound | None) -> None:
        self._voice.customer(sound)
        if name and sound is not None:
            self._last = name, self._clara.clock.now_ms()
            self._waits.pop(name, None)
            self._show()
            self._view.did = self.told()

    def _show(self) -> None:
        self._view.armed = [*self._waits]

    async def play(self, name: str) -> None:
        """Do it at its moment, or, where that is being waited for, wait no more. Raises `ClaraError` for an unknown name."""
        if (waiting := self._waits.pop(name, None)) is not None:
            waiting.cancel()
            return self._show()
        task = self._waits[name] = asyncio.ensure_future(self._cut_ins.play(name))
        self._show()
        await asyncio.wait({task})
        if self._waits.get(name) is task:  # it failed
            del self._waits[name]
            self._show()
        failed = None if task.cancelled() else task.exception()
        if failed is not None and not (self._clara.stopping or self._clara.run is not None):
            raise failed

    def stop(self) -> None:
        """It is over: nothing is waited for any more."""
        for task in self._waits.values():
            task.cancel()

    def told(self) -> dict[str, Any]:
        """What Clara did about the last so far, as the view has it."""
        if self._last is None:
            return {}
        name, since_ms = self._last
        what, held = did(self._clara.conversation.trace, since_ms), self._clara.conversation.talk.held
        told = {"name": name, "stopped_ms": what.stopped_ms, "asked": what.asked, "rest": what.rest}
        return {**told, "noticed": what.noticed or bool(what.asked), "held": held is not None}
