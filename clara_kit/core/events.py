"""What happened: the events that providers and people send into a conversation.

Comes before `Conversation.handle`, which is the only reader that decides anything. An event is a frozen
value in the past tense; `at_ms` is the time on the conversation's one monotonic clock at which the kit
learnt of it. Ids tie it to what it answers, so that whatever comes late can be told from what is current.
"""

from __future__ import annotations

from typing import Literal, Self

from msgspec import Struct

from clara_kit.core.errors import FailureKind, ProviderError

SpeechSource = Literal["vendor", "vad", "script"]
Service = Literal["stt", "llm", "tts", "avatar", "shop", "backup"]
"""backup: the avatar vendor's own assistant, which hears, answers and speaks by itself; asked only where ours fails."""
Circuit = Literal["closed", "open", "half_open"]


class Event(Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="type"):
    """Something that happened, learnt of at `at_ms` (milliseconds on the conversation's clock)."""

    at_ms: float


# --- the conversation itself ---------------------------------------------------------------------------


class ConversationStarted(Event, frozen=True, kw_only=True):
    """Everything is connected; Clara speaks `greeting` first unless it is empty.

    `customer_key` stands for a customer whom the shop may know (a hash, never an address or a name); the greeting
    then waits for the profile, but not longer than the deadline. `seed`: of the jitter of retries; None: no jitter.
    """

    greeting: str = ""
    customer_key: str = ""
    seed: int | None = None


class ConversationStopped(Event, frozen=True, kw_only=True):
    """Someone hung up: whatever is running must end."""


class SettingsChanged(Event, frozen=True, kw_only=True):
    """A knob was turned in mid-conversation; `changes` are (field name, new value) pairs of `Settings`."""

    changes: tuple[tuple[str, bool | int | float | str], ...]


class ServiceExchanged(Event, frozen=True, kw_only=True):
    """Somebody put something else behind a service; it serves whatever is asked for from here on.

    Nothing is decided upon it: it is in the trace so that a figure can be told whose it is.
    """

    service: Service
    mode: Literal["live", "twin", "sim", "local"]


class ProfileLoaded(Event, frozen=True, kw_only=True):
    """What the shop knows of the customer has come; only the names of the known fields enter the trace.

    `greeting` has placeholders where words of the profile stand; empty: the usual greeting. `age_s` is how long
    ago the shop said it: above 0 where it comes from the cache.
    """

    known_fields: tuple[str, ...]
    greeting: str = ""
    age_s: float = 0.0


class TimerFired(Event, frozen=True, kw_only=True):
    """A timer set by `SetTimer` is due."""

    timer_id: str


# --- the customer --------------------------------------------------------------------------------------


class Word(Struct, frozen=True, kw_only=True, gc=False):
    """One recognised word and when it was said, on the conversation's clock."""

    text: str
    start_ms: float
    end_ms: float
    confidence: float = 1.0


class SpeechStarted(Event, frozen=True, kw_only=True):
    """A sound like speech began. It may still be a cough, or Clara's own echo."""

    source: SpeechSource
    sound_at_ms: float


class SpeechEnded(Event, frozen=True, kw_only=True):
    """The sound stopped at `sound_at_ms`; `at_ms` is later by the detector's hangover."""

    source: SpeechSource
    sound_at_ms: float


class TranscriptInterim(Event, frozen=True, kw_only=True):
    """The words of the current utterance so far, all of them; later ones may revise earlier ones."""

    text: str


class TranscriptFinal(Event, frozen=True, kw_only=True):
    """The whole utterance, every final segment joined. Empty text: a sound without words."""

    text: str
    speech_started_ms: float
    speech_ended_ms: float  # when the customer's last word ended, not when the message came
    confidence: float = 1.0
    words: tuple[Word, ...] = ()


class TurnEndExpected(Event, frozen=True, kw_only=True):
    """A turn-aware recogniser thinks the customer is about to be done (eager end of turn)."""

    text: str


class TurnResumed(Event, frozen=True, kw_only=True):
    """The expected end of turn did not come: the customer goes on."""


class TextTyped(Event, frozen=True, kw_only=True):
    """The customer typed instead of speaking."""

    text: str


class InterruptRequested(Event, frozen=True, kw_only=True):
    """Someone pressed the button that stops Clara."""


# --- the reply -----------------------------------------------------------------------------------------


class Usage(Struct, frozen=True, kw_only=True, gc=False):
    """What a reply cost. Tokens as the vendor counts them; `input_tokens` is the uncached part."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None  # None: the price of this model is not known
    output_estimated: bool = False  # by the text that came: the vendor counts only what it brings to an end

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def __add__(self, other: Usage) -> Usage:
        """Both together; the cost is known where both are."""
        costs = (self.cost_usd, other.cost_usd)
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
            output_estimated=self.output_estimated or other.output_estimated,
        )


class ReplyStarted(Event, frozen=True, kw_only=True):
    """The request for a reply went out to the model."""

    reply_id: int
    model: str
    prompt_hash: str = ""


class ReplyDelta(Event, frozen=True, kw_only=True):
    """Some more text of the reply."""

    reply_id: int
    text: str


CANCELLED = "cancelled"


class ReplyCompleted(Event, frozen=True, kw_only=True):
    """The model is done. `stop_reason` as the vendor says it: end_turn, max_tokens, refusal, ...

    Or "cancelled": the reply was dropped before its end, and this is what it had used. It comes late by its nature, so
    that nothing is decided upon it.
    """

    reply_id: int
    stop_reason: str
    usage: Usage = Usage()


class AnswerFound(Event, frozen=True, kw_only=True):
    """A kept answer to this turn's question may be used, and why it fits."""

    turn_id: int
    text: str
    why: str = ""


