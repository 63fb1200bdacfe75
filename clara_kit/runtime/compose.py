"""The only place that chooses what stands behind each service: live, twin or sim.

Comes before `manager.py`, which opens what `compose` describes. A service is asked for by mode; services may
be mixed (live Claude with twin voices is what a designer with one key wants), and the mix is named wherever
a number shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from clara_kit.audio.recognise import LineBook
from clara_kit.audio.voice import OfflineVoice, Speech
from clara_kit.core.clock import Clock
from clara_kit.core.errors import SettingsError
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import USUAL_GREETING, Keys, Mode, Settings
from clara_kit.personalization.briefing import Briefing, brief
from clara_kit.personalization.catalog import Catalog
from clara_kit.personalization.profile_cache import ProfileCache
from clara_kit.personalization.prompt_template import PromptTemplate
from clara_kit.providers.avatar.base import AvatarProvider
from clara_kit.providers.llm.base import LLMProvider
from clara_kit.providers.stt.base import STTProvider
from clara_kit.providers.tts.base import TTSProvider
from clara_kit.runtime.reception import ProfileSource, Reception
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.personas import Persona
from clara_kit.world.twins.server import TwinServer

TWIN_KEY = "test-key"
TWIN_SHOP = "beta-skincare.myshopify.com"
DEFAULT_TEMPLATE = "warm"
SANDBOX_LIMIT_S = 3600.0  # the vendor's sandbox ends after a minute, which would cut most scripts short


@dataclass(kw_only=True)
class Services:
    """What stands behind each service of one conversation. Made by `compose`, opened by the manager."""

    modes: dict[str, Mode]
    settings: Settings
    prompt: Prompt  # for a customer of whom nothing is known
    profile: LatencyProfile
    seed: int
    keys: Keys
    briefing: Briefing | None = None  # None: a plain prompt, which has no place for a customer
    catalog: Catalog | None = None
    customer: str = ""  # as the shop knows them: number, gid or e-mail; empty: a stranger
    profile_cache: ProfileCache | None = None
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
        from clara_kit.world.twins.shopify import ShopifyTwin

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
                ShopifyTwin.of_personas(context),
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
            keyterms=s.stt_keyterms or self._keyterms(),
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

    def reception(self, clock: Clock) -> Reception:
        """Where the customer is received; without a customer nobody is asked."""
        return Reception(
            clock,
            self.briefing or self.prompt,
            catalog=self.catalog,
            customer=self.customer,
            shop=self._shop(clock) if self.customer else None,
        )

    @property
    def greeting(self) -> str:
        """What Clara says first to a customer of whom nothing is known."""
        if self.settings.greeting is not None:
            return self.settings.greeting
        return self.briefing.greeting if self.briefing is not None else USUAL_GREETING

    @property
    def told(self) -> dict[str, Any]:
        """What a run's inputs keep of template, catalogue and customer; no word of the customer's."""
        if self.briefing is None or self.catalog is None:
            return {}
        about = self.briefing.template.about
        return {"template": about, "catalog": self.catalog.hash, "customer": self.customer_key}

    @property
    def customer_key(self) -> str:
        """What stands for the customer in the trace; empty for a stranger."""
        return sha256(f"{self._shop_name}|{self.customer}".encode()).hexdigest()[:12] if self.customer else ""

    @property
    def _shop_name(self) -> str:
        return self.keys.need("shopify_shop") if self.modes.get("shop") == "live" else TWIN_SHOP

    def _shop(self, clock: Clock) -> AbstractAsyncContextManager[ProfileSource]:
        if self.modes["shop"] == "sim":
            from clara_kit.world.in_process import ScriptedShop

            return ScriptedShop(clock, self.profile, seed=self.seed)
        from clara_kit.personalization.shopify import ShopifyCustomerFetcher

        if self.modes["shop"] == "live":
            return ShopifyCustomerFetcher.from_keys(self.keys, self.settings, cache=self.profile_cache)
        return ShopifyCustomerFetcher(
            TWIN_SHOP,
            TWIN_KEY,
            base_url=self._addresses["shopify"]["base_url"],
            api_version=self.settings.shopify_api_version,
            cache=self.profile_cache,
            deadline_ms=self.settings.profile_deadline_ms,
        )

    def _keyterms(self) -> tuple[str, ...]:
        """What the shop sells, so that the recogniser knows its names. Only nova-3 takes keyterms."""
        takes = self.settings.stt_model.startswith("nova-3")
        return self.catalog.keyterms() if self.catalog is not None and takes else ()

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
    shop: Mode | None = None,
    settings: Settings | None = None,
    keys: Keys | None = None,
    customer: str | int | Persona = "",
    template: str | PromptTemplate = DEFAULT_TEMPLATE,
    prompt: Prompt | None = None,
    profile_cache: ProfileCache | None = None,
    profile: str | LatencyProfile = "published",
    seed: int = 0,
    faults: Iterable[Fault] = (),
) -> Services:
    """Describe what stands behind each service: `mode` for all, or one by one.

    live needs a key for each vendor it touches (raises `SettingsError` naming the first that is missing);
    twin is the vendor's own SDK over loopback sockets; sim stays in this process.

    customer: whom Clara talks to, as the shop knows them (number, gid or e-mail), or an invented one of
    `data/customers/` by name, whom only the twin and the simulation know; the shop is asked only if there is one.
    template: a prompt of `data/prompts/` by its id. prompt: a plain prompt instead, which knows no customer.
    profile_cache: keeps profiles between conversations (default: `ProfileCache()` for a live shop, else none).
    """
    chosen: dict[str, Mode] = {
        "stt": stt or mode,
        "llm": llm or mode,
        "tts": tts or mode,
        "avatar": avatar or mode,
    }
    customer = _customer(customer, shop or mode)
    if customer:
        if prompt is not None:
            raise SettingsError(
                "A plain prompt has no place for what the shop knows of a customer.",
                hint="give a template instead of a prompt, or leave the customer out.",
            )
        chosen["shop"] = shop or mode
    for service, value in chosen.items():
        if value not in ("live", "twin", "sim"):
            raise SettingsError(f"{service}: there is no mode {value!r}.", hint="use live, twin or sim.")
    faults = tuple(faults)
    for fault in faults:
        if chosen.get(fault.service) != "twin":
            raise SettingsError(
                f"Only a twin can play {fault}, and {fault.service} is {chosen.get(fault.service, 'not there')}.",
                hint=f"choose {fault.service}='twin', or give the fault to simulate().",
            )
    keys = keys or Keys()
    settings = settings or Settings()
    vendors = {"stt": "deepgram", "llm": "anthropic", "tts": "deepgram", "avatar": settings.avatar_vendor}
    for service, vendor in vendors.items():
        if chosen[service] == "live":
            keys.need(f"{vendor}_api_key")
    if chosen.get("shop") == "live":
        from clara_kit.personalization.shopify import ShopifyCustomerFetcher

        ShopifyCustomerFetcher.from_keys(keys, settings)  # names what is missing
        profile_cache = profile_cache or ProfileCache(hours=settings.profile_cache_hours)
    catalog = Catalog.load()
    briefing = brief(template, catalog=catalog) if prompt is None else None
    if chosen["avatar"] == "live" and settings.avatar_vendor == "heygen" and not settings.heygen_avatar_name:
        raise SettingsError(
            "HEYGEN_AVATAR_NAME is not set.", hint="name an avatar of your HeyGen account in the file .env."
        )
    return Services(
        modes=chosen,
        settings=settings,
        prompt=briefing.prompt if briefing is not None else prompt or Prompt(static=""),
        profile=profile if isinstance(profile, LatencyProfile) else LatencyProfile.load(profile),
        seed=seed,
        keys=keys,
        faults=FaultBox(faults),
        briefing=briefing,
        catalog=catalog,
        customer=customer,
        profile_cache=profile_cache,
    )


def _customer(customer: str | int | Persona, shop: Mode) -> str:
    """The customer as the shop knows them."""
    if isinstance(customer, str) and (not customer or "@" in customer or customer.startswith("gid://")):
        return customer
    if isinstance(customer, int) or (isinstance(customer, str) and customer.isdigit()):
        return f"gid://shopify/Customer/{customer}"
    persona = customer if isinstance(customer, Persona) else Persona.load(customer)
    if shop == "live":
        raise SettingsError(
            f"{persona.name} is an invented customer, whom a real shop does not know.",
            hint="name a customer by number or e-mail, or choose shop='twin'.",
        )
    return persona.gid


def clara_voice() -> OfflineVoice:
    """Clara's offline voice."""
    return OfflineVoice(voice_variant="f4", rate_wpm=170)


def customer_voice() -> OfflineVoice:
    """The invented customer's voice, told apart from Clara's at first hearing."""
    return OfflineVoice(voice_variant="m3", rate_wpm=175, pitch=40)
