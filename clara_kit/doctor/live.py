"""One sentence through each vendor, seen from the wire, and the same beside it through the twins.

The voice speaks the sentence, the recogniser hears that sound, the model answers what was heard, and the
avatar speaks the sentence in its sandbox, with the offline voice. `clara doctor --live` shows what comes of it. A
vendor without a key is left out on both sides; a step that fails is told and the next is tried all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from time import perf_counter
from typing import Any, Literal, NamedTuple

from clara_kit.audio.pcm import Sound, concat, silence
from clara_kit.core.commands import Message
from clara_kit.core.errors import ClaraError, ProviderUnavailable
from clara_kit.core.events import ProviderFailed, ReplyDelta, SpeakingEnded, TranscriptFinal, Usage
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Settings
from clara_kit.doctor.shapes import WireMessage
from clara_kit.doctor.wire import tapped
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.pricing import PRICES
from clara_kit.providers.tts.base import AudioChunk
from clara_kit.providers.vendors import STT_USD_A_MINUTE, TABLE, TTS_USD_A_CHARACTER, VENDORS
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import TWIN_KEY, Services, clara_voice, compose
from clara_kit.runtime.ears import FRAME_MS, RATE_HZ

SENTENCE = "¿Hacen despachos a regiones?"
PROMPT = Prompt(static="Eres Clara, de Beta Skincare. Responde en español, en una frase de diez palabras.")
MAX_TOKENS = 40
# The sandbox takes only its own avatar.
SANDBOX = {"avatar_vendor": "liveavatar", "avatar_id": Settings().avatar_id, "avatar_sandbox": True}
STEPS = (("voice", "tts", "deepgram"), ("hearing", "stt", "deepgram"),
         ("model", "llm", "anthropic"), ("avatar", "avatar", "liveavatar"))  # fmt: skip
STEP_TIMEOUT_S = 30.0

HEARD_S = 5.0
CLAUDE_USAGE = Usage(input_tokens=150, output_tokens=MAX_TOKENS)


StepState = Literal["ok", "failed", "skipped"]


class Step(NamedTuple):
    """What one service made of the sentence."""

    service: str
    vendor: str
    state: StepState
    text: str
    took_ms: float = 0.0


class Take(NamedTuple):
    """One walk of the sentence through the vendors: its steps, and the messages on the wire."""

    steps: tuple[Step, ...]
    messages: tuple[WireMessage, ...]

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return all(step.state != "failed" for step in self.steps)


class Price(NamedTuple):
    """What a service's part of the sentence costs at most, in US dollars; None where it is not known."""

    vendor: str
    usd: float | None
    text: str


def prices(keys: Keys, settings: Settings) -> tuple[Price, ...]:
    """The price of a live take, for the vendors that have a key; estimated from published lists.

    Each text names its list. Cloudflare resells Nova-3, so that its price is an upper bound.
    """
    model, chars = settings.llm_model, len(SENTENCE)
    known = PRICES.get(model)
    table = (
        Price("deepgram", TTS_USD_A_CHARACTER * chars, f"Aura-2 speaks {chars} characters ({TTS_USD_A_CHARACTER * 1000:.3f} USD for 1,000; a reseller's list)"),
        Price("deepgram", STT_USD_A_MINUTE * HEARD_S / 60, f"{settings.stt_model} hears {HEARD_S:.0f} s (at most {STT_USD_A_MINUTE} USD a minute; Cloudflare's list, 2025-08)"),
        Price("anthropic", known.of(CLAUDE_USAGE) if known else None, f"{model} reads about {CLAUDE_USAGE.input_tokens} tokens and says at most {MAX_TOKENS} ({'Anthropic’s model pages, 2026-11' if known else 'its price is not known'})"),
        Price("liveavatar", 0.0, "the sandbox avatar speaks for some seconds (no credits; LiveAvatar's credits page)"),
    )  # fmt: skip
    return tuple(price for price in table if price.vendor in with_key(keys))


def with_key(keys: Keys) -> tuple[str, ...]:
    """The vendors that have a key."""
    return tuple(vendor for vendor in VENDORS if TABLE[vendor].has_key(keys))


async def live_and_twin(keys: Keys, settings: Settings, latency: str = "published") -> tuple[Take, Take]:
    """The sentence through live and then, by the same code, through the twins with this latency profile."""
    vendors = with_key(keys)
    live = await say_one_sentence(keys, settings, vendors)
    twins = compose("twin", latency=latency)
    await asyncio.to_thread(twins.open)
    try:
        assert twins.twins is not None
        twins.knows(clara_voice().synthesize(SENTENCE))
        return live, await say_one_sentence(twin_keys(twins.twins.addresses), settings, vendors)
    finally:
        await asyncio.to_thread(twins.close)


def twin_keys(addresses: Mapping[str, Mapping[str, str]]) -> Keys:
    """Keys and addresses that lead to twins."""
    found = {f"{v}_api_key": TWIN_KEY for v in VENDORS}
    return Keys.model_validate(found | {f"{v}_base_url": addresses[v]["base_url"] for v in VENDORS})


