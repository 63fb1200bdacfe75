"""What is to be done: the commands that `Conversation.handle` gives and only the runtime carries out.

A command is a frozen value in the imperative. Each carries its `reason` in plain words with the numbers,
so that any moment of a conversation can be asked why.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from clara_kit.core.events import Service


class Command(Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="type"):
    """Something to do, decided at `at_ms` (the time of the event that led to it). `by`: the policy that decided."""

    at_ms: float
    reason: str
    by: str = ""


class Message(Struct, frozen=True, kw_only=True, gc=False):
    """One turn of the history as a model wants it: roles alternate and the first is the user's."""

    role: Literal["user", "assistant"]
    text: str


class StartListening(Command, frozen=True, kw_only=True):
    """Let the customer's sound reach the recogniser."""


class StopListening(Command, frozen=True, kw_only=True):
    """Stop sending the customer's sound."""


class FinalizeWords(Command, frozen=True, kw_only=True):
    """Ask the recogniser for the words of what it has heard so far, without waiting for its silence.

    over: the sound has ended, and these are all its words; else more will come, and what is told are interim words.
    """

    over: bool = True


class LoadProfile(Command, frozen=True, kw_only=True):
    """Ask the shop what it knows of this customer; `customer_key` as in `ConversationStarted`."""

    customer_key: str


class RequestReply(Command, frozen=True, kw_only=True):
    """Ask the model to answer `text`, the customer's turn; `messages` ends with that turn."""

    turn_id: int
    reply_id: int
    text: str
    messages: tuple[Message, ...]


class CancelReply(Command, frozen=True, kw_only=True):
    """Stop the model in mid-reply."""

    reply_id: int


class Speak(Command, frozen=True, kw_only=True):
    """Give the avatar the next piece of an utterance. Pieces of one utterance count from 0."""

    turn_id: int
    utterance_id: int
    piece_no: int
    text: str


class EndSpeech(Command, frozen=True, kw_only=True):
    """No more pieces will come for this utterance."""

    utterance_id: int


class InterruptAvatar(Command, frozen=True, kw_only=True):
    """Silence this utterance now, and drop whatever of it is still on the way."""

    utterance_id: int


class Duck(Command, frozen=True, kw_only=True):
    """Lower whatever sounds of Clara while it is not known what the customer's sound is (`on`), or bring it back at once.

    Whoever plays her sound does it; who cannot lets it be. What is silenced in between needs no word of its own: the
    next order to bring the sound back comes all the same.
    """

    on: bool


class SetTimer(Command, frozen=True, kw_only=True):
    """Send `TimerFired(timer_id)` at `due_ms`. Ids are never used twice."""

    timer_id: str
    due_ms: float


class CancelTimer(Command, frozen=True, kw_only=True):
    """Forget a timer that has not fired."""

    timer_id: str


class Connect(Command, frozen=True, kw_only=True):
    """Open a service's connection again. What comes of it is told as `ProviderRecovered` or `ProviderFailed`."""

    service: Service


class Disconnect(Command, frozen=True, kw_only=True):
    """Close a service's connection for good: it is given up, and what remains goes on."""

    service: Service


class LookUpAnswer(Command, frozen=True, kw_only=True):
    """Is there a kept answer to this turn's question?"""

    turn_id: int
    question: str


class StoreAnswer(Command, frozen=True, kw_only=True):
    """Keep this answer, which was heard to its end, for the next who asks the same.

    follows: something had been said before, so that question or answer may mean what only this conversation knows.
    """

    question: str
    answer: str
    follows: bool = False


class DistrustAnswer(Command, frozen=True, kw_only=True):
    """The answer that was kept for this question was interrupted, or the customer says that it is wrong."""

    question: str
    answer: str


class WakeAvatar(Command, frozen=True, kw_only=True):
    """Give the avatar silence, so that it has begun when there is sound (`on`); or stop that, for none will come."""

    on: bool


Target = Literal["", "backup", "other", "text", "sound"]


class SwitchTo(Command, frozen=True, kw_only=True):
    """Let `target` stand behind a service from now on; empty: what stood there first.

    backup: the avatar vendor's own assistant (stt, llm, avatar). other: another vendor's voice (tts). text: what Clara says
    is shown, and not spoken (tts). sound: her voice is heard without her face (avatar). What cannot be done comes back as
    `ProviderFailed` of the service.
    """

    service: Service
    target: Target


class OpenBackup(Command, frozen=True, kw_only=True):
    """Open a session of the avatar vendor's own assistant, told our prompt and `messages`, the last turns verbatim.

    hears: it will listen to the customer itself. It is there when `ProviderRecovered(service="backup")` comes.
    """

    messages: tuple[Message, ...]
    hears: bool = False


class CloseBackup(Command, frozen=True, kw_only=True):
    """End that session: ours works again."""


class AskBackup(Command, frozen=True, kw_only=True):
    """Let the backup answer `text` aloud by its own model, as this reply and this utterance.

    heard: it has heard the customer itself, and answers already. What it says comes as `ReplyDelta` of the reply, what is
    heard of it as `SpeakingStarted` and so on of the utterance; all its words have come before `SpeakingEnded`.
    """

    turn_id: int
    reply_id: int
    utterance_id: int
    text: str
    heard: bool = False


class ShowText(Command, frozen=True, kw_only=True):
    """Let the customer read this, for it cannot be said."""

    turn_id: int
    utterance_id: int
    text: str


class ProbePrimary(Command, frozen=True, kw_only=True):
    """Try, at no cost and without a second answer, whether the service that was switched away from works again.

    What comes of it is told as `ProviderRecovered` or `ProviderFailed`.
    """

    service: Service


class Notify(Command, frozen=True, kw_only=True):
    """Tell the people in front of the screen (never the customer) something they should know."""

    message: str


class RaiseAlert(Command, frozen=True, kw_only=True):
    """A limit was crossed; monitoring should know."""

    name: str
    message: str
