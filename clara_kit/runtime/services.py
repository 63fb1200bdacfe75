"""What stands behind each service of one conversation: described by `compose.py`, opened by `manager.py`.

Knows how to make each provider, for a vendor (live), its twin, or this process (sim); decides nothing.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from copy import copy
from dataclasses import InitVar, dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.spoken import Pronunciation
from clara_kit.audio.voice import Speech
from clara_kit.cache.responses import ResponseCache
from clara_kit.conversation.chunking import chunker_for
from clara_kit.core.clock import Clock
from clara_kit.core.commands import Message
from clara_kit.core.errors import SettingsError
from clara_kit.core.paths import DATA
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import USUAL_GREETING, Keys, Mode, Settings
from clara_kit.data_files import fingerprint
from clara_kit.prompts.briefing import Briefing
from clara_kit.prompts.catalog import Catalog
from clara_kit.providers.avatar.base import AvatarProvider, Backup
from clara_kit.providers.llm.base import LLMProvider
from clara_kit.providers.stt.base import STTProvider
from clara_kit.providers.tts.base import TTSProvider
from clara_kit.runtime import faces
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.health import HEALTH
from clara_kit.runtime.profile import ProfileLoader, ProfileSource
from clara_kit.runtime.sounds import Sounds
from clara_kit.shop.cache import ProfileCache
from clara_kit.store import own_salt
from clara_kit.turns import usual_lexicon
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.voices import clara_voice

if TYPE_CHECKING:
    from clara_kit.world.played import Stage

TWIN_KEY = "test-key"
VENDORS = {"stt": "deepgram", "llm": "anthropic", "tts": "deepgram"}  # the avatar's is a setting
TWIN_SHOP = "beta-skincare.myshopify.com"
SANDBOX_LIMIT_S = 3600.0  # the vendor's sandbox ends after a minute, which would cut most scripts short


@dataclass(kw_only=True)
class Services:
    """What stands behind each service of one conversation. Made by `compose`, opened by the manager."""

    modes: dict[str, Mode]
    settings: Settings
    prompt: Prompt  # for a customer of whom nothing is known
    seed: int
    keys: Keys
    latency: LatencyProfile = None  # type: ignore[assignment]  # of twins and simulated services; required
    profile: InitVar[LatencyProfile | None] = None  # the former name of `latency`
    heard: bool = True  # simulated voices have a sound; else they are silent for as long as the words would last
    briefing: Briefing | None = None  # None: a plain prompt, which has no place for a customer
    catalog: Catalog | None = None
    customer: str = field(default="", repr=False)  # as the shop knows them: number, gid or e-mail; empty: a stranger
    profile_cache: ProfileCache | None = None
    pace: float = 1.0  # how many times faster than the wall the conversation and the twins may live
    pronunciation: Pronunciation = field(default_factory=usual_pronunciation)  # how names are said aloud
    faults: FaultBox = field(default_factory=FaultBox)
    twins: TwinServer | None = None
    lines: LineBook | None = None
    answers: ResponseCache | None = None  # None: each conversation opens what is kept for its own
    keep_in: Path | None = (
        None  # the folder of kept answers and sound; None: data/cache for what is live, memory for the rest
    )
    _sounds: Sounds | None = None
    _addresses: dict[str, dict[str, str]] = field(default_factory=dict)
    _played: Stage | None = None

    def __post_init__(self, profile: LatencyProfile | None) -> None:
        if profile is not None:
            self.latency = profile

    def open(self) -> None:
        """Start the twins, if any service needs them. Raises `ClaraError`."""
        if "twin" not in self.modes.values():
            return
        from clara_kit.world.twins.base import TwinContext
        from clara_kit.world.twins.every import every_twin

        context = TwinContext(profile=self.latency, seed=self.seed, faults=self.faults, keys=frozenset({TWIN_KEY}))
        self.lines = self.lines or LineBook()
        twins = every_twin(context, self.lines, sandbox_limit_s=SANDBOX_LIMIT_S)
        handshake = partial(context.draw, "handshake")
        self.twins = TwinServer(twins, faults=self.faults, pace=self.pace, handshake_ms=handshake)
        self.twins.start()
        self._addresses = self.twins.addresses

    def close(self) -> None:
        """Stop the twins."""
        if self.twins is not None:
            for address in self._addresses.values():
                HEALTH.forget(address["base_url"])  # another server may have its port
            self.twins.stop()
            self.twins = None  # whoever begins another conversation with these has none beside it

    def knows(self, speech: Speech) -> None:
        """Let the recogniser's twin know a line by its sound, as a real one knows Spanish."""
        if self.modes["stt"] == "twin" and self.lines is not None:
            self.lines.learn(speech.text, speech)

    def stage(self, clock: Clock) -> Stage:
        """What the simulated services of this conversation share: each draw is made once, whoever asks."""
        from clara_kit.world.played import Stage
        from clara_kit.world.timelines import Drawn

        if self._played is None:
            self._played = Stage(
                clock=clock, settings=self.settings, latency=self.latency, faults=self.faults,
                draw=Drawn(self.latency, self.seed), pronunciation=self.pronunciation,
                voice=clara_voice(self.settings.tts_speed, self.pronunciation) if self.heard else None,
            )  # fmt: skip
        return self._played

    def stt(self, clock: Clock) -> STTProvider:
        """A recogniser, not yet entered."""
        if self.modes["stt"] == "sim":
            from clara_kit.world.played import PlayedSTT

            return PlayedSTT(self.stage(clock))
        from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT

        s = self.settings
        return DeepgramStreamingSTT(
            **self.access("stt", "deepgram"),
            clock=clock,
            model=s.stt_model,
            language=s.stt_language,
            endpointing_ms=s.stt_endpointing_ms,
            utterance_end_ms=s.stt_utterance_end_ms,
            keyterms=s.stt_keyterms or self._keyterms(),
        )

    def llm(self, clock: Clock) -> LLMProvider:
        """A model."""
        if self.modes["llm"] == "sim":
            from clara_kit.world.played import PlayedLLM

            return PlayedLLM(self.stage(clock), AnswerBook.load())
        s = self.settings
        if self.modes["llm"] == "local":
            from clara_kit.providers.llm.local import LocalLLM

            return LocalLLM.of(s, self.keys.local_llm_base_url, clock)
        from clara_kit.providers.llm.claude import ClaudeStreamingLLM

        return ClaudeStreamingLLM(
            **self.access("llm", "anthropic"),
            clock=clock,
            model=s.llm_model,
            max_tokens=s.llm_max_tokens,
            temperature=s.llm_temperature,
            first_token_timeout_ms=s.llm_first_token_timeout_ms,
            stall_timeout_ms=s.llm_stall_timeout_ms,
            spare=s.flags.enable_connection_pool,
        )

    def tts(self, clock: Clock | None = None) -> TTSProvider:
        """A voice. clock: only a simulated one needs it."""
        if self.modes["tts"] == "sim":
            from clara_kit.world.played_halves import PlayedTTS

            return self._trimmed(PlayedTTS(self.stage(clock or MonotonicClock())))
        from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS

        s = self.settings
        access = self.access("tts", "deepgram")
        voice = DeepgramAuraTTS(**access, voice=s.tts_voice, speed=s.tts_speed, pronunciation=self.pronunciation)
        return self._trimmed(self._keeping(voice, "deepgram", s.tts_voice))

    def kept_in(self, service: str) -> Path | None:
        """The folder of what is kept of a service; None: nothing outlives the process."""
        return self.keep_in or (DATA / "cache" if self.modes[service] == "live" else None)

    @property
    def sounds(self) -> Sounds:
        """What is kept of the voices' sound."""
        if self._sounds is None:
            chunker = chunker_for(self.settings)
            greeting = [*chunker.feed(self.greeting), *chunker.flush()]
            self._sounds = Sounds(self.kept_in("tts"), [*greeting, *self.openers])
        return self._sounds

    @property
    def openers(self) -> tuple[str, ...]:
        """Phrases that may be said while an answer is being written."""
        return usual_lexicon().openers if self.settings.openers else ()

    def _keeping(self, voice: TTSProvider, vendor: str, name: str) -> TTSProvider:
        """The same, which says at once what it often says, where that is wanted."""
        s = self.settings
        if not (s.openers or s.flags.enable_response_cache):
            return voice
        told = (self.modes["tts"], vendor, name, f"{s.tts_speed:g}")
        return self.sounds.keeping(voice, told, self.pronunciation)

    def _trimmed(self, voice: TTSProvider) -> TTSProvider:
        """The same without the silence at the head of its sound, where that is wanted."""
        from clara_kit.providers.tts.trimmed import TrimmedVoice

        return TrimmedVoice(voice) if self.settings.trim_lead_silence else voice

    def avatar(self, clock: Clock, tts: TTSProvider) -> AvatarProvider:
        """An avatar that speaks with `tts`, not yet entered."""
        return faces.avatar(self, clock, tts)

    def backup(
        self, clock: Clock, messages: tuple[Message, ...], hears: bool, *, prompt: Prompt | None = None
    ) -> Backup:
        """The avatar vendor's own assistant, told the prompt (default: a stranger's) and these turns; not yet entered."""
        return faces.backup(self, clock, messages, hears, prompt or self.prompt)

    def other_voice(self, clock: Clock) -> TTSProvider:
        """Another vendor's voice. Raises `SettingsError` where there is none, or no key for it."""
        if self.modes["tts"] == "sim":
            return self.tts(clock)
        from clara_kit.providers.tts.elevenlabs import ElevenLabsTTS

        access, s = self.access("tts", "elevenlabs"), self.settings
        voice = ElevenLabsTTS(**access, voice=s.tts_other_voice, speed=s.tts_speed, pronunciation=self.pronunciation)
        return self._trimmed(self._keeping(voice, "elevenlabs", s.tts_other_voice))

    def sound_only(self, clock: Clock, tts: TTSProvider) -> AvatarProvider:
        """Speaks with `tts` and has no face, not yet entered."""
        from clara_kit.providers.avatar.sound_only import SoundOnly

        return SoundOnly(tts=tts, clock=clock)

    def whose(self, service: str) -> str:
        """Whose health it is, as the address of the vendor or the twin; empty where it is simulated, and nobody's."""
        vendor = {**VENDORS, "avatar": self.settings.avatar_vendor}[service]
        match self.modes[service]:
            case "live":
                address = getattr(self.keys, f"{vendor}_base_url")
            case "local":
                address = self.keys.local_llm_base_url
            case "twin" if self.twins is not None:
                address = self._addresses[vendor]["base_url"]
            case _:
                return ""
        return f"{address} {service}"

    def profile_loader(self, clock: Clock) -> ProfileLoader:
        """Asks the shop for the customer's profile; without a customer, or switched off, nobody is asked."""
        asks = bool(self.customer) and self.settings.flags.enable_personalization
        shop = partial(self._shop, clock) if asks else None
        return ProfileLoader(
            clock, self.briefing or self.prompt, catalog=self.catalog, customer=self.customer, shop=shop
        )

    @property
    def greeting(self) -> str:
        """What Clara says first to a customer of whom nothing is known."""
        if self.settings.greeting is not None:
            return self.settings.greeting
        return self.briefing.greeting if self.briefing is not None else USUAL_GREETING

    @property
    def about(self) -> dict[str, Any]:
        """What a run's inputs keep of pronunciation, template, catalogue and customer; no word of the customer's."""
        about: dict[str, Any] = {"pronunciation": fingerprint(self.pronunciation)}
        if self.briefing is None or self.catalog is None:
            return about
        told = {"template": self.briefing.template.about, "catalog": self.catalog.hash, "customer": self.customer_key}
        return {**about, **told}

    @property
    def customer_key(self) -> str:
        """What stands for the customer in the trace; empty for a stranger. A live shop's is this machine's alone."""
        # Who has a run of a live shop must not find out by trying numbers or addresses whose it is.
        salt = own_salt(DATA / "cache" / "salt") if self.modes.get("shop") == "live" else ""
        return key_of(self.customer, salt + self._shop_name) if self.customer else ""

    @property
    def _shop_name(self) -> str:
        return self.keys.need("shopify_shop") if self.modes.get("shop") == "live" else TWIN_SHOP

    def _shop(self, clock: Clock) -> AbstractAsyncContextManager[ProfileSource]:
        if self.modes["shop"] == "sim":
            from clara_kit.world.played_shop import PlayedShop

            return PlayedShop(self.stage(clock))
        from clara_kit.shop.fetcher import ShopifyCustomerFetcher

        if self.modes["shop"] == "live":
            return ShopifyCustomerFetcher.from_keys(self.keys, self.settings, cache=self.profile_cache)
        return ShopifyCustomerFetcher(
            TWIN_SHOP,
            TWIN_KEY,
            base_url=self._addresses["shopify"]["base_url"],
            api_version=self.settings.shopify_api_version,
            cache=self.profile_cache,
        )

    def exchanged(self, service: str, mode: Mode, keys: Keys) -> Services:
        """The same with another mode of one service, for the rest of a conversation. Raises `SettingsError`."""
        if mode not in get_args(Mode):
            raise SettingsError(f"There is no mode {mode!r}.", hint=f"there are {', '.join(get_args(Mode))}.")
        if mode == "twin" and self.twins is None:
            raise SettingsError("No twin runs beside this conversation.", hint="choose it for the next one.")
        if mode == "live" and self.pace != 1:
            raise SettingsError(
                f"This conversation lives at {self.pace:g} times the wall's pace, and a vendor at the wall's.",
                hint="choose it for the next one, which will live at 1.",
            )
        other = copy(self)  # whoever holds these may begin another conversation with them
        other.modes, other.keys = {**self.modes, service: mode}, keys
        return other

    def _keyterms(self) -> tuple[str, ...]:
        """What the shop sells, so that the recogniser knows its names. Only nova-3 takes keyterms."""
        takes = self.settings.stt_model.startswith("nova-3")
        return self.catalog.keyterms() if self.catalog is not None and takes else ()

    def access(self, service: str, vendor: str) -> dict[str, Any]:
        """Key and base address of a vendor, real or twin."""
        if self.modes[service] == "twin":
            return {"api_key": TWIN_KEY, "base_url": self._addresses[vendor]["base_url"]}
        return {"api_key": self.keys.need(f"{vendor}_api_key"), "base_url": getattr(self.keys, f"{vendor}_base_url")}


def key_of(customer: str, shop: str = TWIN_SHOP) -> str:
    """What stands for a customer of a shop: 12 hex digits. Of the invented ones (by gid) everybody may know whose it is."""
    return sha256(f"{shop}|{customer}".encode()).hexdigest()[:12]