async def say_one_sentence(keys: Keys, settings: Settings, vendors: tuple[str, ...]) -> Take:
    """Walk the sentence through these vendors, wherever `keys` says that they are."""
    settings = settings.with_changes(**SANDBOX, llm_max_tokens=MAX_TOKENS)
    async with tapped({v: TABLE[v].address(keys) for v in vendors}) as tap:
        keys = keys.model_copy(update={f"{v}_base_url": f"{tap.origin}/{v}" for v in vendors})
        modes: dict[str, Any] = {service: "live" if v in vendors else "sim" for _, service, v in STEPS}
        walk = _Walk(compose(**modes, settings=settings, keys=keys))
        steps = [await _step(s, v, getattr(walk, s) if v in vendors else None) for s, _, v in STEPS]
    return Take(tuple(steps), tuple(tap.messages))


async def _step(service: str, vendor: str, work: Callable[[], Awaitable[str]] | None) -> Step:
    if work is None:
        return Step(service, vendor, "skipped", "no key")
    state: StepState = "failed"
    began_s = perf_counter()
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            text, state = await work(), "ok"
    except ClaraError as exc:
        text = str(exc)
    except TimeoutError:
        text = f"nothing came within {STEP_TIMEOUT_S:.0f} s. What to do: check the network and try again."
    except Exception as exc:  # a vendor's surprise is a finding, not the end of the examination
        text = f"something unforeseen came: {type(exc).__name__}. What to do: report it with these lines."
    return Step(service, vendor, state, text, (perf_counter() - began_s) * 1000)


class _Walk:
    """The sentence on its way. What a step leaves is what the next one takes; the offline voice stands in."""

    def __init__(self, services: Services) -> None:
        self._services, self._clock = services, MonotonicClock()
        self._speech = clara_voice().synthesize(SENTENCE).sound
        self._heard = SENTENCE

    async def voice(self) -> str:
        """Aura speaks the sentence."""
        tts = self._services.tts()
        async with aclosing(tts), tts.speak(_one(SENTENCE)) as stream:
            pcm = b"".join([part.pcm async for part in stream if isinstance(part, AudioChunk)])
        if not pcm:
            raise ProviderUnavailable("The voice sent no sound.", hint="check TTS_VOICE and try again.")
        self._speech = Sound.from_bytes(pcm[: len(pcm) // 2 * 2], tts.rate_hz)
        return f"{self._speech.duration_ms:.0f} ms of sound for {len(SENTENCE)} characters"

    async def hearing(self) -> str:
        """Deepgram listens to it."""
        async with self._services.stt(self._clock) as stt:
            feeding = asyncio.create_task(self._feed(stt))
            try:
                words = [e.text async for e in _good(stt.events()) if isinstance(e, TranscriptFinal)]
            finally:
                feeding.cancel()
                await asyncio.wait({feeding})
        if not words:
            hint = "check STT_MODEL and STT_LANGUAGE."
            raise ProviderUnavailable("The recogniser heard no words.", hint=hint)
        self._heard = " ".join(words)
        return f"heard {len(self._heard.split())} words of {len(SENTENCE.split())}"

    async def _feed(self, stt: Any) -> None:
        sound = concat(silence(300, RATE_HZ), self._speech.at_rate(RATE_HZ), silence(1500, RATE_HZ))
        due_ms = self._clock.now_ms()
        for frame in sound.frames(FRAME_MS):
            due_ms += FRAME_MS
            await asyncio.sleep(max(0.0, due_ms - self._clock.now_ms()) / 1000)
            await stt.send(frame.to_bytes(), due_ms)
        await stt.finish()

    async def model(self) -> str:
        """Claude answers what was heard."""
        llm = self._services.llm(self._clock)
        request = ReplyRequest(reply_id=1, prompt=PROMPT, messages=(Message(role="user", text=self._heard),))
        chars, first_ms, began_ms = 0, 0.0, self._clock.now_ms()
        async with aclosing(llm), llm.reply(request) as events:
            async for event in _good(events):
                if isinstance(event, ReplyDelta):
                    first_ms = first_ms or self._clock.now_ms() - began_ms
                    chars += len(event.text)
        return f"answered with {chars} characters, the first after {first_ms:.0f} ms"

    async def avatar(self) -> str:
        """The sandbox avatar speaks the sentence. The offline voice is at hand whatever became of Aura's."""
        async with self._services.avatar(self._clock, compose("sim").tts()) as avatar:
            await avatar.speak(1, 0, SENTENCE)
            await avatar.end_speech(1)
            async for event in _good(avatar.events()):
                if isinstance(event, SpeakingEnded):
                    guessed = " (when it ended is estimated)" if event.estimated else ""
                    return f"spoke the sentence in the sandbox{guessed}"
        raise ProviderUnavailable("The avatar's session ended before it had spoken.", hint="try again.")


async def _good(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The events, until one says that the vendor failed: that is raised."""
    async for event in events:
        if isinstance(event, ProviderFailed):
            raise ProviderUnavailable(event.message, hint=event.hint)
        yield event


async def _one(piece: str) -> AsyncIterator[str]:
    yield piece
