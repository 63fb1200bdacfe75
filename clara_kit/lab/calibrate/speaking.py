"""The voice and the model, measured as a conversation uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from clara_kit.audio.lead import Lead
from clara_kit.audio.pcm import Sound
from clara_kit.core.commands import Message
from clara_kit.core.errors import ProviderUnavailable
from clara_kit.core.events import ReplyCompleted, ReplyDelta, ReplyStarted, Usage
from clara_kit.core.prompt import Prompt
from clara_kit.lab.calibrate.bench import Bench, good
from clara_kit.lab.calibrate.tape import Cost
from clara_kit.providers.llm.base import LLMProvider, ReplyRequest
from clara_kit.providers.llm.pricing import cost_usd
from clara_kit.providers.tts.base import AudioChunk, TTSProvider, Warms
from clara_kit.providers.vendors import TTS_USD_A_CHARACTER
from clara_kit.runtime.services import Services

# A reply's first sentence as Clara says it, never the same twice in a row: a vendor may keep what it has spoken.
LINES = (
    "Claro, hacemos despachos a todas las regiones del país, y demoran de dos a cinco días.",
    "Para la piel seca te recomiendo la crema de noche, que se usa después de la limpieza.",
    "Mira, el sérum se aplica en la mañana, antes del protector solar, con la piel limpia.",
    "Sí, puedes cambiarlo dentro de treinta días, siempre que el sello no esté abierto.",
    "Te cuento que este limpiador no tiene perfume, así que también sirve para piel sensible.",
    "Por supuesto, puedes pagar con tarjeta o por transferencia cuando termines tu compra.",
)


async def voice(bench: Bench, number: int) -> None:
    """A new socket, and two sentences: the first of a connection is told apart, for it may be slower."""
    tts = bench.services.tts(bench.clock)
    async with aclosing(tts):
        if isinstance(tts, Warms):
            bench.tape.keep("handshake", await bench.took_ms(tts.warm()))
        await _say(bench, tts, LINES[(2 * number) % len(LINES)], "tts_first_chunk_of_a_socket")
        await _say(bench, tts, LINES[(2 * number + 1) % len(LINES)], "tts_first_chunk")


async def _say(bench: Bench, tts: TTSProvider, line: str, first: str) -> None:
    """From the order to its first sound; the silence at its head; seconds of work for a second of sound."""
    lead, came = Lead(tts.rate_hz), list[tuple[float, int]]()  # when each chunk was here, and its bytes
    began_ms = bench.clock.now_ms()
    async for pcm in _sound(tts, line):
        came.append((bench.clock.now_ms(), len(pcm)))
        lead.hear(pcm)
    if not came:
        bench.tape.note("The voice sent no sound for a sentence.")
        return
    bench.tape.keep(first, came[0][0] - began_ms)
    bench.tape.keep("tts_lead_silence", lead.end())
    rest_ms = sum(size for _, size in came[1:]) / 2 / tts.rate_hz * 1000
    if rest_ms > 0:
        bench.tape.keep("tts_realtime_factor", (came[-1][0] - came[0][0]) / rest_ms)


async def spoken_by_vendor(bench: Bench, line: str) -> Sound:
    """A line in the vendor's voice. Raises `ProviderError`."""
    tts = bench.services.tts(bench.clock)
    async with aclosing(tts):
        pcm = b"".join([part async for part in _sound(tts, line)])
    if not pcm:
        raise ProviderUnavailable("The voice sent no sound for a line.", hint="try again.")
    return Sound.from_bytes(pcm[: len(pcm) // 2 * 2], tts.rate_hz)


async def _sound(tts: TTSProvider, line: str) -> AsyncIterator[bytes]:
    async with tts.speak(_one(line)) as stream:
        async for part in stream:
            if isinstance(part, AudioChunk) and part.pcm:
                yield part.pcm


def voice_cost(_: Services) -> Cost:
    """Two sentences."""
    return Cost(2 * max(map(len, LINES)) * TTS_USD_A_CHARACTER)


async def _one(piece: str) -> AsyncIterator[str]:
    yield piece


# --- the model ------------------------------------------------------------------------------------------------

QUESTION = "¿Qué me recomiendas para la piel seca, y cómo se usa cada producto?"
MAX_TOKENS = 60  # a reply's usual length
FEWEST_TOKENS = 8  # of which a pace can be told
SHORT = Prompt(static="Eres Clara, de Beta Skincare. Responde en español, en dos o tres frases.")
LONG_CHARS = 20_000  # more than the usual prompt, and other ones each time: what no cache can have
CHARS_A_TOKEN = 2.5  # at the least, in Spanish and for the newest tokenizer: prices are foreseen too high


async def model(bench: Bench, number: int) -> None:
    """A new connection, and three replies: to the kit's own prompt, to a short one, and to a long one that is new."""
    services = bench.services
    llm = services.llm(bench.clock)
    async with aclosing(llm):
        if isinstance(llm, Warms):
            cold_ms, warm_ms = await bench.took_ms(llm.warm()), await bench.took_ms(llm.warm())
            bench.tape.keep("handshake_model", cold_ms - warm_ms)
        if await _ask(bench, llm, services.prompt, "llm_first_token", pace=True):
            await _ask(bench, llm, services.prompt, "llm_first_token", pace=True)
        await _ask(bench, llm, SHORT, "llm_first_token_short")
        await _ask(bench, llm, _long(services.prompt, number), "llm_first_token_long")


def _long(usual: Prompt, number: int) -> Prompt:
    told = " ".join(f"Nota {number}.{n}: el pedido {number}{n} ya fue entregado." for n in range(LONG_CHARS // 45))
    return Prompt(static=f"{told}\n\n{usual.text}")


async def _ask(bench: Bench, llm: LLMProvider, prompt: Prompt, first: str, *, pace: bool = False) -> bool:
    """From the request to its first text; the pace of the rest, by the vendor's own count of tokens.

    Whether that wrote the prompt into the vendor's cache: it is then slower than those of a conversation, and told apart.
    """
    request = ReplyRequest(reply_id=1, prompt=prompt, messages=(Message(role="user", text=QUESTION),))
    asked_ms, came, usage = 0.0, list[float](), Usage()
    async with llm.reply(request) as events:
        async for event in good(events):
            if isinstance(event, ReplyStarted):
                asked_ms = event.at_ms
            elif isinstance(event, ReplyDelta):
                came.append(event.at_ms)
            elif isinstance(event, ReplyCompleted):
                usage = event.usage or usage
    if not came:
        bench.tape.note("The model answered without a word.")
        return False
    wrote = pace and usage.cache_write_tokens > 0
    bench.tape.keep(f"{first}_uncached" if wrote else first, came[0] - asked_ms)
    if pace and usage.output_tokens >= FEWEST_TOKENS and came[-1] > came[0]:
        bench.tape.keep("llm_tokens_per_s", (usage.output_tokens - 1) / (came[-1] - came[0]) * 1000)
    return wrote


def model_cost(services: Services) -> Cost:
    """Four replies, each of whose prompts is written into the vendor's cache, which is the dearest that there is."""
    chars = 4 * len(services.prompt.text) + len(SHORT.text) + LONG_CHARS * 1.2
    usage = Usage(cache_write_tokens=round(chars / CHARS_A_TOKEN), output_tokens=4 * MAX_TOKENS)
    usd = cost_usd(services.settings.llm_model, usage)
    return Cost(unknown=(services.settings.llm_model,)) if usd is None else Cost(usd)
