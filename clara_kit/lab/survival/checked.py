"""Did a conversation survive? Each thing that the customer said, and what became of it; and what must never be.

Goes by the trace and the script alone (`reading.py`), never by what the decisions think of themselves, so that a wrong
decision cannot excuse itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from clara_kit.conversation.history import GO_ON
from clara_kit.conversation.lexicon import Lexicon, plain
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState
from clara_kit.lab.survival.placing import lines_of, places, timed
from clara_kit.lab.survival.reading import Asked, InForce, Reading, Sound
from clara_kit.lab.survival.survival import Fate, Outcome, Said, Survival, Switched
from clara_kit.measure.run import Run

_HELLO = {"alo", "hola", "estas", "sigues", "ahi", "hay", "alguien"}
_GOES_ON_MS = 1500.0  # whose next words begin so near to where she broke off has taken the floor
_NOD_AFTER_MS = 1500.0  # a nod may come so long after the sound it answers


def checked(run: Run, said: Sequence[str] | None = None, *, deadline_ms: float | None = None) -> Survival:
    """Check one conversation. said: what the customer said, in order (default: the script's lines, or what was heard).

    deadline_ms: how long a customer may wait for any sign (default: `turn_deadline_ms` and `slow_response_ms` together).
    """
    return _Check(run, said, deadline_ms).survival()


class _Check:
    def __init__(self, run: Run, said: Sequence[str] | None, deadline_ms: float | None) -> None:
        self.read = read = Reading(run.trace)
        known = {**Settings().model_dump(), **(run.inputs.get("settings") or {}), **read.changed}
        self.slow_ms = float(known["slow_response_ms"])
        self.deadline_ms = float(known["turn_deadline_ms"]) + self.slow_ms if deadline_ms is None else deadline_ms
        self.sorry = {str(known[name]).strip() for name in ("apology", "broken_reply")} - {""}
        self.fixed = self.sorry | {str(known[name]).strip() for name in ("hold_phrase", "fallback_notice")}
        self.played_out = "run_id" not in run.facts  # a simulation goes on until nothing is left to happen
        self.scripted = said is not None or lines_of(run) is not None
        texts = list(said) if said is not None else lines_of(run)
        self.things = timed(texts, read.heard) if texts is not None else [
            (heard.text, heard.began_ms, heard.ended_ms) for heard in read.heard
        ]  # fmt: skip
        self.turns: dict[int, list[Asked]] = {}
        for asked in read.asked.values():
            self.turns.setdefault(asked.turn_id, []).append(asked)
        self.question = {
            turn: next((a.text for a in reversed(asks) if a.text != GO_ON), "") for turn, asks in self.turns.items()
        }
        self.problems = list(read.problems)
        for at_ms, turn, piece in read.twice:
            if piece.strip() not in self.fixed:  # «un momento» may be asked for again
                self.problems.append(f"{at_ms:.0f} ms: said twice in turn {turn}: «{piece}»")

    def survival(self) -> Survival:
        read = self.read
        turns = places(self.things, self.turns, self.question)
        said = tuple(self._said(n, turns[n]) for n in range(len(self.things)))
        end = read.stopped_ms if read.stopped_ms is not None else read.now_ms
        if read.state is not ConversationState.IDLE and (
            self.played_out or (end - read.state_ms > self.deadline_ms and not self._sounds_now())
        ):
            self.problems.append(f"it hangs in {read.state} since {read.state_ms:.0f} ms")
        silences = self._silences(said, end)
        switches = tuple(self._switched(one, end) for one in read.switches)
        return Survival(
            outcome=_outcome(said, bool(switches)), said=said, problems=tuple(self.problems), switches=switches,
            degraded_s=round(_union([(s.at_ms, s.at_ms + s.lasted_ms) for s in switches]) / 1000, 3),
            silent_s=round(sum(max(0.0, ms - self.slow_ms) for ms in silences) / 1000, 3),
            longest_silence_s=round(max(silences, default=0.0) / 1000, 3),
        )  # fmt: skip

    # --- what became of it -----------------------------------------------------------------------------------

    def _said(self, n: int, turns: list[int]) -> Said:
        text, _, ended_ms = self.things[n]
        if ended_ms is None and turns:
            ended_ms = self.turns[turns[0]][0].at_ms
        since = ended_ms if ended_ms is not None else next((e for _, _, e in reversed(self.things[:n]) if e is not None), 0.0)  # fmt: skip
        fate, why, by = self._fate(text, turns, since)
        later = [began for _, began, _ in self.things[n + 1 :] if began is not None]
        if fate == "lost" and any(a < began < b for began in later for a, b in self._floor(turns)):
            fate, why = "answered", "it broke off as the customer went on"
        if fate == "lost":
            fate, why = self._excused(text, turns, since, min(later, default=None), why)
        sign = min((at_ms for at_ms in self._signs(since)), default=None)
        waited = None if sign is None else sign - since
        met = min(self._met(since), default=None)
        if fate not in ("lost", "let be", "open") and ended_ms is not None and waited is not None and waited > self.deadline_ms:  # fmt: skip
            spoke_on = [b for b in later if b < since + self.deadline_ms]
            if not spoke_on:
                self.problems.append(f"{since:.0f} ms: «{text}» had no sign for {waited / 1000:.1f} s")
        return Said(
            text=text, fate=fate, by=by, turn_id=turns[-1] if turns else None, ended_ms=ended_ms,
            waited_ms=None if met is None else round(met - since, 3), why=why,
        )  # fmt: skip

    def _fate(self, text: str, turns: list[int], since: float) -> tuple[Fate, str, Literal["", "primary", "backup"]]:
        if not turns:
            return "lost", "its words were never asked about", ""
        asked, sounds = self.turns[turns[-1]], self._answers(turns[-1])
        heard = [s for s in sounds if s.started_ms is not None]
        by: Literal["primary", "backup"] = "backup" if any(s.reply_id for s in heard) or asked[-1].backup else "primary"
        if any(s.how == "" for s in sounds) or not asked[-1].over:
            if not self.played_out:
                return "open", "the conversation was ended meanwhile", by
            return "lost", "what was begun never came to an end", by
        if not heard:
            return "lost", "no answer was heard", ""
        why = self._why_not_whole(asked[-1], sounds, heard)
        if why:
            return "lost", why, by
        broke = any(s.how == "broke" for s in heard) or any(a.over == "failed" and a.wrote for a in asked)
        return ("resumed", "it broke off, and the rest was heard", by) if broke else ("answered", "", by)

    def _why_not_whole(self, asked: Asked, sounds: list[Sound], heard: list[Sound]) -> str:
        """Why the answer was not heard to its end, or until the customer cut in; empty where it was."""
        last = heard[-1]
        if last.how == "broke" or sounds[-1].how == "broke":
            return "the answer broke off"
        if last.how == "cut":
            return ""
        if asked.over == "failed":
            return "the rest of the answer was never written"
        if sounds[-1] is not last:
            return "the rest of the answer was cut before it was heard"
        spoken = plain(last.pieces[-1]) if last.pieces else plain(asked.wrote)
        wrote = plain(asked.wrote)
        if asked.over == "done" and asked.stop_reason != "max_tokens" and wrote and wrote[-1] not in spoken:
            return "the end of the answer was never said"
        return ""

    def _excused(self, text: str, turns: list[int], since: float, next_ms: float | None, why: str) -> tuple[Fate, str]:
        """It was not answered: what was done instead."""
        if self._asks_for_nothing(text, since) and not turns:
            return "let be", "it only says «go on»"
        if (
            not turns
            and {*plain(text)} <= _HELLO
            and any(0 <= at - since <= self.deadline_ms for at in self._signs(since))
        ):
            return "let be", "it asks whether somebody is there, and a sign came"
        read, mine = self.read, {*turns}
        sounds = self._answers(turns[-1]) if turns else []
        broke = [s.stopped_ms or 0.0 for s in sounds if s.how == "broke"]
        broke += [a.over_ms for turn in turns for a in self.turns[turn] if a.over == "failed"]
        # What was raised or said before it broke off excuses nothing.
        first_ms = max(since, min(broke)) if broke and any(s.started_ms is not None for s in sounds) else since
        if any(shown.turn_id in mine or (not mine and shown.at_ms >= since) for shown in read.shown):
            return "shown", "it could only be read"
        for sound in read.sounds.values():
            if sound.started_ms is not None and any(piece.strip() in self.sorry for piece in sound.pieces) and (
                sound.turn_id in mine
                or (since <= sound.started_ms and (next_ms is None or sound.started_ms <= next_ms + self.deadline_ms))
            ):  # fmt: skip
                return "apologised", why
        if any(since <= at_ms for at_ms in read.pressed_ms) and not any(s.started_ms is not None for s in sounds):
            return "let be", "the customer pressed stop"
        limit = since + self.deadline_ms if next_ms is None else max(next_ms, since + self.deadline_ms)
        told = {s.started_ms for s in read.sounds.values()}  # an alert then tells of what is heard at last
        for alert in read.alerts:
            if first_ms <= alert.at_ms <= limit and alert.at_ms not in told:
                return "alerted", f"{why}; alert {alert.name}"
        until = (
            self.read.now_ms if next_ms is None else next_ms
        )  # when it was said lies in between, where nobody heard it
        deaf = any(s.service == "stt" and s.from_ms <= until and (s.until_ms or until) >= since for s in read.switches)
        if not turns and deaf and any(alert.name == "stt_down" for alert in read.alerts):
            return "alerted", "nobody hears any more, and monitoring knows"
        if not self.played_out and read.stopped_ms is not None and read.stopped_ms - since < self.deadline_ms:
            return "open", "the conversation was ended meanwhile"
        if not self.scripted and not turns and self._over_clara(since):
            return "let be", "it was heard over Clara's voice"
        return "lost", why

    def _asks_for_nothing(self, text: str, at_ms: float) -> bool:
        return _words().is_backchannel(text) and self._over_clara(at_ms)

    def _over_clara(self, at_ms: float) -> bool:
        """While she sounds or prepares to, or just after."""
        return any(
            s.ordered_ms - self.slow_ms <= at_ms <= (s.stopped_ms or self.read.now_ms) + _NOD_AFTER_MS
            for s in self.read.sounds.values()
        )

    def _answers(self, turn: int) -> list[Sound]:
        """The utterances of a turn with words of an answer; what was cut before it was heard and given anew counts once."""
        mine = [
            s for s in self.read.sounds.values()
            if s.turn_id == turn and (s.reply_id or any(p.strip() not in self.fixed for p in s.pieces))
        ]  # fmt: skip
        return [
            s for n, s in enumerate(mine)
            if s.started_ms is not None or not any(later.pieces[:1] == s.pieces[:1] for later in mine[n + 1 :])
        ]  # fmt: skip

    def _floor(self, turns: list[int]) -> Iterable[tuple[float, float]]:
        """When whoever begins to speak takes the floor from the answer: until just after it broke off, or as they cut in."""
        for s in self._answers(turns[-1]) if turns else []:
            if s.how == "broke" and s.started_ms is not None and s.stopped_ms is not None:
                yield 0.0, s.stopped_ms + _GOES_ON_MS
            if s.how == "cut" and s.wanted and s.stopped_ms is not None:
                yield s.stopped_ms - _GOES_ON_MS, s.stopped_ms + _GOES_ON_MS

    def _signs(self, since: float) -> Iterable[float]:
        yield from self._met(since)
        yield from (alert.at_ms for alert in self.read.alerts if alert.at_ms >= since)

    def _met(self, since: float) -> Iterable[float]:
        """What the customer hears or reads."""
        read = self.read
        yield from (s.started_ms for s in read.sounds.values() if s.started_ms is not None and s.started_ms >= since)
        yield from (shown.at_ms for shown in read.shown if shown.at_ms >= since)

    def _sounds_now(self) -> bool:
        return any(s.how == "" and s.started_ms is not None for s in self.read.sounds.values())

    def _switched(self, one: InForce, end: float) -> Switched:
        """Where Clara speaks as it fails, the time counts from where she is done: nobody waits for her meanwhile."""
        spans = ((s.started_ms, s.stopped_ms or end) for s in self.read.sounds.values() if s.started_ms is not None)
        free_ms = max((until for since, until in spans if since <= one.from_ms < until), default=one.from_ms)

        def since(at_ms: float | None) -> float | None:
            return None if at_ms is None else round(max(0.0, at_ms - free_ms), 3)

        return Switched(
            service=one.service, target=one.target, at_ms=one.from_ms, lasted_ms=(one.until_ms or end) - one.from_ms,
            order_ms=since(one.ordered_ms), heard_ms=since(one.heard_ms), reason=one.reason,
        )  # fmt: skip

    # --- how long nothing was heard --------------------------------------------------------------------------

    def _silences(self, said: tuple[Said, ...], end: float) -> list[float]:
        """From the customer's last word to Clara's sound, and from where she broke off to where she goes on."""
        sounds = sorted((s.started_ms, s.stopped_ms or end, s) for s in self.read.sounds.values() if s.started_ms is not None)  # fmt: skip
        began = [began for _, began, _ in self.things if began is not None]
        waits = [(one.ended_ms, one) for one in said if one.ended_ms is not None and one.fate != "let be"]
        broke = [(until, None) for _, until, s in sounds if s.how == "broke"]
        found = []
        for since, one in (*waits, *broke):
            over = [(until, s.how) for start, until, s in sounds if start <= since < until]
            if any(how != "cut" for _, how in over):
                continue
            since = max((since, *(until for until, _ in over)))  # where the customer cut in, the wait begins
            heard = min((start for start, _, _ in sounds if start >= since), default=end)
            spoke = min((b for b in began if b > since), default=end)
            if one is None and not any(s.turn_id in self.turns for _, until, s in sounds if until == since):
                continue
            found.append(max(0.0, min(heard, spoke) - since))
        return found


def _outcome(said: tuple[Said, ...], switched: bool) -> Outcome:
    fates = {one.fate for one in said}
    for fate, outcome in (
        ("lost", "lost"),
        ("alerted", "alerted"),
        ("apologised", "apologised"),
        ("shown", "degraded"),
    ):
        if fate in fates:
            return outcome  # type: ignore[return-value]
    return "degraded" if switched else "survived"


def _union(spans: list[tuple[float, float]]) -> float:
    """How much time lies in at least one of them."""
    total = reached = 0.0
    for since, until in sorted(spans):
        total += max(0.0, until - max(since, reached))
        reached = max(reached, until)
    return total


def _words() -> Lexicon:
    from clara_kit.turns import usual_lexicon

    return usual_lexicon()
