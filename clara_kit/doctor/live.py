"""One sentence through each vendor, seen from the wire, and the same beside it through the twins.

The voice speaks the sentence, the recogniser hears that sound, the model answers what was heard, and the
avatar's sandbox speaks the sound. `clara doctor --live` shows what comes of it. A vendor without a key is
left out on both sides; a step that fails is told and the next is tried all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from clara_kit.audio.pcm import Sound, concat, silence
from clara_kit.core.commands import Message
from clara_kit.core.errors import ClaraError, ProviderUnavailable
from clara_kit.core.events import ProviderFailed, ReplyDelta, SpeakingEnded, TranscriptFinal, Usage
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Mode, Settings
from clara_kit.doctor.shapes import WireMessage
from clara_kit.doctor.wire import WireTap
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.pricing import PRICES
from clara_kit.providers.tts.base import AudioChunk, PiecesVoiced
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import TWIN_KEY, Services, clara_voice, compose
from clara_kit.runtime.ears import FRAME_MS, RATE_HZ

SENTENCE = "¿Hacen despachos a regiones?"
PROMPT = Prompt(
    static="Eres Clara, de Beta Skincare. Responde en español, con una sola frase de diez palabras."
)
MAX_TOKENS = 40
SOUND_RATE_HZ = 24_000  # what voice and avatar agree on
VENDORS = ("deepgram", "anthropic", "liveavatar")
STEP_TIMEOUT_S = 30.0

# Sources: Aura-2 0.030 USD for 1,000 characters (a reseller's list). Nova-3 over a socket 0.0092 USD a minute
# (Cloudflare's price list for the same model, 2025-08; resold, so an upper bound). Claude: pricing.PRICES.
# LiveAvatar's sandbox: no credits (LiveAvatar's credits page).
AURA_USD_A_CHAR = 0.030 / 1000
NOVA_USD_A_MINUTE = 0.0092
HEARD_S = 5.0
CLAUDE_USAGE = Usage(input_tokens=150, output_tokens=MAX_TOKENS)

StepState = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one service made of the sentence."""

    service: str
    vendor: str
    state: StepState
    text: str
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One walk of the sentence through the vendors: its steps, and the messages on the wire."""

    steps: tuple[Step, ...]
    messages: tuple[WireMessage, ...]

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return all(step.state != "failed" for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a service's part of the sentence costs at most, in US dollars; None where it is not known."""

    vendor: str
    usd: float | None
    text: str


def prices(keys: Keys, settings: Settings) -> tuple[Price, ...]:
    """The price of a live take, for the vendors that have a key; estimated from published lists."""
    model, chars = settings.llm_model, len(SENTENCE)
    known = PRICES.get(model)
    claude = known.of(CLAUDE_USAGE) if known else None
    table = (
        Price(vendor="deepgram", usd=AURA_USD_A_CHAR * chars, text=f"Aura-2 speaks {chars} characters (0.030 USD for 1,000; a reseller's list)"),
        Price(vendor="deepgram", usd=NOVA_USD_A_MINUTE * HEARD_S / 60, text=f"{settings.stt_model} hears {HEARD_S:.0f} s (at most 0.0092 USD a minute; Cloudflare's list, 2025-08)"),
        Price(vendor="anthropic", usd=claude, text=f"{model} reads about {CLAUDE_USAGE.input_tokens} tokens and says at most {MAX_TOKENS} ({'Anthropic’s model pages, 2026-11' if known else 'its price is not known'})"),
        Price(vendor="liveavatar", usd=0.0, text="the sandbox avatar speaks for some seconds (no credits; LiveAvatar's credits page)"),
    )  # fmt: skip
    return tuple(price for price in table if price.vendor in with_key(keys))


def with_key(keys: Keys) -> tuple[str, ...]:
    """The vendors that have a key."""
    return tuple(v for v in VENDORS if getattr(keys, f"{v}_api_key") is not None)


