"""One reading of a trace: what was said, asked, written, spoken and heard, tied together by ids.

The ledger, the timeline, the stepper, the console and the terminal all tell their part of this story, so that they can
never tie the same pieces together in two ways. It grows with the trace: `read` takes one record after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated, Record, StateChanged
from clara_kit.core.states import ConversationState
from clara_kit.measure.told import Reply as Reply
from clara_kit.measure.told import Turn as Turn
from clara_kit.measure.told import Utterance as Utterance
from clara_kit.measure.told import Words as Words

LASTING = (ev.ServiceExchanged, do.SwitchTo)
"""What is told of all that follows; the rest is told of the turn in which it happened."""
OPENER = "opener"
"""The policy by which Clara says something before a word of the answer is there."""


class Story:
    """Reads a trace once. `step`: the number, from 0, of the last event."""

    def __init__(self, trace: Iterable[Record] = ()) -> None:
        self.step = -1
        self.now_ms = self._event_ms = 0.0
        self.turns: dict[int, Turn] = {}
        self.replies: dict[int, Reply] = {}
        self.utterances: dict[int, Utterance] = {}
        self.said: list[Words | Utterance] = []  # in the order in which it was said, or given to be said
        self.interim = ""
        self.exchanged: dict[str, Any] = {}
        self._new: Words | None = None
        self._looked: tuple[int, Words | None, str, float] | None = None  # whether an answer is kept: turn, words, when
        self._aside = False  # what is heard now answers nothing
        self._readers: dict[type, Callable[[Any], None]] = {
            ev.ServiceExchanged: self._exchanged,
            ev.ReplyDelta: self._delta,
            ev.TranscriptInterim: self._interim,
            ev.TranscriptFinal: self._final,
            ev.TextTyped: lambda r: self._words("typed", r, r.at_ms, r.at_ms),
            do.LookUpAnswer: self._look_up,
            ev.AnswerFound: self._answer_found,
            do.RequestReply: self._request,
            do.AskBackup: self._ask_backup,
            do.SwitchTo: self._switched,
            do.CancelReply: lambda r: self._reply_over(r.reply_id),
            ev.ReplyStarted: self._reply_started,
            ev.ReplyCompleted: self._completed,
            do.Speak: self._speak,
            do.ShowText: self._show,
            ev.SpeechSent: lambda r: self._reached(r, "sent"),
            ev.FirstAudio: lambda r: self._reached(r, "first_audio"),
            ev.SpeakingStarted: self._started,
            ev.SpeechVoiced: self._voiced,
            ev.SpeakingEnded: lambda r: self._stopped(r.utterance_id, cut=False),
            ev.SpeakingInterrupted: lambda r: self._stopped(r.utterance_id, cut=True),
            ev.ProviderFailed: self._failed,
            ev.TurnHeard: self._turn_heard,
            StateChanged: self._state,
            HeardEstimated: self._heard,
        }
        for record in trace:
            self.read(record)

    def read(self, record: Record) -> None:
        """The next record."""
        if isinstance(record, ev.Event):
            self.step += 1
            self._event_ms = record.at_ms
        self.now_ms = max(self.now_ms, record.at_ms)
        reader = self._readers.get(type(record))
        if reader is not None:
            reader(record)

    # --- the customer -----------------------------------------------------------------------------------

    def _interim(self, event: ev.TranscriptInterim) -> None:
        self.interim = event.text

    def _final(self, event: ev.TranscriptFinal) -> None:
        self.interim = ""
        if event.text.strip():
            self._words("spoken", event, event.speech_started_ms, event.speech_ended_ms)

    def _words(self, kind: Literal["spoken", "typed"], event: Any, began_ms: float, ended_ms: float) -> None:
        words = self._new = Words(
            step=self.step, kind=kind, text=event.text, began_ms=began_ms, ended_ms=ended_ms, received_ms=event.at_ms
        )
        self.said.append(words)

    # --- the model --------------------------------------------------------------------------------------

    def _exchanged(self, event: ev.ServiceExchanged) -> None:
        self.exchanged = {**self.exchanged, event.service: event.mode}

    def _switched(self, command: do.SwitchTo) -> None:
        """How she speaks from here on. Who thinks and hears is told by who is asked."""
        if command.service in ("tts", "avatar"):
            modes = {**self.exchanged, command.service: command.target}
            self.exchanged = {service: mode for service, mode in modes.items() if mode}

    def _ask_backup(self, command: do.AskBackup) -> None:
        passed_by = ("stt", "llm") if command.heard else ("llm",)
        self._request(command, {**self.exchanged, **dict.fromkeys(passed_by, "backup")})
        self.replies[command.reply_id].backup = self._utterance(command)

    def _request(self, command: do.RequestReply | do.AskBackup, exchanged: Mapping[str, Any] | None = None) -> None:
        words, asked_ms = self._decided(command.turn_id, command.at_ms)
        reply = self.replies[command.reply_id] = Reply(
            reply_id=command.reply_id,
            turn_id=command.turn_id,
            step=self.step,
            question=command.text,
            words=words,
            asked_ms=asked_ms,
            exchanged=self.exchanged if exchanged is None else exchanged,
        )
        turn = self._turn(command.turn_id, words.kind if words else "spoken")
        reply.of_rest = words is None and any(u.is_being_said for u in turn.utterances)
        turn.replies.append(reply)
        if words is not None:
            turn.speaking_ms = None  # her answer was taken back: the way begins anew

    def _look_up(self, command: do.LookUpAnswer) -> None:
        words, asked_ms = self._decided(command.turn_id, command.at_ms)
        self._looked = command.turn_id, words, command.question, asked_ms

    def _decided(self, turn_id: int, at_ms: float) -> tuple[Words | None, float]:
        """The words that are answered, and when that was decided: where a kept answer was looked for first, then."""
        looked, self._looked = self._looked, None
        words, self._new = self._new, None
        if looked is not None and looked[0] == turn_id and words is None:
            return looked[1], looked[3]
        return words, at_ms

    def _answer_found(self, event: ev.AnswerFound) -> None:
        """An answer as any other, but that nobody wrote it: it is in the turn, and not among the requests."""
        if self._looked is None or self._looked[0] != event.turn_id:
            return
        turn_id, words, question, asked_ms = self._looked
        now_ms, step = event.at_ms, self.step
        turn = self._turn(turn_id, words.kind if words else "spoken")
        turn.replies.append(Reply(
            reply_id=0, turn_id=turn_id, step=step, question=question, words=words, asked_ms=asked_ms, sent_ms=now_ms,
            first_ms=now_ms, first_step=step, ended_ms=now_ms, completed_ms=now_ms, text=event.text, model="kept", kept=True,
            exchanged=self.exchanged,
        ))  # fmt: skip
        self._looked = None
        if words is not None:
            turn.speaking_ms = None

    def _turn(self, turn_id: int, kind: Literal["greeting", "spoken", "typed"]) -> Turn:
        return self.turns.setdefault(turn_id, Turn(turn_id=turn_id, kind=kind))

    def _reply_started(self, event: ev.ReplyStarted) -> None:
        reply = self.replies.get(event.reply_id)
        if reply is not None and reply.sent_ms is None:
            reply.sent_ms, reply.model = event.at_ms, event.model

    def _delta(self, event: ev.ReplyDelta) -> None:
        reply = self.replies.get(event.reply_id)
        if reply is None:
            return
        if reply.first_ms is None:
            reply.first_ms, reply.first_step = event.at_ms, self.step
        if reply.ended_ms is None:
            reply.text += event.text
            if reply.backup is not None:
                reply.backup.pieces = [reply.text]

    def _completed(self, event: ev.ReplyCompleted) -> None:
        reply = self.replies.get(event.reply_id)
        if reply is not None:
            if event.stop_reason != ev.CANCELLED:
                reply.completed_ms = event.at_ms
            self._used(reply, event.usage)
            self._reply_over(event.reply_id)

    def _used(self, reply: Reply, usage: ev.Usage | None) -> None:
        """What it cost, also where it came too late for anything else; told twice, the larger is meant."""
        if usage is not None and (reply.usage is None or usage.tokens >= reply.usage.tokens):
            reply.usage = usage

    def _reply_over(self, reply_id: int) -> None:
        reply = self.replies.get(reply_id)
        if reply is not None and reply.ended_ms is None:
            reply.ended_ms = self.now_ms

    # --- Clara ------------------------------------------------------------------------------------------

    def _show(self, command: do.ShowText) -> None:
        utterance = self._utterance(command)
        utterance.shown.append(command.text)
        utterance.shown_ms = command.at_ms if utterance.shown_ms is None else utterance.shown_ms

    def _speak(self, command: do.Speak) -> None:
        utterance = self._utterance(command)
        utterance.openers += command.by == OPENER and command.piece_no == len(utterance.pieces)
        utterance.pieces.append(command.text)

    def _utterance(self, command: do.Speak | do.ShowText | do.AskBackup) -> Utterance:
        """The one that is meant; a new one where there is none yet."""
        utterance = self.utterances.get(command.utterance_id)
        if utterance is None:
            utterance = self.utterances[command.utterance_id] = Utterance(
                utterance_id=command.utterance_id, turn_id=command.turn_id, step=self.step, ordered_ms=command.at_ms,
                exchanged=self.exchanged, by=command.by,
            )  # fmt: skip
            turn = self._turn(command.turn_id, "greeting")
            if isinstance(command, do.Speak) and not utterance.aside and len(turn.replies) > 1:
                newest = turn.replies[-1]  # begun before this was said, and nothing of it is here: it is of the rest
                newest.of_rest |= newest.first_ms is None and newest.ended_ms is None
            turn.utterances.append(utterance)
            self.said.append(utterance)
        return utterance

    def _reached(self, event: Any, point: str) -> None:
        """The utterance came to a point of its way for the first time."""
        utterance = self.utterances.get(event.utterance_id)
        if utterance is not None and getattr(utterance, f"{point}_ms") is None:
            setattr(utterance, f"{point}_ms", event.at_ms)
            setattr(utterance, f"{point}_step", self.step)

    def _started(self, event: ev.SpeakingStarted) -> None:
        self._reached(event, "started")
        utterance = self.utterances.get(event.utterance_id)
        self._aside = utterance is not None and utterance.aside
        if utterance is not None:
            utterance.playout_ms = event.playout_ms

    def _voiced(self, event: ev.SpeechVoiced) -> None:
        utterance = self.utterances.get(event.utterance_id)
        if utterance is not None and utterance.stopped_ms is None:
            utterance.voiced.append(event)

    def _stopped(self, utterance_id: int | None, *, cut: bool) -> None:
        utterance = self.utterances.get(-1 if utterance_id is None else utterance_id)
        if utterance is not None and utterance.stopped_ms is None:
            utterance.stopped_ms, utterance.stopped_step, utterance.cut = self.now_ms, self.step, cut

    def _failed(self, event: ev.ProviderFailed) -> None:
        if event.reply_id is not None:
            if (reply := self.replies.get(event.reply_id)) is not None:
                self._used(reply, event.usage)
            self._reply_over(event.reply_id)
        self._stopped(event.utterance_id, cut=True)
        if event.utterance_id in self.utterances:
            self.utterances[event.utterance_id].failed = True

    def _turn_heard(self, event: ev.TurnHeard) -> None:
        turn = self._turn(event.turn_id, "greeting" if event.words_until_ms is None else "spoken")
        turn.outside, turn.speaking_ms = event, event.clara_from_ms
        turn.interrupted = any(overlap.silent_ms is not None for overlap in event.overlaps)
        if event.words_from_ms is not None and event.words_until_ms is not None:
            self.said.append(Words(
                step=self.step, kind="spoken", text="", began_ms=event.words_from_ms, ended_ms=event.words_until_ms,
                received_ms=event.words_until_ms,
            ))  # fmt: skip
        if event.clara_from_ms is not None:
            utterance = self.utterances[event.turn_id] = Utterance(
                utterance_id=event.turn_id, turn_id=event.turn_id, step=self.step, ordered_ms=event.clara_from_ms,
                started_ms=event.clara_from_ms, started_step=self.step, stopped_ms=event.clara_until_ms, stopped_step=self.step,
                cut=turn.interrupted,
            )  # fmt: skip
            turn.utterances.append(utterance)
            self.said.append(utterance)

    def _heard(self, record: HeardEstimated) -> None:
        utterance = self.utterances.get(record.utterance_id)
        if utterance is not None:
            utterance.heard, utterance.heard_step = record, self.step

    def _state(self, record: StateChanged) -> None:
        if record.target is not ConversationState.USER_SPEAKING:
            self.interim = ""
        turn = self.turns.get(record.turn_id)
        if turn is not None:
            turn.interrupted |= record.target is ConversationState.INTERRUPTED
            # When it happened, not when it was told: an event may come late, and decisions do not turn the clock back.
            speaks = record.target is ConversationState.AVATAR_SPEAKING and not self._aside
            if speaks and turn.speaking_ms is None:
                turn.speaking_ms = self._event_ms
