"""What after a cut that brought no words: a cough, a noise, a second thought."""

from __future__ import annotations

from clara_kit.conversation.policy import End, Policy, Quiet, Resume
from clara_kit.conversation.talk import Talk


def _resume(talk: Talk, quiet: Quiet) -> Resume | None:
    if talk.settings.after_false_interruption != "resume" or not quiet.unheard:
        return None
    return Resume(quiet.unheard, reason="resuming from the cut sentence")


def _end(talk: Talk, quiet: Quiet) -> End:
    return End(reason="nothing left to say")


RESUME = Policy("resume", _resume)
END = Policy("end", _end)
