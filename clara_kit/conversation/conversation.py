"""The one place where anything is decided: `Conversation.handle(event) -> commands`.

Comes after the providers (through the runtime, the simulation or a replay), before whoever carries the
commands out. Pure: time arrives inside the event, nothing is awaited, nothing is drawn. `handle` never
raises; what makes no sense is recorded as `Ignored`. Everything that comes in, every change of state and
everything that goes out stands in `trace`, in order, each with its reason.

Small decisions live in their own files (turn_taking, barge_in, sentences, heard, history); this one says
what follows from them. Read it by event: `_on_...` methods in the order of a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clara_kit.conversation import turn_taking
from clara_kit.conversation.barge_in import BargeInHandler, Hold, Ignore, Release
from clara_kit.conversation.history import History
from clara_kit.conversation.sentences import SentenceChunker
from clara_kit.conversation.speech import Reply, Utterance
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import SettingsError
from clara_kit.core.records import HeardEstimated, Ignored, Record, StateChanged
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState, ConversationStateMachine

IDLE = ConversationState.IDLE
USER_SPEAKING = ConversationState.USER_SPEAKING
PROCESSING = ConversationState.PROCESSING
AVATAR_SPEAKING = ConversationState.AVATAR_SPEAKING
INTERRUPTED = ConversationState.INTERRUPTED

_FARTHEST_MS = 1e12  # thirty years: a time beyond it is nonsense and must not move the clock


class Conversation:
    """Decides. Feed it events in the order they are learnt of; do what it says."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.trace: list[Record] = []
        self.history = History(max_messages=self.settings.history_max_messages)
        self._machine = ConversationStateMachine()
        self._barge_in = BargeInHandler(
            debounce_ms=self.settings.barge_in_debounce_ms, enabled=self.settings.flags.enable_barge_in
        )
        self._chunker = SentenceChunker(language="es")
        self._out: list[do.Command] = []
        self._now_ms = 0.0
        self._begun = self._over = False
        self._greeting = ""
        self._timers: dict[str, str] = {}
        self._timer_count = 0

        self._turn_id = 0
        self._reply_id = 0
        self._utterance_id = 0
        self._pending: list[str] = []  # the customer's words that Clara has not begun to answer aloud
        self._interim = ""
        self._interim_at_ms = 0.0
        self._taken_until_ms = -_FARTHEST_MS  # words said before this were taken from interim results
        self._words_ended_ms: float | None = None
        self._reply: Reply | None = None
        self._utterance: Utterance | None = None
        self._cut: tuple[Utterance, float] | None = None  # interrupted, and when; not yet in the history
        self._left_to_say: list[str] = []  # silenced before it was heard at all
        self._attempt = 0
        self._failures = 0
        self._handlers: dict[type[ev.Event], Callable[[Any], None]] = {
            ev.ReplyDelta: self._on_reply_delta,
            ev.TranscriptInterim: self._on_interim,
            ev.SpeechStarted: self._on_speech_started,
            ev.SpeechEnded: self._on_speech_ended,
            ev.TranscriptFinal: self._on_final,
            ev.TextTyped: self._on_typed,
            ev.InterruptRequested: self._on_interrupt_requested,
            ev.TimerFired: self._on_timer,
            ev.ReplyStarted: self._on_reply_started,
            ev.ReplyCompleted: self._on_reply_completed,
            ev.SpeechSent: self._on_utterance_event,
            ev.FirstAudio: self._on_utterance_event,
            ev.SpeechVoiced: self._on_voiced,
            ev.SpeakingStarted: self._on_speaking_started,
            ev.SpeakingEnded: self._on_speaking_ended,
            ev.SpeakingInterrupted: self._on_speaking_interrupted,
            ev.ProviderFailed: self._on_failed,
            ev.ProviderRecovered: self._on_recovered,
            ev.ConversationStarted: self._on_started,
            ev.ConversationStopped: self._on_stopped,
            ev.SettingsChanged: self._on_settings_changed,
            ev.ProfileLoaded: self._on_profile_loaded,
            ev.FaultInjected: self._nothing_to_do,
            ev.ProviderWarned: self._nothing_to_do,
            ev.TurnEndExpected: self._on_eager,
            ev.TurnResumed: self._on_eager,
            ev.AnswerFound: self._on_answer,
            ev.AnswerNotFound: self._on_answer,
        }

    @property
    def state(self) -> ConversationState:
        """Whose turn it is."""
        return self._machine.state

    @property
    def is_quiet(self) -> bool:
        """Nothing is being said, written or waited for."""
        return self._utterance is None and self._reply is None and not self._timers

    def can_interrupt(self) -> bool:
        """Whether Clara is speaking, so that she can be interrupted."""
        return self._machine.can_interrupt()

    def handle(self, event: ev.Event) -> tuple[do.Command, ...]:
        """What to do now. Never raises, whatever comes in whatever order."""
        self._out = []
        handler = self._handlers.get(type(event))
        if handler is None:
            self._ignore(event, "not an event of this kit")
            return ()
        try:
            at_ms = event.at_ms
            if not -_FARTHEST_MS < at_ms < _FARTHEST_MS:
                self._ignore(event, f"its time is no time: {at_ms} ms")
                return ()
            self.trace.append(event)
            if at_ms > self._now_ms:  # a late event does not turn the clock back
                self._now_ms = at_ms
            if self._over:
                self._ignore(event, "the conversation is over")
            else:
                handler(event)
        except Exception as exc:  # the promise is never to raise; a mistake of ours must be seen, not felt
            self._ignore(event, f"internal error: {type(exc).__name__}: {exc}")
            self._do(
                do.RaiseAlert(
                    at_ms=self._now_ms, reason="a mistake in the kit", name="internal_error", message=str(exc)
                )
            )
        return tuple(self._out)

    # --- the beginning and the end ---------------------------------------------------------------------

    def _on_started(self, event: ev.ConversationStarted) -> None:
        if self._begun:
            return self._ignore(event, "the conversation has begun already")
        self._begun = True
        self._do(do.StartListening(at_ms=self._now_ms, reason="the conversation begins"))
        self._greeting = event.greeting.strip()
        if event.customer_key and self.settings.flags.enable_personalization:
            why = "the shop may know this customer"
            self._do(do.LoadProfile(at_ms=self._now_ms, reason=why, customer_key=event.customer_key))
            deadline_ms = self.settings.profile_deadline_ms
            self._set_timer("profile", deadline_ms, "the greeting waits for the profile, but no longer")
        else:
            self._greet("Clara greets")

    def _on_profile_loaded(self, event: ev.ProfileLoaded) -> None:
        if self._cancel_timer("profile", "the profile came in time"):
            if self._greeting:  # without one Clara waits to be spoken to, whoever it is
                self._greeting = event.greeting.strip() or self._greeting
            self._greet("Clara greets, and knows the customer")
        else:
            self._ignore(event, "too late for the greeting; replies know the customer from now on")

    def _greet(self, why: str) -> None:
        if not self._greeting:
            return
        if self.state is IDLE and self._utterance is None:
            self._say([self._greeting], why)
        elif self.state is USER_SPEAKING and not self._pending and not self._interim:
            self._left_to_say = [self._greeting]  # only a sound so far: if it was none, she greets

    def _on_stopped(self, event: ev.ConversationStopped) -> None:
        self._silence("the conversation ends")
        self._settle(f"until {self._now_ms:.0f} ms")
        for kind in list(self._timers):
            self._cancel_timer(kind, "the conversation ends")
        if self._begun:
            self._do(do.StopListening(at_ms=self._now_ms, reason="the conversation ends"))
        self._over = True

    def _on_settings_changed(self, event: ev.SettingsChanged) -> None:
        try:
            self.settings = self.settings.with_changes(**dict(event.changes))
        except SettingsError as exc:
            return self._ignore(event, str(exc))
        self._barge_in.debounce_ms = self.settings.barge_in_debounce_ms
        self._barge_in.enabled = self.settings.flags.enable_barge_in
        self.history.max_messages = self.settings.history_max_messages

    # --- the customer ----------------------------------------------------------------------------------

    def _on_speech_started(self, event: ev.SpeechStarted) -> None:
        if self.state is USER_SPEAKING or self.state is INTERRUPTED:
            if self._cancel_timer("turn_end", "the customer goes on"):
                self._set_timer(
                    "no_words", self.settings.no_words_timeout_ms, "a sound began; words should follow"
                )
            return
        if self.state is IDLE and self._utterance is None:
            self._change(USER_SPEAKING, "the customer began to speak")
            self._set_timer(
                "no_words", self.settings.no_words_timeout_ms, "a sound began; words should follow"
            )
            return
        decision = self._barge_in.sound_started(event)
        if isinstance(decision, Hold):
            self._set_timer_at("barge_in", decision.until_ms, decision.reason)
        elif isinstance(decision, Ignore):
            self._ignore(event, decision.reason)

    def _on_speech_ended(self, event: ev.SpeechEnded) -> None:
        decision = self._barge_in.sound_ended(event)
        if isinstance(decision, Release):
            self._cancel_timer("barge_in", decision.reason)
            self._ignore(event, decision.reason)
        elif self.state in (USER_SPEAKING, INTERRUPTED) and event.source == "vendor" and not self._interim:
            self._no_words("the recogniser heard a sound without words")

    def _on_interim(self, event: ev.TranscriptInterim) -> None:
        if not event.text.strip():
            return self._ignore(event, "no words in it")
        if self.state is AVATAR_SPEAKING and not self._barge_in.enabled:
            return self._ignore(event, "barge-in is switched off and Clara is speaking")
        if not self._interim:
            self._cancel_timer("no_words", "words came")
            self._cancel_timer("turn_end", "the customer goes on")
            self._set_timer(
                "final_wait", self.settings.final_timeout_ms, "words came; their final should follow"
            )
        self._interim = event.text
        self._interim_at_ms = self._now_ms
        self._words_came(f"words came: {_short(event.text)}")

    def _on_final(self, event: ev.TranscriptFinal) -> None:
        text = event.text.strip()
        if self.state is AVATAR_SPEAKING and not self._barge_in.enabled:
            self._interim = ""
            self._cancel_timer("final_wait", "the words are ignored")
            return self._ignore(event, "barge-in is switched off and Clara is speaking")
        if not text:
            if self.state in (USER_SPEAKING, INTERRUPTED) and not self._interim:
                return self._no_words("the recogniser heard a sound without words")
            return self._ignore(event, "no words in it")
        if event.speech_ended_ms <= self._taken_until_ms:
            return self._ignore(event, "these words were taken from the interim results already")
        self._words_ended_ms = event.speech_ended_ms
        self._take_words(text)

    def _take_words(self, text: str) -> None:
        """Words are final: add them to the turn and ask whether it is over."""
        for kind in ("no_words", "final_wait", "turn_end"):
            self._cancel_timer(kind, "the words are final")
        self._interim = ""
        self._words_came(f"words are final: {_short(text)}", final=True)
        if not self._pending:
            self._turn_id += 1
        self._pending.append(text)
        decision = turn_taking.decide(self.settings)
        if isinstance(decision, turn_taking.Wait):
            if self.state is INTERRUPTED:
                self._change(USER_SPEAKING, "words came")
            self._set_timer("turn_end", decision.hold_ms, decision.reason)
        else:
            self._answer(decision.reason)

    def _words_came(self, why: str, *, final: bool = False) -> None:
        """The sound was speech: give the customer the floor, whatever Clara was about."""
        if self._barge_in.held is not None:
            self._barge_in.clear()
            self._cancel_timer("barge_in", why)
        if self.state is AVATAR_SPEAKING:
            self._change(INTERRUPTED, why)
        if self.state is not USER_SPEAKING:
            self._silence(why)
        self._settle(why)
        if self.state is IDLE or self.state is PROCESSING or (self.state is INTERRUPTED and not final):
            self._change(
                USER_SPEAKING, why if self.state is not PROCESSING else f"the customer went on; {why}"
            )

    def _no_words(self, why: str) -> None:
        """The sound was none: go back to where things stood."""
        self._cancel_timer("no_words", why)
        if self.state not in (USER_SPEAKING, INTERRUPTED):
            return
        if self.state is INTERRUPTED:
            self._after_false_interruption(why)
        elif self._pending:
            self._answer(f"{why}; answering what was said before")
        else:
            self._change(IDLE, why)
            if self._left_to_say:
                self._say(self._left_to_say, f"{why}; saying what was not heard")

    def _after_false_interruption(self, why: str) -> None:
        if self._utterance is not None:
            return  # already resuming
        resume = self._settle(why, resuming=self.settings.after_false_interruption == "resume")
        if resume:
            self._say(resume, f"{why}; resuming from the cut sentence")
        else:
            self._change(IDLE, f"{why}; nothing left to say")

    def _on_typed(self, event: ev.TextTyped) -> None:
        text = event.text.strip()
        if not text:
            return self._ignore(event, "no words in it")
        self._words_ended_ms = self._now_ms
        for kind in ("no_words", "final_wait", "turn_end", "barge_in"):
            self._cancel_timer(kind, "the customer typed")
        self._barge_in.clear()
        if self.state is AVATAR_SPEAKING:
            self._change(INTERRUPTED, "the customer typed")
        self._silence("the customer typed")
        self._settle("the customer typed")
        if self.state is PROCESSING:
            self._change(USER_SPEAKING, "the customer went on by typing")
        if not self._pending:
            self._turn_id += 1
        if self._interim:
            self._pending.append(self._interim)
            self._interim = ""
        self._pending.append(text)
        self._answer("the customer typed")

    def _on_interrupt_requested(self, event: ev.InterruptRequested) -> None:
        if self._utterance is None and self._reply is None and "retry" not in self._timers:
            return self._ignore(event, "Clara is neither speaking nor about to")
        why = "the button was pressed"
        self._barge_in.clear()
        self._cancel_timer("barge_in", why)
        if self.state is AVATAR_SPEAKING:
            self._change(INTERRUPTED, why)
        self._silence(why)
        self._settle(why)
        self._left_to_say = []
        if self._pending:  # asked, never answered: the next request must still know it
            self.history.add_user(" ".join(self._pending))
            self._pending = []
        if self.state in (INTERRUPTED, PROCESSING):
            self._cancel_timer("no_words", why)
            self._change(IDLE, why)

    # --- timers ----------------------------------------------------------------------------------------

    def _on_timer(self, event: ev.TimerFired) -> None:
        kind = event.timer_id.partition("#")[0]
        if self._timers.get(kind) != event.timer_id:
            return self._ignore(event, "this timer was cancelled or replaced")
        del self._timers[kind]
        if kind == "barge_in":
            self._barge_in_confirmed()
        elif kind == "no_words":
            self._no_words(f"no words came within {self.settings.no_words_timeout_ms:.0f} ms")
        elif kind == "turn_end":
            self._answer(f"nothing more came within {self.settings.turn_hold_ms:.0f} ms")
        elif kind == "final_wait":
            self._final_never_came()
        elif kind == "profile":
            self._greet(f"no profile came within {self.settings.profile_deadline_ms:.0f} ms")
        elif kind == "retry":
            self._request(f"trying again, attempt {self._attempt + 1}")

    def _barge_in_confirmed(self) -> None:
        why = f"the sound lasted {self._barge_in.debounce_ms:.0f} ms"
        self._barge_in.clear()
        self._cancel_timer("retry", why)
        if self.state is AVATAR_SPEAKING:
            self._change(INTERRUPTED, why)
        self._silence(why)
        if self.state is PROCESSING or self.state is IDLE:
            self._change(USER_SPEAKING, f"the customer speaks before Clara does: {why}")
        self._set_timer("no_words", self.settings.no_words_timeout_ms, "words should follow the sound")

    def _final_never_came(self) -> None:
        due_ms = (
            self._interim_at_ms + self.settings.final_timeout_ms
        )  # a sum, for a difference may not reach it
        if due_ms > self._now_ms:
            return self._set_timer_at("final_wait", due_ms, "the words are still growing")
        self._words_ended_ms = self._taken_until_ms = self._interim_at_ms
        self._take_words(self._interim)

    # --- the reply -------------------------------------------------------------------------------------

    def _answer(self, why: str) -> None:
        for kind in ("no_words", "final_wait", "turn_end"):
            self._cancel_timer(kind, why)
        self._change(PROCESSING, why)
        self._left_to_say = []
        self._attempt = 0
        self._request(why)

    def _request(self, why: str) -> None:
        self._reply_id += 1
        question = " ".join(self._pending)
        self._reply = Reply(
            self._reply_id, chunked=self.settings.flags.enable_chunked_heygen, chunker=self._chunker
        )
        self._chunker.flush()  # a cancelled reply may have left the beginning of a sentence
        self._do(
            do.RequestReply(
                at_ms=self._now_ms,
                reason=why,
                turn_id=self._turn_id,
                reply_id=self._reply_id,
                text=question,
                messages=self.history.messages(question),
            )
        )

    def _on_reply_started(self, event: ev.ReplyStarted) -> None:
        if self._reply is None or self._reply.reply_id != event.reply_id:
            self._ignore(event, f"reply {event.reply_id} is not awaited")

    def _on_reply_delta(self, event: ev.ReplyDelta) -> None:
        reply = self._reply
        if reply is None or reply.reply_id != event.reply_id:
            return self._ignore(event, f"reply {event.reply_id} is not awaited")
        for piece in reply.feed(event.text):
            self._speak_piece(reply, piece, "a sentence is complete")

    def _on_reply_completed(self, event: ev.ReplyCompleted) -> None:
        reply = self._reply
        if reply is None or reply.reply_id != event.reply_id:
            return self._ignore(event, f"reply {event.reply_id} is not awaited")
        rest = reply.rest()
        if event.stop_reason == "max_tokens" and rest and reply.said_something:
            self._ignore(
                event, f"the last {len(rest[-1])} characters are half a sentence, cut off by max_tokens"
            )
            rest = rest[:-1]
        for piece in rest:
            self._speak_piece(reply, piece, "the reply is complete")
        self._reply = None
        self._failures = 0
        if reply.said_something:
            self._close_utterance("the reply is complete")
        elif event.stop_reason == "refusal":
            self._say([self.settings.apology], "the model refused to answer")
        else:
            self._nothing_to_say("the reply is empty")

    def _speak_piece(self, reply: Reply, piece: str, why: str) -> None:
        reply.said_something = True
        if self._utterance is None:
            self._open_utterance()
        self._speak(piece, why)

    def _nothing_to_say(self, why: str) -> None:
        self.history.add_user(" ".join(self._pending))
        self._pending = []
        if self.state is PROCESSING:
            self._change(IDLE, why)

    # --- Clara's voice ---------------------------------------------------------------------------------

    def _say(self, pieces: list[str], why: str) -> None:
        """Speak fixed text as an utterance of its own."""
        self._left_to_say = []
        self._open_utterance()
        for piece in pieces:
            self._speak(piece, why)
        self._close_utterance(why)

    def _open_utterance(self) -> None:
        self._utterance_id += 1
        self._utterance = Utterance(self._utterance_id, self._turn_id)

    def _speak(self, piece: str, why: str) -> None:
        utterance = self._utterance
        assert utterance is not None
        utterance.pieces.append(piece)
        self._do(
            do.Speak(
                at_ms=self._now_ms,
                reason=why,
                turn_id=utterance.turn_id,
                utterance_id=utterance.utterance_id,
                piece_no=len(utterance.pieces) - 1,
                text=piece,
            )
        )

    def _close_utterance(self, why: str) -> None:
        utterance = self._utterance
        if utterance is not None and not utterance.closed:
            utterance.closed = True
            self._do(do.EndSpeech(at_ms=self._now_ms, reason=why, utterance_id=utterance.utterance_id))

    def _current(self, event: Any) -> Utterance | None:
        """The utterance an event speaks of, if it is the one being spoken."""
        utterance = self._utterance
        if utterance is None or utterance.utterance_id != event.utterance_id:
            self._ignore(event, f"utterance {event.utterance_id} is over or unknown")
            return None
        return utterance

    def _on_utterance_event(self, event: ev.SpeechSent | ev.FirstAudio) -> None:
        self._current(event)

    def _on_voiced(self, event: ev.SpeechVoiced) -> None:
        for utterance in (self._utterance, self._cut[0] if self._cut else None):
            if utterance is not None and utterance.utterance_id == event.utterance_id:
                utterance.voiced.append((event.piece_no, event.audio_ms))
                utterance.words.extend(event.words)
                return
        self._ignore(event, f"utterance {event.utterance_id} is over or unknown")

    def _on_speaking_started(self, event: ev.SpeakingStarted) -> None:
        utterance = self._current(event)
        if utterance is None:
            return
        if utterance.started_ms is not None:
            return self._ignore(event, "it has started already")
        utterance.started_ms = self._now_ms
        if not self._machine.allows(AVATAR_SPEAKING):
            return self._ignore(event, f"the state is {self.state}")
        self._change(AVATAR_SPEAKING, "Clara speaks")
        if self._pending:
            self.history.add_user(" ".join(self._pending))
            self._pending = []
            self._check_speed()

    def _check_speed(self) -> None:
        if self._words_ended_ms is None:
            return
        total_ms = self._now_ms - self._words_ended_ms
        self._words_ended_ms = None
        if total_ms > self.settings.slow_response_ms:
            self._do(
                do.RaiseAlert(
                    at_ms=self._now_ms,
                    reason=f"the limit is {self.settings.slow_response_ms:.0f} ms",
                    name="slow_response",
                    message=f"{total_ms:.0f} ms from the customer's last word to Clara's first sound",
                )
            )

    def _on_speaking_ended(self, event: ev.SpeakingEnded) -> None:
        if self._cut is not None and self._cut[0].utterance_id == event.utterance_id:
            # It was over before the order to stop arrived: everything was heard.
            self._cut = (self._cut[0], float("inf"))
            return
        utterance = self._current(event)
        if utterance is None:
            return
        self._utterance = None
        if self._pending:
            self.history.add_user(" ".join(self._pending))
            self._pending = []
        self.history.add_assistant(utterance.text)
        if self._reply is not None and not utterance.closed:
            if self.state is AVATAR_SPEAKING:
                self._change(PROCESSING, "what was ready has been spoken; more of the reply is to come")
        elif self.state in (AVATAR_SPEAKING, PROCESSING, INTERRUPTED):
            self._change(IDLE, "Clara is done")
        self._floor_is_free()

    def _floor_is_free(self) -> None:
        """Clara is done while a sound is held: it is the customer's turn, not an interruption."""
        if self.state is IDLE and self._barge_in.held is not None:
            self._barge_in.clear()
            self._cancel_timer("barge_in", "Clara is done, there is nothing to interrupt")
            self._change(USER_SPEAKING, "the customer began to speak as Clara ended")
            self._set_timer("no_words", self.settings.no_words_timeout_ms, "words should follow the sound")

    def _on_speaking_interrupted(self, event: ev.SpeakingInterrupted) -> None:
        if self._cut is not None and self._cut[0].utterance_id == event.utterance_id:
            self._cut = (self._cut[0], self._now_ms)
        elif self._current(event) is not None:
            self._stopped_by_itself("the avatar stopped without being asked")

    def _stopped_by_itself(self, why: str) -> None:
        """The utterance broke off; nobody wanted it."""
        utterance, self._utterance = self._utterance, None
        assert utterance is not None
        if self._reply is not None:
            self._do(do.CancelReply(at_ms=self._now_ms, reason=why, reply_id=self._reply.reply_id))
            self._reply = None
        if self._pending:
            self.history.add_user(" ".join(self._pending))
            self._pending = []
        self._cut = (utterance, self._now_ms)
        self._settle(why)
        if self.state is AVATAR_SPEAKING:
            self._change(INTERRUPTED, why)
        if self.state in (INTERRUPTED, PROCESSING):
            self._cancel_timer("no_words", why)
            self._change(IDLE, why)
        self._floor_is_free()

    def _silence(self, why: str) -> None:
        """Stop whatever Clara does: sound first, work second."""
        self._cancel_timer("retry", why)
        utterance, self._utterance = self._utterance, None
        if utterance is not None:
            self._do(do.InterruptAvatar(at_ms=self._now_ms, reason=why, utterance_id=utterance.utterance_id))
            if utterance.started_ms is not None:
                self._settle(why)
                self._cut = (utterance, self._now_ms)
            elif not self._pending:
                self._left_to_say = utterance.pieces
        reply, self._reply = self._reply, None
        if reply is not None:
            self._do(do.CancelReply(at_ms=self._now_ms, reason=why, reply_id=reply.reply_id))

    def _settle(self, why: str, *, resuming: bool = False) -> list[str]:
        """Write the heard part of the cut utterance into the history; with `resuming`, return what to say again.

        When Clara resumes, she begins with the cut sentence, so that the history ends before it.
        """
        if self._cut is None:
            return []
        (utterance, cut_ms), self._cut = self._cut, None
        heard = utterance.heard_until(cut_ms)
        self.trace.append(
            HeardEstimated(
                at_ms=self._now_ms,
                turn_id=utterance.turn_id,
                utterance_id=utterance.utterance_id,
                heard=heard.heard,
                unheard=heard.unheard,
                method=heard.method,
                plus_minus_words=heard.plus_minus_words,
            )
        )
        again = utterance.pieces[heard.cut_piece :] if resuming else []
        self.history.add_assistant(" ".join(utterance.pieces[: heard.cut_piece]) if again else heard.heard)
        return again

    # --- what goes wrong -------------------------------------------------------------------------------

    def _on_failed(self, event: ev.ProviderFailed) -> None:
        if event.service == "llm":
            return self._on_reply_failed(event)
        if event.service == "shop":
            return self._on_shop_failed(event)
        if event.utterance_id is not None and self._current(event) is None:
            return
        self._tell(event)
        if event.service in ("avatar", "tts"):
            if self._utterance is not None:
                self._stopped_by_itself(f"{event.service} failed ({event.kind})")
            if event.utterance_id is None:
                self._alert(event)
        else:
            self._alert(event)
            self._cancel_timer("no_words", "the recogniser failed")
            self._cancel_timer("final_wait", "the recogniser failed")
            if self.state is USER_SPEAKING and self._interim:
                self._words_ended_ms = self._interim_at_ms
                self._take_words(self._interim)
            elif self.state in (USER_SPEAKING, INTERRUPTED) and "turn_end" not in self._timers:
                self._no_words("the recogniser failed")

    def _on_shop_failed(self, event: ev.ProviderFailed) -> None:
        """The customer must not notice: Clara greets as she greets everyone."""
        self._tell(event)
        if self._cancel_timer("profile", "the shop will not tell"):
            self._greet(f"Clara greets without a profile: the shop failed ({event.kind})")

    def _on_reply_failed(self, event: ev.ProviderFailed) -> None:
        reply = self._reply
        if reply is None or reply.reply_id != event.reply_id:
            return self._ignore(event, "no reply is awaited from it")
        self._tell(event)
        self._failures += 1
        if self._failures >= self.settings.failure_threshold:
            self._alert(event)
        self._reply = None
        if reply.said_something:
            self._close_utterance("the reply broke off")
            return
        self._attempt += 1
        delay_ms = self.settings.retry.delay_ms(self._attempt) if event.retryable else None
        if delay_ms is not None:
            self._set_timer("retry", delay_ms, f"the model failed ({event.kind}); retry {self._attempt}")
        elif self.settings.apology.strip():
            self._say([self.settings.apology], f"the model failed ({event.kind})")
        else:
            self._nothing_to_say(f"the model failed ({event.kind})")

    def _on_recovered(self, event: ev.ProviderRecovered) -> None:
        if event.service == "llm":
            self._failures = 0

    def _tell(self, event: ev.ProviderFailed) -> None:
        message = f"{event.message} What to do: {event.hint}" if event.hint else event.message
        self._do(
            do.Notify(at_ms=self._now_ms, reason=f"{event.service} failed ({event.kind})", message=message)
        )

    def _alert(self, event: ev.ProviderFailed) -> None:
        self._do(
            do.RaiseAlert(
                at_ms=self._now_ms,
                reason=f"{event.service} failed ({event.kind})",
                name=f"{event.service}_down",
                message=event.message,
            )
        )

    def _on_eager(self, event: ev.Event) -> None:
        self._ignore(event, "replies are not begun before the turn is over")

    def _on_answer(self, event: ev.Event) -> None:
        self._ignore(event, "no kept answer was asked for")

    def _nothing_to_do(self, event: ev.Event) -> None:
        """Recorded by being in the trace."""

    # --- the tools of the above ------------------------------------------------------------------------

    def _do(self, command: do.Command) -> None:
        self._out.append(command)
        self.trace.append(command)

    def _ignore(self, event: Any, why: str) -> None:
        self.trace.append(Ignored(at_ms=self._now_ms, event=type(event).__name__, reason=why))

    def _change(self, state: ConversationState, why: str) -> None:
        source = self._machine.state
        if source is state:
            return
        self._machine.transition(state, why)
        self.trace.append(
            StateChanged(at_ms=self._now_ms, turn_id=self._turn_id, source=source, target=state, reason=why)
        )

    def _set_timer(self, kind: str, after_ms: float, why: str) -> None:
        self._set_timer_at(kind, self._now_ms + after_ms, why)

    def _set_timer_at(self, kind: str, due_ms: float, why: str) -> None:
        self._cancel_timer(kind, "set anew")
        self._timer_count += 1
        timer_id = self._timers[kind] = f"{kind}#{self._timer_count}"
        self._do(do.SetTimer(at_ms=self._now_ms, reason=why, timer_id=timer_id, due_ms=due_ms))

    def _cancel_timer(self, kind: str, why: str) -> bool:
        timer_id = self._timers.pop(kind, None)
        if timer_id is None:
            return False
        self._do(do.CancelTimer(at_ms=self._now_ms, reason=why, timer_id=timer_id))
        return True


def _short(text: str) -> str:
    """At most forty characters of what someone said, for a reason."""
    return f"«{text}»" if len(text) <= 40 else f"«{text[:39]}…»"
