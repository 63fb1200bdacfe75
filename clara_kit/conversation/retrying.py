"""What after a failure: once more, something of Clara's own, or without it. One policy for every service.

`RetryPolicy` and its settings (`MAX_RETRIES` and its siblings) say how often and after how long. A connection that
had worked is opened again at once, for a network that hiccups comes back in a moment and the customer is in the
middle of a sentence; the policy's delays count from there on. A vendor that asks to wait is obeyed, unless it asks
for longer than the policy ever waits: then the customer is told at once, for nobody waits that long on a telephone.
"""

from __future__ import annotations

from clara_kit.conversation.policy import Failure, GiveUp, Policy, Retry, Say
from clara_kit.conversation.talk import Talk


def _broke_off(talk: Talk, failure: Failure) -> GiveUp | None:
    """What has been heard in part is not begun anew."""
    return GiveUp(reason="it broke off") if failure.spoken else None


def _reconnect(talk: Talk, failure: Failure) -> Retry | None:
    if not (failure.connection and failure.retryable and failure.attempt == 1 and talk.settings.max_retries > 0):
        return None
    if failure.asked_ms:
        return None
    return Retry(0.0, reason="it had worked: connecting again at once")


def _by_policy(talk: Talk, failure: Failure) -> Retry | None:
    attempt = max(1, failure.attempt - failure.connection)
    delay_ms = talk.settings.retry.delay_ms(attempt, failure.asked_ms) if failure.retryable else None
    asked = f", it asks to wait {failure.asked_ms:.0f} ms" if failure.asked_ms else ""
    return None if delay_ms is None else Retry(delay_ms, reason=f"retry {attempt}{asked}")


def _apology(talk: Talk, failure: Failure) -> Say | None:
    apology = talk.settings.apology
    return Say(apology, reason="nothing better can be said") if failure.service == "llm" and apology.strip() else None


def _give_up(talk: Talk, failure: Failure) -> GiveUp:
    if not failure.retryable:
        return GiveUp(reason="trying again will not help")
    if (failure.asked_ms or 0.0) > talk.settings.max_retry_delay_ms:
        return GiveUp(reason=f"it asks to wait {failure.asked_ms:.0f} ms, which is too long")
    return GiveUp(reason="no attempt is left")


BROKE_OFF = Policy("broke_off", _broke_off)
RECONNECT = Policy("reconnect", _reconnect, version=2)
BY_POLICY = Policy("retry", _by_policy, version=2)
APOLOGY = Policy("apology", _apology)
GIVE_UP = Policy("give_up", _give_up)
