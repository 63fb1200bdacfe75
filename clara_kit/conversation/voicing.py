"""What is known of the sound of an utterance, from the voice: for how much of it was heard, and how fast this voice is.

Mechanics only. Beside `speaking`, which knows where an utterance stands.
"""

from __future__ import annotations

from clara_kit.conversation.heard import Voice
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.speaking import current
from clara_kit.core import events as ev

REMEMBERED = 6  # stretches of a voice's sound, about twenty seconds


def sent(pen: Pen, event: ev.SpeechSent) -> None:
    """A piece was handed to the voice: it can have sound from now on."""
    talk, utterance = pen.talk, current(pen, event)
    if utterance is None:
        return
    settings = talk.settings
    if talk.voice.name != settings.tts_voice or talk.voice.speed != settings.tts_speed:
        talk.voice = Voice(settings.tts_voice, settings.tts_speed)
    if not utterance.handed_ms:
        utterance.voice = talk.voice
    if event.piece_no == len(utterance.handed_ms) and not utterance.own:
        utterance.handed_ms.append(talk.now_ms)


def first_audio(pen: Pen, event: ev.FirstAudio) -> None:
    """There is sound, and whether the kit sees it."""
    if (utterance := current(pen, event)) is not None:
        utterance.seen = not event.estimated
        if utterance.first_ms is None:
            utterance.first_ms = pen.talk.now_ms


def voiced(pen: Pen, event: ev.SpeechVoiced) -> None:
    """More is known of the sound, also of one that was cut."""
    talk, utterance = pen.talk, pen.talk.utterances.get(event.utterance_id)
    if utterance is None:
        return pen.ignore(event, f"utterance {event.utterance_id} is over or unknown")
    last, before_ms, *_ = utterance.voiced[-1] if utterance.voiced else (-1, 0.0)
    utterance.voiced.append((event.piece_no, event.audio_ms, event.lead_ms))
    utterance.words.extend(event.words)
    text = " ".join(utterance.pieces[int(last) + 1 : event.piece_no + 1])
    took_ms, voice = event.audio_ms - before_ms - event.lead_ms, talk.voice
    if text and took_ms > 0:
        lead_ms = event.lead_ms or voice.lead_ms
        talk.voice = Voice(voice.name, voice.speed, (*voice.took[1 - REMEMBERED :], (text, took_ms)), lead_ms)


def exchanged(pen: Pen, event: ev.ServiceExchanged) -> None:
    """Another voice is another pace."""
    if event.service in ("tts", "avatar"):
        pen.talk.voice = Voice()
