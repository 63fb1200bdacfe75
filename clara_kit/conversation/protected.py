"""The opening of what Clara says is protected: at its beginning her own voice is what most microphones hear."""

from __future__ import annotations

from clara_kit.conversation.policy import Hold, Policy, Sound
from clara_kit.conversation.talk import Talk


def _protected(talk: Talk, sound: Sound) -> Hold | None:
    protected_ms, utterance, held = talk.settings.protected_opening_ms, talk.utterance, talk.held
    if sound.occasion != "lasted" or held is None or utterance is None or utterance.started_ms is None:
        return None
    until_ms = utterance.started_ms + protected_ms + talk.settings.sustained_ms
    if held.sound_at_ms >= utterance.started_ms + protected_ms or until_ms <= talk.now_ms:
        return None
    since_ms = held.sound_at_ms - utterance.started_ms
    when = f"{since_ms:.0f} ms after Clara did" if since_ms >= 0 else "before Clara did"
    return Hold(until_ms, reason=f"the sound began {when}: in her first {protected_ms:.0f} ms only words stop her")


PROTECTED = Policy("protected", _protected)
