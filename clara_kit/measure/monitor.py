"""Where the milliseconds go while people talk: rolling percentiles of each stage, budgets, and alerts.

Reads the records of one conversation, or of many, as they come, and knows no clock of its own. A turn is read by the very
ledger that reads a finished run, so that the two cannot differ. The percentiles are exact over the newest `window` values
of a stage: these are few enough to be kept, in order, and nothing is estimated. What is older is forgotten, and so is each
turn once the next ones have come: however long it runs, it takes no more room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import islice, pairwise
from typing import NamedTuple

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import SettingsError
from clara_kit.core.records import Record, StateChanged
from clara_kit.core.states import ConversationState
from clara_kit.measure import ledger
from clara_kit.measure.rolling import Value, Window
from clara_kit.measure.story import Story
from clara_kit.measure.told import Turn as ToldTurn

TOTAL, ANSWER, GAP = "total", "answer", "gap"
BUDGETS_MS: Mapping[str, float] = {
    # What 19 of 20 turns keep to by the published figures (data/latency/published.yaml): of five turns three are above it
    # by chance once in a thousand times, so that whoever sees an alert sees a change. (Of the avatar one in twelve is above
    # it: its slow starts are left out, and three of five are so once in two hundred times.)
    "hear": 600,  # 300 of silence, and the final words 298 after it
    "send": 50,  # estimate: nothing leaves this machine before
    "think": 1615,
    "first sentence": 440,  # 22 tokens at 50 a second
    "hand over": 50,  # estimate
    "voice": 250,
    "avatar": 2000,
    "backup": 3400,
    "ear": 550,  # 250 of silence at the head of the sound, and 300 on its way
    TOTAL: 3000,  # the plan's SLOW_RESPONSE_MS
    ANSWER: 3000,
    GAP: 400,  # estimate: so long is a pause between two sentences
}
"""Usual limits in milliseconds, by the name of the stage. A stage without one raises no alert."""
KEPT_TURNS = 4  # of one conversation: what is still told of a turn may come when others have begun
TOLD = 100  # alerts, the newest
_WAY, _THOUGHT = tuple(pairwise(ledger.POINTS)), ("send", "think", "first sentence")
_NEW, _HEARD = (do.RequestReply, do.AskBackup, ev.AnswerFound), (ev.SpeakingStarted, ev.SpeechVoiced)
_MOMENTS = frozenset({*_NEW, *_HEARD, StateChanged})


class Figures(NamedTuple):
    """One stage over the newest turns, in milliseconds. n: how many values; a p95 of fewer than 20 is mostly chance."""

    n: int
    last: float
    p50: float
    p95: float
    p99: float
    budget: float | None
    alert: bool
    over: int
    """How many of them were above the budget."""


class Alert(NamedTuple):
    """A stage went over its budget (`raised`), or came back under it."""

    stage: str
    raised: bool
    at_ms: float
    ms: float
    """So much or more took `slow` of the last `turns` turns."""
    limit_ms: float
    """What that went over, or came under."""
    slow: int
    turns: int
    of: str = ""
    turn_id: int = -1

    def __str__(self) -> str:
        how = "is over its budget of" if self.raised else "is well again, under"
        took = f"{self.slow} of the last {self.turns} turns took {self.ms:.0f} ms or more"
        return f"{self.stage} {how} {self.limit_ms:.0f} ms: {took}"


class Timed(NamedTuple):
    """A turn is over. `values`: what the monitor took of it, by stage; `told`: the requests and utterances behind them."""

    of: str
    at_ms: float
    turn: ledger.Turn
    told: ToldTurn
    values: dict[str, float]


class _Talk:
    """What is still known of one conversation."""

    def __init__(self) -> None:
        self.story = Story()
        self.open: dict[int, dict[str, Value]] = {}  # the turns whose times may still change
        self.over: set[int] = set()  # those of them of which it was told

    def forget(self) -> None:
        """All but the newest turns."""
        story = self.story
        while len(story.turns) > KEPT_TURNS:
            oldest = next(iter(story.turns))
            turn = story.turns.pop(oldest)
            for reply in turn.replies:
                story.replies.pop(reply.reply_id, None)
            for utterance in turn.utterances:
                story.utterances.pop(utterance.utterance_id, None)
            self.open.pop(oldest, None)
            self.over.discard(oldest)
        story.said.clear()


class LatencyMonitor:
    """`read` every record of a conversation that runs; `figures` and `alerts` are then as they are now.

        monitor = LatencyMonitor()
        clara.subscribe(monitor.read)

    budgets: the limit of each stage in ms (default `BUDGETS_MS`). window: of so many turns the percentiles are.
    An alert is raised when `slow` of the last `of_last` turns are over the budget (one slow turn is none), and cleared when
    fewer than that are over `clear_at` of it, so that what lies at the limit does not flicker. Not for two threads at once:
    see `runtime/watching.py`. Raises `SettingsError`.
    """

    def __init__(
        self,
        budgets: Mapping[str, float] = BUDGETS_MS,
        *,
        window: int = 500,
        of_last: int = 5,
        slow: int = 3,
        clear_at: float = 0.8,
    ) -> None:
        if not (1 <= slow <= of_last <= window and 0 < clear_at <= 1):
            raise SettingsError(
                "These limits of a monitor cannot be.", hint="1 <= slow <= of_last <= window, and 0 < clear_at <= 1."
            )
        self._window, self._of_last, self._slow, self._clear_at = window, of_last, slow, clear_at
        self._budgets: dict[str, float] = {}
        self._talks: dict[str, _Talk] = {}
        self.told: deque[Alert] = deque(maxlen=TOLD)
        """The newest alerts, raised and cleared, in order."""
        self.version = 0
        """Another one whenever there is something new to be seen."""
        self.start_anew()
        self.budget(**budgets)

    @property
    def budgets(self) -> dict[str, float]:
        """The limit of each stage in ms."""
        return dict(self._budgets)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Those that are raised now, the oldest first."""
        return tuple(self._raised.values())

    @property
    def figures(self) -> dict[str, Figures]:
        """Each stage that has had a value."""
        return {name: self._figures(name, window) for name, window in self._windows.items() if window.newest}

    def budget(self, **limits_ms: float) -> tuple[Alert, ...]:
        """Set limits, by the names of the stages; 0: none. Returns the alerts that follow from it. Raises `SettingsError`."""
        for name, ms in limits_ms.items():
            if isinstance(ms, bool) or not isinstance(ms, int | float) or not 0 <= ms <= 600_000:
                raise SettingsError(f"{ms!r} is no budget for {name}.", hint="milliseconds from 0 (none) to 600000.")
        for name, ms in limits_ms.items():
            self._budgets.pop(name, None)
            if ms:
                self._budgets[name] = float(ms)
        self.version += 1
        return tuple(one for name in limits_ms if name in self._windows for one in self._judge(name, 0.0, "", -1))

    def read(self, record: Record, of: str = "") -> tuple[Timed | Alert, ...]:
        """The next record of the conversation `of`; returns what it brought about: turns that are over, alerts."""
        talk = self._talks.get(of)
        if talk is None:
            talk = self._talks[of] = _Talk()
        talk.story.read(record)
        kind = type(record)
        if kind is ev.ConversationStopped:
            return self.leave(of)
        if kind not in _MOMENTS:
            return ()
        if isinstance(record, _NEW):
            talk.over.discard(record.turn_id)  # new words began it anew
            return self._settle(talk, of, but=record.turn_id)
        if isinstance(record, StateChanged):
            return self._settle(talk, of) if record.target is ConversationState.IDLE else ()
        utterance = talk.story.utterances.get(record.utterance_id)  # type: ignore[union-attr]
        if utterance is None or utterance.started_ms is None:
            return ()
        if not 1 <= len(utterance.voiced) <= 1 + utterance.openers:
            return ()  # what its sound is like will be told soon; or it changes nothing any more before its end
        about = talk.story.turns[utterance.turn_id]
        return self._look(talk, of, ledger._turn(about))

    def leave(self, of: str = "") -> tuple[Timed | Alert, ...]:
        """A conversation is over: what was open of it counts as it stands, and nothing of it is kept."""
        talk = self._talks.pop(of, None)
        return self._settle(talk, of) if talk is not None else ()

    def start_anew(self) -> None:
        """Forget all figures and alerts, but no budget, and not what is going on."""
        self._windows: dict[str, Window] = {}
        self._raised: dict[str, Alert] = {}
        self.turns = self.unanswered = 0
        """How many are over, and how many of them have no total: she never answered aloud."""
        self.told.clear()
        self.version += 1
        for talk in self._talks.values():
            talk.open.clear()

    # --- inside ---------------------------------------------------------------------------------------------

    def _settle(self, talk: _Talk, of: str, but: int = -1) -> tuple[Timed | Alert, ...]:
        """Every turn is over but this one."""
        told: list[Timed | Alert] = []
        for turn_id, about in [*talk.story.turns.items()]:
            if turn_id == but or (turn_id in talk.over and turn_id != max(talk.story.turns)):
                continue
            turn = ledger._turn(about)
            told += self._look(talk, of, turn)
            if turn_id in talk.over:
                continue  # something more was said in it, of which it is not told again
            talk.over.add(turn_id)
            self.turns += 1
            self.unanswered += turn.kind != "greeting" and turn.total_ms is None
            self.version += 1
            values = {name: value.ms for name, value in talk.open.get(turn_id, {}).items()}
            told.append(Timed(of, talk.story.now_ms, turn, about, values))
        talk.forget()
        return tuple(told)

    def _look(self, talk: _Talk, of: str, turn: ledger.Turn) -> tuple[Alert, ...]:
        """Take what is known of a turn by now."""
        told: list[Alert] = []
        known, now = talk.open.setdefault(turn.turn_id, {}), times(turn)
        for name in [name for name in known if name not in now]:  # it was begun anew, and answered another way
            self._windows[name].take_back(known.pop(name))
            told += self._judge(name, talk.story.now_ms, of, turn.turn_id)
        for name, ms in now.items():
            window = self._windows.get(name) or self._windows.setdefault(name, Window(self._window))
            if name not in known:
                known[name] = window.put(ms)
            elif known[name].ms != ms:
                window.change(known[name], ms)
            else:
                continue
            self.version += 1
            told += self._judge(name, talk.story.now_ms, of, turn.turn_id)
        return tuple(told)

    def _judge(self, name: str, at_ms: float, of: str, turn_id: int) -> tuple[Alert, ...]:
        """Is it over its budget now, or under it again?"""
        limit_ms, raised = self._budgets.get(name), name in self._raised
        newest = sorted((one.ms for one in islice(reversed(self._windows[name].newest), self._of_last)), reverse=True)
        ms = newest[min(self._slow, len(newest)) - 1] if newest else 0.0
        if limit_ms is None:  # nothing to be over any more
            is_over, limit_ms = False, self._raised[name].limit_ms if raised else 0.0
        else:
            limit_ms *= self._clear_at if raised else 1.0
            is_over = len(newest) >= self._slow and ms > limit_ms
        if is_over == raised:
            return ()
        alert = Alert(name, is_over, at_ms, ms, limit_ms, min(self._slow, len(newest)), len(newest), of, turn_id)
        if is_over:
            self._raised[name] = alert
        else:
            del self._raised[name]
        self.told.append(alert)
        self.version += 1
        return (alert,)

    def _figures(self, name: str, window: Window) -> Figures:
        limit = self._budgets.get(name)
        over = 0 if limit is None else sum(ms > limit for ms in window.sorted)
        p50, p95, p99 = (window.quantile(share) for share in (0.5, 0.95, 0.99))
        return Figures(len(window.sorted), window.newest[-1].ms, p50, p95, p99, limit, name in self._raised, over)

    def __repr__(self) -> str:
        total = self.figures.get(TOTAL)
        middle = "no total yet" if total is None else f"total p50 {total.p50:.0f} ms"
        return f"<LatencyMonitor: {self.turns} turns, {middle}, {len(self._raised)} alerts>"


def times(turn: ledger.Turn) -> dict[str, float]:
    """What of a turn is watched, in ms by stage: those of the ledger, the total to the ear, the first word of the answer
    where an opener came before it, and the longest gap in the middle of it.

    What was typed was not heard, where an answer was kept nobody thought, and where its sound was, or an opener's, nobody
    spoke: no figure is made better by what never was.
    Behind an opener the model is watched all the same.
    """
    at = turn.points
    stages = turn.stages if turn.by_backup else {f"{a} → {b}": at[b] - at[a] for a, b in _WAY if a in at and b in at}
    found = {ledger.LABELS[stage]: ms for stage, ms in stages.items() if stage in ledger.LABELS and ms >= 0}
    never = (
        ("hear", turn.kind == "typed"),
        ("voice", turn.kept or turn.opener),
        *((name, turn.kept) for name in _THOUGHT),
    )
    for name in (name for name, so in never if so):
        found.pop(name, None)
    if turn.kind != "greeting":
        heard = {TOTAL: turn.total_ms, ANSWER: turn.answer_ms if turn.opener else None}
        found |= {name: ms for name, ms in heard.items() if ms is not None}
    if "speaking_started" in at:
        found[GAP] = max(turn.gaps_ms, default=0.0)
    return found
