"""The vendors' keys and hosts: what is set and from where, who answers, and whether a key is taken.

Beneath `checkup.py`, which asks for what is set and reached, and the panel that keys are entered in, which
tries them. One request that costs nothing serves both: with a key it tries the key, without one the host. Nothing
that a vendor answers is passed on: what is said is ours, so it cannot repeat what was sent.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal
from urllib.parse import urlsplit

import httpx

from clara_kit.doctor.finding import Finding
from clara_kit.providers.vendors import SPOKEN, VENDORS, Vendor, as_http, spoken

LOOPBACK = ("127.0.0.1", "localhost", "::1")
REACH_WITHIN_S = 2.0
_MOMENT_S = 0.3

KeyState = Literal["ok", "refused", "unreachable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """What became of a key that was tried."""

    vendor: str
    state: KeyState
    message: str
    hint: str = ""
    took_ms: float = 0.0


# --- what is set ----------------------------------------------------------------------------------------


def source(variable: str, environ: Mapping[str, str], env_file: Mapping[str, str]) -> str:
    """Where the value that counts comes from, or an empty text. Also an empty variable hides the file's."""
    if environ.get(variable, "").strip():
        return "the environment"
    return ".env" if variable not in environ and env_file.get(variable, "").strip() else ""


def check_keys(
    environ: Mapping[str, str], env_file: Mapping[str, str], vendors: Iterable[str] = SPOKEN
) -> tuple[Finding, ...]:
    """Which keys are set and from where; never their value, nor a part of it."""
    return tuple(_key(VENDORS[vendor], environ, env_file) for vendor in vendors)


def _key(vendor: Vendor, environ: Mapping[str, str], env_file: Mapping[str, str]) -> Finding:
    variable = vendor.variables[0]
    place, there = source(variable, environ, env_file), env_file.get(variable, "").strip()
    if place:
        text = f"{variable} is set in {place}"
        if there in ("", environ.get(variable, there).strip()):
            return Finding("Keys", vendor.name, "ok", text)
        return Finding("Keys", vendor.name, "note", f"{text}, which comes before a different one in .env")
    if there:
        text = f"an empty {variable} in the environment hides the one in .env"
        todo = f"Unset {variable} in the environment, so that .env counts."
    else:
        text = f"{variable} is not set"
        todo = f"For {vendor.name} live: get a key at {vendor.page} and put {variable}=... into .env."
    return Finding("Keys", vendor.name, "absent", text, todo)


def check_file(path: Path) -> tuple[Finding, ...]:
    """Whether others on this machine can read the file with the keys."""
    if os.name != "posix" or not path.is_file() or not path.stat().st_mode & 0o077:
        return ()
    return (
        Finding("Keys", path.name, "note", "other users of this machine can read it", f"chmod 600 {path}"),
    )


# --- who answers ----------------------------------------------------------------------------------------


def check_reach(addresses: Mapping[str, str], *, within_s: float = REACH_WITHIN_S) -> tuple[Finding, ...]:
    """Whether each vendor's host answers, all asked at once; never longer than `within_s` and a moment."""
    late = f"no answer in {within_s:g} s"
    answers: dict[str, tuple[int | str, float]] = dict.fromkeys(addresses, (late, 0.0))

    def look(vendor: str) -> None:
        answers[vendor] = ask(addresses[vendor] + VENDORS[vendor].free, timeout_s=within_s)

    # Threads that are left behind where a name server is silent: looking up a name has no deadline of its own.
    threads = [threading.Thread(target=look, args=(vendor,), daemon=True) for vendor in addresses]
    for thread in threads:
        thread.start()
    until_s = perf_counter() + within_s + _MOMENT_S
    for thread in threads:
        thread.join(max(0.0, until_s - perf_counter()))
    return tuple(_reached(VENDORS[v].name, address, *answers[v]) for v, address in addresses.items())


