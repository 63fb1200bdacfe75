"""What of an utterance that is over goes into the history: never more than was heard."""

from __future__ import annotations

from clara_kit.conversation.policy import Keep, Policy, Remember
from clara_kit.conversation.talk import Talk


def _said_anew(talk: Talk, keep: Keep) -> Remember | None:
    """Clara says it again from the cut clause on, so that the history ends before that."""
    said = " ".join(keep.pieces)
    if keep.again is None or keep.again >= len(said):
        return None
    return Remember(said[: keep.again].rstrip(), reason="the rest is said anew")


def _heard(talk: Talk, keep: Keep) -> Remember:
    return Remember(keep.heard, reason="what was heard")


SAID_ANEW = Policy("said_anew", _said_anew, version=2)
HEARD = Policy("heard", _heard)
