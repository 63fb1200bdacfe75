"""The pen: the only thing that writes. It changes the state, sets timers, gives commands, and puts it all on record.

Between the state (`talk.py`) and the reducers. It knows no event and no rule; the order in which it is used is the
order of the trace. `by`, the policy that was asked last, signs whatever follows from its decision.
"""

from __future__ import annotations

from typing import Any

from clara_kit.conversation.fallback import FallbackManager
from clara_kit.conversation.heard import Heard
from clara_kit.conversation.policies import ROOM, Policies
from clara_kit.conversation.policy import Decision, Question
from clara_kit.conversation.sentences import Chunker
from clara_kit.conversation.talk import Health, Reply, Talk, Timer, Utterance
from clara_kit.core import commands as do
from clara_kit.core.events import Service
from clara_kit.core.records import HeardEstimated, Ignored, Record, StateChanged
from clara_kit.core.states import ConversationState

WATCHES = ("slow", "unheard")  # timers that only look on


class Pen:
    """Writes one conversation."""

    __slots__ = ("by", "out", "policies", "talk", "trace")

    def __init__(self, talk: Talk, policies: Policies) -> None:
        self.talk, self.policies = talk, policies
        self.trace: list[Record] = []
        self.out: list[do.Command] = []
        self.by = ""

    def ask(self, question: Question, *, sign: bool = True) -> Decision:
        """The decision of the first policy that has one; what follows is signed by it. Raises `LookupError`."""
        talk = self.talk
        for policy in getattr(self.policies, ROOM[type(question)]):
            decision: Decision | None = policy.decide(talk, question)
            if decision is not None:
                if sign:
                    self.by = policy.name
                return decision
        raise LookupError(f"no policy answers {type(question).__name__}")

    # --- commands and records ----------------------------------------------------------------------------

    def do(self, kind: type[do.Command], why: str, **fields: Any) -> None:
        """Give a command."""
        command = kind(at_ms=self.talk.now_ms, reason=why, by=self.by, **fields)
        self.out.append(command)
        self.trace.append(command)

    def ignore(self, event: Any, why: str) -> None:
        """Record that an event, or a part of it, had no effect."""
        self.trace.append(Ignored(at_ms=self.talk.now_ms, by=self.by, event=type(event).__name__, reason=why))

    def change(self, state: ConversationState, why: str, *only_from: ConversationState) -> None:
        """Change the state; nothing where it is the same, or none of `only_from`. Raises `InvalidTransition`."""
        talk = self.talk
        source = talk.machine.state
        if source is not state and (not only_from or source in only_from):
            talk.machine.transition(state, why)
            self.trace.append(StateChanged(
                at_ms=talk.now_ms, by=self.by, turn_id=talk.turn.turn_id, source=source, target=state, reason=why
            ))  # fmt: skip
            if talk.woken and state is not ConversationState.PROCESSING:
                talk.woken = False
                if state is not ConversationState.AVATAR_SPEAKING:
                    self.do(do.WakeAvatar, why, on=False)

    def wake(self, why: str) -> None:
        """Something will be said that is not there yet: the avatar may begin, where that is wanted and it has nothing to say."""
        talk = self.talk
        if talk.settings.open_avatar_early and not talk.woken and talk.utterance is None:
            talk.woken = True
            self.do(do.WakeAvatar, why, on=True)

    # --- timers ------------------------------------------------------------------------------------------

    def set_timer(self, kind: str, after_ms: float, why: str) -> None:
        """Ring after a while. One of a kind: an earlier one is cancelled."""
        self.set_timer_at(kind, self.talk.now_ms + after_ms, why)

    def set_timer_at(self, kind: str, due_ms: float, why: str) -> None:
        """Ring at a time."""
        talk = self.talk
        self.cancel_timer(kind, "set anew")
        if kind in WATCHES:
            talk.watches_set += 1
            number = talk.watches_set
        else:
            talk.timers_set += 1
            number = talk.timers_set
        timer = talk.timers[kind] = Timer(f"{kind}#{number}", due_ms)
        self.do(do.SetTimer, why, timer_id=timer.timer_id, due_ms=due_ms)

    def cancel_timer(self, kind: str, why: str) -> bool:
        """Forget a timer; says whether it was set."""
        timer = self.talk.timers.pop(kind, None)
        if timer is not None:
            self.do(do.CancelTimer, why, timer_id=timer.timer_id)
        return timer is not None

    def cancel_timers(self, why: str, *kinds: str) -> None:
        """Forget several."""
        timers = self.talk.timers
        for kind in kinds if timers else ():
            if kind in timers:
                self.cancel_timer(kind, why)

    # --- the customer's words ----------------------------------------------------------------------------

    def add_words(self, *texts: str) -> None:
        """Final words: they begin the customer's turn, or go on with it."""
        turn = self.talk.turn
        if not turn.words:
            turn.turn_id += 1
        turn.words.extend(texts)
        turn.interim = ""

    def turn_is_heard(self) -> None:
        """The customer's words are Clara's to answer no more: they are history."""
        turn = self.talk.turn
        if turn.words:
            self.talk.history.add_user(turn.question)
            turn.answered, turn.answered_ms, turn.words = turn.question, self.talk.now_ms, []

    def forget_sound(self, why: str) -> None:
        """A held sound needs no judgement any more."""
        self.talk.held = None
        self.cancel_timer("barge_in", why)

    # --- replies and utterances --------------------------------------------------------------------------

    def begin_reply(self, chunker: Chunker) -> Reply:
        """A reply is awaited from now on."""
        talk = self.talk
        talk.replies_begun += 1
        reply = talk.replies[talk.replies_begun] = Reply(talk.replies_begun, chunker, asked_ms=talk.now_ms)
        return reply

    def end_reply(self, reply_id: int) -> None:
        """It is done, or failed."""
        self.talk.replies.pop(reply_id, None)

    def cancel_reply(self, why: str) -> None:
        """Whatever is being written is not wanted any more."""
        for reply_id, reply in list(self.talk.replies.items()):
            # What answers a question that is history already was asked anew, or begun: nobody else will ask.
            self.talk.unfinished |= reply.said_something or not self.talk.turn.words
            self.end_reply(reply_id)
            self.do(do.CancelReply, why, reply_id=reply_id)

    def begin_utterance(self, turn_id: int, *, waiting: bool) -> Utterance:
        """Clara has something to say."""
        talk = self.talk
        talk.utterances_begun += 1
        utterance = Utterance(talk.utterances_begun, turn_id, "waiting" if waiting else "asked")
        talk.utterances[utterance.utterance_id] = utterance
        return utterance

    def end_utterance(self, utterance: Utterance) -> None:
        """It is over, one way or the other."""
        talk = self.talk
        talk.utterances.pop(utterance.utterance_id, None)
        if utterance.started_ms is not None:
            until_ms = min(utterance.cut_ms, talk.now_ms) if utterance.phase == "cut" else talk.now_ms
            talk.spoke_from_ms, talk.spoke_until_ms, talk.spoke_text = utterance.started_ms, until_ms, utterance.text
            if not utterance.aside:
                talk.answered_until_ms = until_ms

    def cut_utterance(self, utterance: Utterance) -> None:
        """It was silenced now; the history will know how much of it was heard."""
        utterance.phase, utterance.cut_ms = "cut", self.talk.now_ms

    def heard(self, utterance: Utterance, heard: Heard) -> None:
        """Record how much of a cut utterance was heard."""
        self.trace.append(HeardEstimated(
            at_ms=self.talk.now_ms, by=self.by, turn_id=utterance.turn_id, utterance_id=utterance.utterance_id,
            heard=heard.heard, unheard=heard.unheard, method=heard.method, plus_minus_words=heard.plus_minus_words,
        ))  # fmt: skip

    # --- services ----------------------------------------------------------------------------------------

    def health(self, service: Service) -> Health:
        """The state of a service, to be written."""
        return self.talk.services.setdefault(service, Health())

    @property
    def fallback(self) -> FallbackManager:
        """Who counts and opens and closes."""
        settings = self.talk.settings
        return FallbackManager(
            self.talk.services, threshold=settings.failure_threshold, open_ms=settings.fallback_open_ms,
            successes=settings.fallback_successes,
        )  # fmt: skip
