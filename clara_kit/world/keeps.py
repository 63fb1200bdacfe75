"""What is kept, in a simulation: looked up at once, and nothing is learnt, so that equal simulations are equal."""

from __future__ import annotations

from typing import Any

from clara_kit.cache.responses import Hit, ResponseCache, Scope
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.profile import CustomerProfile


def kept_answer(
    cache: ResponseCache | None, asked: do.LookUpAnswer, now_ms: float, known: CustomerProfile | None, obeyed: Any
) -> ev.AnswerFound | ev.AnswerNotFound:
    """What becomes of the question. known: of the customer. obeyed: the template that Clara obeys, or her plain prompt, or None."""
    customer, skin = ("", "") if known is None else ("sim", known.skin_type or "")
    scope = Scope(customer=customer, skin=skin, prompt=obeyed.hash if obeyed is not None else "")
    found = cache.look_up(asked.question, scope) if cache is not None else None
    if isinstance(found, Hit):
        return ev.AnswerFound(at_ms=now_ms, turn_id=asked.turn_id, text=found.answer, why=found.why)
    why = found.why if found is not None else "nothing is kept"
    return ev.AnswerNotFound(at_ms=now_ms, turn_id=asked.turn_id, why=why)
