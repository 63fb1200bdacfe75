"""Does a vendor take this key? One request that costs nothing, and its answer in plain words.

Used by the panel that keys are entered in. Nothing that a vendor answers is passed on, and the key is in no
message: what was said is ours, so it cannot repeat what was sent.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Literal
from urllib.parse import urlsplit

import httpx

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import KEY_PAGES, Keys

VENDORS = ("deepgram", "anthropic", "liveavatar")
NAMES = {"deepgram": "Deepgram", "anthropic": "Anthropic", "liveavatar": "LiveAvatar"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

KeyState = Literal["ok", "refused", "unreachable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """What became of a key that was tried."""

    vendor: str
    state: KeyState
    message: str
    hint: str = ""
    took_ms: float = 0.0


def try_key(vendor: str, key: str, base_url: str | None = None, *, timeout_s: float = 5.0) -> KeyAnswer:
    """Ask the vendor for something free that needs a key. Blocks; never raises for what the vendor does."""
    if vendor not in VENDORS:
        raise SettingsError(f"There is no vendor {vendor!r}.", hint=f"use {', '.join(VENDORS)}.")
    key = key.strip()
    name, page = NAMES[vendor], KEY_PAGES[f"{vendor}_api_key"]
    if not key:
        return KeyAnswer(
            vendor=vendor, state="refused", message="No key was given.", hint=f"get one at {page}."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        message = "That is no key: it holds characters that no key has."
        return KeyAnswer(vendor=vendor, state="refused", message=message, hint="copy it again, alone.")
    address = (base_url or Keys.model_fields[f"{vendor}_base_url"].default).rstrip("/")
    path, headers = _request(vendor, key)
    began_s = perf_counter()
    try:
        # A proxy must not get what is meant for this machine.
        local = httpx.URL(address).host in _LOOPBACK
        with httpx.Client(timeout=timeout_s, trust_env=not local) as client:
            status = client.get(address + path, headers=headers).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return KeyAnswer(
            vendor=vendor,
            state="unreachable",
            message=f"{name} cannot be reached at {address} ({type(exc).__name__}).",
            hint="check the network and the address; twins work without.",
        )
    state, message, hint = _meaning(vendor, status, page)
    took_ms = (perf_counter() - began_s) * 1000
    return KeyAnswer(vendor=vendor, state=state, message=message, hint=hint, took_ms=took_ms)


def _request(vendor: str, key: str) -> tuple[str, dict[str, str]]:
    """A list of projects, a list of models, what is left of the credits: none of them is billed."""
    if vendor == "deepgram":
        return "/v1/projects", {"Authorization": f"Token {key}"}
    if vendor == "anthropic":
        return "/v1/models?limit=1", {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return "/v1/users/credits", {"X-API-KEY": key}


def _meaning(vendor: str, status: int, page: str) -> tuple[KeyState, str, str]:
    name = NAMES[vendor]
    if 200 <= status < 300:
        return "ok", f"{name} takes the key.", ""
    if vendor == "deepgram" and status == 403:
        hint = "clara doctor --live shows whether it may listen and speak."
        return "ok", "Deepgram knows the key, though it may not list projects.", hint
    if status == 401 and vendor == "liveavatar":
        hint = f"HeyGen's keys do not work here: make one at {page}."
        return "refused", "LiveAvatar refuses the key (HTTP 401).", hint
    if status in (401, 403):
        return "refused", f"{name} refuses the key (HTTP {status}).", f"copy it again, or make one at {page}."
    if status == 402:
        return "refused", f"{name}'s account has no credit left (HTTP 402).", f"top it up at {page}."
    if status == 429 or status >= 500:
        hint = "try again in a minute."
        return "unreachable", f"{name} cannot answer now (HTTP {status}).", hint
    hint = f"check {vendor.upper()}_BASE_URL."
    return "unreachable", f"What answers there is not {name} (HTTP {status}).", hint


_MOMENT_S = 0.3


def reach_all(addresses: Mapping[str, str], *, within_s: float) -> dict[str, str | float]:
    """For each name the milliseconds to its address, or why it cannot be reached; all asked at once."""
    answers: dict[str, str | float] = {}

    def ask(name: str, address: str) -> None:
        answers[name] = reach(address, within_s)

    # Threads that are left behind where a name server is silent: looking up a name has no deadline of its own.
    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in addresses.items()]
    for thread in threads:
        thread.start()
    until_s = perf_counter() + within_s + _MOMENT_S
    for thread in threads:
        thread.join(max(0.0, until_s - perf_counter()))
    return {name: answers.get(name, f"no answer in {within_s:g} s") for name in addresses}


def reach(address: str, within_s: float) -> str | float:
    """Milliseconds until the host took a TCP (and TLS) connection, or why it did not."""
    began_s = perf_counter()
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=within_s) as plain:
            if parts.scheme in ("https", "wss"):
                with ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname):
                    pass
    except socket.gaierror:
        return "its name is not known here"
    except TimeoutError:
        return f"no answer in {within_s:g} s"
    except ssl.SSLError as exc:
        return f"no trusted connection ({exc.reason or 'TLS'})"
    except (OSError, ValueError) as exc:
        return getattr(exc, "strerror", None) or "the address is wrong"
    return (perf_counter() - began_s) * 1000
