"""The vendors' keys and hosts: what is set and from where, who answers, and whether a key is taken.

Beneath `checkup.py`, which asks for what is set and reached, and the panel that keys are entered in, which
tries them. One request that costs nothing serves both: with a key it tries the key, without one the host. Nothing
that a vendor answers is passed on: what is said is ours, so it cannot repeat what was sent.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import httpx

from clara_kit.core.outside import Address
from clara_kit.doctor.finding import Finding
from clara_kit.providers.vendors import TABLE, VENDORS, Vendor, as_http, named

LOOPBACK = ("127.0.0.1", "localhost", "::1")

Env = Mapping[str, str]
Answer = tuple[int | str, float]
"""An HTTP status, or in a few words why there is none; milliseconds."""


class KeyAnswer(NamedTuple):
    """What became of a key that was tried."""

    state: Literal["ok", "refused", "unreachable"]
    message: str
    hint: str = ""


# --- what is set ----------------------------------------------------------------------------------------


def source(variable: str, environ: Env, env_file: Env) -> str:
    """Where the value that counts comes from, or an empty text. Also an empty variable hides the file's."""
    if environ.get(variable, "").strip():
        return "the environment"
    return ".env" if variable not in environ and env_file.get(variable, "").strip() else ""


def check_keys(environ: Env, env_file: Env, vendors: Iterable[str] = VENDORS) -> tuple[Finding, ...]:
    """Which keys are set and from where; never their value, nor a part of it."""
    return tuple(_key(TABLE[vendor], environ, env_file) for vendor in vendors)


def _key(vendor: Vendor, environ: Env, env_file: Env) -> Finding:
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
    text = "other users of this machine can read it"
    return (Finding("Keys", path.name, "note", text, f"chmod 600 {path}"),)


# --- who answers ----------------------------------------------------------------------------------------


def check_reach(addresses: Mapping[str, str], *, within_s: float = 2.0) -> tuple[Finding, ...]:
    """Whether each vendor's host answers, all asked at once; never longer than `within_s` and a moment."""
    answers: dict[str, Answer] = dict.fromkeys(addresses, (f"no answer in {within_s:g} s", 0.0))

    def look(vendor: str) -> None:
        answers[vendor] = ask(addresses[vendor], TABLE[vendor].free, timeout_s=within_s)

    # Threads that are left behind where a name server is silent: looking up a name has no deadline of its own.
    threads = [threading.Thread(target=look, args=(vendor,), daemon=True) for vendor in addresses]
    for thread in threads:
        thread.start()
    until_s = perf_counter() + within_s + 0.3
    for thread in threads:
        thread.join(max(0.0, until_s - perf_counter()))
    return tuple(_reached(TABLE[v].name, address, *answers[v]) for v, address in addresses.items())


def _reached(name: str, address: str, answer: int | str, took_ms: float) -> Finding:
    host = Address.of(address).host or "its address"
    if isinstance(answer, int):
        return Finding("Reachability", name, "ok", f"{host} answers in {took_ms:.0f} ms")
    text = f"{host} is not reachable from here ({answer}): twins work without"
    todo = "For live vendors: check the network, a firewall or a proxy."
    return Finding("Reachability", name, "absent", text, todo)


def ask(address: str, path: str = "", headers: Mapping[str, str] | None = None, *, timeout_s: float) -> Answer:
    """GET a path of a base address. Blocks; never raises for what is out there, or for an address that is none."""
    began_s = perf_counter()
    try:
        # A proxy must not get what is meant for this machine.
        base = Address.of(as_http(address))
        local = urlsplit(base.url).hostname in LOOPBACK
        with httpx.Client(timeout=timeout_s, trust_env=not local, headers=base.login) as client:
            began_s = perf_counter()  # reading the machine's certificates is not the vendor's time
            answer: int | str = client.get(base.url + path, headers=headers).status_code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as exc:
        late = isinstance(exc, httpx.TimeoutException)
        answer = f"no answer in {timeout_s:g} s" if late else _why(exc)
    return answer, (perf_counter() - began_s) * 1000


def _why(exc: BaseException) -> str:
    while deeper := exc.__cause__ or exc.__context__:
        exc = deeper
    if isinstance(exc, socket.gaierror):
        return "its name is not known here"
    if isinstance(exc, ImportError):
        return str(exc)  # a SOCKS proxy is set, and what that needs is not installed
    if isinstance(exc, OSError):  # also of TLS
        return exc.strerror or type(exc).__name__
    wrong = isinstance(exc, (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError))
    return "the address is wrong" if wrong else type(exc).__name__


# --- whether a key is taken -----------------------------------------------------------------------------


def try_key(vendor: str, key: str, base_url: str | None = None, *, timeout_s: float = 5.0) -> KeyAnswer:
    """Ask the vendor for something free that needs a key. Blocks; never raises for what the vendor does."""
    asked, key = named(vendor), key.strip()
    if not key:
        return KeyAnswer("refused", "No key was given.", f"get one at {asked.page}.")
    if not key.isascii() or not key.isprintable() or " " in key:
        message = "That is no key: it holds characters that no key has."
        return KeyAnswer("refused", message, "copy it again, alone.")
    address = base_url or asked.usual_address
    answer, _ = ask(address, asked.free, asked.signed(key), timeout_s=timeout_s)
    if isinstance(answer, str):
        message = f"{asked.name} cannot be reached at {Address.of(address).host or 'its address'} ({answer})."
        return KeyAnswer("unreachable", message, "check the network and the address; twins work without.")
    return _meaning(asked, answer)


def _meaning(vendor: Vendor, status: int) -> KeyAnswer:
    name, page = vendor.name, vendor.page
    if 200 <= status < 300:
        return KeyAnswer("ok", f"{name} takes the key.")
    if name == "Deepgram" and status == 403:
        hint = "clara doctor --live shows whether it may listen and speak."
        return KeyAnswer("ok", "Deepgram knows the key, though it may not list projects.", hint)
    if status in (401, 403):
        hint = f"copy it again, or make one at {page}."
        if name == "LiveAvatar" and status == 401:
            hint = f"HeyGen's keys do not work here: make one at {page}."
        elif name == "ElevenLabs":
            hint = f"copy it again, or make one at {page}; one that may only speak cannot be tried, and works all the same."
        return KeyAnswer("refused", f"{name} refuses the key (HTTP {status}).", hint)
    if status == 402:
        message = f"{name}'s account has no credit left (HTTP 402)."
        return KeyAnswer("refused", message, f"top it up at {page}.")
    if status == 429 or status >= 500:
        return KeyAnswer("unreachable", f"{name} cannot answer now (HTTP {status}).", "try again in a minute.")
    message = f"What answers there is not {name} (HTTP {status})."
    return KeyAnswer("unreachable", message, f"check {vendor.id.upper()}_BASE_URL.")
