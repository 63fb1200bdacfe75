"""Conversations in which nearly everything fails, by chance from a seed: for whoever reads a trace of fallback.

Each order is answered by what a service could do next, well or not, and time goes on from timer to timer. Of the outside only
what a trace needs is true: whether the whole makes sense is asked elsewhere.
"""

from __future__ import annotations

from random import Random
from typing import Any

from clara_kit import Settings
from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.events import Service
from clara_kit.core.records import Record
from clara_kit.turns import usual_policies

KINDS: tuple[Any, ...] = ("overloaded", "refused", "cut", "stalled", "rate_limited")


def unlucky(seed: int, *, events: int = 120, luck: float = 0.5, **changes: Any) -> tuple[Record, ...]:
    """The trace of one of them, with automatic fallback on. luck: how often a service does what it is asked, 0..1."""
    return _World(seed, luck, changes).play(events)


class _World:
    def __init__(self, seed: int, luck: float, changes: dict[str, Any]) -> None:
        self._rng, self._luck = Random(seed), luck
        settings = Settings.of(**{"enable_auto_fallback": True, **changes})
        self._conversation = Conversation(settings, policies=usual_policies())
        self._due: list[tuple[float, int, ev.Event]] = []
        self._timers: dict[str, float] = {}
        self._now_ms, self._number = 0.0, 0

    def play(self, events: int) -> tuple[Record, ...]:
        self._feed(ev.ConversationStarted(at_ms=0.0, greeting="Hola, soy Clara.", seed=1))
        for _ in range(events):
            self._due.sort(key=lambda one: one[:2])
            timer = min(self._timers, key=self._timers.__getitem__, default="")
            if self._rng.random() < 0.06:
                self._customer()
            elif self._rng.random() < 0.03:
                self._told()
            elif self._due and (not timer or self._due[0][0] <= self._timers[timer]):
                at_ms, _, event = self._due.pop(0)
                self._now_ms = max(self._now_ms, at_ms)
                if isinstance(event, ev.ProviderFailed) and event.service in ("tts", "avatar", "backup"):
                    self._drop("utterance_id", event.utterance_id)
                self._feed(event)
            elif timer:
                self._now_ms = max(self._now_ms, self._timers.pop(timer))
                self._feed(ev.TimerFired(at_ms=self._now_ms, timer_id=timer))
            else:
                self._customer()
        self._feed(ev.ConversationStopped(at_ms=self._now_ms + 1))
        return tuple(self._conversation.trace)

    def _customer(self) -> None:
        after_ms, text = (
            self._rng.uniform(50, 6000),
            self._rng.choice(("¿Cuánto cuesta?", "Espera, otra cosa.", "¿aló?")),
        )
        began_ms = self._now_ms + after_ms
        if self._rng.random() < 0.3:
            return self._after(after_ms, ev.TextTyped, text=text)
        self._after(after_ms + 60, ev.SpeechStarted, source="vendor", sound_at_ms=began_ms)
        self._after(
            after_ms + 900, ev.TranscriptFinal, text=text, speech_started_ms=began_ms, speech_ended_ms=began_ms + 700
        )  # fmt: skip

    def _told(self) -> None:
        service: Service = self._rng.choice(("llm", "stt", "tts", "avatar"))
        circuit: Any = self._rng.choice(("open", "closed", "half_open"))
        self._feed(ev.HealthTold(at_ms=self._now_ms, service=service, circuit=circuit, why="three failures elsewhere"))

    def _feed(self, event: ev.Event) -> None:
        for command in self._conversation.handle(event):
            self._happens(command)

    def _happens(self, command: do.Command) -> None:
        well, rng = self._rng.random() < self._luck, self._rng
        match command:
            case do.SetTimer():
                self._timers[command.timer_id] = command.due_ms
            case do.CancelTimer():
                self._timers.pop(command.timer_id, None)
            case do.RequestReply() | do.AskBackup():
                self._reply(command, well)
            case do.Speak():
                self._speak(command, well)
            case do.CancelReply():
                self._drop("reply_id", command.reply_id)
            case do.InterruptAvatar():
                self._drop("utterance_id", command.utterance_id)
                self._after(80, ev.SpeakingInterrupted, utterance_id=command.utterance_id)
            case do.OpenBackup():
                self._comes("backup", well, 1400)
            case do.Connect() | do.ProbePrimary():
                self._comes(command.service, well, 300)
        if isinstance(command, do.Speak) and rng.random() < 0.04:
            self._fails("avatar", 500)
        if rng.random() < 0.02:
            self._fails(rng.choice(("stt", "backup", "avatar")), 200)

    def _drop(self, which: str, number: int | None) -> None:
        """Nothing more comes of it; None: of anything of that kind."""
        numbers = ((one, getattr(one[2], which, None)) for one in self._due)
        self._due = [one for one, its in numbers if its is None or (number is not None and its != number)]

    def _comes(self, service: Service, well: bool, after_ms: float) -> None:
        if well:
            self._after(after_ms, ev.ProviderRecovered, service=service)
        else:
            self._fails(service, after_ms)

    def _fails(self, service: Service, after_ms: float, **ids: int) -> None:
        kind = self._rng.choice(KINDS)
        self._after(
            after_ms,
            ev.ProviderFailed,
            service=service,
            kind=kind,
            message="It broke.",
            retryable=kind != "refused",
            **ids,
        )

    def _reply(self, command: do.RequestReply | do.AskBackup, well: bool) -> None:
        rid, rng = command.reply_id, self._rng
        backup = isinstance(command, do.AskBackup)
        self._after(1, ev.ReplyStarted, reply_id=rid, model="liveavatar: its own" if backup else "m")
        at_ms = rng.choice((400, 400, 4000))
        if not well:
            ids = {"utterance_id": command.utterance_id} if isinstance(command, do.AskBackup) else {}
            if rng.random() < 0.5:
                self._after(at_ms, ev.ReplyDelta, reply_id=rid, text="Cuesta cinco mil pesos. Y ")
            return self._fails("backup" if backup else "llm", at_ms + 200, reply_id=rid, **ids)
        text = rng.choice(("", "Cuesta cinco mil pesos. ¿Te lo mando?"))
        if isinstance(command, do.AskBackup):
            who = command.utterance_id
            self._after(at_ms, ev.SpeechSent, utterance_id=who, piece_no=0)
            self._after(at_ms + 300, ev.FirstAudio, utterance_id=who, estimated=True)
            self._after(at_ms + 300, ev.SpeakingStarted, utterance_id=who)
            self._after(at_ms + 2000, ev.SpeakingEnded, utterance_id=who)
        if text:
            self._after(at_ms + 400 * backup, ev.ReplyDelta, reply_id=rid, text=text)
        self._after(at_ms + 500, ev.ReplyCompleted, reply_id=rid, stop_reason="end_turn")

    def _speak(self, command: do.Speak, well: bool) -> None:
        who, no = command.utterance_id, command.piece_no
        self._after(1, ev.SpeechSent, utterance_id=who, piece_no=no)
        if no:
            return
        if not well and self._rng.random() < 0.7:
            return self._fails("tts", 200, utterance_id=who)
        late_ms = self._rng.choice((200, 200, 3500))
        self._after(late_ms, ev.FirstAudio, utterance_id=who)
        self._after(late_ms + 400, ev.SpeakingStarted, utterance_id=who)
        self._after(late_ms + 1900, ev.SpeakingEnded, utterance_id=who)

    def _after(self, ms: float, happens: type[ev.Event], /, **fields: Any) -> None:
        self._number += 1
        self._due.append((self._now_ms + ms, self._number, happens(at_ms=self._now_ms + ms, **fields)))