async def live_and_twin(
    keys: Keys, settings: Settings, *, profile: str = "published", pace: float = 1.0
) -> tuple[Take, Take]:
    """The sentence through live and then, by the same code, through the twins. pace: 1 is real time."""
    vendors = with_key(keys)
    live = await say_one_sentence(keys, settings, vendors, pace=pace)
    twins = compose("twin", profile=profile)
    await asyncio.to_thread(twins.open)
    try:
        assert twins.twins is not None
        twins.knows(clara_voice().synthesize(SENTENCE))
        return live, await say_one_sentence(twin_keys(twins.twins.addresses), settings, vendors, pace=pace)
    finally:
        await asyncio.to_thread(twins.close)


def twin_keys(addresses: Mapping[str, Mapping[str, str]]) -> Keys:
    """Keys and addresses that lead to twins."""
    found: dict[str, str] = {}
    for vendor in VENDORS:
        found[f"{vendor}_api_key"] = TWIN_KEY
        found[f"{vendor}_base_url"] = addresses[vendor]["base_url"]
    return Keys.model_validate(found)


async def say_one_sentence(
    keys: Keys, settings: Settings, vendors: tuple[str, ...], *, pace: float = 1.0
) -> Take:
    """Walk the sentence through these vendors, wherever `keys` says that they are."""
    defaults = Settings()  # the sandbox takes only its own avatar
    settings = settings.with_changes(
        avatar_vendor=defaults.avatar_vendor,
        llm_max_tokens=MAX_TOKENS,
        avatar_sandbox=True,
        avatar_id=defaults.avatar_id,
    )
    async with WireTap({v: getattr(keys, f"{v}_base_url") for v in vendors}) as tap:
        through = keys.model_copy(update={f"{v}_base_url": tap.base_url(v) for v in vendors})
        mode = {v: ("live" if v in vendors else "sim") for v in VENDORS}
        services = compose(
            stt=_mode(mode["deepgram"]), tts=_mode(mode["deepgram"]), llm=_mode(mode["anthropic"]),
            avatar=_mode(mode["liveavatar"]), settings=settings, keys=through,
        )  # fmt: skip
        walk = _Walk(services, pace)
        steps = [
            await _step("voice", "deepgram", vendors, walk.voice),
            await _step("hearing", "deepgram", vendors, walk.hearing),
            await _step("model", "anthropic", vendors, walk.model),
            await _step("avatar", "liveavatar", vendors, walk.avatar),
        ]
    return Take(steps=tuple(steps), messages=tuple(tap.messages))


def _mode(name: str) -> Mode:
    return "live" if name == "live" else "sim"


async def _step(
    service: str, vendor: str, vendors: tuple[str, ...], work: Callable[[], Awaitable[str]]
) -> Step:
    if vendor not in vendors:
        return Step(service=service, vendor=vendor, state="skipped", text="no key")
    began_s = perf_counter()
    state: StepState = "failed"
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            text = await work()
        state = "ok"
    except ClaraError as exc:
        text = str(exc)
    except TimeoutError:
        text = f"nothing came within {STEP_TIMEOUT_S:.0f} s. What to do: check the network and try again."
    except Exception as exc:  # a vendor's surprise is a finding, not the end of the examination
        text = f"something unforeseen came: {type(exc).__name__}. What to do: report it with these lines."
    took_ms = (perf_counter() - began_s) * 1000
    return Step(service=service, vendor=vendor, state=state, text=text, took_ms=took_ms)


