"""`FallbackManager`: when a service is passed by, when it is tried again, and when it is trusted again. Pure.

The plan's three verbs (`recordFailure`, `triggerFallback`, `resetFailureCount`) over a circuit for each service: closed
(it serves) → open (something else does) → half open (it may be tried) → closed. Used by a conversation over its own
`Talk.services`, and by `runtime/health.py` over what all conversations of the process have found out.

Hysteresis: it takes `threshold` failures in a row to open, `successes` answers in a row to close, and one failure on the
way there to open again, for twice as long. In between one turn after the other is the trial: nothing is ever asked twice
at once, so that a trial costs no second answer and cannot end in two.
"""

from __future__ import annotations

from clara_kit.conversation.talk import Health
from clara_kit.core.events import Service

LONGEST_OPEN_MS = 600_000.0


class FallbackManager:
    """services: the state, which is only written through here. open_ms: how long a service is passed by the first time."""

    __slots__ = ("open_ms", "services", "successes", "threshold")

    def __init__(
        self, services: dict[Service, Health] | None = None, *, threshold: int = 3, open_ms: float = 30_000.0,
        successes: int = 2,
    ) -> None:  # fmt: skip
        self.services: dict[Service, Health] = {} if services is None else services
        self.threshold, self.open_ms, self.successes = threshold, open_ms, successes

    def health(self, service: Service) -> Health:
        """The state of a service, to be written."""
        return self.services.setdefault(service, Health())

    def record_failure(self, service: Service, at_ms: float) -> bool:
        """It failed; says whether it is to be passed by from now on. One failed trial is enough."""
        health = self.health(service)
        health.failures += 1
        if health.circuit == "open" or (health.circuit == "closed" and health.failures < self.threshold):
            return False
        self.trigger_fallback(service, at_ms)
        return True

    def trigger_fallback(self, service: Service, at_ms: float) -> None:
        """Pass it by from now on, whatever was counted."""
        health = self.health(service)
        if health.circuit != "open":
            health.openings += 1
        health.circuit, health.opened_ms, health.good = "open", at_ms, 0

    def probe_at_ms(self, service: Service) -> float:
        """When one that is passed by is to be tried again: after twice as long each time, up to ten minutes."""
        health = self.health(service)
        return health.opened_ms + min(self.open_ms * 2.0 ** (health.openings - 1), max(self.open_ms, LONGEST_OPEN_MS))

    def probed(self, service: Service) -> None:
        """It answered a trial that cost nothing: the next turn may be its own."""
        health = self.health(service)
        if health.circuit == "open":
            health.circuit, health.good = "half_open", 0

    def reset_failure_count(self, service: Service) -> bool:
        """It did what was asked of it; says whether it is trusted again just now."""
        health = self.health(service)
        health.failures = 0
        if health.circuit != "half_open":
            return False
        health.good += 1
        if health.good < self.successes:
            return False
        health.circuit, health.openings, health.good = "closed", 0, 0
        return True
