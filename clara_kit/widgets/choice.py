"""What a conversation at the desk is made of, what there is to choose from, and the services that come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clara_kit import data_files
from clara_kit.core.errors import ClaraError
from clara_kit.core.keys import Keys
from clara_kit.core.paths import DATA
from clara_kit.core.settings import PRESETS, Settings
from clara_kit.lab.kernel import KERNEL
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.compose import compose
from clara_kit.runtime.config import load_keys, load_settings
from clara_kit.runtime.manager import ConversationManager
from clara_kit.runtime.services import Services
from clara_kit.world.latency import CALIBRATED, newest_calibration
from clara_kit.world.personas import Persona

KEYS_OF = {  # which key makes a service's real vendor possible
    "stt": "deepgram_api_key", "llm": "anthropic_api_key", "tts": "deepgram_api_key", "avatar": "liveavatar_api_key",
    "shop": "shopify_shop",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the next conversation is made of. customer: an invented one's name, or as the live shop knows them; empty:
    a stranger. prompt: a template's name. speed: a latency profile's. live: the services that are real. limit_usd: hang up when these have cost so much.
    preset: of `Settings`, whose turn it is; empty where a cell gave others. fallback: whether something else takes the place
    of a service that fails; None: as the settings have it."""

    customer: str = ""
    prompt: str = "warm"
    speed: str = "published"
    live: tuple[str, ...] = ()
    limit_usd: float = 0.50
    preset: str = "tuned"
    fallback: bool | None = None

    @property
    def title(self) -> str:
        """The conversation's."""
        who = "a customer of the shop" if "shop" in self.live else self.customer or "a stranger"
        return f"{who}, prompt {self.prompt}"

    def lacks(self, keys: Keys) -> tuple[str, ...]:
        """The services that are chosen to be real, and whose key is not there."""
        return tuple(service for service in self.live if getattr(keys, KEYS_OF[service]) is None)

    def settings(self, given: Settings | None) -> Settings:
        """Those of the preset, the environment and `.env`, unless given. Raises `SettingsError`."""
        settings = given or load_settings(preset=self.preset or "tuned")  # type: ignore[arg-type]
        return settings if self.fallback is None else settings.with_changes(enable_auto_fallback=self.fallback)

    def changes(self, now: Settings) -> dict[str, Any]:
        """What the preset would change of a conversation that has these settings now."""
        wanted = self.settings(None)
        return {name: _of(wanted, name) for name in _RULES if _of(wanted, name) != _of(now, name)}

    def services(self, settings: Settings | None) -> Services:
        """What stands behind each; settings: those of the environment and `.env` unless given. Raises `ClaraError`."""
        live: dict[str, Any] = dict.fromkeys(self.live, "live")
        if not self.customer:
            live.pop("shop", None)
        made: dict[str, Any] = {"customer": self.customer, "template": self.prompt, "latency": self.speed}
        return compose("twin", **live, **made, settings=self.settings(settings), keys=load_keys())


_RULES = tuple(dict.fromkeys(name for changes in PRESETS.values() for name in changes))


def _of(settings: Settings, name: str) -> Any:
    """A setting, or a flag of them."""
    return getattr(settings.flags, name) if hasattr(settings.flags, name) else getattr(settings, name)


def in_force(clara: ConversationManager) -> dict[str, Any]:
    """What of a choice a conversation that runs goes by now. Its preset is empty where it has settings of its own."""
    settings = clara.conversation.settings
    live = tuple(service for service, mode in clara.services.modes.items() if mode == "live")
    return {"live": live, "preset": next((name for name in PRESETS if not Choice(preset=name).changes(settings)), "")}


def offers(*, presets: bool = True, settings: Settings | None = None) -> dict[str, Any]:
    """What there is to choose from now, as the view has it. presets: whether these can be chosen. settings: of a cell."""
    keys = load_keys()
    try:
        fallback = Choice().settings(settings).flags.enable_auto_fallback
    except ClaraError:  # a setting is wrong: the call will say so
        fallback = False
    return {
        "customers": [[p.name, p.about] for p in Persona.all()],
        "prompts": [*dict.fromkeys((*(t.name for t in PromptTemplate.all()), KERNEL.prompt))],
        "speeds": [*data_files.known(DATA / "latency"), *([CALIBRATED] if newest_calibration() else [])],
        "presets": list(PRESETS) if presets else [],
        "fallback": fallback,
        "live": [[service, getattr(keys, key) is not None] for service, key in KEYS_OF.items()],
    }
