"""The state of a conversation: plain data. Every reducer and policy reads it; only the pen writes.

One object, copied in some microseconds, so that a moment can be kept, shown, and gone on from.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from msgspec import Struct

from clara_kit.conversation.heard import Heard, Known, Voice, estimate
from clara_kit.conversation.history import History
from clara_kit.conversation.sentences import Chunker
from clara_kit.core.commands import Target
from clara_kit.core.events import Circuit, Service, SpeechStarted, SpokenWord, TranscriptFinal
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState, ConversationStateMachine

SAME_SOUND_MS = 250.0  # two ears name the beginning of one sound so far apart at most
SILENT_BY_MS = 1000.0  # so long after the order nothing is heard, whether that was told or not
FARTHEST_MS = 1e12  # thirty years: a time beyond it is nonsense and must not move the clock


class Turn(Struct):
    """The customer's side. `words`: what Clara has not begun to answer aloud."""

    turn_id: int = 0
    words: list[str] = []
    answered: str = ""  # what Clara answers aloud, and since when
    answered_ms: float = -FARTHEST_MS
    interim: str = ""
    interim_at_ms: float = 0.0
    over_ms: float = -FARTHEST_MS  # when it was taken to be over
    taken: tuple[str, ...] = ()  # words that count though no final has brought them yet, and when they were learnt of
    taken_until_ms: float = -FARTHEST_MS
    counted: list[TranscriptFinal] = []  # the last finals, which may come again
    ended_ms: float | None = None  # when the last word ended, until Clara is heard
    hold_ms: float = 0.0  # how long more words are waited for
    typed: bool = False  # the last words were; else they were heard
    looked_up: str = ""  # the words for which it was seen whether an answer is kept
    held_on: int = 0  # the turn in which «dame un momento» was said

    @property
    def question(self) -> str:
        """The words as one text."""
        return " ".join(self.words)


class Reply(Struct):
    """A reply that is being written. speculative: begun before the turn was surely over; adopted: it will be said."""

    reply_id: int
    chunker: Chunker
    phase: Literal["speculative", "adopted"] = "adopted"
    said_something: bool = False
    asked_ms: float = 0.0
    seen_chars: int = 0  # that waited in its chunker when it was last looked whether it is late
    by_backup: bool = False


class Utterance(Struct):
    """What Clara says: its pieces, its sound as far as known, and where it stands.

    waiting: not given to the voice yet, which is being connected or tried again, or while the customer may be speaking.
    asked: given, not heard yet. sounding: heard now. cut: silenced at `cut_ms`, not in the history yet.

    aside: said beside the conversation («un momento»): it answers nothing and is not remembered. own: spoken by the backup,
    which needs no order for its pieces. shown: it can only be read.
    """

    utterance_id: int
    turn_id: int
    phase: Literal["waiting", "asked", "sounding", "cut"] = "asked"
    pieces: list[str] = []
    given: int = 0  # pieces that went to the voice
    closed: bool = False  # no more pieces will come
    ended: bool = False  # and the voice knows
    tries: int = 0  # how often it was begun before, and broke off where it began
    started_ms: float | None = None
    cut_ms: float = 0.0
    voiced: list[tuple[float, ...]] = []  # as `heard.estimate` wants it
    words: list[SpokenWord] = []
    voice: Voice = Voice()
    handed_ms: list[float] = []  # when each piece was handed to the voice
    seen: bool = False  # its sound goes through the kit
    asked_ms: float = 0.0  # when the voice was first given something of it
    first_ms: float | None = None  # when the first sound of it came
    aside: bool = False
    own: bool = False
    shown: bool = False
    opener: int = 0  # so many of its pieces were ready, and are no answer
    new: bool = False  # it began with the first words of a reply
    whole: bool = False  # and has all of them
    by: str = ""  # signs its orders, so that a reader of the trace knows an apology or an aside: they answer nothing

    @property
    def text(self) -> str:
        """All pieces joined."""
        return " ".join(self.pieces)

    @property
    def only_opener(self) -> bool:
        """Nothing of an answer is in it yet."""
        return 0 < self.opener == len(self.pieces)

    def heard_until(self, at_ms: float) -> Heard:
        """What of it had been heard at `at_ms` on the conversation's clock."""
        if self.started_ms is None:
            return estimate(self.pieces, 0.0)
        known = Known(self.voice, tuple(handed_ms - self.started_ms for handed_ms in self.handed_ms), self.seen)
        heard = estimate(self.pieces[: self.given], at_ms - self.started_ms, self.voiced, self.words, known)
        if self.given < len(self.pieces):  # what the voice never got nobody heard
            rest = self.pieces[self.given :]
            heard = replace(heard, unheard=" ".join((heard.unheard, *rest) if heard.unheard else rest))
        return heard


