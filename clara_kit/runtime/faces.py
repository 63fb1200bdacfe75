"""The avatars of a conversation, and the vendor's own assistant that may stand in for all: made for a vendor, its twin or here.

Used by `services.py`, which says what stands behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from clara_kit.audio.spoken import Pronunciation
from clara_kit.core.clock import Clock
from clara_kit.core.commands import Message
from clara_kit.core.errors import ProviderUnavailable
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Mode, Settings
from clara_kit.providers.avatar.base import AvatarProvider, Backup
from clara_kit.providers.tts.base import TTSProvider
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.mouths import classic_start_ms

if TYPE_CHECKING:
    from clara_kit.world.played import Stage


class Services(Protocol):
    """What of `services.Services` an avatar is made of."""

    modes: dict[str, Mode]
    settings: Settings
    prompt: Prompt
    latency: LatencyProfile
    pronunciation: Pronunciation

    def stage(self, clock: Clock) -> Stage: ...
    def access(self, service: str, vendor: str) -> dict[str, Any]: ...


def avatar(services: Services, clock: Clock, tts: TTSProvider) -> AvatarProvider:
    """An avatar that speaks with `tts`, not yet entered."""
    s = services.settings
    if services.modes["avatar"] == "sim":
        from clara_kit.world.played import PlayedAvatar
        from clara_kit.world.played_halves import PlayedFace

        stage = services.stage(clock)
        if s.avatar_vendor == "heygen" and "backup" in services.modes:
            from clara_kit.world.played_backup import PlayedClassic

            return PlayedClassic(stage, services.prompt)
        return PlayedAvatar(stage) if services.modes["tts"] == "sim" else PlayedFace(stage, tts)
    if s.avatar_vendor == "heygen":
        from clara_kit.providers.avatar.heygen_streaming import HeyGenStreamingAvatar

        return HeyGenStreamingAvatar(
            **services.access("avatar", "heygen"), clock=clock, avatar_name=s.heygen_avatar_name or "twin",
            voice_id=s.heygen_voice_id or None, knowledge_base=services.prompt.text,
            assumed_start_ms=classic_start_ms(services.latency), pronunciation=services.pronunciation,
            playout_ms=_playout_ms(services),
        )  # fmt: skip
    from clara_kit.providers.avatar.liveavatar import LiveAvatarLite

    return LiveAvatarLite(
        **services.access("avatar", "liveavatar"), tts=tts, clock=clock, avatar_id=s.avatar_id, sandbox=s.avatar_sandbox,
        playout_ms=_playout_ms(services),
    )  # fmt: skip


def backup(services: Services, clock: Clock, messages: tuple[Message, ...], hears: bool, prompt: Prompt) -> Backup:
    """The avatar vendor's own assistant, told the prompt and these turns; not yet entered."""
    s = services.settings
    if s.avatar_vendor == "heygen":
        raise ProviderUnavailable("The avatar's session, which would answer by itself, is not there.", kind="cut")
    if services.modes["avatar"] == "sim":
        from clara_kit.world.played_backup import PlayedBackup

        return PlayedBackup(services.stage(clock), prompt=prompt, messages=messages, hears=hears)
    from clara_kit.providers.avatar.full import LiveAvatarFull

    return LiveAvatarFull(
        **services.access("avatar", "liveavatar"), clock=clock, avatar_id=s.avatar_id, sandbox=s.avatar_sandbox,
        prompt=prompt.text, messages=messages, hears=hears, pronunciation=services.pronunciation,
        playout_ms=_playout_ms(services),
    )  # fmt: skip


def _playout_ms(services: Services) -> float:
    """How much later than an avatar says so it is taken to be heard: no vendor tells."""
    return services.latency.laws["playout"].middle
