"""What came of a moment, and whether it is what should have come: pure, from what was stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SLACK_MS = 250.0  # so much of her last sound may be missing: another package's player is told late
NOTICED_MS = 100.0  # a difference below is none


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One lane of one moment, in milliseconds from the beginning of the customer's sound."""

    stopped_ms: int | None  # when what sounded at the beginning fell silent before its end
    resumed_ms: int | None  # when it was heard again
    repeated_ms: int  # how much of it was heard a second time
    whole: bool  # it was heard to its end, at once or in pieces
    remembered: bool  # and stands so in the history
    kept: bool  # of what was cut at least the beginning stands in the history
    answered: tuple[tuple[int, str], ...]  # what was answered aloud afterwards: when, and the customer's words
    again: bool  # among that is the first question, asked of the model once more
    into_the_customer_ms: int | None  # she began to speak while the customer had not finished
    requests: int  # sent to the model from the beginning of the sound on
    problems: tuple[str, ...] = ()

    @property
    def silent_ms(self) -> int:
        """How long she was silent in the middle of what she was saying."""
        return 0 if self.stopped_ms is None or self.resumed_ms is None else self.resumed_ms - self.stopped_ms


def seen(moment: dict[str, Any], lane: dict[str, Any], length_ms: dict[int, float], says: dict[int, str]) -> Seen:
    """length_ms, says: of what may sound at the beginning: 0 the greeting, 1 the answer."""
    played, requests = lane["played"], lane["requests"]
    at_onset = next((one for one in played if one[0] <= 0 < one[1]), None)
    first = at_onset[2] if at_onset else None
    stopped = resumed = None
    repeated_ms = 0
    whole = remembered = kept = True
    if at_onset is not None:
        begun = [one for one in played if one[2] == first and one[1] <= 0]
        heard_ms = at_onset[1] - at_onset[0] + sum(b - a for a, b, _ in begun)
        later = [one for one in played if one[0] > 0 and _same(one[2], first, requests)]
        if heard_ms < length_ms[first] - SLACK_MS:
            stopped = at_onset[1]
            resumed = later[0][0] if later else None
            all_ms = heard_ms + sum(b - a for a, b, _ in later)
            whole = bool(later) and all_ms > length_ms[first] - SLACK_MS
            repeated_ms = round(all_ms - length_ms[first]) if all_ms > length_ms[first] + SLACK_MS else 0
        told = " ".join(text for role, text in lane["history"] if role == "assistant")
        remembered = " ".join(says[first].split()) in " ".join(told.split())
        before = requests[first - 1][1] if first else ""
        kept = not first or _told_after(lane["history"], before)
    spoken: dict[int, int] = {}
    for begun_ms, _, number in played:
        if begun_ms > 0 and number != first and number > 0:
            spoken.setdefault(number, begun_ms)
    again = [n for n in spoken if _same(n, first, requests)]
    answered = tuple((at, requests[n - 1][1]) for n, at in spoken.items() if n not in again)
    into = next((at for at, _ in answered if at < moment["ends_ms"]), None)
    found = Seen(
        stopped_ms=stopped, resumed_ms=resumed, repeated_ms=repeated_ms, whole=whole, remembered=remembered, kept=kept, answered=answered, again=bool(again),
        into_the_customer_ms=into, requests=sum(at > 0 for at, _ in requests),
    )  # fmt: skip
    return Seen(**{**{f: getattr(found, f) for f in found.__dataclass_fields__}, "problems": _problems(moment, found)})


def _told_after(history: list[list[str]], question: str) -> bool:
    """Whether an answer follows the question in the history, before the customer's next words."""
    asked = [n for n, (role, text) in enumerate(history) if role == "user" and text.startswith(question)]
    return bool(asked) and [role for role, _ in history[asked[-1] + 1 : asked[-1] + 2]] == ["assistant"]


