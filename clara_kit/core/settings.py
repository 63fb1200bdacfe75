"""Every knob of a conversation in one frozen object, validated once, then passed in.

`Settings()` is what the code says, the same on every machine. `Settings.from_env(...)` lays environment
variables over it; their names are the fields' names in capitals (`BARGE_IN_DEBOUNCE_MS=100`). Reading the
environment and `.env` is done in `runtime/config.py`: this module only knows mappings. Keys live in
`Keys`, apart from the settings, so that a run log can hold all settings and no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from msgspec import Meta

from clara_kit.core.checked import Checked
from clara_kit.core.errors import SettingsError
from clara_kit.core.retry import RetryPolicy

if TYPE_CHECKING:
    from clara_kit.core.keys import KEY_PAGES as KEY_PAGES
    from clara_kit.core.keys import Keys as Keys

Mode = Literal["live", "twin", "sim", "local"]
"""Local: only the model, a server on this machine that stands in for it."""
Preset = Literal["plan", "tuned", "fast"]
Ms = Annotated[float, Meta(ge=0, le=600_000)]

USUAL_GREETING = "¡Hola! Soy Clara, de Beta Skincare. ¿En qué te puedo ayudar?"
"""What Clara says first where no template says otherwise."""

_TUNED: dict[str, Any] = {
    "sustained_ms": 780, "finalize_short_sounds": True, "words_so_far_ms": 460, "ignore_backchannels": True, "ignore_echo": True, "unfinished_hold_ms": 1500,
    "no_words_after_sound_ms": 800, "duck": True, "taken_back_ms": 800,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "plan": {},
    "tuned": _TUNED,
    "fast": {
        **_TUNED, "enable_response_cache": True, "enable_connection_pool": True, "first_clause": True, "trim_lead_silence": True,
    },
}  # fmt: skip
_YES, _NO = ("yes", "on", "y", "t"), ("no", "off", "n", "f")


class _Frozen(Checked, frozen=True, kw_only=True):
    error = SettingsError
    what = "A setting is wrong"
    hint = "see Settings for the names and ranges."


class FeatureFlags(_Frozen, frozen=True, kw_only=True):
    """The plan's flags."""

    enable_barge_in: bool = True
    enable_chunked_heygen: bool = True  # sentence by sentence to the avatar; off: the whole reply at once
    enable_personalization: bool = True  # off: Clara treats everyone as a customer of whom nothing is known
    enable_response_cache: bool = False  # frequent questions are answered from what is kept
    enable_connection_pool: bool = (
        False  # connections are opened before they are needed, and replaced before they go stale
    )
    enable_auto_fallback: bool = False