class _Walk:
    """The sentence on its way. What a step leaves is what the next one takes; the offline voice stands in."""

    def __init__(self, services: Services, pace: float) -> None:
        self._services, self._pace = services, pace
        self._clock = MonotonicClock()
        self._sound: Sound | None = None
        self._heard = SENTENCE

    async def _speech(self) -> Sound:
        if self._sound is None:
            self._sound = (await asyncio.to_thread(clara_voice().synthesize, SENTENCE)).sound
        return self._sound

    async def voice(self) -> str:
        """Aura speaks the sentence."""
        tts = self._services.tts()
        pcm = bytearray()
        try:
            async with tts.speak(_one(SENTENCE)) as stream:
                async for part in stream:
                    if isinstance(part, AudioChunk):
                        pcm += part.pcm
        finally:
            await tts.aclose()
        if len(pcm) < 2:
            raise ProviderUnavailable("The voice sent no sound.", hint="check TTS_VOICE and try again.")
        self._sound = Sound.from_bytes(bytes(pcm[: len(pcm) // 2 * 2]), tts.rate_hz)
        return f"{self._sound.duration_ms:.0f} ms of sound for {len(SENTENCE)} characters"

    async def hearing(self) -> str:
        """Deepgram listens to it."""
        speech = (await self._speech()).at_rate(RATE_HZ)
        sound = concat(silence(300, RATE_HZ), speech, silence(1500, RATE_HZ))
        words: list[str] = []
        async with self._services.stt(self._clock) as stt:
            feeding = asyncio.create_task(self._feed(stt.send, stt.finish, sound))
            try:
                async for event in stt.events():
                    if isinstance(event, TranscriptFinal):
                        words.append(event.text)
                    elif isinstance(event, ProviderFailed):
                        raise ProviderUnavailable(event.message, hint=event.hint)
            finally:
                feeding.cancel()
                await asyncio.wait({feeding})
        if not words:
            raise ProviderUnavailable(
                "The recogniser heard no words.", hint="check STT_MODEL and STT_LANGUAGE."
            )
        self._heard = " ".join(words)
        return f"heard {len(self._heard.split())} words of {len(SENTENCE.split())}"

    async def _feed(
        self, send: Callable[[bytes, float], Awaitable[None]], finish: Callable[[], Awaitable[None]], sound: Sound
    ) -> None:  # fmt: skip
        began_ms = self._clock.now_ms()
        for number, frame in enumerate(sound.frames(FRAME_MS)):
            due_ms = began_ms + (number + 1) * FRAME_MS * self._pace
            await asyncio.sleep(max(0.0, due_ms - self._clock.now_ms()) / 1000)
            await send(frame.to_bytes(), due_ms)
        await finish()

    async def model(self) -> str:
        """Claude answers what was heard."""
        llm = self._services.llm(self._clock)
        request = ReplyRequest(reply_id=1, prompt=PROMPT, messages=(Message(role="user", text=self._heard),))
        chars, first_ms, began_ms = 0, 0.0, self._clock.now_ms()
        try:
            async with llm.reply(request) as events:
                async for event in events:
                    if isinstance(event, ReplyDelta):
                        first_ms = first_ms or self._clock.now_ms() - began_ms
                        chars += len(event.text)
                    elif isinstance(event, ProviderFailed):
                        raise ProviderUnavailable(event.message, hint=event.hint)
        finally:
            await llm.aclose()
        return f"answered with {chars} characters, the first after {first_ms:.0f} ms"

    async def avatar(self) -> str:
        sound = (await self._speech()).at_rate(SOUND_RATE_HZ)
        async with self._services.avatar(self._clock, _Played(sound)) as avatar:
            await avatar.speak(1, 0, SENTENCE)
            await avatar.end_speech(1)
            async for event in avatar.events():
                if isinstance(event, ProviderFailed):
                    raise ProviderUnavailable(event.message, hint=event.hint)
                if isinstance(event, SpeakingEnded):
                    guessed = " (when it ended is estimated)" if event.estimated else ""
                    return f"spoke {sound.duration_ms:.0f} ms of sound in the sandbox{guessed}"
        raise ProviderUnavailable("The avatar's session ended before it had spoken.", hint="try again.")


class _Played:
    """A voice that has one sound, whatever the text: what was spoken before goes to the avatar."""

    rate_hz = SOUND_RATE_HZ

    def __init__(self, sound: Sound) -> None:
        self._played = sound

    @asynccontextmanager
    async def speak(
        self, pieces: AsyncIterator[str]
    ) -> AsyncIterator[AsyncIterator[AudioChunk | PiecesVoiced]]:
        yield self._stream(pieces)

    async def _stream(self, pieces: AsyncIterator[str]) -> AsyncIterator[AudioChunk | PiecesVoiced]:
        count = 0
        async for _ in pieces:
            count += 1
            yield AudioChunk(self._played.to_bytes())
            yield PiecesVoiced(count, self._played.duration_ms)

    async def aclose(self) -> None:
        """Nothing is kept open."""


async def _one(piece: str) -> AsyncIterator[str]:
    yield piece