class Health(Struct):
    """How a service fares. `failures`: in a row. `attempt`: of the present trouble. `down`: being connected, or given up.

    `circuit` and what follows it are written by `FallbackManager`; `target` is what stands in its place.
    """

    failures: int = 0
    attempt: int = 0
    since_ms: float = -FARTHEST_MS  # when it last came back
    down: Literal["", "broken", "given up"] = ""
    circuit: Circuit = "closed"
    target: Target = ""
    opened_ms: float = -FARTHEST_MS
    openings: int = 0  # since it was last trusted
    good: int = 0  # answers in a row while half open


class Kept(Struct):
    """A kept answer that was given. cut: the customer spoke before it was heard to its end."""

    question: str
    answer: str
    cut: bool = True


class Timer(Struct):
    """A timer that is set."""

    timer_id: str
    due_ms: float


@dataclass(slots=True)
class Talk:
    """Everything that a decision may depend on."""

    settings: Settings
    history: History
    machine: ConversationStateMachine = field(default_factory=ConversationStateMachine)
    now_ms: float = 0.0
    begun: bool = False
    over: bool = False
    greeting: str = ""
    customer_key: str = ""
    seed: int | None = None
    turn: Turn = field(default_factory=Turn)
    held: SpeechStarted | None = None  # a sound that may become an interruption
    ducked: bool = False  # Clara's sound is low meanwhile, and no new piece of hers is begun
    sounding: bool = False  # the local ear hears the customer now
    sound_ms: float = -FARTHEST_MS  # where the last sound began
    vendor_ms: float = -FARTHEST_MS  # and where, as the recogniser has it
    vad_ms: float = -FARTHEST_MS  # and as the local ear has it
    missed: bool = False  # the customer may have said something that nobody gave words for
    lasted_ms: float = 0.0  # how long the last sound was, as the local ear has it
    nod: str = ""  # what the held sound has brought, where that only says «go on»
    asked_ms: float = -FARTHEST_MS  # when the recogniser was last asked for the words of a sound that goes on
    aside_ms: float = -FARTHEST_MS  # when the held sound last brought words that take no floor
    let_go: tuple[float, float] = (-FARTHEST_MS, -FARTHEST_MS)  # the last sound that was none: its beginning and end
    spoke_from_ms: float = -FARTHEST_MS  # when Clara was last heard, once she has ended
    spoke_until_ms: float = -FARTHEST_MS
    spoke_text: str = ""
    answered_until_ms: float = -FARTHEST_MS  # and when with something that was not said beside the conversation
    replies: dict[int, Reply] = field(default_factory=dict)
    utterances: dict[int, Utterance] = field(default_factory=dict)
    voice: Voice = field(default_factory=Voice)  # in use, as far as it was measured
    stopping: tuple[int, float] = (0, -FARTHEST_MS)  # what was told to fall silent and is heard yet, and since when
    opener: str = ""  # what was last said before an answer was written
    kept: Kept | None = None  # the kept answer that was last given
    left_to_say: list[str] = field(default_factory=list)  # silenced before it was heard at all
    unfinished: bool = False  # a reply was stopped before it was written to its end, and nothing was asked since
    services: dict[Service, Health] = field(default_factory=dict)
    switched: bool = False  # something else stands behind a service, or is about to, or nothing does any more
    notice: str = ""  # why something was switched, and nobody could say so yet
    backup: Literal["", "opening", "there", "leaving", "home"] = ""
    """The session of the avatar vendor's own assistant; leaving: ours is being connected again, home: it is."""
    timers: dict[str, Timer] = field(default_factory=dict)  # by what they are for: one of a kind
    replies_begun: int = 0
    utterances_begun: int = 0
    timers_set: int = 0
    woken: bool = False  # the avatar was given silence, for something will be said
    watches_set: int = 0  # counted apart: runs from before there were any are still decided the same

    @property
    def state(self) -> ConversationState:
        """Whose turn it is."""
        return self.machine.state

    @property
    def reply(self) -> Reply | None:
        """The reply that will be said, while it is being written."""
        return next((r for r in self.replies.values() if r.phase == "adopted"), None)

    @property
    def utterance(self) -> Utterance | None:
        """What Clara says now, or is about to."""
        for utterance in self.utterances.values():  # a loop, for it is asked many times in every turn
            if utterance.phase != "cut":
                return utterance
        return None

    @property
    def answering(self) -> Utterance | None:
        """The same, but for what she says beside the conversation meanwhile."""
        for utterance in self.utterances.values():
            if utterance.phase != "cut" and not utterance.aside:
                return utterance
        return None

    @property
    def coming(self) -> bool:
        """More of an answer is on its way, from the model or after a wait."""
        if "look_up" in self.timers:
            return True
        return bool(self.replies) or "retry" in self.timers or (bool(self.turn.words) and "backup" in self.timers)

    @property
    def backup_answers(self) -> bool:
        """Whoever is asked now: ours is passed by, or does not hear the customer."""
        return self.backup != "" and (self.health("llm").circuit == "open" or self.health("stt").target == "backup")

    @property
    def mute(self) -> bool:
        """What Clara says can only be shown."""
        if not self.switched:
            return False
        avatar = self.health("avatar")
        gone = avatar.down == "given up" and not avatar.target
        return gone or (self.health("tts").target == "text" and avatar.target != "backup")

    @property
    def falls_silent(self) -> bool:
        """Clara was told to, and is heard yet, as far as is known; nobody waits for such a word for ever."""
        return bool(self.stopping[0]) and self.now_ms < self.stopping[1] + SILENT_BY_MS

    @property
    def since_sound_ms(self) -> float:
        """Since when nothing of Clara has been heard, as far as somebody waits for it."""
        return max(self.turn.over_ms, self.answered_until_ms)

    @property
    def cut(self) -> Utterance | None:
        """What was silenced and is not in the history yet."""
        for utterance in self.utterances.values():
            if utterance.phase == "cut":
                return utterance
        return None

    @property
    def customers_floor(self) -> bool:
        """The customer speaks, or it is not known yet that they do not."""
        return self.state is ConversationState.USER_SPEAKING or (
            self.state is ConversationState.INTERRUPTED and ("no_words" in self.timers or bool(self.turn.interim))
        )

    @property
    def began_ms(self) -> float:
        """When the words of an interim result began, as far as the ears know."""
        return self.now_ms if self.sound_ms < 0 else self.sound_ms

    @property
    def ears_agree(self) -> bool:
        """The sound that is held is one for the recogniser and for the local ear, or there is but one of them."""
        if self.held is None or not self.settings.local_vad or self.held.source == "script":
            return self.held is not None
        if self.health("stt").down:
            return True
        return min(self.vendor_ms, self.vad_ms) >= self.held.sound_at_ms - SAME_SOUND_MS

    @property
    def is_quiet(self) -> bool:
        """Nothing is being said, written or waited for (a broken service may be on its way back)."""
        return self.utterance is None and not self.replies and all(k.startswith(_LATER) for k in self.timers)

    def health(self, service: Service) -> Health:
        """How a service fares, as far as anybody noticed."""
        return self.services.get(service, _WELL)

    def copy(self) -> Talk:
        """The same state, apart: whatever happens to one does not change the other."""
        twin: Talk = _copied(self)
        return twin


def _copied(part: Any) -> Any:
    """A copy of what can change; what cannot (texts, events, settings) is shared."""
    kind: Any = type(part)
    if kind in _PLAIN:  # most are; and to ask whether one is a Chunker takes the longest of all
        return part
    if kind is list:
        return [*part]  # of texts, pairs and words, none of which can change
    if kind is dict:
        return {key: _copied(value) for key, value in part.items()}
    if kind in _PARTS:
        twin = copy(part) if isinstance(part, Struct) else kind.__new__(kind)
        for name in kind.__slots__:
            value = getattr(part, name)
            setattr(twin, name, value if type(value) in _PLAIN else _copied(value))
        return twin
    return part.copy() if isinstance(part, Chunker) else part


_LATER = ("connect", "probe", "reopen", "unheard")  # what nobody waits for
_WELL = Health()  # of whom nothing was heard; nobody writes into it
_PLAIN = frozenset((str, float, int, bool, tuple, type(None), Settings, SpeechStarted, ConversationState, Voice))
_PARTS = frozenset((Talk, Turn, Reply, Utterance, Health, Kept, Timer, History, ConversationStateMachine))
