"""What a customer does while Clara speaks, at the moment for it: for a desk's buttons.

Each goes the way of the customer's voice: into the microphone, to the local VAD and the recogniser. Its twin, which is no
recogniser, is told the words of what is said and of an echo; a live one hears what is played, and may understand it otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Literal

import numpy as np

from clara_kit.audio.pcm import Sound
from clara_kit.audio.spoken import spoken
from clara_kit.audio.voice import OfflineVoice, Speech, WordTime
from clara_kit.conversation.heard import CHARS_PER_S
from clara_kit.conversation.talk import Utterance
from clara_kit.core.errors import ClaraError
from clara_kit.core.states import ConversationState
from clara_kit.runtime.manager import ConversationManager
from clara_kit.world.script import Line
from clara_kit.world.scripted import line_speech
from clara_kit.world.voices import customer_voice

Hear = Callable[[str, Sound | None], None]

EARLY_MS, OPENING_MS = 300.0, 1000.0  # in her first second: so long after it began, or at once where it still lasts
LATE_MS = 450.0  # before her end
ECHO_AFTER_MS, ECHO_DB = 150.0, -12.0  # from loudspeaker to microphone, and how much softer
HEARD_MS = (400, 700, 1000, 1300, 1600)  # so much of an echo is known by itself: its beginning is soft beside the rest
MOST = 0.6  # of a word: then it is understood
LOOK_S, EVER_S = 0.1, 3600.0
_THROAT = OfflineVoice(voice_variant="m3", rate_wpm=220, pitch=20)
_S = ConversationState
_OTHERS = tuple(state for state in _S if state is not _S.AVATAR_SPEAKING)


@dataclass(frozen=True)
class CutIn:
    """text: what is said; empty for a mere sound. when: in her first second, in her last half second, or now."""

    text: str = ""
    when: Literal["early", "late", "now"] = "now"


CUT_INS = {
    "early": CutIn("¿Y cuánto cuesta?", "early"),
    "late": CutIn("¿Y hacen despachos a regiones?", "late"),
    "backchannel": CutIn("Ajá."),
    "cough": CutIn(),
    "question": CutIn("Espera, ¿y cuánto cuesta el despacho?"),
    "echo": CutIn(),
}


class CutIns:
    """Of one conversation. `play` waits for the moment, if there is one to wait for; cancelled, it is not waited for any more.

    hear: called with its name and the sound when one begins, and without a sound when it is broken off; what is only said has no name.
    """

    def __init__(self, clara: ConversationManager, hear: Hear = lambda *_: None) -> None:
        self._clara, self._hear = clara, hear
        self._hers: dict[int, bytearray] = {}
        self._rate_hz = 24_000
        clara.subscribe_sound(self._sent)

    def _sent(self, utterance_id: int, pcm: bytes, rate_hz: int) -> None:
        """In the conversation's thread: sound went to the avatar."""
        if utterance_id not in self._hers:
            self._hers = {k: v for k, v in self._hers.items() if k >= utterance_id - 1}
        self._rate_hz = rate_hz
        self._hers.setdefault(utterance_id, bytearray()).extend(pcm)

    @property
    def utterance(self) -> Utterance | None:
        """What is heard of her now."""
        utterance = self._clara.conversation.talk.utterance
        return utterance if utterance is not None and utterance.phase == "sounding" else None

    async def play(self, name: str) -> None:
        """Do one of `CUT_INS`; returns when it is over. Raises `ClaraError` for another name."""
        if (one := CUT_INS.get(name)) is None:
            raise ClaraError(f"Nobody cuts in like {name!r}.", hint=f"there are {', '.join(CUT_INS)}.")
        speech = Speech(_THROAT.synthesize("ejem").sound, "", ())  # cleared: no word, and nobody's line
        if one.text:
            speech = await asyncio.to_thread(line_speech, Line(text=one.text), customer_voice())
        if one.when == "early":
            await self._opening()
        elif one.when == "late":
            await self._last_words()
        await (self._echo() if name == "echo" else self._say(speech, name))

    async def say(self, text: str) -> None:
        """The customer says this now."""
        await self._say(await asyncio.to_thread(line_speech, Line(text=text), customer_voice()))

    async def _say(self, speech: Speech, name: str = "") -> None:
        self._hear(name, speech.sound)
        await self._clara.say(speech if speech.text else speech.sound)

    # --- the moments --------------------------------------------------------------------------------------

    async def _speaks(self) -> Utterance:
        while (utterance := self.utterance) is None:
            await self._clara.until(_S.AVATAR_SPEAKING, timeout_s=EVER_S)
            await self._clara.wait(0.02)
        return utterance

    async def _opening(self) -> None:
        while self._played_ms(utterance := await self._speaks()) > OPENING_MS - 50:
            while self.utterance is utterance:  # her next one
                await self._clara.wait(LOOK_S)
        await self._clara.wait(max(0.0, EARLY_MS - self._played_ms(utterance)) / 1000)

    async def _last_words(self) -> None:
        while (left_ms := self._left_ms(await self._speaks())) > LATE_MS:
            await self._clara.wait(min(LOOK_S, (left_ms - LATE_MS) / 1000))

    def _played_ms(self, utterance: Utterance) -> float:
        return self._clara.clock.now_ms() - (utterance.started_ms or 0.0)

    def _left_ms(self, utterance: Utterance) -> float:
        """Until she ends; without end while more may come. An avatar with a voice of its own tells no length: estimated."""
        if not utterance.closed:
            return float("inf")
        last, sound_ms, *_ = utterance.voiced[-1] if utterance.voiced else (-1, 0.0)
        if last < len(utterance.pieces) - 1:
            sound_ms = len(spoken(utterance.text).text) / CHARS_PER_S * 1000
        return sound_ms - self._played_ms(utterance)

    # --- an echo ------------------------------------------------------------------------------------------

    async def _echo(self) -> None:
        """What the loudspeaker gives comes back, as long as she is heard."""
        utterance = await self._speaks()
        begins_ms = max(0.0, self._played_ms(utterance) - ECHO_AFTER_MS)
        hers = Sound.from_bytes(bytes(self._hers.get(utterance.utterance_id, b"")), self._rate_hz)
        *_, speech = [await self._known(hers.gain(ECHO_DB), utterance, begins_ms, ms) for ms in HEARD_MS]
        saying, silent = (
            asyncio.ensure_future(work)
            for work in (self._say(speech, "echo"), self._clara.until(*_OTHERS, timeout_s=EVER_S))
        )
        try:
            await asyncio.wait({saying, silent}, return_when=asyncio.FIRST_COMPLETED)
            if not saying.done():
                await self._clara.wait(ECHO_AFTER_MS / 1000)
                self._hear("echo", None)
        finally:
            for task in (saying, silent):
                task.cancel()

    async def _known(self, hers: Sound, utterance: Utterance, from_ms: float, ms: float) -> Speech:
        """So much of her sound, known to the recogniser's twin."""
        speech = part(hers, utterance, from_ms, from_ms + ms)
        await asyncio.to_thread(self._clara.services.knows, speech)
        return speech


