"""Claude, streamed: one request for each reply, on the vendor's own SDK.

Comes after `prompts` and `conversation` (the history); gives its events to the runtime.
It knows nothing of what a reply is for, never retries (the conversation decides that), and keeps no history.

Why some things are as they are:

- The SDK is imported when a provider is made: importing it takes more than a second.
- `thinking` is disabled by name: Haiku 5.5 thinks unless told not to, and thinking is silence on a phone.
- A temperature goes only to models that take it, as an extra field under anthropic-version 2023-06-01: the
  SDK 2.x has no such parameter any more, and newer models answer it with 400.
- Timeouts are ours: the SDK swallows pings, so only the time between pieces of text tells a stall. Thinking,
  empty pieces and blanks are none.
- A client belongs to the event loop that it was first used in, for so do its connections: each loop gets its own.
- Connections are kept for ten minutes. The HTTP library's default of five seconds would throw the warm one
  away between two turns and pay for TCP and TLS again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ProtocolError, ProviderError
from clara_kit.core.events import CANCELLED, Event, ProviderFailed, ReplyCompleted, ReplyDelta, ReplyStarted, Usage
from clara_kit.core.prompt import Prompt
from clara_kit.providers import http
from clara_kit.providers.llm import pricing
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.claude_errors import describe
from clara_kit.providers.llm.claude_request import body_of, fixed_parameters, system_blocks
from clara_kit.providers.llm.claude_tally import Tally

if TYPE_CHECKING:
    import anthropic
    import httpx2

    Through = Callable[[httpx2.AsyncClient], httpx2.AsyncClient]

_KEEP_CONNECTIONS_S = 600.0
_CONNECT_TIMEOUT_S = 5.0
_END_OF_BODY_S = 0.02  # after message_stop: reading the body's end keeps the connection for the next reply


class ClaudeStreamingLLM:
    """The Messages API as an `LLMProvider`.

    `first_token_timeout_ms` runs from the request to the first text, `stall_timeout_ms` from each piece of text to
    the next, or to the end. A history that the API would refuse gives one ProviderFailed (bad_input) and no ReplyStarted,
    for nothing was sent. max_tokens, temperature (None: the vendor's) and the time limits come from Settings.
    through: makes of the HTTP client another that stands before it (`recorded.py`). spare: `warm` keeps two connections, for
    a reply that is left before its end takes its own with it, and the next one is asked for at that moment.
    """

    def __init__(
        self,
        *,
        api_key: str,
        clock: Clock,
        base_url: str = "https://api.anthropic.com",
        model: str = pricing.SUCCESSOR,
        max_tokens: int = 195,
        temperature: float | None = 0.7,
        first_token_timeout_ms: float = 8000,
        stall_timeout_ms: float = 5000,
        through: Through | None = None,
        spare: bool = False,
    ) -> None:
        self.model, self._connections = model, 2 if spare else 1
        self._api_key = http.checked_key(api_key, "ANTHROPIC_API_KEY", "https://platform.claude.com")
        self._clock, self._base_url = clock, base_url
        self._first_token_timeout_s = first_token_timeout_ms / 1000
        self._stall_timeout_s = stall_timeout_ms / 1000
        self.on_cancelled: Callable[[ReplyCompleted], object] | None = None
        self._fixed = fixed_parameters(model, max_tokens, temperature)
        self._through = through
        self._unused: anthropic.AsyncAnthropic | None = _new_client(self._api_key, base_url, through)
        self._clients: dict[asyncio.AbstractEventLoop, anthropic.AsyncAnthropic] = {}

    @asynccontextmanager
    async def reply(self, request: ReplyRequest) -> AsyncIterator[AsyncIterator[Event]]:
        """One reply as events; leaving the context ends the request at the server at once."""
        tally = Tally()
        try:
            async with aclosing(self._reply(request, tally)) as events:
                yield events
        finally:
            if tally.owed and self.on_cancelled is not None:
                self.on_cancelled(self._completed(request, CANCELLED, tally))

    async def warm(self) -> None:
        """Open a connection before it is needed, by asking for one line of the list of models.

        Raises `ProviderRefused` for a refused key and `ProviderUnavailable` where nobody answers; any other
        answer is as good as a yes, for the connection stands.
        """
        try:
            async with asyncio.timeout(self._first_token_timeout_s):
                await asyncio.gather(*(self._client().models.list(limit=1) for _ in range(self._connections)))
            return
        except Exception as exc:
            failed = self._describe(exc) if getattr(exc, "status_code", None) in (None, 401, 403) else None
        if failed is not None:
            raise failed

    async def warm_prompt(self, prompt: Prompt) -> Usage | None:
        """See `WarmsPrompt`. It is written to the vendor's cache once, which the first reply would have paid for otherwise."""
        least = pricing.min_cacheable_tokens(self.model)
        if least is None or len(prompt.static) / pricing.MOST_CHARS_A_TOKEN < least:
            return None
        body = {
            **self._fixed,
            "max_tokens": 0,
            "messages": [{"role": "user", "content": "Hola"}],
            **system_blocks(prompt),
        }
        async with asyncio.timeout(self._first_token_timeout_s):
            message = await self._client().messages.create(**body)
        used = message.usage
        usage = Usage(
            input_tokens=used.input_tokens,
            cache_write_tokens=used.cache_creation_input_tokens or 0,
            cache_read_tokens=used.cache_read_input_tokens or 0,
        )
        return replace(usage, cost_usd=pricing.cost_usd(self.model, usage))

    async def aclose(self) -> None:
        """Close this event loop's kept connections."""
        client = self._clients.pop(asyncio.get_running_loop(), self._unused)
        if client is not None:
            await client.close()
        self._unused = None

    def _client(self) -> anthropic.AsyncAnthropic:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients = {kept: client for kept, client in self._clients.items() if not kept.is_closed()}
            self._clients[loop] = self._unused or _new_client(self._api_key, self._base_url, self._through)
            self._unused = None
        return self._clients[loop]

    def _completed(self, request: ReplyRequest, reason: str, tally: Tally) -> ReplyCompleted:
        now_ms, usage = self._clock.now_ms(), tally.usage(self.model)
        return ReplyCompleted(at_ms=now_ms, reply_id=request.reply_id, stop_reason=reason, usage=usage)

    async def _reply(self, request: ReplyRequest, tally: Tally) -> AsyncGenerator[Event, None]:
        def failed(error: ProviderError) -> ProviderFailed:
            return ProviderFailed.of(error, "llm", self._clock.now_ms(), reply_id=request.reply_id)

        try:
            body = body_of(self._fixed, request)
        except ValueError as exc:
            hint = "this is the kit's own doing, not the vendor's: see conversation/history.py."
            yield failed(http.failure("bad_input", f"The history cannot be sent: {exc}.", hint))
            return
        yield ReplyStarted(
            at_ms=self._clock.now_ms(), reply_id=request.reply_id, model=self.model, prompt_hash=request.prompt.hash
        )
        error = None
        try:
            async with aclosing(self._texts(body, tally)) as texts:
                async for text in texts:
                    yield ReplyDelta(at_ms=self._clock.now_ms(), reply_id=request.reply_id, text=text)
        except Exception as exc:  # whatever the SDK makes of a broken stream: one last event is promised
            error = self._describe(exc, started=tally.text_came)
        owed, tally.owed = tally.owed, False
        if not tally.stopped:
            yield replace(failed(error or _cut(tally)), usage=tally.usage(self.model) if owed else None)
            return
        yield self._completed(request, tally.stop_reason, tally)

    async def _texts(self, body: dict[str, Any], tally: Tally) -> AsyncGenerator[str, None]:
        """The request itself: every piece of text as it comes; `tally` gets the rest."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._first_token_timeout_s
        async with asyncio.timeout_at(due_s):
            stream: Any = await self._client().messages.create(stream=True, **body)
        async with stream:
            while not tally.stopped:
                async with asyncio.timeout_at(due_s):
                    event = await anext(stream, None)
                if event is None:
                    return
                if text := tally.take(event):
                    yield text
                if text.strip():
                    due_s = loop.time() + self._stall_timeout_s
            async with asyncio.timeout(_END_OF_BODY_S):
                await anext(stream, None)

    def _describe(self, error: Exception, *, started: bool = False) -> ProviderError:
        limit_s = self._stall_timeout_s if started else self._first_token_timeout_s
        return describe(error, model=self.model, base_url=self._base_url, waited_s=limit_s, key=self._api_key)


def _cut(tally: Tally) -> ProviderError:
    if tally.events == 0:
        message = "Anthropic's answer held no event at all: this is not an event stream."
        return ProtocolError(message, hint="check ANTHROPIC_BASE_URL.", retryable=False)
    return http.failure("cut", "Anthropic's stream ended before its message_stop.", "ask again.")


def _new_client(api_key: str, base_url: str, through: Through | None) -> anthropic.AsyncAnthropic:
    import anthropic
    import httpx2

    address = http.checked_address(base_url, "ANTHROPIC_BASE_URL")
    limits = httpx2.Limits(keepalive_expiry=_KEEP_CONNECTIONS_S)
    timeout = httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S)
    # A proxy from the environment must not get what is meant for this machine.
    http_client: httpx2.AsyncClient
    if http.is_loopback(base_url):
        http_client = httpx2.AsyncClient(limits=limits, timeout=timeout, trust_env=False)
    else:
        http_client = anthropic.DefaultAsyncHttpxClient(limits=limits, timeout=timeout)
    if through is not None:
        http_client = through(http_client)
    return anthropic.AsyncAnthropic(
        api_key=api_key, base_url=address.url, max_retries=0, timeout=timeout, http_client=http_client,
        default_headers=address.login,
    )  # fmt: skip
