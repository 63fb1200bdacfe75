"""The only place that chooses what stands behind each service: live, twin or sim.

Comes before `manager.py`, which opens what `compose` describes. A service is asked for by mode; services may
be mixed (live Claude with twin voices is what a designer with one key wants), and the mix is named wherever
a number shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clara_kit.audio.recognise import LineBook
from clara_kit.audio.voice import OfflineVoice, Speech
from clara_kit.core.clock import Clock
from clara_kit.core.errors import SettingsError
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Mode, Settings
from clara_kit.personalization.prompt_template import PromptTemplate
from clara_kit.providers.avatar.base import AvatarProvider
from clara_kit.providers.llm.base import LLMProvider
from clara_kit.providers.stt.base import STTProvider
from clara_kit.providers.tts.base import TTSProvider
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.server import TwinServer

TWIN_KEY = "test-key"
SANDBOX_LIMIT_S = 3600.0  # the vendor's sandbox ends after a minute, which would cut most scripts short


def default_prompt() -> Prompt:
    """The prompt that Clara has unless another is given: `data/prompts/warm.md`, for a customer nobody knows."""
    return PromptTemplate.load("warm").render().prompt


@dataclass(kw_only=True)
class Services:
    """What stands behind each service of one conversation. Made by `compose`, opened by the manager."""

    modes: dict[str, Mode]
    settings: Settings
    prompt: Prompt
    profile: LatencyProfile
    seed: int
    keys: Keys
    faults: FaultBox = field(default_factory=FaultBox)
    twins: TwinServer | None = None
    lines: LineBook | None = None
    _addresses: dict[str, dict[str, str]] = field(default_factory=dict)

    def open(self) -> None:
        """Start the twins, if any service needs them. Raises `ClaraError`."""
        if "twin" not in self.modes.values():
            return
        from clara_kit.world.twins.anthropic import AnthropicTwin
        from clara_kit.world.twins.base import TwinContext
        from clara_kit.world.twins.deepgram import DeepgramTwin
        from clara_kit.world.twins.heygen import HeyGenTwin
        from clara_kit.world.twins.liveavatar import LiveAvatarTwin

        context = TwinContext(
            profile=self.profile, seed=self.seed, faults=self.faults, keys=frozenset({TWIN_KEY})
        )
        self.lines = self.lines or LineBook()
        self.twins = TwinServer(
            [
                DeepgramTwin(context, self.lines, clara_voice()),
                AnthropicTwin(context, AnswerBook.load()),
                LiveAvatarTwin(context, sandbox_limit_s=SANDBOX_LIMIT_S),
                HeyGenTwin(context, clara_voice(), AnswerBook.load()),
            ],
            faults=self.faults,
        )
        self.twins.start()
        self._addresses = self.twins.addresses

    def close(self) -> None:
        """Stop the twins."""
        if self.twins is not None:
            self.twins.stop()

    def knows(self, speech: Speech) -> None:
        """Let the recogniser's twin know a line by its sound, as a real one knows Spanish."""
        if self.modes["stt"] == "twin" and self.lines is not None:
            self.lines.learn(speech.text, speech)

    def stt(self, clock: Clock) -> STTProvider:
        """A recogniser, not yet entered."""
        if self.modes["stt"] == "sim":
            from clara_kit.world.in_process import ScriptedSTT

            return ScriptedSTT(clock, self.profile, self.settings, seed=self.seed)
        from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT

        s = self.settings
        return DeepgramStreamingSTT(
            **self._access("stt", "deepgram"),
            clock=clock,
            model=s.stt_model,
            language=s.stt_language,
            endpointing_ms=s.stt_endpointing_ms,
            utterance_end_ms=s.stt_utterance_end_ms,
            keyterms=s.stt_keyterms,
        )

    def llm(self, clock: Clock) -> LLMProvider:
        """A model."""
        if self.modes["llm"] == "sim":
            from clara_kit.world.in_process import ScriptedLLM

            return ScriptedLLM(
                clock, self.profile, AnswerBook.load(), model=self.settings.llm_model, seed=self.seed
            )
        from clara_kit.providers.llm.claude import ClaudeStreamingLLM

        s = self.settings
        return ClaudeStreamingLLM(
            **self._access("llm", "anthropic"),
            clock=clock,
            model=s.llm_model,
            max_tokens=s.llm_max_tokens,
            temperature=s.llm_temperature,
            first_token_timeout_ms=s.llm_first_token_timeout_ms,
            stall_timeout_ms=s.llm_stall_timeout_ms,
        )

    def tts(self) -> TTSProvider:
        """A voice."""
        if self.modes["tts"] == "sim":
            from clara_kit.providers.tts.offline import OfflineTTS

            return OfflineTTS(clara_voice())
        from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS

        s = self.settings
        return DeepgramAuraTTS(**self._access("tts", "deepgram"), voice=s.tts_voice, speed=s.tts_speed)

    def avatar(self, clock: Clock, tts: TTSProvider) -> AvatarProvider:
        """An avatar that speaks with `tts`, not yet entered."""
        if self.modes["avatar"] == "sim":
            from clara_kit.world.in_process import ScriptedAvatar

            return ScriptedAvatar(clock, self.profile, tts, seed=self.seed)
        s = self.settings
        if s.avatar_vendor == "heygen":
            from clara_kit.providers.avatar.heygen_streaming import HeyGenStreamingAvatar

            return HeyGenStreamingAvatar(
                **self._access("avatar", "heygen"),
                clock=clock,
                avatar_name=s.heygen_avatar_name or "twin",
                voice_id=s.heygen_voice_id or None,
                knowledge_base=self.prompt.text,
            )
        from clara_kit.providers.avatar.liveavatar import LiveAvatarLite

        access = self._access("avatar", "liveavatar")
        return LiveAvatarLite(**access, tts=tts, clock=clock, avatar_id=s.avatar_id, sandbox=s.avatar_sandbox)

    def _access(self, service: str, vendor: str) -> dict[str, Any]:
        """Key and base address of a vendor, real or twin."""
        if self.modes[service] == "twin":
            return {"api_key": TWIN_KEY, "base_url": self._addresses[vendor]["base_url"]}
        return {
            "api_key": self.keys.need(f"{vendor}_api_key"),
            "base_url": getattr(self.keys, f"{vendor}_base_url"),
        }


