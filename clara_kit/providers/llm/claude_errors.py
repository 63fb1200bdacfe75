"""What went wrong with a request to Claude, in words: whose fault, whether to try again, what to do.

Used by `claude.py` alone. The SDK's errors are told apart by HTTP status before the stream and, in the
middle of it, by the error's own type: an error event in a stream arrives as a plain status error whose
status is 200.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from clara_kit.core.events import FailureKind
from clara_kit.providers.llm import models

_KEY_HINT = "check ANTHROPIC_API_KEY; keys are made at https://platform.claude.com."
_BILLING_HINT = "add credits at https://platform.claude.com (Billing)."
_LONGEST_DETAIL_CHARS = 300

_BY_STATUS: dict[int, FailureKind] = {
    400: "bad_input",
    401: "refused",
    402: "refused",
    403: "refused",
    404: "refused",
    408: "stalled",
    413: "bad_input",
    422: "bad_input",
    429: "rate_limited",
}
_BY_TYPE: dict[str, FailureKind] = {
    "invalid_request_error": "bad_input",
    "authentication_error": "refused",
    "billing_error": "refused",
    "permission_error": "refused",
    "not_found_error": "refused",
    "request_too_large": "bad_input",
    "rate_limit_error": "rate_limited",
    "timeout_error": "stalled",
    "api_error": "overloaded",
    "overloaded_error": "overloaded",
}
_RETRYABLE: frozenset[FailureKind] = frozenset(
    ("rate_limited", "overloaded", "unreachable", "cut", "stalled", "unknown")
)
_SAYS: dict[FailureKind, str] = {
    "refused": "Anthropic refused the request",
    "bad_input": "Anthropic does not take this request",
    "rate_limited": "Anthropic's rate limit is reached",
    "overloaded": "Anthropic is overloaded or has an internal error",
    "stalled": "Anthropic gave up waiting",
}
_HINTS: dict[FailureKind, str] = {
    "refused": "check the key's rights and the model's name.",
    "bad_input": "the request is at fault: look at the prompt, the history and llm_max_tokens.",
    "rate_limited": "wait, or raise the limits of the workspace.",
    "overloaded": "try again in a moment; https://status.claude.com tells more.",
    "stalled": "try again.",
    "unknown": "try again; if it stays, report it with the request id.",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The parts of a ProviderFailed that do not depend on the request."""

    kind: FailureKind
    message: str
    hint: str
    retryable: bool

    def without(self, secret: str) -> Failure:
        """The same with `secret` blotted out, should the far end have repeated it."""
        if not secret:
            return self
        return replace(
            self, message=self.message.replace(secret, "[key]"), hint=self.hint.replace(secret, "[key]")
        )


def describe(error: Exception, *, model: str, base_url: str, waited_s: float) -> Failure:
    """Any error of a request as a `Failure`. `waited_s`: the limit that a TimeoutError stands for."""
    import anthropic
    import httpx2

    if isinstance(error, TimeoutError):
        message = f"Nothing useful came from Anthropic for {waited_s:g} s."
        return Failure("stalled", message, "try again; a longer limit can be set.", True)
    if isinstance(error, anthropic.APIStatusError):
        return _status(error, model)
    if isinstance(error, anthropic.APIConnectionError):
        return _connection(error.__cause__ or error, base_url)
    if isinstance(error, httpx2.HTTPError):
        return _connection(error, base_url)
    if isinstance(error, ValueError | TypeError | AttributeError | KeyError | anthropic.APIError):
        message = f"Anthropic's stream held something that is not of its protocol ({type(error).__name__})."
        return Failure("protocol", message, "try again; check ANTHROPIC_BASE_URL if it stays.", True)
    return Failure("unknown", f"The request failed with {type(error).__name__}.", _HINTS["unknown"], True)


def _status(error: Any, model: str) -> Failure:
    in_stream = error.status_code == 200
    if in_stream:
        kind: FailureKind = _BY_TYPE.get(str(error.type), "unknown")
    else:
        kind = _BY_STATUS.get(error.status_code, "overloaded" if error.status_code >= 500 else "unknown")
    detail = _detail(error)
    hint = _HINTS[kind]
    says = _SAYS.get(kind, "Anthropic answered with an error")
    if error.status_code == 401 or error.type == "authentication_error":
        says, hint = "Anthropic refused the key", _KEY_HINT
    elif error.status_code == 402 or error.type == "billing_error" or "credit balance" in detail:
        kind, says, hint = "refused", "Anthropic wants to be paid first", _BILLING_HINT
    elif error.status_code == 404:
        says, hint = _not_found(model)
    elif kind == "rate_limited":
        says += _retry_after(error.response)
    where = f"in mid-stream, {error.type}" if in_stream else f"HTTP {error.status_code}"
    request_id = f", request {error.request_id}" if error.request_id else ""
    return Failure(
        kind, f"{says} ({where}{request_id}){': ' + detail if detail else ''}", hint, kind in _RETRYABLE
    )


def _not_found(model: str) -> tuple[str, str]:
    note = models.note(model)
    if note is not None and model in models.RETIREMENTS:
        return f"Anthropic does not serve {model} any more. {note}", f"set LLM_MODEL={models.SUCCESSOR}."
    return (
        f"Anthropic knows no model {model!r}, or there is no such address",
        f"check LLM_MODEL (the default is {models.SUCCESSOR}) and ANTHROPIC_BASE_URL.",
    )


def _retry_after(response: Any) -> str:
    wait = response.headers.get("retry-after", "").strip()
    if not wait:
        return ""
    return (
        f"; it asks to wait {wait} s"
        if wait.replace(".", "", 1).isdigit()
        else f"; it asks to wait until {wait}"
    )


def _detail(error: Any) -> str:
    """The vendor's own words, shortened; nothing where the body is not the vendor's (a proxy's page)."""
    words = error.api_message
    if not isinstance(words, str):
        return "" if isinstance(error.body, dict) or not error.body else "the answer was not Anthropic's JSON"
    return " ".join(words.split())[:_LONGEST_DETAIL_CHARS]


def _connection(cause: BaseException, base_url: str) -> Failure:
    import httpx2

    name = type(cause).__name__
    if isinstance(cause, httpx2.ReadTimeout | httpx2.WriteTimeout):
        return Failure("stalled", f"The connection to Anthropic went silent ({name}).", "try again.", True)
    if isinstance(
        cause, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError | httpx2.CloseError
    ):
        return Failure("cut", f"The connection to Anthropic broke ({name}).", "try again.", True)
    return Failure(
        "unreachable",
        f"Anthropic cannot be reached at {base_url} ({name}).",
        "check the network, a proxy or firewall, and ANTHROPIC_BASE_URL.",
        True,
    )