def _reached(name: str, address: str, answer: int | str, took_ms: float) -> Finding:
    if isinstance(answer, int):
        return Finding("Reachability", name, "ok", f"{_host(address)} answers in {took_ms:.0f} ms")
    text = f"{_host(address)} is not reachable from here ({answer}): twins work without"
    todo = "For live vendors: check the network, a firewall or a proxy."
    return Finding("Reachability", name, "absent", text, todo)


def _host(address: str) -> str:
    """What may be shown of an address: not the password that it may hold."""
    return address.partition("://")[2].partition("/")[0].rpartition("@")[2] or address


def ask(
    address: str, headers: Mapping[str, str] | None = None, *, timeout_s: float
) -> tuple[int | str, float]:
    """(HTTP status, or in a few words why there is none; milliseconds). Blocks; never raises for what is out there."""
    began_s = perf_counter()
    try:
        # A proxy must not get what is meant for this machine.
        local = urlsplit(address).hostname in LOOPBACK
        with httpx.Client(timeout=timeout_s, trust_env=not local) as client:
            began_s = perf_counter()  # reading the machine's certificates is not the vendor's time
            answer: int | str = client.get(address, headers=headers).status_code
    except httpx.TimeoutException:
        answer = f"no answer in {timeout_s:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as exc:
        answer = _why(exc)
    return answer, (perf_counter() - began_s) * 1000


def _why(exc: BaseException) -> str:
    while exc.__cause__ or exc.__context__:
        exc = exc.__cause__ or exc.__context__ or exc
    if isinstance(exc, socket.gaierror):
        return "its name is not known here"
    if isinstance(exc, ssl.SSLError):
        return f"no trusted connection ({exc.reason or 'TLS'})"
    if isinstance(exc, ImportError):
        return "a SOCKS proxy is set, which needs the package socksio"
    if isinstance(exc, (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError)):
        return "the address is wrong"
    return getattr(exc, "strerror", None) or type(exc).__name__


# --- whether a key is taken -----------------------------------------------------------------------------


def try_key(vendor: str, key: str, base_url: str | None = None, *, timeout_s: float = 5.0) -> KeyAnswer:
    """Ask the vendor for something free that needs a key. Blocks; never raises for what the vendor does."""
    asked, key, took_ms = spoken(vendor), key.strip(), 0.0
    said: tuple[KeyState, str, str]
    if not key:
        said = "refused", "No key was given.", f"get one at {asked.page}."
    elif not key.isascii() or not key.isprintable() or " " in key:
        said = "refused", "That is no key: it holds characters that no key has.", "copy it again, alone."
    else:
        address = as_http(base_url or asked.usual_address)
        answer, took_ms = ask(address + asked.free, asked.signed(key), timeout_s=timeout_s)
        said = _meaning(asked, address, answer)
    return KeyAnswer(vendor=vendor, state=said[0], message=said[1], hint=said[2], took_ms=took_ms)


def _meaning(vendor: Vendor, address: str, answer: int | str) -> tuple[KeyState, str, str]:
    name, page = vendor.name, vendor.page
    if isinstance(answer, str):
        message = f"{name} cannot be reached at {_host(address)} ({answer})."
        return "unreachable", message, "check the network and the address; twins work without."
    if 200 <= answer < 300:
        return "ok", f"{name} takes the key.", ""
    if name == "Deepgram" and answer == 403:
        hint = "clara doctor --live shows whether it may listen and speak."
        return "ok", "Deepgram knows the key, though it may not list projects.", hint
    if answer in (401, 403):
        mixed_up = name == "LiveAvatar" and answer == 401
        hint = "HeyGen's keys do not work here: make one" if mixed_up else "copy it again, or make one"
        return "refused", f"{name} refuses the key (HTTP {answer}).", f"{hint} at {page}."
    if answer == 402:
        return "refused", f"{name}'s account has no credit left (HTTP 402).", f"top it up at {page}."
    if answer == 429 or answer >= 500:
        return "unreachable", f"{name} cannot answer now (HTTP {answer}).", "try again in a minute."
    hint = f"check {vendor.id.upper()}_BASE_URL."
    return "unreachable", f"What answers there is not {name} (HTTP {answer}).", hint
