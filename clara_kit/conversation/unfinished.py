"""«Y también quería…»: who stops in the middle of a clause or of a number will go on; whoever has asked is done."""

from __future__ import annotations

import re

from clara_kit.conversation.lexicon import Lexicon, plain
from clara_kit.conversation.policy import Policy, Turn, Wait
from clara_kit.conversation.talk import Talk

PHONE_DIGITS = 9  # of a Chilean number
_DIGITS = ["cero", "uno", "una", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"]


def unfinished(lexicon: Lexicon, knows: str) -> Policy:
    """The policy that knows after which words one goes on."""

    def decide(talk: Talk, turn: Turn) -> Wait | None:
        settings = talk.settings
        if turn.occasion != "final" or settings.unfinished_hold_ms <= 0:
            return None
        hold_ms = max(settings.unfinished_hold_ms, settings.turn_hold_ms)
        if word := lexicon.goes_on(turn.text):
            return Wait(hold_ms, reason=f"after «{word}» a clause goes on: waiting {hold_ms:.0f} ms for it")
        if turn.text.rstrip().endswith(("...", "…", ",", ":")):
            return Wait(hold_ms, reason=f"the clause is open: waiting {hold_ms:.0f} ms for the rest")
        if 0 < (digits := spoken_digits(talk.turn.question)) < PHONE_DIGITS:
            return Wait(hold_ms, reason=f"{digits} digits of a number: waiting {hold_ms:.0f} ms for the rest")
        return None

    return Policy("unfinished", decide, knows=knows)


def spoken_digits(text: str) -> int:
    """How many digits were said one by one, or in groups, at its end; 0 where it ends otherwise, or is one number."""
    groups = []
    for word in reversed(plain(re.sub(r"(?<=\d)[.,-](?=\d)", "", text))):  # «$14.990», «9.876.543-2»: one number
        if word.isdigit():
            groups.append(len(word))
        elif word in _DIGITS:
            groups.append(1)
        else:
            break
    return sum(groups) if len(groups) > 1 else 0