def part(hers: Sound, utterance: Utterance, from_ms: float, to_ms: float) -> Speech:
    """A part of her sound with the words that lie in it, by their letters: no avatar tells the times of words."""
    pieces = [[len(spoken(word).text) + 1 for word in piece.split()] for piece in utterance.pieces]
    known = [(0, 0.0), *((sum(chain(*pieces[: int(last) + 1])), ms) for last, ms, *_ in utterance.voiced)]
    ends = [0, *accumulate(chain.from_iterable(pieces))]
    rest_ms = (ends[-1] - known[-1][0]) * 1000 / CHARS_PER_S
    letters, times_ms = zip(*known, (ends[-1] + 1, known[-1][1] + rest_ms), strict=True)
    at_ms = [float(ms) - from_ms for ms in np.interp(ends, letters, times_ms)]
    words: list[WordTime] = []
    for word, start_ms, end_ms in zip(utterance.text.split(), at_ms, at_ms[1:], strict=False):
        begin_ms, stop_ms = max(0.0, start_ms), min(end_ms, to_ms - from_ms)
        if stop_ms - begin_ms >= MOST * (end_ms - start_ms):
            char = words[-1].char_end + 1 if words else 0
            words.append(WordTime(word, begin_ms, stop_ms, char, char + len(word)))
    return Speech(hers.between(from_ms, to_ms), " ".join(one.word for one in words), tuple(words))
