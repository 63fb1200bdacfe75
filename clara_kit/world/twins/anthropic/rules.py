"""What Anthropic's API accepts and refuses: models, parameters, prompt caching. No sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from clara_kit.world.answers import tokenize


@dataclass(frozen=True, slots=True)
class Model:
    """min_cacheable_tokens, and whether sampling parameters and thinking are as on the 5.5 models."""

    name: str
    display: str
    min_cacheable_tokens: int
    modern: bool


# Names: the SDK's model list, 2026-11. Least cacheable prompt: Anthropic's pages for the Haiku models; the Sonnet
# figures are estimates.
MODELS = {
    m.name: m
    for m in (
        Model("claude-haiku-5-5", "Claude Haiku 5.5", 512, True),
        Model("claude-sonnet-5-5", "Claude Sonnet 5.5", 512, True),
        Model("claude-haiku-4-5", "Claude Haiku 4.5", 4096, False),
        Model("claude-haiku-4-5-20251001", "Claude Haiku 4.5", 4096, False),
        Model("claude-sonnet-4-6", "Claude Sonnet 4.6", 1024, False),
    )
}
OLD_VERSION = "2023-06-01"
VERSIONS = ("2023-01-01", OLD_VERSION, "2026-10-21")


class ApiError(Exception):
    """An error as the API words it."""

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.headers = headers or ({"retry-after": "1"} if status == 429 else {})

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"type": "error", "error": {"type": self.kind, "message": self.message}, "request_id": request_id}


ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 405: "invalid_request_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error",
    503: "api_error", 529: "overloaded_error",
}  # fmt: skip


def bad(message: str) -> ApiError:
    """HTTP 400."""
    return ApiError(400, "invalid_request_error", message)


@dataclass(slots=True, kw_only=True)
class Request:
    """A checked request for a message."""

    model: Model
    max_tokens: int
    system: str
    turns: list[tuple[str, str]]
    stream: bool
    thinking: bool
    stop_sequences: list[str]
    prefixes: list[tuple[str, int, float]] = field(
        default_factory=list
    )  # (hash, tokens, seconds to live) per breakpoint
    tokens: int = 0


def check(body: Any, version: str) -> Request:
    """The request, or the `ApiError` the API would give."""
    if not isinstance(body, dict):
        raise bad("The request body is not valid JSON.")
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            raise bad(f"{name}: Field required")
    if not isinstance(body["model"], str):
        raise bad("model: Input should be a valid string")
    model = MODELS.get(body["model"])
    if model is None:
        raise ApiError(404, "not_found_error", f"model: {body['model']}")
    max_tokens, stream, stops = body["max_tokens"], body.get("stream") or False, body.get("stop_sequences") or []
    if not isinstance(stream, bool):
        raise bad("stream: Input should be a valid boolean")
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise bad("stop_sequences: Input should be a valid list of strings")
    if not all(stop.strip() for stop in stops):
        raise bad("stop_sequences: each stop sequence must contain non-whitespace")
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < (1 if stream else 0):
        raise bad("max_tokens: Input should be greater than or equal to 1")
    for name in ("temperature", "top_p", "top_k"):
        if body.get(name) is not None and (model.modern or version != OLD_VERSION):
            raise bad(f"{name}: Extra inputs are not permitted")
    thinking = body.get("thinking") or ({"type": "adaptive"} if model.modern else {"type": "disabled"})
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("adaptive", "disabled", "enabled") or (model.modern and "budget_tokens" in thinking):
        raise bad("thinking: Input should be 'adaptive' or 'disabled'")
    request = Request(
        model=model, max_tokens=max_tokens, system="", turns=[], stream=stream, thinking=kind != "disabled",
        stop_sequences=stops,
    )  # fmt: skip
    _read_content(request, body)
    return request


def _read_content(request: Request, body: dict[str, Any]) -> None:
    digest, tokens = sha256(request.model.name.encode()), 0
    system: list[str] = []
    for block in _blocks(body.get("system") or [], "system"):
        tokens += _take(block, digest, request, tokens)
        system.append(block["text"])
    request.system = "\n\n".join(system)
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        raise bad("messages: at least one message is required")
    for n, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant"):
            raise bad(f"messages.{n}.role: Input should be 'user' or 'assistant'")
        if n == 0 and role != "user":
            raise bad('messages: first message must use the "user" role')
        blocks = _blocks(message.get("content"), f"messages.{n}.content")
        for block in blocks:
            digest.update(role.encode())
            tokens += _take(block, digest, request, tokens)
        text = "\n".join(b["text"] for b in blocks if b["type"] == "text")
        if not text.strip() and all(b["type"] == "text" for b in blocks):  # a tool's turn needs no text
            raise bad(f"messages.{n}: text content blocks must be non-empty")
        if request.turns and request.turns[-1][0] == role:  # consecutive turns of one role are merged
            text = f"{request.turns.pop()[1]}\n{text}"
        request.turns.append((role, text))
    if request.turns[-1][0] == "assistant" and request.model.modern:
        raise bad(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    request.tokens = tokens


def _blocks(content: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise bad(f"{where}: Input should be a valid list")
    for block in content:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in ("text", "tool_result", "tool_use", "image", "document", "thinking"):
            raise bad(f"{where}: Input tag {kind!r} does not match any of the expected tags")
        if kind == "text" and not isinstance(block.get("text"), str):
            raise bad(f"{where}.text: Field required")
        block.setdefault("text", json.dumps(block.get("content", "")) if kind != "text" else "")
    return content


def _take(block: dict[str, Any], digest: Any, request: Request, so_far: int) -> int:
    text = block["text"]
    digest.update(text.encode())
    count = len(tokenize(text))
    control = block.get("cache_control")
    if control and (not isinstance(control, dict) or control.get("type") != "ephemeral"):
        raise bad("cache_control: Input tag 'type' should be 'ephemeral'")
    if control and so_far + count >= request.model.min_cacheable_tokens:
        request.prefixes.append((digest.hexdigest(), so_far + count, 3600.0 if control.get("ttl") == "1h" else 300.0))
    return count


class PromptCache:
    """Which prefixes are kept, and until when."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def usage(self, request: Request, now_s: float) -> dict[str, Any]:
        """The token counters of a request, and remember its prefixes."""
        read = max((tokens for key, tokens, _ in request.prefixes if self._until.get(key, 0.0) > now_s), default=0)
        written = max((tokens for _, tokens, _ in request.prefixes), default=0)
        written = max(0, written - read)
        hour = any(ttl > 300 for *_, ttl in request.prefixes)
        for key, _, ttl in request.prefixes:
            self._until[key] = now_s + ttl
        return {
            "input_tokens": max(0, request.tokens - read - written),
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0 if hour else written,
                "ephemeral_1h_input_tokens": written if hour else 0,
            },
            "output_tokens": 1,
            "service_tier": "standard",
        }
