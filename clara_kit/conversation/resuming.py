"""What after a cut that brought no words (a cough, a noise, a second thought), or after the voice broke off."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clara_kit.conversation.policy import End, Policy, Quiet, Restate, Resume
from clara_kit.conversation.talk import Talk

_CLAUSE = re.compile(r"[,;:.?!–—)…]\s+")


def rest_of(pieces: Sequence[str], heard_chars: int) -> tuple[int, tuple[str, ...]]:
    """Where the clause begins in which `heard_chars` of the joined pieces end, and the pieces from there on."""
    begin = 0
    for number, piece in enumerate(pieces):
        end = begin + len(piece)
        if heard_chars < end:
            starts = [m.end() for m in _CLAUSE.finditer(piece) if begin + m.end() <= heard_chars + 1]
            start = starts[-1] if starts else 0
            return begin + start, (piece[start:], *pieces[number + 1 :])
        begin = end + 1
    return begin, ()


def _in_vain(talk: Talk, quiet: Quiet) -> End | None:
    """A voice that breaks off where it began, again and again, will not say it."""
    tries = talk.settings.max_retries
    if quiet.broken and quiet.tries > tries:
        return End(reason=f"it broke off {quiet.tries} times in the same clause")
    return None


def _restate(talk: Talk, quiet: Quiet) -> Restate | None:
    after = talk.settings.after_false_interruption
    if after == "restate" or (after == "resume" and quiet.unfinished):
        missing = "the rest was not written yet" if quiet.unfinished else "the settings want it"
        return Restate(reason=f"asking the model anew: {missing}")
    return None


def _resume(talk: Talk, quiet: Quiet) -> Resume | None:
    if talk.settings.after_false_interruption == "end" or not (quiet.unheard or quiet.coming):
        return None
    return Resume(quiet.unheard, reason="resuming from the cut clause")


def _end(talk: Talk, quiet: Quiet) -> End:
    return End(reason="nothing left to say")


IN_VAIN = Policy("in_vain", _in_vain)
RESTATE = Policy("restate", _restate)
RESUME = Policy("resume", _resume, version=2)
END = Policy("end", _end)
