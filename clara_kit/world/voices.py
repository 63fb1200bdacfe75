"""The offline voices: Clara's, and an invented customer's, told apart at first hearing."""

from __future__ import annotations

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import Pronunciation
from clara_kit.audio.voice import OfflineVoice


def clara_voice(speed: float = 1.0, pronunciation: Pronunciation | None = None) -> OfflineVoice:
    """Clara's offline voice. pronunciation: `data/pronunciation.csv` unless given."""
    said = usual_pronunciation() if pronunciation is None else pronunciation
    return OfflineVoice(voice_variant="f4", rate_wpm=round(170 * speed), pronunciation=said)


def customer_voice() -> OfflineVoice:
    """The invented customer's voice, told apart from Clara's at first hearing."""
    return OfflineVoice(voice_variant="m3", rate_wpm=175, pitch=40, pronunciation=usual_pronunciation())


def stand_in_voice() -> OfflineVoice:
    """Another vendor's voice, where it speaks for Clara: one hears that it is not hers."""
    return OfflineVoice(voice_variant="f1", rate_wpm=165, pitch=70, pronunciation=usual_pronunciation())