def _same(number: int, first: int | None, requests: list[list[Any]]) -> bool:
    """Whether a sound says what was being said: the same reply, or another to the same words."""
    if number == first:
        return True
    return bool(first) and number > 0 and requests[number - 1][1] == requests[first - 1][1]


def _problems(moment: dict[str, Any], found: Seen) -> tuple[str, ...]:
    wrong: list[str] = []
    if moment["stops"] is True and found.stopped_ms is None:
        wrong.append("does not stop")
    if moment["stops"] is False and found.stopped_ms is not None:
        back = f", silent for {s(found.silent_ms)}" if found.resumed_ms is not None else ""
        wrong.append(f"stops after {s(found.stopped_ms)}{back}")
    if moment["whole"] and not found.whole and found.stopped_ms is not None:
        wrong.append("the rest of her words is never heard")
    elif moment["whole"] and found.whole and not found.remembered:
        wrong.append("her history lacks words that were heard")
    if moment["kept"] and found.stopped_ms is not None and not found.kept:
        wrong.append("nothing of what was heard of her answer is in the history")
    if found.again:
        wrong.append("asks the model the same question again")
    if found.into_the_customer_ms is not None:
        wrong.append(f"talks into the customer’s sentence, {s(found.into_the_customer_ms)} after it began")
    wanted = list(moment["answers"])
    for _, text in found.answered:
        fits = next(
            (w for w in wanted if text == w or (moment["stops"] and len(wanted[0]) < 40 and text.endswith(w))), None
        )
        if fits is None:
            wrong.append(f"answers «{text}»")
        else:
            wanted.remove(fits)
    wrong += [f"does not answer «{text}»" for text in wanted]
    return tuple(wrong)


def s(ms: float) -> str:
    """Seconds for a reader."""
    return f"{ms / 1000:.2f} s"


def worse(moment: dict[str, Any], mine: Seen, theirs: dict[str, Seen]) -> list[str]:
    """In what Clara is worse than another in this moment, in plain words. theirs: by name."""
    found: list[str] = []
    right = [name for name, one in theirs.items() if not one.problems]
    if mine.problems and right:
        found.append(f"she is wrong here ({'; '.join(mine.problems)}) and {', '.join(right)} right")
    if moment["stops"] is True and mine.stopped_ms is not None:
        sooner = {
            n: o.stopped_ms
            for n, o in theirs.items()
            if o.stopped_ms is not None and o.stopped_ms < mine.stopped_ms - NOTICED_MS
        }
        if sooner:
            told = ", ".join(f"{name} after {s(ms)}" for name, ms in sooner.items())
            found.append(f"she stops {s(mine.stopped_ms)} after the customer began; {told}")
    if mine.answered:
        last_ms = mine.answered[-1][0]
        faster = {
            n: o.answered[-1][0] for n, o in theirs.items() if o.answered and o.answered[-1][0] < last_ms - NOTICED_MS
        }
        if faster:
            told = ", ".join(f"{name} {s(last_ms - ms)} sooner" for name, ms in faster.items())
            found.append(f"she answers {s(last_ms - moment['ends_ms'])} after the customer’s last word; {told}")
    if mine.silent_ms > NOTICED_MS:
        shorter = {
            n: o.silent_ms for n, o in theirs.items() if o.whole and not o.again and o.silent_ms < mine.silent_ms - NOTICED_MS
        }  # fmt: skip
        if shorter:
            told = ", ".join(f"{name} {s(ms)}" for name, ms in shorter.items())
            found.append(f"she is silent for {s(mine.silent_ms)} in the middle; {told}")
    if mine.repeated_ms:
        less = [n for n, o in theirs.items() if o.whole and o.repeated_ms < mine.repeated_ms - NOTICED_MS]
        if less:
            found.append(f"she says {s(mine.repeated_ms)} of her words a second time; {', '.join(less)} less")
    fewer = [name for name, one in theirs.items() if one.requests < mine.requests]
    if fewer:
        found.append(f"she asks the model {mine.requests} times; {', '.join(fewer)} less often")
    return found
