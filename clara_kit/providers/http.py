"""What every vendor's HTTP has in common: addresses, keys, statuses and breaks, in plain words.

Used by every provider that talks over a network. Imports no HTTP library: `httpx` and `httpx2`, which the
vendors' SDKs bring along, name their errors alike, and by these names they are told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from clara_kit.core.errors import FailureKind, ProviderError, ProviderRefused, ProviderUnavailable, SettingsError
from clara_kit.core.outside import Address
from clara_kit.core.retry import asked_wait_ms

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BAD_INPUT = (400, 413, 422)
_BY_STATUS: dict[int, FailureKind] = {408: "stalled", 429: "rate_limited", **dict.fromkeys(_BAD_INPUT, "bad_input")}
_USUAL_HINTS: dict[FailureKind, str] = {
    "refused": "check the key, its rights and the options.",
    "bad_input": "check the options.",
    "rate_limited": "wait a moment, then try again.",
    "protocol": "check the base address, and for a proxy.",
}


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine: a proxy from the environment must not get what is meant for it."""
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def checked_key(key: str, name: str, where: str) -> str:
    """The key without blanks around it; raises `SettingsError` for what can be none. Says `where` to get one."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        wrong = "holds characters that no key has" if key else "is empty"
        raise SettingsError(
            f"The key {name} {wrong}.", hint=f"get one at {where} and put {name}=... into the file .env."
        )
    return key


def checked_address(url: str, setting: str) -> Address:
    """An address in its parts; raises `SettingsError` for none, and does not repeat it."""
    address = Address.of(url)
    if not address.host or not address.url.startswith(("http://", "https://", "ws://", "wss://")):
        raise SettingsError(f"{setting} is no address.", hint="write it like https://name.example.")
    return address


def kind_of(status: int) -> FailureKind:
    """What an HTTP status means that is not the answer asked for. A success among them makes no sense."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "overloaded" if status >= 500 else "refused" if status >= 400 else "protocol"


def failure(
    kind: FailureKind, message: str, hint: str = "", *, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """The error of a kind, with whether trying again may help, and the usual hint where no better is given.

    headers: of the answer, which may ask to wait.
    """
    shape = ProviderRefused if kind in ("refused", "bad_input") else ProviderUnavailable
    hint = hint or _USUAL_HINTS.get(kind, "try again in a moment.")
    return shape(message, hint=hint, kind=kind, retry_after_ms=asked_wait_ms(headers or {}, time.time()))


def broken(exc: BaseException, who: str, address: str, *, setting: str, asked: str = "") -> ProviderError:
    """A request, or a socket's opening, that got no answer: unreachable, silent, or cut in the middle.

    setting: what holds the address, of which the host is shown. asked: what it was that was asked for.
    """
    name = type(exc).__name__
    names = {base.__name__ for base in type(exc).__mro__}
    if names & {"ReadTimeout", "WriteTimeout", "TimeoutError"}:
        return failure("stalled", f"{who} did not answer{asked and ' ' + asked} in time ({name}).")
    if names & {"RemoteProtocolError", "ReadError", "WriteError", "CloseError"}:
        return failure("cut", f"The connection to {who} broke ({name}).")
    reason = getattr(exc, "strerror", None) or name
    hint = f"check the network, a proxy or firewall, and {setting}."
    where = Address.of(address).host or "its address"
    return failure("unreachable", f"{who} cannot be reached at {where} ({reason}).", hint)


def asked_to_wait(headers: Mapping[str, str]) -> str:
    """What `retry-after` asks for, as the end of a sentence; empty where it is no number of seconds."""
    wait = re.fullmatch(r"\s*(\d{1,6})(\.\d{1,6})?\s*", headers.get("retry-after") or "", re.ASCII)
    return f"; it asks to wait {float(wait[0]):g} s" if wait else ""