def compose(
    mode: Mode = "twin",
    *,
    stt: Mode | None = None,
    llm: Mode | None = None,
    tts: Mode | None = None,
    avatar: Mode | None = None,
    settings: Settings | None = None,
    keys: Keys | None = None,
    prompt: Prompt | None = None,
    profile: str | LatencyProfile = "published",
    seed: int = 0,
    faults: Iterable[Fault] = (),
) -> Services:
    """Describe what stands behind each service: `mode` for all, or one by one.

    live needs a key for each vendor it touches (raises `SettingsError` naming the first that is missing);
    twin is the vendor's own SDK over loopback sockets; sim stays in this process.
    """
    chosen: dict[str, Mode] = {
        "stt": stt or mode,
        "llm": llm or mode,
        "tts": tts or mode,
        "avatar": avatar or mode,
    }
    for service, value in chosen.items():
        if value not in ("live", "twin", "sim"):
            raise SettingsError(f"{service}: there is no mode {value!r}.", hint="use live, twin or sim.")
    faults = tuple(faults)
    for fault in faults:
        if chosen[fault.service] != "twin":
            raise SettingsError(
                f"Only a twin can play {fault}, and {fault.service} is {chosen[fault.service]}.",
                hint=f"choose {fault.service}='twin', or give the fault to simulate().",
            )
    keys = keys or Keys()
    settings = settings or Settings()
    vendors = {"stt": "deepgram", "llm": "anthropic", "tts": "deepgram", "avatar": settings.avatar_vendor}
    for service, vendor in vendors.items():
        if chosen[service] == "live":
            keys.need(f"{vendor}_api_key")
    if chosen["avatar"] == "live" and settings.avatar_vendor == "heygen" and not settings.heygen_avatar_name:
        raise SettingsError(
            "HEYGEN_AVATAR_NAME is not set.", hint="name an avatar of your HeyGen account in the file .env."
        )
    return Services(
        modes=chosen,
        settings=settings,
        prompt=prompt or default_prompt(),
        profile=profile if isinstance(profile, LatencyProfile) else LatencyProfile.load(profile),
        seed=seed,
        keys=keys,
        faults=FaultBox(faults),
    )


def clara_voice() -> OfflineVoice:
    """Clara's offline voice."""
    return OfflineVoice(voice_variant="f4", rate_wpm=170)


def customer_voice() -> OfflineVoice:
    """The invented customer's voice, told apart from Clara's at first hearing."""
    return OfflineVoice(voice_variant="m3", rate_wpm=175, pitch=40)
