"""What happened: the events that providers and people send into a conversation.

Comes before `Conversation.handle`, which is the only reader that decides anything. An event is a frozen
value in the past tense; `at_ms` is the time on the conversation's one monotonic clock at which the kit
learnt of it. Ids tie it to what it answers, so that whatever comes late can be told from what is current.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from clara_kit.core.errors import FailureKind as FailureKind
from clara_kit.core.errors import ProviderError

SpeechSource = Literal["vendor", "vad", "script"]
Service = Literal["stt", "llm", "tts", "avatar", "shop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, learnt of at `at_ms` (milliseconds on the conversation's clock)."""

    at_ms: float


# --- the conversation itself ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationStarted(Event):
    """Everything is connected; Clara speaks `greeting` first unless it is empty.

    `customer_key` stands for a customer whom the shop may know (a hash, never an address or a name); the greeting
    then waits for the profile, but not longer than the deadline.
    """

    greeting: str = ""
    customer_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationStopped(Event):
    """Someone hung up: whatever is running must end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged(Event):
    """A knob was turned in mid-conversation; `changes` are (field name, new value) pairs of `Settings`."""

    changes: tuple[tuple[str, bool | int | float | str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileLoaded(Event):
    """What the shop knows of the customer has come; only the names of the known fields enter the trace.

    `greeting` has placeholders where words of the profile stand; empty: the usual greeting. `age_s` is how long
    ago the shop said it: above 0 where it comes from the cache.
    """

    known_fields: tuple[str, ...]
    greeting: str = ""
    age_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Event):
    """A timer set by `SetTimer` is due."""

    timer_id: str


# --- the customer --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One recognised word and when it was said, on the conversation's clock."""

    text: str
    start_ms: float
    end_ms: float
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted(Event):
    """A sound like speech began. It may still be a cough, or Clara's own echo."""

    source: SpeechSource
    sound_at_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded(Event):
    """The sound stopped at `sound_at_ms`; `at_ms` is later by the detector's hangover."""

    source: SpeechSource
    sound_at_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptInterim(Event):
    """The words of the current utterance so far, all of them; later ones may revise earlier ones."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptFinal(Event):
    """The whole utterance, every final segment joined. Empty text: a sound without words."""

    text: str
    speech_started_ms: float
    speech_ended_ms: float  # when the customer's last word ended, not when the message came
    confidence: float = 1.0
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEndExpected(Event):
    """A turn-aware recogniser thinks the customer is about to be done (eager end of turn)."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResumed(Event):
    """The expected end of turn did not come: the customer goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTyped(Event):
    """The customer typed instead of speaking."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptRequested(Event):
    """Someone pressed the button that stops Clara."""


# --- the reply -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a reply cost. Tokens as the vendor counts them; `input_tokens` is the uncached part."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None  # None: the price of this model is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyStarted(Event):
    """The request for a reply went out to the model."""

    reply_id: int
    model: str
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyDelta(Event):
    """Some more text of the reply."""

    reply_id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCompleted(Event):
    """The model is done. `stop_reason` as the vendor says it: end_turn, max_tokens, refusal, ..."""

    reply_id: int
    stop_reason: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFound(Event):
    """A kept answer to this turn's question may be used."""

    turn_id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerNotFound(Event):
    """No kept answer fits, and why."""

    turn_id: int
    why: str


# --- Clara's voice -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSent(Event):
    """The text of a piece was handed to the voice (or to an avatar that speaks by itself)."""

    utterance_id: int
    piece_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAudio(Event):
    """The first sound of the utterance came from the voice and goes to the avatar.

    `estimated`: the avatar speaks with a voice of its own, whose sound is not seen.
    """

    utterance_id: int
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """Where a word lies in the utterance's sound: it ends `end_ms` after the sound's beginning.

    `char_end` counts the characters of the utterance's pieces joined by single spaces.
    """

    char_end: int
    end_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechVoiced(Event):
    """The sound of every piece up to `piece_no` is complete; they last `audio_ms` from the first sample.

    `words` are given where the voice knows its own word times; a vendor's usually does not.
    """

    utterance_id: int
    piece_no: int
    audio_ms: float
    words: tuple[SpokenWord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingStarted(Event):
    """The avatar began to speak this utterance."""

    utterance_id: int
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingEnded(Event):
    """The avatar finished this utterance. `estimated`: its own word never came, the clock said so."""

    utterance_id: int
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingInterrupted(Event):
    """The avatar confirmed that it stopped in the middle of this utterance. `estimated`: it has no word for it."""

    utterance_id: int
    estimated: bool = False


# --- what goes wrong -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFailed(Event):
    """A service failed. `message` says whose fault it is, `hint` what to do; neither holds a key."""

    service: Service
    kind: FailureKind
    message: str
    hint: str = ""
    retryable: bool = False
    reply_id: int | None = None
    utterance_id: int | None = None

    @classmethod
    def of(
        cls,
        error: ProviderError,
        service: Service,
        at_ms: float,
        *,
        reply_id: int | None = None,
        utterance_id: int | None = None,
    ) -> Self:
        """The event of an error."""
        return cls(
            at_ms=at_ms,
            service=service,
            kind=error.kind,
            message=error.message,
            hint=error.hint,
            retryable=error.retryable,
            reply_id=reply_id,
            utterance_id=utterance_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderWarned(Event):
    """Something is not as it should be, but the service goes on by itself. Nothing is decided upon it."""

    service: Service
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultInjected(Event):
    """A twin or the simulation makes something go wrong on purpose. Only for whoever reads the trace."""

    service: Service
    kind: str  # a word of the fault vocabulary
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecovered(Event):
    """A service that had failed works again."""

    service: Service
