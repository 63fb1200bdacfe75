"""A model on this machine, behind any server that speaks OpenAI's chat completions: a stand-in for Claude, no vendor.

For `llm="local"`. Loopback only: what customers say is not sent anywhere. It costs nothing, so that nothing is said of
cost (None); a server that knows a seed gives equal requests equal answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Self

import httpx
from msgspec.structs import replace

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProtocolError, ProviderError, SettingsError
from clara_kit.core.events import Event, ProviderFailed, ReplyCompleted, ReplyDelta, ReplyStarted, Usage
from clara_kit.core.settings import Settings
from clara_kit.providers import http
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.claude_request import wire_messages

_SETTING = "LOCAL_LLM_BASE_URL"
_WHO = "The model's server on this machine"
_START = f"start one (Ollama, llama.cpp's llama-server, LM Studio), or set {_SETTING} to where it listens."
_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
_LONGEST_LINE = 1_000_000
_SHOWN_MODELS = 8
_MODEL_CHARS = 60


class LocalLLM:
    """An OpenAI-compatible server as an `LLMProvider`. model: empty: the first that the server lists.

    Raises `SettingsError` for an address that is not this machine's.
    """

    def __init__(
        self, *, base_url: str, clock: Clock, model: str = "", max_tokens: int = 195, temperature: float | None = 0.7,
        first_token_timeout_ms: float = 8000, stall_timeout_ms: float = 5000,
    ) -> None:  # fmt: skip
        self._base_url = http.checked_address(base_url, _SETTING).url.rstrip("/").removesuffix("/v1")
        if not http.is_loopback(base_url):
            raise SettingsError(
                f"{_SETTING} is not on this machine.", hint="use an address at 127.0.0.1, localhost or [::1]."
            )
        self.model = model
        self._clock, self._max_tokens, self._temperature = clock, max_tokens, temperature
        self._first_s, self._stall_s = first_token_timeout_ms / 1000, stall_timeout_ms / 1000
        self._client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(None, connect=2.0))

    @classmethod
    def of(cls, settings: Settings, base_url: str, clock: Clock) -> Self:
        """With the parameters and time limits of the settings; their model, unless it is one of Claude's."""
        s = settings
        return cls(
            base_url=base_url, clock=clock, model="" if s.llm_model.startswith("claude-") else s.llm_model,
            max_tokens=s.llm_max_tokens, temperature=s.llm_temperature,
            first_token_timeout_ms=s.llm_first_token_timeout_ms, stall_timeout_ms=s.llm_stall_timeout_ms,
        )  # fmt: skip

    async def aclose(self) -> None:
        """Close kept connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def reply(self, request: ReplyRequest) -> AsyncIterator[AsyncIterator[Event]]:
        """One reply as events; leaving the context ends the request at once."""
        async with aclosing(self._reply(request)) as events:
            yield events

    async def _reply(self, request: ReplyRequest) -> AsyncGenerator[Event, None]:
        who = request.reply_id
        said = _Said()
        error: ProviderError | None = None
        started = False
        try:
            async with asyncio.timeout(self._first_s):
                self.model = self.model or await self._first_model()
            yield ReplyStarted(
                at_ms=self._clock.now_ms(), reply_id=who, model=self.model, prompt_hash=request.prompt.hash
            )
            async with aclosing(self._texts(self._body(request), said)) as texts:
                async for text in texts:
                    started = True
                    yield ReplyDelta(at_ms=self._clock.now_ms(), reply_id=who, text=text)
        except ProviderError as exc:
            error = exc
        except TimeoutError:
            waited_s = self._stall_s if started else self._first_s
            error = http.failure("stalled", f"{_WHO} sent nothing for {waited_s:g} s.", "a smaller model is quicker.")
        except httpx.HTTPError as exc:
            error = http.broken(exc, _WHO, self._base_url, setting=_SETTING)
            error = http.failure("unreachable", error.message, _START) if error.kind == "unreachable" else error
        except ValueError as exc:
            error = http.failure("bad_input", f"The history cannot be sent: {exc}.")
        except Exception as exc:  # whatever a library makes of a broken stream: one last event is promised
            error = http.failure("unknown", f"The request failed with {type(exc).__name__}.", _START)
        if error is None and not said.reason:
            error = http.failure("cut", f"{_WHO} ended its answer before its end.", "ask again.")
        at_ms = self._clock.now_ms()
        if error is not None:
            usage = said.usage if started else None
            yield replace(ProviderFailed.of(error, "llm", at_ms, reply_id=who), usage=usage)
            return
        reason = _REASONS.get(said.reason, "unknown")
        yield ReplyCompleted(at_ms=at_ms, reply_id=who, stop_reason=reason, usage=said.usage)

    def _body(self, request: ReplyRequest) -> dict[str, Any]:
        system = request.prompt.text.strip()
        body = {
            "model": self.model, "max_tokens": self._max_tokens, "seed": 0, "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [*([{"role": "system", "content": system}] if system else []), *wire_messages(request.messages)],
        }  # fmt: skip
        return body if self._temperature is None else {**body, "temperature": self._temperature}

    async def _texts(self, body: dict[str, Any], said: _Said) -> AsyncGenerator[str, None]:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._first_s
        sent = self._client.build_request("POST", f"{self._base_url}/v1/chat/completions", json=body)
        async with asyncio.timeout_at(due_s):
            response = await self._client.send(sent, stream=True)
        try:
            if response.status_code != 200:
                async with asyncio.timeout_at(due_s):
                    raise await self._refused(response)
            lines = _lines(response)
            while True:
                async with asyncio.timeout_at(due_s):
                    line = await anext(lines, None)
                if line is None or line == "[DONE]":
                    return
                if text := said.take(line):
                    due_s = loop.time() + self._stall_s
                    yield text
        finally:
            await response.aclose()

    async def _first_model(self) -> str:
        names = await self._models()
        if not names:
            raise http.failure("refused", f"{_WHO} lists no model.", "load one there, or name it in llm_model.")
        return names[0]

    async def _models(self) -> list[str]:
        response = await self._client.get(f"{self._base_url}/v1/models")
        try:
            data = response.json()["data"] if response.status_code == 200 else ()
            return [name for one in data or () if isinstance(name := one["id"], str) and name.isprintable()]
        except (ValueError, KeyError, TypeError) as exc:
            raise _garbage() from exc

    async def _refused(self, response: httpx.Response) -> ProviderError:
        status = response.status_code
        if status in (400, 404):
            names = await self._models()
            if names and self.model not in names:
                known = ", ".join(name[:_MODEL_CHARS] for name in names[:_SHOWN_MODELS])
                message = f"{_WHO} knows no model {self.model!r}."
                return http.failure("refused", message, f"set llm_model to one it has: {known}.")
        hint = "look at what the server itself says."
        return http.failure(http.kind_of(status), f"{_WHO} refused the request (HTTP {status}).", hint)


class _Said:
    """What the stream says besides its text."""

    def __init__(self) -> None:
        self.reason = ""
        self.usage = Usage(output_estimated=True)

    def take(self, line: str) -> str:
        """The text of one chunk. Raises `ProtocolError` for what is none."""
        try:
            chunk = json.loads(line)
            usage = chunk.get("usage")
            if isinstance(usage, dict):
                asked, written = max(0, int(usage["prompt_tokens"])), max(0, int(usage["completion_tokens"]))
                self.usage = Usage(input_tokens=asked, output_tokens=written)
            choices = chunk.get("choices") or ()
            if not choices:
                if "error" in chunk:
                    raise http.failure("overloaded", f"{_WHO} broke off with an error.", "look at what it says.")
                return ""
            self.reason = str(choices[0].get("finish_reason") or self.reason)
            text = (choices[0].get("delta") or {}).get("content") or ""
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise _garbage() from exc
        if not isinstance(text, str):
            raise _garbage()
        if text and self.usage.output_estimated:
            self.usage = replace(self.usage, output_tokens=self.usage.output_tokens + 1)  # a chunk is about a token
        return text


async def _lines(response: httpx.Response) -> AsyncGenerator[str, None]:
    """What follows `data:`, line by line."""
    rest, any_ = b"", False
    async for chunk in response.aiter_raw():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise _garbage()
        for line in lines:
            if line.startswith(b"data:"):
                any_ = True
                yield line[5:].strip().decode("utf-8", "replace")
    if not any_:
        raise _garbage()


def _garbage() -> ProtocolError:
    return ProtocolError(
        f"{_WHO} does not speak the protocol of chat completions.", hint=f"check {_SETTING}.", retryable=False
    )
