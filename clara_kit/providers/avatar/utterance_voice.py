"""The voice of one utterance: its pieces go in as they come, its sound is collected.

Used by `lite_speaker.py`; hands every event to `tell`. It knows the voice and nothing of the avatar.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProtocolError, ProviderError, ProviderRefused
from clara_kit.core.events import Event, FailureKind, FirstAudio, SpeechSent, SpeechVoiced
from clara_kit.providers.avatar.utterance import Utterance
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced, TTSProvider

Tell: TypeAlias = Callable[[Utterance, Event], None]


async def give_voice(utterance: Utterance, tts: TTSProvider, clock: Clock, tell: Tell) -> None:
    """Let the voice speak all pieces. Ends with the voice, or with its failure as `voice_error`."""
    try:
        async with tts.speak(_pieces(utterance, clock, tell)) as sound:
            async for item in sound:
                if isinstance(item, AudioChunk):
                    _take_sound(utterance, item, clock, tell)
                else:
                    _take_mark(utterance, item, clock, tell)
    except ProviderError as exc:
        utterance.voice_error = exc
    except Exception as exc:  # a voice must not be able to leave an utterance open
        utterance.voice_error = ProtocolError(f"The voice broke with {type(exc).__name__}.")
    utterance.voice_done = True
    utterance.woken.set()


def failure_kind(error: ProviderError, *, sound_came: bool) -> FailureKind:
    """The kind of failure that a voice's error is."""
    if isinstance(error, ProviderRefused):
        return "refused"
    if isinstance(error, ProtocolError):
        return "protocol"
    return "cut" if sound_came else "unreachable"


async def _pieces(utterance: Utterance, clock: Clock, tell: Tell) -> AsyncIterator[str]:
    while (piece := await utterance.pieces.get()) is not None:
        piece_no, text = piece
        utterance.handed.append(piece_no)
        tell(utterance, SpeechSent(at_ms=clock.now_ms(), utterance_id=utterance.id, piece_no=piece_no))
        yield text


def _take_sound(utterance: Utterance, chunk: AudioChunk, clock: Clock, tell: Tell) -> None:
    if not chunk.pcm:
        return
    if not utterance.sound_came:
        utterance.sound_came = True
        tell(utterance, FirstAudio(at_ms=clock.now_ms(), utterance_id=utterance.id))
    utterance.sound.add(chunk.pcm)
    utterance.woken.set()


def _take_mark(utterance: Utterance, mark: PiecesVoiced, clock: Clock, tell: Tell) -> None:
    if not 1 <= mark.pieces <= len(utterance.handed):
        return
    utterance.piece_voiced = True
    utterance.woken.set()
    voiced = SpeechVoiced(
        at_ms=clock.now_ms(),
        utterance_id=utterance.id,
        piece_no=utterance.handed[mark.pieces - 1],
        audio_ms=mark.audio_ms,
        words=mark.words,
    )
    tell(utterance, voiced)