class AnswerNotFound(Event, frozen=True, kw_only=True):
    """No kept answer fits, and why."""

    turn_id: int
    why: str


# --- Clara's voice -------------------------------------------------------------------------------------


class SpeechSent(Event, frozen=True, kw_only=True):
    """The text of a piece was handed to the voice (or to an avatar that speaks by itself)."""

    utterance_id: int
    piece_no: int


class FirstAudio(Event, frozen=True, kw_only=True):
    """The first sound of the utterance came from the voice and goes to the avatar.

    `estimated`: the avatar speaks with a voice of its own, whose sound is not seen.
    """

    utterance_id: int
    estimated: bool = False


class SpokenWord(Struct, frozen=True, kw_only=True, gc=False):
    """Where a word lies in the utterance's sound: it ends `end_ms` after the sound's beginning.

    `char_end` counts the characters of the utterance's pieces joined by single spaces.
    """

    char_end: int
    end_ms: float


class SpeechVoiced(Event, frozen=True, kw_only=True):
    """The sound of every piece up to `piece_no` is complete; they last `audio_ms` from the first sample.

    `lead_ms`: the silence with which the sound begins that is new in it, and `first_ms` when the first of that came, on
    the conversation's clock (None: not seen). `words` are given where the voice knows its own word times; a vendor's
    usually does not.
    """

    utterance_id: int
    piece_no: int
    audio_ms: float
    lead_ms: float = 0.0
    first_ms: float | None = None
    words: tuple[SpokenWord, ...] = ()


class SpeakingStarted(Event, frozen=True, kw_only=True):
    """The avatar began to speak this utterance. `playout_ms`: how much later the customer hears it, as far as known (the
    page's own delay and its way; by the latency profile unless it was measured)."""

    utterance_id: int
    estimated: bool = False
    playout_ms: float = 0.0


class SpeakingEnded(Event, frozen=True, kw_only=True):
    """The avatar finished this utterance. `estimated`: its own word never came, the clock said so."""

    utterance_id: int
    estimated: bool = False


class SpeakingInterrupted(Event, frozen=True, kw_only=True):
    """The avatar confirmed that it stopped in the middle of this utterance. `estimated`: it has no word for it."""

    utterance_id: int
    estimated: bool = False


class Overlap(Struct, frozen=True, kw_only=True):
    """The customer began while Clara spoke. silent_ms: when she fell silent for it; None: she went on."""

    from_ms: float
    until_ms: float
    silent_ms: float | None = None


class TurnHeard(Event, frozen=True, kw_only=True):
    """One turn as it is heard from outside, of a recorded call: when the words ended and when Clara spoke, and no more.

    None where nobody said anything. Nothing is decided upon it.
    """

    turn_id: int
    words_from_ms: float | None = None
    words_until_ms: float | None = None
    clara_from_ms: float | None = None
    clara_until_ms: float | None = None
    overlaps: tuple[Overlap, ...] = ()


# --- what goes wrong -----------------------------------------------------------------------------------


class ProviderFailed(Event, frozen=True, kw_only=True):
    """A service failed. `message` says whose fault it is, `hint` what to do; neither holds a key.

    retry_after_ms: how long the vendor asks to wait before another try, None where it does not say.
    """

    service: Service
    kind: FailureKind
    message: str
    hint: str = ""
    retryable: bool = False
    reply_id: int | None = None
    utterance_id: int | None = None
    retry_after_ms: float | None = None
    usage: Usage | None = None  # of a reply that broke off, where the model had begun it

    @classmethod
    def of(cls, error: ProviderError, service: Service, at_ms: float, **ids: int | None) -> Self:
        """The event of an error; `ids`: of the reply or the utterance that it struck."""
        told = {name: getattr(error, name) for name in ("kind", "message", "hint", "retryable", "retry_after_ms")}
        return cls(at_ms=at_ms, service=service, **{**told, **ids})


class ProviderWarned(Event, frozen=True, kw_only=True):
    """Something is not as it should be, but the service goes on by itself. Nothing is decided upon it."""

    service: Service
    message: str


class KeepingFailed(Event, frozen=True, kw_only=True):
    """The disk does not take the run, or its sound, at present; the conversation goes on. Nothing is decided upon it.

    events: they wait in memory. sound: what it does not take is silence in the recording.
    """

    what: Literal["events", "sound"]
    message: str
    hint: str = ""


class KeepingRecovered(Event, frozen=True, kw_only=True):
    """The disk takes it again; of the events nothing is missing."""

    what: Literal["events", "sound"]


class FaultInjected(Event, frozen=True, kw_only=True):
    """A twin or the simulation makes something go wrong on purpose. Only for whoever reads the trace."""

    service: Service
    kind: str  # a word of the fault vocabulary
    note: str = ""


class ProviderRecovered(Event, frozen=True, kw_only=True):
    """A service that had failed works again, or answers a `ProbePrimary`; the backup: it is there now."""

    service: Service


class HealthTold(Event, frozen=True, kw_only=True):
    """What other conversations of this process have found out about a service, at the beginning or since.

    open: it failed too often and is passed by; half_open: it may be tried; closed: it works. `why` is for people.
    """

    service: Service
    circuit: Circuit
    why: str = ""
