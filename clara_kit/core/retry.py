"""How long to wait before trying again: a pure policy, asked by whoever retries, and what a server asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

LONGEST_ASKED_MS = 86_400_000.0  # a day; whoever asks for more might as well ask for ever
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with the plan's constants as defaults.

    jitter: up to this share of a delay is added or taken away, so that many who failed together do not come back together.
    """

    max_retries: int = 3
    initial_delay_ms: float = 1000
    multiplier: float = 2
    max_delay_ms: float = 10000
    jitter: float = 0.1

    def delay_ms(
        self, attempt: int, asked_ms: float | None = None, *, seed: int | None = None, service: str = ""
    ) -> float | None:
        """Milliseconds to wait before retry `attempt` (1 is the first), or None when there is none left.

        asked_ms: how long the vendor asks to wait. It is obeyed; more than `max_delay_ms` leaves no retry.
        seed: of the conversation; with `service` and the attempt it gives the jitter, the same every time. None: no jitter.
        """
        asked_ms = asked_ms or 0.0
        if not 1 <= attempt <= self.max_retries or asked_ms > self.max_delay_ms:
            return None
        delay_ms = self.initial_delay_ms * self.multiplier ** (attempt - 1)
        if seed is not None:
            digest = blake2b(f"{seed} {service} {attempt}".encode(), digest_size=8).digest()
            delay_ms *= 1 + self.jitter * (int.from_bytes(digest, "big") / 2**63 - 1)
        return round(max(asked_ms, min(delay_ms, self.max_delay_ms)), 3)


def asked_wait_ms(headers: Mapping[str, str], now_s: float) -> float | None:
    """How long an answer asks to wait, by `retry-after-ms` or `retry-after` (seconds, or a date); at most a day.

    now_s: seconds since 1970, used where the answer has no date of its own. None: nothing, or nothing intelligible.
    """
    for name, unit_ms in (("retry-after-ms", 1.0), ("retry-after", 1000.0)):
        if _NUMBER.fullmatch(text := _one(headers, name)):
            return min(float(text) * unit_ms, LONGEST_ASKED_MS)
    until_s, told_s = _date_s(text), _date_s(_one(headers, "date"))
    if until_s is None:
        return None
    return min(max(0.0, until_s - (now_s if told_s is None else told_s)) * 1000, LONGEST_ASKED_MS)


def _one(headers: Mapping[str, str], name: str) -> str:
    try:
        return (headers.get(name) or "").strip()
    except LookupError:  # some libraries do not choose between two of a name
        return ""


def _date_s(text: str) -> float | None:
    from email.utils import mktime_tz, parsedate_tz

    try:
        parts = parsedate_tz(text)
        return None if parts is None else float(mktime_tz(parts))
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return None
