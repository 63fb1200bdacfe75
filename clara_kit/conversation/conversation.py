"""The one place where anything is decided: `Conversation.handle(event) -> commands`.

Comes after the providers (through the runtime, the simulation or a replay), before whoever carries the commands out.
Pure: time arrives inside the event, nothing is awaited, nothing is drawn. `handle` never raises; what makes no sense
is recorded as `Ignored`. Everything that comes in, every change of state and everything that goes out stands in
`trace`, in order, each with its reason, and signed by the policy that decided where one was asked.

Which machines there are. Five states are declared (`core/states.py`): whose turn it is. Beside them, and mostly
independent of them, live

- **replies**, by id: speculative → adopted → gone. In PROCESSING one is being written, or a retry waits (timer
  "retry"), or what was ready is spoken already. Words take the floor for good: they cancel it. A sound alone may leave
  it: in USER_SPEAKING and INTERRUPTED it is then written on, and what it brings waits.
- **utterances**, by id: waiting → asked → sounding → gone, and from sounding to cut when silenced. AVATAR_SPEAKING
  means that one is sounding. At most one is not cut; at most one is cut, until the next word (or its absence)
  settles how much of it was heard. IDLE with one *asked* is the moment between an order to speak and the sound. One
  *waits* for a voice that is being connected or tried again, or for a customer who may be speaking.
- **the customer's turn**: words that Clara has not begun to answer aloud. They grow across interruptions, are sent
  with each request, and become history when she is heard. Who goes on just then gets them back.
- **a held sound**: at most one, exactly while the timer "barge_in" runs. This is the first of two steps: while it is
  held, Clara is low (`Duck`) and begins no new piece, which undoes itself; only the second one, yielding, stops her.
- **services**: working, broken (being connected again), given up. A broken one is awaited; its state changes no other
  machine, but what it can no longer bring is not waited for. Each has a circuit too (`fallback.py`): while it is open
  something else stands in its place (`target`), and one turn after the other is its trial before it is trusted again.
- **the backup**, the avatar vendor's own assistant: absent → opening → there → leaving → home → absent. There, Clara's voice
  moves to it as soon as she is silent (the avatar's `target`), for two voices never speak at once; a reply that it gives is
  written and spoken in one (`Reply.by_backup`, `Utterance.own`). On the way home hers is connected again first.
- **what is said beside the conversation** («un momento»): an utterance that answers nothing (`aside`) and may sound while the
  answer is written; what answers waits behind it, so that two may be alive, of which one waits.
- **an opener**: the first piece of an answer's utterance, ready before a word of the answer is written (`Utterance.opener`). While
  it is all there is, the turn is not answered: whoever speaks then goes on with the same turn, and nothing of it is remembered.
- **timers**, one of a kind. Each implies something: "no_words" a sound without words yet, "final_wait" interim words,
  "turn_end" final words that may go on, "profile" a greeting that waits, "retry…" and "connect…" a second attempt, "look_up" a
  question of which it is to be seen whether an answer is kept, "backup" a question that the backup is to answer, "hears_again" words that it is to hear, "heard_again" those that the recogniser is sent again, "probe…" a trial. "slow" and "unheard" only
  look on: they name who is late.

What may happen to what: only the customer (a sound that lasts, words, typing, the button) takes Clara's floor; only
her being heard moves words into the history; only the end of both sides leads to IDLE. Late events are told by id and
phase: what is not alive is ignored with a word.

Mechanics are in the reducers below (`lateness`, `backup_trouble`, `trouble`, `hands`, `opening`, `listening`, `going_on`,
`replying`, `switching`, `backup`, `speaking`, `giving`: each asks the ones after it, never before), judgement in `policies.py`, the state in `talk.py`, and `pen.py` writes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from clara_kit.conversation import (
    backup_trouble,
    going_on,
    hands,
    lateness,
    listening,
    opening,
    replying,
    speaking,
    switching,
    trouble,
    voicing,
)
from clara_kit.conversation.history import History
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policies import STANDARD, Policies
from clara_kit.conversation.talk import FARTHEST_MS, Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState
from clara_kit.core.text import Halves

Reducer = Callable[[Pen, Any], object]

TIMERS: dict[str, Reducer] = {
    "barge_in": listening.sound_lasted,
    "no_words": listening.no_words_came,
    "turn_end": listening.nothing_more_came,
    "final_wait": listening.final_never_came,
    "profile": opening.no_profile_came,
    "look_up": replying.not_known,
    "retry": trouble.request_again,
    "retry_voice": trouble.speak_again,
    "retry_shop": trouble.ask_shop_again,
    "heard_again": trouble.not_heard_again,
    "connect_stt": partial(trouble.connect_again, "stt"),
    "connect_avatar": partial(trouble.connect_again, "avatar"),
    "slow": lateness.late,
    "unheard": listening.unheard,
    "backup": backup_trouble.backup_is_late,
    "hears_again": backup_trouble.backup_is_late,
    "reopen_backup": backup_trouble.open_backup_again,
    **{f"probe_{service}": partial(switching.probe, service) for service in ("stt", "llm", "tts", "avatar")},
}


def _timer_fired(pen: Pen, event: ev.TimerFired) -> None:
    kind = event.timer_id.partition("#")[0]
    timer = pen.talk.timers.get(kind)
    if timer is None or timer.timer_id != event.timer_id:
        return pen.ignore(event, "this timer was cancelled or replaced")
    del pen.talk.timers[kind]
    TIMERS[kind](pen, event)


def _recorded(pen: Pen, event: ev.Event) -> None:
    """It is in the trace; that is all."""


REDUCERS: dict[type[ev.Event], Reducer] = {
    ev.ConversationStarted: opening.started,
    ev.ProfileLoaded: opening.profile_loaded,
    ev.ConversationStopped: opening.stopped,
    ev.SettingsChanged: opening.settings_changed,
    ev.ServiceExchanged: voicing.exchanged,
    ev.SpeechStarted: listening.sound_began,
    ev.SpeechEnded: listening.sound_ended,
    ev.TranscriptInterim: listening.interim,
    ev.TranscriptFinal: listening.final,
    ev.TurnEndExpected: listening.expected,
    ev.TurnResumed: listening.expected,
    ev.TextTyped: hands.typed,
    ev.InterruptRequested: hands.button,
    ev.ReplyStarted: replying.awaited,
    ev.ReplyDelta: replying.delta,
    ev.ReplyCompleted: trouble.completed,
    ev.AnswerFound: replying.found,
    ev.AnswerNotFound: replying.not_found,
    ev.SpeechSent: voicing.sent,
    ev.FirstAudio: voicing.first_audio,
    ev.SpeechVoiced: voicing.voiced,
    ev.SpeakingStarted: speaking.started,
    ev.SpeakingEnded: speaking.ended,
    ev.SpeakingInterrupted: going_on.stopped,
    ev.ProviderFailed: backup_trouble.failed,
    ev.ProviderRecovered: trouble.recovered,
    ev.ProviderWarned: _recorded,
    ev.HealthTold: switching.told,
    ev.KeepingFailed: _recorded,
    ev.KeepingRecovered: _recorded,
    ev.TurnHeard: _recorded,
    ev.FaultInjected: _recorded,
    ev.TimerFired: _timer_fired,
}
_MAY_BE_HELD = listening.sound_began


def decide(pen: Pen, reducer: Reducer, event: ev.Event) -> None:
    """What follows from an event or a timer; last of all, what a sound that is held, or is not any more, means for Clara's."""
    held = pen.talk.held
    reducer(pen, event)
    if held is not None or pen.talk.held is not None:
        speaking.mind_the_sound(pen)


