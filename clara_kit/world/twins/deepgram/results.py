"""What `/v1/listen` sends: the results of a stretch of speech, and the order and time in which messages go out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from clara_kit.audio.voice import WordTime
from clara_kit.world.twins.deepgram.query import Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Words from one stream time to another, in ms, and what kind of end they have."""

    words: list[WordTime]
    from_ms: float
    until_ms: float
    is_final: bool
    speech_final: bool
    from_finalize: bool = False

    def message(self, options: Options, request_id: str) -> dict[str, Any]:
        """As Deepgram words it."""
        spoken = [
            {
                "word": _bare(w.word),
                "start": round(w.start_ms / 1000, 3),
                "end": round(w.end_ms / 1000, 3),
                "confidence": 0.98,
            }
            for w in self.words
        ]
        if options.formatted:
            for entry, word in zip(spoken, self.words, strict=True):
                entry["punctuated_word"] = word.word
        transcript = " ".join(w.word if options.formatted else _bare(w.word) for w in self.words)
        lasted_ms = max(0.0, self.until_ms - self.from_ms)
        sure = 0.98 if self.words else 0.0
        return {
            "type": "Results", "channel_index": [0, 1], "duration": round(lasted_ms / 1000, 3),
            "start": round(self.from_ms / 1000, 3), "is_final": self.is_final, "speech_final": self.speech_final,
            "from_finalize": self.from_finalize,
            "channel": {"alternatives": [{"transcript": transcript, "confidence": sure, "words": spoken}]},
            "metadata": {"request_id": request_id, "model_uuid": "00000000-0000-4000-8000-000000000000",
                         "model_info": {"name": f"{options.model}-twin", "version": "twin", "arch": options.model}},
        }  # fmt: skip


class Outbox:
    """Messages on their way to one client: each at its time, none before another."""

    def __init__(self, socket: web.WebSocketResponse, late_ms: float) -> None:
        self._socket = socket
        self.late_ms = late_ms
        """How much later than usual everything goes out."""
        self._queue: asyncio.Queue[tuple[float, dict[str, Any] | asyncio.Future[None]]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._silent_until_s = 0.0

    def post(self, message: dict[str, Any], *, late_ms: float = 0.0) -> None:
        """Send a message `late_ms` from now; messages never overtake each other."""
        self._queue.put_nowait((self._loop.time() + (late_ms + self.late_ms) / 1000, message))

    def hush(self, for_s: float) -> None:
        """Send nothing for so long."""
        self._silent_until_s = self._loop.time() + for_s

    async def sent(self) -> None:
        """Until everything that was posted has gone out."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put_nowait((0.0, done))
        await done

    async def run(self) -> None:
        """Send what is due, in order, until cancelled."""
        while True:
            due_s, message = await self._queue.get()
            wait_s = max(due_s, self._silent_until_s) - self._loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if isinstance(message, asyncio.Future):
                message.set_result(None)
            elif not self._socket.closed:
                try:
                    await self._socket.send_json(message)
                except ConnectionError:
                    continue


def _bare(word: str) -> str:
    """A word without punctuation, in lower case, as the recogniser's plain words are."""
    return word.strip(".,;:!?¿¡…\"'«»()").lower()
