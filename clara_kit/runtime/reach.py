"""Does a host take a connection? Asked with a deadline, also where a name server or a peer stays silent.

Used by `checkup.py`. Sends nothing but the TLS greeting.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping
from time import perf_counter
from urllib.parse import urlsplit

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
