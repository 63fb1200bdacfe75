"""What went wrong with a request to Claude, in words: whose fault, whether to try again, what to do.

Used by `claude.py` alone. The SDK's errors are told apart by HTTP status before the stream and, in the
middle of it, by the error's own type: an error event in a stream arrives as a plain status error whose
status is 200.
"""

from __future__ import annotations

from typing import Any

from clara_kit.core.errors import FailureKind, ProtocolError, ProviderError
from clara_kit.core.outside import about, request_id
from clara_kit.providers import http
from clara_kit.providers.llm import pricing

_KEY_HINT = "check ANTHROPIC_API_KEY; keys are made at https://platform.claude.com."
_TYPES: dict[FailureKind, tuple[str, ...]] = {
    "bad_input": ("invalid_request_error", "request_too_large"),
    "refused": ("authentication_error", "billing_error", "permission_error", "not_found_error"),
    "rate_limited": ("rate_limit_error",),
    "stalled": ("timeout_error",),
    "overloaded": ("api_error", "overloaded_error"),
}
_BY_TYPE = {name: kind for kind, names in _TYPES.items() for name in names}
_TERMS = (
    "prompt", "too long", "max_tokens", "messages", "content", "non-empty", "prefill", "system", "temperature",
    "thinking", "stop_sequences", "model", "anthropic-version", "json", "cannot be reached",
)  # fmt: skip
_SAYS: dict[FailureKind, tuple[str, str]] = {
    "refused": ("Anthropic refused the request", "check the key's rights and the model's name."),
    "bad_input": (
        "Anthropic does not take this request",
        "the request is at fault: look at the prompt, the history and llm_max_tokens.",
    ),
    "rate_limited": ("Anthropic's rate limit is reached", "wait, or raise the limits of the workspace."),
    "overloaded": (
        "Anthropic is overloaded or has an internal error",
        "try again in a moment; https://status.claude.com tells more.",
    ),
    "stalled": ("Anthropic gave up waiting", "try again."),
    "unknown": ("Anthropic answered with an error", "try again; if it stays, report it with the request id."),
}


def describe(error: Exception, *, model: str, base_url: str, waited_s: float, key: str) -> ProviderError:
    """Any error of a request in the kit's shape. `waited_s`: the limit that a TimeoutError stands for."""
    import anthropic
    import httpx2

    if isinstance(error, TimeoutError):
        message = f"Nothing useful came from Anthropic for {waited_s:g} s."
        return http.failure("stalled", message, "try again; a longer limit can be set.")
    if isinstance(error, anthropic.APIStatusError):
        return _status(error, model, key)
    if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError):
        cause = error if isinstance(error, httpx2.HTTPError) else error.__cause__ or error
        if isinstance(cause, ProviderError):  # of what stands in the wire: see `recorded.py`
            return cause
        return http.broken(cause, "Anthropic", base_url, setting="ANTHROPIC_BASE_URL")
    if isinstance(error, ValueError | TypeError | AttributeError | KeyError | anthropic.APIError):
        message = f"Anthropic's stream held something that is not of its protocol ({type(error).__name__})."
        return ProtocolError(message, hint="try again; check ANTHROPIC_BASE_URL if it stays.")
    return http.failure("unknown", f"The request failed with {type(error).__name__}.", _SAYS["unknown"][1])


def _status(error: Any, model: str, key: str) -> ProviderError:
    status, in_stream = error.status_code, error.status_code == 200
    kind = _BY_TYPE.get(str(error.type), "unknown") if in_stream else http.kind_of(status)
    words = error.api_message
    told = about(words, _TERMS)
    if not isinstance(words, str):  # the body is not the vendor's but, say, a proxy's page
        words = ""
        told = "" if isinstance(error.body, dict) or not error.body else "; the answer was not Anthropic's JSON"
    says, hint = _SAYS.get(kind, _SAYS["unknown"])
    if status == 401 or error.type == "authentication_error":
        says, hint = "Anthropic refused the key", _KEY_HINT
    elif status == 402 or error.type == "billing_error" or "credit balance" in words:
        kind, says = "refused", "Anthropic wants to be paid first"
        hint = "add credits at https://platform.claude.com (Billing)."
    elif status == 404:
        says, hint = _not_found(model)
    elif kind == "rate_limited":
        says += http.asked_to_wait(error.response.headers)
    known = error.type if error.type in _BY_TYPE else "an unknown error"
    where = f"in mid-stream, {known}" if in_stream else f"HTTP {status}"
    id_ = request_id(error.request_id, key)
    message = f"{says} ({where}{told}{id_ and f', request {id_}'})."
    return http.failure(kind, message, hint, headers=None if in_stream else error.response.headers)


def _not_found(model: str) -> tuple[str, str]:
    note = pricing.note(model)
    if note is not None and model in pricing.RETIREMENTS:
        return f"Anthropic does not serve {model} any more. {note}", f"set LLM_MODEL={pricing.SUCCESSOR}."
    return (
        f"Anthropic knows no model {model!r}, or there is no such address",
        f"check LLM_MODEL (the default is {pricing.SUCCESSOR}) and ANTHROPIC_BASE_URL.",
    )
