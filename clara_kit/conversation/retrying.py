"""What after a failure: once more, something of Clara's own, or without it. One policy for every service.

`RetryPolicy` and its settings (`MAX_RETRIES` and its siblings) say how often and after how long; what the customer waits
for is tried again only within `turn_deadline_ms`, a connection on the whole schedule. A connection that
had worked is opened again at once, for a network that hiccups comes back in a moment and the customer is in the
middle of a sentence; the policy's delays count from there on. A vendor that asks to wait is obeyed, unless it asks
for longer than the policy ever waits: then the customer is told at once, for nobody waits that long on a telephone.
"""

from __future__ import annotations

from clara_kit.conversation.policy import Failure, GiveUp, Policy, Retry, Say
from clara_kit.conversation.talk import Talk


def _broke_off(talk: Talk, failure: Failure) -> GiveUp | None:
    """What has been heard in part is not begun anew; a model is asked for the rest."""
    return GiveUp(reason="it broke off") if failure.spoken and failure.service != "llm" else None


def _reconnect(talk: Talk, failure: Failure) -> Retry | None:
    if not (failure.connection and failure.retryable and failure.attempt == 1 and talk.settings.max_retries > 0):
        return None
    if failure.asked_ms:
        return None
    return Retry(0.0, reason="it had worked: connecting again at once")


def _by_policy(talk: Talk, failure: Failure) -> Retry | None:
    attempt = max(1, failure.attempt - failure.connection)
    retry, service = talk.settings.retry, failure.service
    delay_ms = retry.delay_ms(attempt, failure.asked_ms, seed=talk.seed, service=service) if failure.retryable else None
    if delay_ms is None or (delay_ms > failure.left_ms and not failure.connection):
        return None
    asked = f", it asks to wait {failure.asked_ms:.0f} ms" if failure.asked_ms else ""
    return Retry(delay_ms, reason=f"retry {attempt}{asked}")


def _apology(talk: Talk, failure: Failure) -> Say | None:
    apology = talk.settings.apology
    answers = failure.service == "llm" or (failure.service == "backup" and not failure.connection)
    return Say(apology, reason="nothing better can be said") if answers and apology.strip() else None


def _give_up(talk: Talk, failure: Failure) -> GiveUp:
    if not failure.retryable:
        return GiveUp(reason="trying again will not help")
    if (failure.asked_ms or 0.0) > talk.settings.max_retry_delay_ms:
        return GiveUp(reason=f"it asks to wait {failure.asked_ms:.0f} ms, which is too long")
    if failure.attempt <= talk.settings.max_retries and not failure.connection:
        return GiveUp(reason=f"{talk.settings.turn_deadline_ms:.0f} ms are all that the customer is left waiting")
    return GiveUp(reason="no attempt is left")


BROKE_OFF = Policy("broke_off", _broke_off, version=2)
RECONNECT = Policy("reconnect", _reconnect, version=2)
BY_POLICY = Policy("retry", _by_policy, version=3)
APOLOGY = Policy("apology", _apology, version=2)
GIVE_UP = Policy("give_up", _give_up, version=2)