class Settings(_Frozen, frozen=True, kw_only=True):
    """All settings. Times in milliseconds. Defaults are the plan's unless the comment says otherwise."""

    flags: FeatureFlags = FeatureFlags()

    # The customer's profile
    profile_deadline_ms: Ms = 1500  # the greeting waits for the shop no longer than this
    profile_cache_hours: Annotated[float, Meta(ge=0, le=168)] = 24  # 0: ask the shop every time
    # Shopify serves a version for a year and then quietly answers with an older one; the fetcher notices.
    shopify_api_version: Annotated[str, Meta(pattern=r"^(20\d\d-(01|04|07|10)|unstable)$")] = "2026-10"

    # Turn-taking
    barge_in_debounce_ms: Ms = 100  # a sound must last this long to interrupt Clara
    sustained_ms: Ms = 0  # a sound without words must last this long to stop Clara (0: the debounce decides alone)
    duck: bool = False  # lower Clara's sound while it is not known yet whether a sound is an interruption
    protected_opening_ms: Ms = 0  # so long after Clara's first sound only words stop her (0: nothing is protected)
    # Fewer words take no floor, unless one of them means «stop» or asks.
    min_words: Annotated[int, Meta(ge=1, le=10)] = 1
    # Who goes on so shortly after Clara has begun had not finished: her answer is taken back, both parts are answered once.
    taken_back_ms: Ms = 0
    finalize_short_sounds: bool = False  # ask for the words of a sound at once when it ends while Clara speaks
    words_so_far_ms: Ms = 0  # and for those so far of one that has lasted this long (0: wait for interim words)
    ignore_backchannels: bool = False  # «ajá» while Clara speaks neither stops her nor is answered
    ignore_echo: bool = False  # nor do her own words, heard by the customer's microphone
    unfinished_hold_ms: Ms = 0  # wait this long where a clause is not finished («y también…»)
    turn_hold_ms: Ms = 0  # wait this long after a final for the customer to go on (0: answer at once)
    no_words_timeout_ms: Ms = 2500  # a sound that brought no words in this time was none
    no_words_after_sound_ms: Ms = 0  # nor did one that ended so long ago, as the local ear has it (0: only the above)
    final_timeout_ms: Ms = 4000  # interim words whose final never comes count as final after this
    after_false_interruption: Literal["resume", "restate", "end"] = (
        "resume"  # say the rest, ask the model anew, be silent
    )
    absence_ms: Ms = 300_000  # without a word of the customer for so long, somebody forgot to hang up (0: never)
    slow_response_ms: Ms = 3000  # words ended to Clara's first sound; above this an alert is raised

    # Speech to text. nova-3 has es-419 since 2025-09-02 and takes keyterms; the plan's nova-2 stays selectable.
    stt_model: str = "nova-3"
    stt_language: str = "es-419"
    stt_endpointing_ms: Annotated[int, Meta(ge=10, le=5000)] = 300
    stt_utterance_end_ms: Annotated[int, Meta(ge=1000, le=5000)] = 1000  # Deepgram refuses less than 1000
    stt_keyterms: tuple[str, ...] = ()
    local_vad: bool = True

    # The model. The plan's claude-3-5-haiku-20241022 was retired by Anthropic on 2026-02-19.
    llm_model: str = "claude-haiku-5-5"
    # The plan's 150 tokens, times 1.3: Haiku 5.5's tokenizer needs about 30 % more for the same text
    # (Anthropic's Haiku 5.5 migration guide).
    llm_max_tokens: Annotated[int, Meta(ge=1, le=4096)] = 195
    llm_temperature: Annotated[float, Meta(ge=0, le=1)] | None = 0.7  # sent only where the model takes it
    llm_first_token_timeout_ms: Ms = 8000
    llm_stall_timeout_ms: Ms = 5000
    history_max_messages: Annotated[int, Meta(ge=2, le=400)] = 40

    # The voice and the avatar
    tts_voice: str = "aura-2-celeste-es"
    tts_speed: Annotated[float, Meta(ge=0.7, le=1.5)] = 1.0
    tts_other_voice: str = "hpp4J3VqNfWAUOO0d1Us"  # a voice's id at ElevenLabs, for when Deepgram's is lost
    avatar_vendor: Literal["liveavatar", "heygen"] = "liveavatar"  # heygen: the plan's classic API, being retired
    heygen_avatar_name: str = ""  # of your HeyGen account; only for avatar_vendor="heygen"
    heygen_voice_id: str = ""  # empty: the avatar's own
    avatar_id: str = "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a"  # LiveAvatar's sandbox avatar
    avatar_sandbox: bool = True  # no credits, but the session ends after about a minute

    # Latency
    first_clause: bool = False  # the first clause of a reply is spoken before its sentence is complete
    trim_lead_silence: bool = False  # the silence at the head of the voice's sound is not sent to the avatar
    openers: bool = False  # a short prepared phrase («A ver…») is spoken while the answer is being written
    # The avatar is given silence as soon as a turn is over, so that it has begun when there is sound. Nobody has published
    # whether that helps: off until it was calibrated.
    open_avatar_early: bool = False
    answers_expire_h: Annotated[float, Meta(ge=0, le=8760)] = (
        168  # a learnt answer is reused so long (0: none is learnt)
    )

    # Retries
    max_retries: Annotated[int, Meta(ge=0, le=10)] = 3
    initial_retry_delay_ms: Ms = 1000
    retry_backoff_multiplier: Annotated[float, Meta(ge=1, le=10)] = 2
    max_retry_delay_ms: Ms = 10000
    retry_jitter: Annotated[float, Meta(ge=0, le=0.5)] = (
        0.1  # up to so much of a delay more or less, by seed and attempt
    )
    # Nothing is tried again so long after the customer's words; the whole schedule is for connections.
    turn_deadline_ms: Ms = 10_000

    # Fallback (with enable_auto_fallback). `slow_response_ms` is also what a service may take to its first useful output.
    failure_threshold: Annotated[int, Meta(ge=1, le=100)] = 3  # failures in a row before an alert, and a switch
    fallback_open_ms: Ms = (
        30_000  # a service that was switched away from is tried again after this; twice as long each time
    )
    fallback_successes: Annotated[int, Meta(ge=1, le=20)] = 2  # so many answers in a row, then it is trusted again

    # What Clara says
    greeting: str | None = None  # None: as the prompt's template has it; empty: Clara waits to be spoken to
    apology: str = "Disculpa, se me cortó un momento. ¿Me lo repites, por favor?"
    hold_phrase: str = (
        "Dame un momento, por favor."  # where nothing of an answer has come in `slow_response_ms`; empty: nothing
    )
    broken_reply: str = "Disculpa, se me cortó la respuesta."  # where the rest of an answer does not come
    fallback_notice: str = (
        "Un momento, cambio a modo de respaldo."  # spoken when a service is switched; empty: only shown
    )

    @property
    def retry(self) -> RetryPolicy:
        """The plan's retry constants as one policy."""
        return RetryPolicy(
            max_retries=self.max_retries,
            initial_delay_ms=self.initial_retry_delay_ms,
            multiplier=self.retry_backoff_multiplier,
            max_delay_ms=self.max_retry_delay_ms,
            jitter=self.retry_jitter,
        )

    @classmethod
    def preset(cls, name: Preset) -> Self:
        """ "plan": as the plan has it, which is `Settings()`. "tuned": turn-taking as tried on generated Spanish overlaps;
        never yet on customers. "fast": the same with every lever on latency that is safe, which openers are not.
        Raises `SettingsError`."""
        if name not in PRESETS:
            raise SettingsError(f"There is no preset {name!r}.", hint=f"there are {', '.join(PRESETS)}.")
        return cls.of(**PRESETS[name])

    @classmethod
    def of(cls, **changes: Any) -> Self:
        """Settings with some fields changed; a flag may be given by its own name."""
        return cls().with_changes(**changes)

    def with_changes(self, **changes: Any) -> Self:
        """A copy with some fields changed (flags by their own names), validated; raises `SettingsError`."""
        flags = {name: changes.pop(name) for name in FeatureFlags.__struct_fields__ if name in changes}
        if flags:
            kept = {name: getattr(self.flags, name) for name in FeatureFlags.__struct_fields__}
            changes["flags"] = FeatureFlags(**{**kept, **flags})
        return self.model_validate({**{name: getattr(self, name) for name in self.__struct_fields__}, **changes})

    @classmethod
    def from_env(cls, environ: Mapping[str, str], preset: Preset = "plan") -> Self:
        """A preset with the environment's values laid over it. Unrelated variables are passed over."""
        names = [n for n in (*cls.__struct_fields__, *FeatureFlags.__struct_fields__) if n != "flags"]
        found: dict[str, Any] = {n: environ[n.upper()] for n in names if environ.get(n.upper(), "") != ""}
        usual = cls()
        for name in found:
            if isinstance(getattr(usual, name, getattr(usual.flags, name, None)), bool):
                said = found[name].strip().lower()
                found[name] = "true" if said in _YES else "false" if said in _NO else said
        if "stt_keyterms" in found:
            found["stt_keyterms"] = tuple(t.strip() for t in found["stt_keyterms"].split(",") if t.strip())
        if str(found.get("llm_temperature", "")).lower() == "none":
            found["llm_temperature"] = None
        return cls.preset(preset).with_changes(**found)


def __getattr__(name: str) -> Any:
    """Keys load when they are asked for: who only simulates needs none, and not what checks them."""
    if name in ("Keys", "KEY_PAGES"):
        from clara_kit.core import keys

        return getattr(keys, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def sure(settings: Any) -> Settings:
    """The same, if these are settings. Raises `SettingsError`."""
    if not isinstance(settings, Settings):
        hint = 'give Settings(), or Settings.preset("tuned").with_changes(...).'
        raise SettingsError(f"A {type(settings).__name__} was given in place of settings.", hint=hint)
    return settings