class Conversation:
    """Decides. Feed it events in the order they are learnt of; do what it says.

    policies: its judgement, the kit's own unless given. talk: go on from this state (a `snapshot`) instead of from
    the beginning; the trace then begins there.
    """

    __slots__ = ("_halves", "_pen", "talk", "trace")

    def __init__(
        self, settings: Settings | None = None, *, policies: Policies = STANDARD, talk: Talk | None = None
    ) -> None:
        if talk is None:
            settings = settings or Settings()
            talk = Talk(settings, History(max_messages=settings.history_max_messages))
        self.talk = talk
        self._pen, self._halves = Pen(talk, policies), Halves()
        self.trace: list[Record] = self._pen.trace
        """Everything that came, was decided and was ordered, in order."""

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        return self.talk.settings

    @property
    def policies(self) -> Policies:
        """Who is asked what."""
        return self._pen.policies

    @property
    def history(self) -> History:
        """What was said so far, as a model wants it."""
        return self.talk.history

    @property
    def state(self) -> ConversationState:
        """Whose turn it is."""
        return self.talk.machine.state

    @property
    def is_quiet(self) -> bool:
        """Nothing is being said, written or waited for."""
        return self.talk.is_quiet

    def can_interrupt(self) -> bool:
        """Whether Clara is speaking, so that she can be interrupted."""
        return self.talk.machine.can_interrupt()

    def snapshot(self) -> Talk:
        """The state as it is now, apart from what comes: `Conversation(talk=snapshot)` goes on from it."""
        return self.talk.copy()

    def handle(self, event: ev.Event) -> tuple[do.Command, ...]:
        """What to do now. Never raises, whatever comes in whatever order."""
        if self._halves.takes(event):
            return self._handle(event)
        first, *more = self._halves.events(event)
        return sum(map(self._handle, more), self._handle(first))

    def _handle(self, event: ev.Event) -> tuple[do.Command, ...]:
        pen, talk = self._pen, self.talk
        pen.by = ""
        reducer = REDUCERS.get(type(event))
        if reducer is None:
            pen.ignore(event, "not an event of this kit")
            return ()
        out = pen.out = []
        try:
            at_ms = event.at_ms
            if not -FARTHEST_MS < at_ms < FARTHEST_MS:
                pen.ignore(event, f"its time is no time: {at_ms} ms")
                return ()
            pen.trace.append(event)
            if at_ms > talk.now_ms:  # a late event does not turn the clock back
                talk.now_ms = at_ms
            if talk.over:
                pen.ignore(event, "the conversation is over")
            else:
                if talk.held is None and reducer is not _MAY_BE_HELD:  # nearly always, and a call less
                    reducer(pen, event)
                else:
                    decide(pen, reducer, event)
                if talk.switched and not talk.over:
                    backup_trouble.settle(pen)
                if talk.turn.words and not talk.timers:
                    lateness.answered_at_all(pen)
        except Exception as exc:  # the promise is never to raise; a mistake of ours must be seen, not felt
            pen.ignore(event, f"internal error: {type(exc).__name__}: {exc}")
            pen.do(do.RaiseAlert, "a mistake in the kit", name="internal_error", message=str(exc))
        return tuple(out) if out else ()
