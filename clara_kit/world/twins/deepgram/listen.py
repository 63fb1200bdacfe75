"""`/v1/listen` of the Deepgram twin: real voice activity on the sound itself, words from the lines it knows.

A stretch of speech (as the VAD hears it) is matched against the known lines; the words come from the line's
own timing. Unknown speech is an empty transcript. Endpointing is what the VAD measures; results come the
profile's time after the sound that caused them.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from clara_kit.audio.pcm import Resampler, Sound
from clara_kit.audio.vad import VoiceActivityDetector
from clara_kit.audio.voice import WordTime
from clara_kit.world.faults import Fault, find
from clara_kit.world.twins.deepgram.desk import Desk
from clara_kit.world.twins.deepgram.query import BadQuery, Options, options
from clara_kit.world.twins.deepgram.results import Outbox, Result

RATE_HZ = 16_000
SEGMENT_MS = 4000.0  # speech or silence longer than this is finalised in parts; the vendor's every 3 to 5 s
QUIET_INTERIM_MS = 1000.0
QUIET_LAG_MS = 500.0  # what is younger than this may yet turn out to be the beginning of speech
IDLE_S = 10.0  # without sound or KeepAlive the connection is closed with NET-0001


async def listen(desk: Desk, request: web.Request) -> web.StreamResponse:
    """One connection, from the handshake to its end."""
    faults = desk.context.faults.next_occasion("stt")
    refusal = find(faults, "refuse")
    if refusal is not None:
        return desk.turn_away(refusal)
    try:
        chosen = options(request.query)
    except BadQuery as exc:
        return desk.refuse(400, "Bad Request", str(exc))
    entry = desk.record(request)
    request_id = desk.request_id()
    socket = web.WebSocketResponse(compress=False, protocols=desk.protocols, max_msg_size=4 * 2**20)
    socket.headers["dg-request-id"] = request_id
    await socket.prepare(request)
    ear = _Ear(desk, request, socket, chosen, request_id, faults)
    sender = asyncio.create_task(ear.outbox.run())
    trouble = asyncio.create_task(ear.misbehave())
    try:
        with desk.context.faults.running("stt", ear.take_fault):
            await _read(socket, ear, entry)
    finally:
        for task in (sender, trouble):
            task.cancel()
        entry["closed"] = socket.close_code
    return socket


async def _read(socket: web.WebSocketResponse, ear: _Ear, entry: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    last_sign = loop.time()
    while True:
        try:
            message = await socket.receive(timeout=max(0.01, last_sign + IDLE_S - loop.time()))
        except TimeoutError:
            await socket.close(code=1011, message=b"NET-0001: no audio or KeepAlive within 10 seconds")
            return
        if message.type is WSMsgType.BINARY:
            last_sign = loop.time()
            entry["bytes"] += len(message.data)
            if len(message.data) % 2:
                await socket.close(code=1008, message=b"DATA-0000: the payload cannot be decoded as audio")
                return
            await ear.hear(message.data)
        elif message.type is WSMsgType.TEXT:
            kind = await ear.told(message.data)
            if kind == "KeepAlive" and entry["bytes"]:  # alone it does not hold a connection open
                last_sign = loop.time()
            if kind == "CloseStream":
                await ear.say_goodbye()
                return
        else:
            return


class _Ear:
    """What one connection hears and says. Times are stream time in ms unless they end in _s."""

    def __init__(
        self, desk: Desk, request: web.Request, socket: web.WebSocketResponse, chosen: Options, request_id: str,
        faults: tuple[Fault, ...],
    ) -> None:  # fmt: skip
        self._desk, self._request, self._socket = desk, request, socket
        self._options, self._request_id, self._faults = chosen, request_id, faults
        self._loop = asyncio.get_running_loop()
        slow = find(faults, "slow")
        hang = chosen.endpointing_ms if chosen.endpointing_ms is not None else 1000.0
        self._vad = VoiceActivityDetector(hang_ms=max(32.0, hang))
        self._sound = np.zeros(0, dtype=np.int16)
        self._sound_from_ms = 0.0  # stream time of its first sample: what is over is forgotten
        self._resampler = None if chosen.rate_hz == RATE_HZ else Resampler(chosen.rate_hz, RATE_HZ)
        self._received_ms = 0.0
        self.outbox = Outbox(socket, slow.for_ms if slow else 0.0)
        self._begin_ms: float | None = None  # of the stretch of speech that is going on
        self._interim_due_ms = QUIET_INTERIM_MS
        self._committed = 0  # words of the stretch that were finalised already
        self._recognised: list[WordTime] = []  # words of the stretch, as they were last made out
        self._result_from_ms = 0.0
        self._last_word_end_ms: float | None = None

    # --- in --------------------------------------------------------------------------------------------

    async def hear(self, data: bytes, *, last: bool = False) -> None:
        """Some sound. It is judged in steps of 100 ms, so that what is uploaded at once is heard as if live.

        last: no sound may follow for a while, so nothing is held back.
        """
        samples = np.frombuffer(data, dtype="<i2").astype(np.int16)
        self._received_ms += len(samples) * 1000 / self._options.rate_hz
        if self._resampler is not None:
            samples = self._resampler.feed(samples, last=last)
        for at in range(0, len(samples), RATE_HZ // 10):
            await self._step(samples[at : at + RATE_HZ // 10])

    async def _step(self, samples: Any) -> None:
        self._sound = np.concatenate([self._sound, samples])
        for event in self._vad.feed(samples):
            if event.kind == "speech_started":
                self._begin(event.sound_at_ms)
            else:
                await self._end(event.sound_at_ms)
        now_ms = self._vad.now_ms
        if self._begin_ms is None:
            self._forget(now_ms - 1000)
            self._utterance_end(now_ms)
            quiet_ms = now_ms - QUIET_LAG_MS
            ended = quiet_ms - self._result_from_ms >= SEGMENT_MS
            if ended or (self._options.interim and now_ms >= self._interim_due_ms):
                self._interim_due_ms = now_ms + QUIET_INTERIM_MS
                self._tell([], quiet_ms, is_final=ended, speech_final=False)
                self._result_from_ms = quiet_ms if ended else self._result_from_ms
            return
        if now_ms - self._result_from_ms >= SEGMENT_MS:
            await self._result(now_ms, is_final=True, goes_on=True)
        elif self._options.interim and now_ms >= self._interim_due_ms:
            self._interim_due_ms = now_ms + self._desk.context.draw("stt_interim_every")
            await self._result(now_ms, is_final=False)

    async def told(self, text: str) -> str:
        """A text message; returns its type."""
        try:
            message = json.loads(text)
            kind = str(message["type"])
        except (json.JSONDecodeError, KeyError, TypeError):
            self.outbox.post(
                {
                    "type": "Error",
                    "variant": "SchemaError",
                    "description": "Could not deserialize last text message",
                    "message": text[:200],
                }
            )
            return "Error"
        await self.hear(b"", last=True)  # what was sent before a message is heard before it
        if kind == "Finalize" and self._begin_ms is not None:
            await self._result(self._vad.now_ms, is_final=True, from_finalize=True)
        elif kind == "Finalize":
            self._tell([], self._vad.now_ms, is_final=True, speech_final=False, from_finalize=True)
        elif kind == "Configure":
            self.outbox.post({"type": "ConfigureSuccess"})
        return kind

    async def say_goodbye(self) -> None:
        """CloseStream: the rest, the metadata, and the end."""
        if self._begin_ms is not None:
            await self._end(self._vad.now_ms)
        self.outbox.post(
            {"type": "Metadata", "transaction_key": "deprecated", "request_id": self._request_id, "sha256": "0" * 64,
             "created": "2026-01-01T00:00:00.000Z", "duration": round(self._received_ms / 1000, 3), "channels": 1}
        )  # fmt: skip
        await self.outbox.sent()
        await self._socket.close(code=1000)

    # --- deciding --------------------------------------------------------------------------------------

    def _begin(self, sound_at_ms: float) -> None:
        self._begin_ms = sound_at_ms
        self._result_from_ms = sound_at_ms
        self._committed, self._recognised = 0, []
        self._interim_due_ms = sound_at_ms + self._desk.context.draw("stt_interim_every")
        if self._options.vad_events:
            self.outbox.post({"type": "SpeechStarted", "channel": [0, 1], "timestamp": round(sound_at_ms / 1000, 3)})

    async def _end(self, sound_at_ms: float) -> None:
        ends = self._options.endpointing_ms is not None and find(self._faults, "no_end") is None
        await self._result(sound_at_ms, is_final=True, speech_final=ends)
        self._begin_ms = None

    def _utterance_end(self, now_ms: float) -> None:
        wait, last = self._options.utterance_end_ms, self._last_word_end_ms
        if wait is not None and last is not None and now_ms - last >= wait:
            self._last_word_end_ms = None
            self.outbox.post({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": round(last / 1000, 3)})

    async def _result(
        self,
        until_ms: float,
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
        goes_on: bool = False,
    ) -> None:
        begin_ms = self._begin_ms or 0.0
        words = await self._words(begin_ms, until_ms)
        part = words[self._committed :]
        if is_final and goes_on:
            part = part[:-1]  # the last word may be going on, too
        self._tell(
            part, until_ms, is_final=is_final, speech_final=speech_final, from_finalize=from_finalize,
            late_ms=self._desk.context.draw("stt_results"),
        )  # fmt: skip
        if part:
            self._last_word_end_ms = part[-1].end_ms
        if is_final:
            self._committed += len(part)
            self._result_from_ms = until_ms

    def _tell(self, words: list[WordTime], until_ms: float, *, late_ms: float = 0.0, **how: bool) -> None:
        result = Result(words=words, from_ms=self._result_from_ms, until_ms=until_ms, **how)
        for _ in range(2 if result.speech_final and find(self._faults, "duplicate") else 1):
            self.outbox.post(result.message(self._options, self._request_id), late_ms=late_ms)

    async def _words(self, begin_ms: float, until_ms: float) -> list[WordTime]:
        """The words of the stretch, in stream time."""
        lead_ms = 120.0  # the VAD is a little late at soft beginnings
        first = max(0, round((begin_ms - lead_ms - self._sound_from_ms) * RATE_HZ / 1000))
        last = round((until_ms + 60 - self._sound_from_ms) * RATE_HZ / 1000)
        sound = Sound(self._sound[first:last], RATE_HZ)
        base_ms = self._sound_from_ms + first * 1000 / RATE_HZ
        match = await asyncio.to_thread(self._desk.lines.match, sound)
        if match is None:  # a cough close behind words does not undo them
            return self._recognised
        self._recognised = [
            WordTime(
                w.word, base_ms + max(0.0, w.start_ms), min(base_ms + w.end_ms, until_ms), w.char_start, w.char_end
            )
            for w in match.words
        ]
        return self._recognised

    def _forget(self, before_ms: float) -> None:
        count = round((before_ms - self._sound_from_ms) * RATE_HZ / 1000)
        if count > 5 * RATE_HZ:
            self._sound = self._sound[count:]
            self._sound_from_ms += count * 1000 / RATE_HZ

    # --- faults ----------------------------------------------------------------------------------------

    async def misbehave(self) -> None:
        """Play this connection's faults at their time."""
        for fault in sorted(self._faults, key=lambda f: f.after_ms):
            if fault.kind not in ("cut", "error", "garble", "stall"):
                continue
            while self._received_ms < fault.after_ms:
                await asyncio.sleep(0.01)
            await self._play(fault)

    def take_fault(self, fault: Fault) -> bool:
        """A fault for the connection that is open now, from any thread."""
        if fault.kind == "refuse":
            return False

        async def play() -> None:
            await asyncio.sleep(fault.after_ms / 1000)
            await self._play(fault)

        asyncio.run_coroutine_threadsafe(play(), self._loop)
        return True

    async def _play(self, fault: Fault) -> None:
        if fault.kind == "cut" and self._request.transport is not None:
            self._request.transport.abort()
        elif fault.kind == "error":
            await self._socket.close(code=1011, message=(fault.detail or "NET-0000: internal error").encode())
        elif fault.kind == "garble":
            self.outbox.post({"type": "BrandNew", "what": 1})
            await self._socket.send_str("this is not JSON")
        elif fault.kind == "stall":
            self.outbox.hush((fault.for_ms or 3_600_000) / 1000)
        elif fault.kind == "slow":
            self.outbox.late_ms += fault.for_ms
        else:
            self._faults = (*self._faults, fault)
