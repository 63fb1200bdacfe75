"""What an onlooker notes of a conversation: what was asked, what sounded, what was shown, who stood behind what.

Read from the trace alone and by rules of its own, not by the kit's `measure.story`: what checks a conversation must not
share its mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from msgspec import Struct

from clara_kit.conversation.heard import CHARS_PER_S
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record, StateChanged
from clara_kit.core.states import TRANSITIONS, ConversationState

How = Literal["", "ended", "cut", "broke"]


class Sound(Struct, kw_only=True):
    """One utterance. ended: by itself; cut: the customer wanted it; broke: nobody did; empty: it is not over."""

    utterance_id: int
    turn_id: int
    ordered_ms: float
    reply_id: int = 0  # where the backup answers: whose words it says
    pieces: list[str] = []
    started_ms: float | None = None
    stopped_ms: float | None = None
    how: How = ""
    told_ms: float | None = None  # when it was ordered to stop
    closed: bool = False  # no more pieces come
    guessed: bool = False  # that it was heard to its end
    wanted: bool = False  # by the customer, who made themselves felt since it was ordered, or was heard already


class Asked(Struct, kw_only=True):
    """One request for an answer, to the model or to the backup; or one that was kept (reply_id below 0)."""

    reply_id: int
    turn_id: int
    text: str
    at_ms: float
    backup: bool = False
    wrote: str = ""
    over: Literal["", "done", "failed", "dropped"] = ""
    over_ms: float = 0.0
    stop_reason: str = ""


class Heard(Struct, kw_only=True):
    """Words that reached the conversation."""

    text: str
    began_ms: float
    ended_ms: float
    at_ms: float
    typed: bool = False


class InForce(Struct, kw_only=True):
    """Something else stood behind a service. until_ms None: to the end."""

    service: str
    target: str
    from_ms: float
    until_ms: float | None = None
    reason: str = ""
    ordered_ms: float | None = None  # when something was next ordered to be said, shown or answered
    heard_ms: float | None = None  # and when it was heard


class Reading:
    """Everything `checked` goes by. `problems`: what must not be in any conversation, whatever happens to it."""

    def __init__(self, trace: Iterable[Record]) -> None:
        self.now_ms = 0.0
        self.sounds: dict[int, Sound] = {}
        self.asked: dict[int, Asked] = {}
        self.looked: do.LookUpAnswer | None = None
        self.heard: list[Heard] = []
        self.shown: list[do.ShowText] = []
        self.alerts: list[do.RaiseAlert] = []
        self.switches: list[InForce] = []
        self.touched_ms: list[float] = []  # when the customer made themselves felt: sound, words, typing, the button
        self._sounding = False
        self.pressed_ms: list[float] = []
        self.changed: dict[str, Any] = {}  # settings
        self.state, self.state_ms = ConversationState.IDLE, 0.0
        self.stopped_ms: float | None = None
        self.problems: list[str] = []
        self.twice: list[tuple[float, int, str]] = []  # a piece that was heard whole once more in its turn
        self._readers: dict[type, Callable[[Any], None]] = {
            ev.TranscriptFinal: self._final,
            ev.TextTyped: self._typed,
            ev.SpeechStarted: self._sound,
            ev.SpeechEnded: self._no_sound,
            ev.TranscriptInterim: self._touched,
            ev.InterruptRequested: self._button,
            ev.SettingsChanged: lambda r: self.changed.update(r.changes),
            ev.ConversationStopped: self._stopped,
            ev.ReplyDelta: self._delta,
            ev.ReplyCompleted: lambda r: self._answered(r, "done", r.stop_reason),
            ev.SpeakingStarted: self._started,
            ev.SpeakingEnded: lambda r: self._silent(r.utterance_id, "ended"),
            ev.SpeakingInterrupted: lambda r: self._silent(r.utterance_id, "cut"),
            ev.ProviderFailed: self._failed,
            ev.ProviderRecovered: lambda r: self._back(r.service, "given up"),
            do.RequestReply: self._request,
            do.AskBackup: self._request,
            do.LookUpAnswer: self._look_up,
            ev.AnswerFound: self._found,
            do.CancelReply: lambda r: self._answered(r, "dropped"),
            do.Speak: self._speak,
            do.EndSpeech: self._close,
            do.InterruptAvatar: self._interrupt,
            do.ShowText: self._show,
            do.RaiseAlert: self._alert,
            do.SwitchTo: self._switch,
            do.Disconnect: self._disconnect,
            StateChanged: self._state,
        }
        for record in trace:
            if record.at_ms > self.now_ms:
                self.now_ms = record.at_ms
            if (reader := self._readers.get(type(record))) is not None:
                reader(record)
        self._two_voices()

    # --- the customer ----------------------------------------------------------------------------------------

    def _touched(self, event: ev.Event) -> None:
        self.touched_ms.append(event.at_ms)

    def _sound(self, event: ev.SpeechStarted) -> None:
        self._touched(event)
        self._sounding = True

    def _no_sound(self, event: ev.SpeechEnded) -> None:
        self._sounding = False

    def _final(self, event: ev.TranscriptFinal) -> None:
        self._touched(event)
        self._sounding = False
        if event.text.strip():
            began, ended = event.speech_started_ms, event.speech_ended_ms
            self.heard.append(Heard(text=event.text, began_ms=began, ended_ms=ended, at_ms=event.at_ms))

    def _typed(self, event: ev.TextTyped) -> None:
        at_ms = event.at_ms
        self._touched(event)
        self.heard.append(Heard(text=event.text, began_ms=at_ms, ended_ms=at_ms, at_ms=at_ms, typed=True))

    def _button(self, event: ev.InterruptRequested) -> None:
        self._touched(event)
        self.pressed_ms.append(event.at_ms)

    # --- answers ---------------------------------------------------------------------------------------------

    def _look_up(self, command: do.LookUpAnswer) -> None:
        self.looked = command

    def _found(self, event: ev.AnswerFound) -> None:
        """Nobody is asked: the answer is whole at once. One that comes too late is not said, and no answer."""
        looked, self.looked = self.looked, None
        if looked is not None and looked.turn_id == event.turn_id:
            turn_id, at_ms, wrote = event.turn_id, event.at_ms, event.text
            self.asked[-event.turn_id] = Asked(
                reply_id=-turn_id, turn_id=turn_id, text=looked.question, at_ms=looked.at_ms, wrote=wrote, over="done", over_ms=at_ms
            )  # fmt: skip

    def _request(self, command: do.RequestReply | do.AskBackup) -> None:
        self.looked = None
        open_ones = [a.reply_id for a in self.asked.values() if not a.over]
        if open_ones:
            self.problems.append(f"{command.at_ms:.0f} ms: two answers are asked for at once: {open_ones[0]} is still being written")  # fmt: skip
        who, backup = command.reply_id, isinstance(command, do.AskBackup)
        self.asked[who] = Asked(
            reply_id=who, turn_id=command.turn_id, text=command.text, at_ms=command.at_ms, backup=backup
        )
        if isinstance(command, do.AskBackup):
            self._ordered(command.at_ms)
            self.sounds[command.utterance_id] = Sound(
                utterance_id=command.utterance_id, turn_id=command.turn_id, ordered_ms=command.at_ms,
                reply_id=command.reply_id,
            )  # fmt: skip

    def _delta(self, event: ev.ReplyDelta) -> None:
        asked = self.asked.get(event.reply_id)
        if asked is not None and not asked.over:
            asked.wrote += event.text

    def _answered(self, record: Any, over: Literal["done", "failed", "dropped"], stop_reason: str = "") -> None:
        asked = self.asked.get(record.reply_id)
        if asked is not None and not asked.over:
            asked.over, asked.over_ms, asked.stop_reason = over, record.at_ms, stop_reason

    def _failed(self, event: ev.ProviderFailed) -> None:
        self._answered(event, "failed")
        if event.utterance_id is not None:
            self._silent(event.utterance_id, "broke")
        elif event.service in ("avatar", "backup") and event.reply_id is None:
            passed_by = any(s.service == "avatar" and s.until_ms is None for s in self.switches)
            if (event.service == "backup") is passed_by:  # a session that nobody speaks by yet silences nobody
                self._all_silent(backup=event.service == "backup")

    # --- what is heard and seen ------------------------------------------------------------------------------

    def _speak(self, command: do.Speak) -> None:
        self._ordered(command.at_ms)
        sound = self.sounds.get(command.utterance_id)
        if sound is None:
            sound = self.sounds[command.utterance_id] = Sound(
                utterance_id=command.utterance_id, turn_id=command.turn_id, ordered_ms=command.at_ms
            )
        if sound.told_ms is not None:
            self.problems.append(f"{command.at_ms:.0f} ms: words for utterance {sound.utterance_id} after it was cut")
        sound.pieces.append(command.text)

    def _started(self, event: ev.SpeakingStarted) -> None:
        sound = self.sounds.get(event.utterance_id)
        if sound is not None and sound.started_ms is None and not sound.how:
            sound.started_ms = event.at_ms
            for switch in self.switches:
                if switch.heard_ms is None and switch.ordered_ms is not None and sound.ordered_ms >= switch.ordered_ms:
                    switch.heard_ms = event.at_ms

    def _close(self, command: do.EndSpeech) -> None:
        if (sound := self.sounds.get(command.utterance_id)) is not None:
            sound.closed = True

    def _interrupt(self, command: do.InterruptAvatar) -> None:
        sound = self.sounds.get(command.utterance_id)
        if sound is not None and not sound.how:
            sound.told_ms = command.at_ms
            sound.wanted = self._felt_since(sound)
            if sound.started_ms is None:
                sound.how, sound.stopped_ms = "cut", command.at_ms

    def _silent(self, utterance_id: int, how: How) -> None:
        sound = self.sounds.get(utterance_id)
        if sound is None or sound.how:
            return
        if how == "cut" and sound.told_ms is None:  # a vendor's own assistant falls silent for the customer by itself
            sound.wanted = self._felt_since(sound)
        if how == "broke" and sound.started_ms is not None and not sound.wanted:
            said = (self.now_ms - sound.started_ms) / 1000 * CHARS_PER_S
            sound.guessed = sound.closed and said >= len(" ".join(sound.pieces))  # it broke after its last word
            how = "ended" if sound.guessed else how
        if how != "ended":  # whose avatar breaks when the customer has silenced it breaks nothing
            how = "cut" if sound.wanted else "broke"
        sound.how, sound.stopped_ms = how, self.now_ms

    def _felt_since(self, sound: Sound) -> bool:
        """The customer is heard, or made themselves felt since it was ordered."""
        return self._sounding or any(at_ms >= sound.ordered_ms for at_ms in self.touched_ms[-1:])

    def _all_silent(self, *, backup: bool) -> None:
        for sound in self.sounds.values():
            if not sound.how and (backup or not sound.reply_id):
                self._silent(sound.utterance_id, "broke")

    def _show(self, command: do.ShowText) -> None:
        self._ordered(command.at_ms)
        self.shown.append(command)

    def _alert(self, command: do.RaiseAlert) -> None:
        self.alerts.append(command)
        if command.name == "internal_error":
            self.problems.append(f"{command.at_ms:.0f} ms: a mistake in the kit: {command.message}")

    def _two_voices(self) -> None:
        """No two utterances sound at the same time, and no piece is heard whole twice in one turn."""
        end = self.now_ms
        spans = sorted((s.started_ms, s.stopped_ms or end, s.utterance_id) for s in self.sounds.values() if s.started_ms is not None)  # fmt: skip
        for (_, until, first), (since, _, second) in zip(spans, spans[1:], strict=False):
            if since < until - 1.0:
                self.problems.append(f"{since:.0f} ms: two voices: utterance {second} begins while {first} sounds")
        whole: set[tuple[int, str]] = set()
        for sound in self.sounds.values():
            if sound.how == "ended" and not sound.guessed and sound.started_ms is not None:
                for piece in sound.pieces:
                    if (sound.turn_id, piece) in whole and len(piece.split()) > 3:
                        self.twice.append((sound.started_ms, sound.turn_id, piece))
                    whole.add((sound.turn_id, piece))

    # --- what is in force ------------------------------------------------------------------------------------

    def _ordered(self, at_ms: float) -> None:
        for switch in self.switches:
            if switch.ordered_ms is None:
                switch.ordered_ms = at_ms

    def _switch(self, command: do.SwitchTo) -> None:
        self._back(command.service)
        if command.target:
            self.switches.append(InForce(
                service=command.service, target=command.target, from_ms=command.at_ms, reason=command.reason
            ))  # fmt: skip

    def _disconnect(self, command: do.Disconnect) -> None:
        if command.service == "avatar":
            for sound in self.sounds.values():
                if not sound.how and not sound.reply_id:
                    self._silent(sound.utterance_id, "broke")
        if not any(s.service == command.service and s.until_ms is None for s in self.switches):
            self.switches.append(InForce(
                service=command.service, target="given up", from_ms=command.at_ms, reason=command.reason
            ))  # fmt: skip

    def _back(self, service: str, target: str = "") -> None:
        for switch in self.switches:
            if switch.service == service and switch.until_ms is None and target in ("", switch.target):
                switch.until_ms = self.now_ms

    def _state(self, record: StateChanged) -> None:
        if record.source is not self.state or record.target not in TRANSITIONS[record.source]:
            self.problems.append(f"{record.at_ms:.0f} ms: invalid transition {record.source} → {record.target}")
        self.state, self.state_ms = record.target, record.at_ms

    def _stopped(self, event: ev.ConversationStopped) -> None:
        self.stopped_ms = event.at_ms
