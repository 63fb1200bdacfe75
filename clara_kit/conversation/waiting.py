"""«¿Aló?», «¿sigues ahí?»: whoever only asks whether somebody is there, while the answer is on its way, asks nothing new."""

from __future__ import annotations

from clara_kit.conversation.barge_in import short
from clara_kit.conversation.lexicon import Lexicon
from clara_kit.conversation.policy import Policy, Reassure, Sound, Words, Yield
from clara_kit.conversation.talk import Talk


def _patient(talk: Talk, sound: Sound) -> Yield | None:
    """After so long a wait a sound is most likely an «¿aló?»: what is being written is not dropped for it."""
    turn, sounds = talk.turn, talk.utterance
    if sound.occasion != "lasted" or not turn.words or not talk.coming or not (sounds is None or sounds.aside):
        return None
    waited_ms = talk.now_ms - turn.over_ms
    if waited_ms < talk.settings.slow_response_ms:
        return None
    return Yield(sure=False, reason=f"a sound, and an answer is due for {waited_ms:.0f} ms: it is written on")


PATIENT = Policy("patient", _patient)


def waiting(lexicon: Lexicon, knows: str) -> Policy:
    """The policy. Without it each «¿aló?» would drop what is being written, and a slow model would never be heard."""

    def decide(talk: Talk, words: Words) -> Reassure | None:
        turn = talk.turn
        if not turn.words or not (talk.coming or talk.answering is not None) or talk.cut is not None:
            return None
        if (sounds := talk.utterance) is not None and sounds.phase == "sounding" and not sounds.aside:
            return None
        if not lexicon.is_call(words.text):
            return None
        return Reassure(reason=f"{short(words.text)} asks whether somebody is there, and the answer is on its way")

    return Policy("waiting", decide, knows=knows)
