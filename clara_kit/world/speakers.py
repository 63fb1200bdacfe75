"""Who speaks for Clara in a simulation: her avatar, her voice alone, or the avatar vendor's own assistant.

The part of `scheduler.py` that stands where `runtime/orders.py` and its avatars stand for real ones. What is ordered goes to
whoever is in force; what happens comes back unless it was silenced, or its session is gone, by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from clara_kit.conversation.talk import Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderUnavailable
from clara_kit.core.events import Service
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Settings
from clara_kit.world.answers import AnswerBook
from clara_kit.world.assistant import Assistant
from clara_kit.world.faults import Fault, find
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.mouths import KEPT_BY, Length, Mouth, mouth_for
from clara_kit.world.timelines import Draw, failed


class Host(Protocol):
    """The world they speak in."""

    @property
    def now_ms(self) -> float: ...
    def at(self, at_ms: float, what: Callable[[float], object]) -> None: ...
    def feed(self, event: ev.Event) -> None: ...
    def faults(self, service: Service) -> tuple[Fault, ...]: ...
    def doors(self, service: Service) -> tuple[Fault, ...]: ...
    def told(self) -> tuple[Prompt | None, str]: ...
    def ears(self) -> None: ...


@dataclass(slots=True)
class _Session:
    """With a vendor. number: of the attempts to open it; what comes of an older one is void."""

    there: bool
    number: int = 0

    def next(self, *, there: bool = False) -> int:
        self.there, self.number = there, self.number + 1
        return self.number


class Speakers:
    """`ours`: the avatar with her voice. `assistant`: the vendor's own, while its session is open."""

    def __init__(
        self, host: Host, settings: Settings, latency: LatencyProfile, draw: Draw, length: Length, book: AnswerBook
    ) -> None:
        self._host, self._draw = host, draw
        self.ours = mouth_for(settings, latency, draw, length)
        self._bare = Mouth(settings, draw, length, face=False)
        self.assistant = Assistant(settings, draw, length, book, self.ours)
        self._target: do.Target = ""
        self._listens = False
        self._sessions: dict[Service, _Session] = {"avatar": _Session(there=True), "backup": _Session(there=False)}
        self.hands: dict[type, Callable[[Any], object]] = {
            do.Speak: self._speak,
            do.EndSpeech: self._end_speech,
            do.WakeAvatar: self._wake,
            do.InterruptAvatar: self._interrupt,
            do.OpenBackup: self._open_backup,
            do.CloseBackup: lambda _: self._close("backup"),
            do.AskBackup: self._ask,
        }

    def go_on_from(self, talk: Talk) -> None:
        """As they stood in a conversation that is gone on with; what was being opened comes in the time that this takes."""
        there, self._target = talk.backup in ("there", "leaving", "home"), talk.health("avatar").target
        self._sessions["backup"].there = there
        own = self._target == "" or talk.backup == "home" or self.assistant.classic
        self._sessions["avatar"].there = own and not talk.health("avatar").down
        prompt, hash_ = self._host.told()
        self.assistant.told(prompt, talk.history.said, hash_=hash_)
        self._listens = talk.health("stt").target == "backup"
        if talk.backup == "opening":
            self._open("backup", at_once=False)
        if talk.backup == "leaving" or talk.health("avatar").down == "broken":
            self._open("avatar", at_once=False)
        self._host.ears()

    # --- who is there -------------------------------------------------------------------------------------

    @property
    def hears(self) -> bool:
        """The backup is there and listens to the customer."""
        return self._listens and self._sessions["backup"].there and not self.assistant.classic

    def use(self, target: do.Target) -> None:
        """Let this one speak from now on."""
        self._target = target

    def listen(self, on: bool) -> None:
        """Let the backup hear the customer as soon as it is there, or no more."""
        self._listens = on
        self._host.ears()

    def connect(self) -> None:
        """Open the avatar's session again."""
        self._open("avatar", at_once=self.assistant.classic and self._sessions["avatar"].there)

    def disconnect(self) -> None:
        """Close it; the classic avatar's is the backup's too, and stays."""
        if not self.assistant.classic:
            self._close("avatar")

    def _open_backup(self, command: do.OpenBackup) -> None:
        prompt, hash_ = self._host.told()
        self.assistant.told(prompt, command.messages, hash_=hash_)
        self._listens = self._listens or command.hears
        self._open("backup", at_once=self.assistant.classic or self._sessions["backup"].there)

    def _open(self, service: Service, *, at_once: bool) -> None:
        host, session = self._host, self._sessions[service]
        refused = find(host.doors(service), "refuse") if not at_once else None
        number = session.next(there=at_once)
        if refused is not None:
            return host.at(host.now_ms + refused.after_ms, lambda at_ms: host.feed(failed(refused, at_ms)))
        due_ms = host.now_ms if at_once else host.now_ms + self._draw("avatar_open")
        host.at(due_ms, lambda at_ms: self._is_there(service, number, at_ms))

    def _is_there(self, service: Service, number: int, at_ms: float) -> None:
        session = self._sessions[service]
        if session.number == number:
            session.there = True
            self._host.feed(ev.ProviderRecovered(at_ms=at_ms, service=service))
            self._host.ears()

    def _close(self, service: Service) -> None:
        self._sessions[service].next()
        mouth = self.ours if service == "avatar" else self.assistant.mouth
        if service == "avatar" or not self.assistant.classic:
            mouth.utterance_id = -1
        self._host.ears()

    def _lost(self, event: ev.ProviderFailed, number: int) -> None:
        if self._sessions[event.service].number == number:
            self._close(event.service)
            self._host.feed(event)

    # --- what is said -------------------------------------------------------------------------------------

    def _mouth(self) -> tuple[Service, Mouth | None]:
        """Whoever is to speak now, if there."""
        if self._target == "sound":
            return "tts", self._bare
        service: Service = "backup" if self._target == "backup" else "avatar"
        mouth = self.assistant.mouth if service == "backup" else self.ours
        return service, mouth if self._sessions[service].there else None

    def _speak(self, command: do.Speak) -> None:
        host, who, kept = self._host, command.utterance_id, command.by in KEPT_BY
        if command.piece_no > 0:
            if (mouth := self._speaking(who)) is not None:
                self.happen(mouth, mouth.say(command.piece_no, command.text, host.now_ms, kept=kept))
                host.at(mouth.due_ms(host.now_ms), lambda now_ms: self.happen(mouth, mouth.go_on(now_ms)))
            return
        service, other = self._mouth()
        if other is None:
            return self._nobody(service, utterance_id=who)
        told: list[ev.Event] = []  # what was ordered is told before what goes wrong with it
        host.at(host.now_ms, lambda _: self._happens(other, told[0], who))
        if kept and other.keeps:  # the voice comes to it later, if at all
            other.begin(who, host.faults(service) if service == "avatar" else (), partial(host.faults, "tts"))
        else:
            voice = host.faults("tts") if service == "avatar" else ()
            other.begin(who, (*voice, *host.faults(service)))
        sent, *rest = other.say(0, command.text, host.now_ms, kept=kept)
        told.append(sent)
        self.happen(other, rest)

    def _wake(self, command: do.WakeAvatar) -> None:
        service, mouth = self._mouth()
        if mouth is not None and service == "avatar":
            mouth.wake(command.on, self._host.now_ms)

    def _end_speech(self, command: do.EndSpeech) -> None:
        if (mouth := self._speaking(command.utterance_id)) is not None:
            self.happen(mouth, mouth.end(self._host.now_ms))

    def _interrupt(self, command: do.InterruptAvatar) -> None:
        if (mouth := self._speaking(command.utterance_id)) is not None:
            self.silence(mouth)

    def silence(self, mouth: Mouth) -> None:
        """Let it fall silent, if it speaks."""
        if mouth.utterance_id >= 0:
            now_ms = self._host.now_ms
            for event in self.assistant.silence(now_ms) if mouth is self.assistant.mouth else [mouth.interrupt(now_ms)]:
                self._host.at(event.at_ms, lambda _, event=event: self._host.feed(event))  # type: ignore[misc]

    def _ask(self, command: do.AskBackup) -> None:
        host, mouth, who = self._host, self.assistant.mouth, command.utterance_id
        if not self._sessions["backup"].there:
            return self._nobody("backup", utterance_id=who, reply_id=command.reply_id)
        faults = host.faults("backup")
        self.happen(mouth, self.assistant.ask(command, host.now_ms, faults))

    def _nobody(self, service: Service, **ids: int) -> None:
        host = self._host
        error = ProviderUnavailable(
            f"The simulated {service} is not connected.", hint="wait for it to be connected again."
        )
        host.at(host.now_ms, lambda at_ms: host.feed(ev.ProviderFailed.of(error, service, at_ms, **ids)))

    def _speaking(self, utterance_id: int) -> Mouth | None:
        mouths = (self.ours, self._bare, self.assistant.mouth)
        return next((mouth for mouth in mouths if mouth.utterance_id == utterance_id), None)

    def happen(self, mouth: Mouth, events: Iterable[ev.Event]) -> None:
        """Let these happen unless their utterance is silenced, over or broken by then."""
        who = mouth.utterance_id
        for event in events:
            if isinstance(event, ev.ProviderFailed) and event.utterance_id is None:
                number = self._sessions[event.service].number
                self._host.at(event.at_ms, lambda _, event=event, number=number: self._lost(event, number))  # type: ignore[misc]
            else:
                self._host.at(event.at_ms, lambda _, event=event: self._happens(mouth, event, who))  # type: ignore[misc]

    def _happens(self, mouth: Mouth, event: ev.Event, who: int) -> None:
        if who == mouth.utterance_id:
            if isinstance(event, ev.SpeakingEnded | ev.ProviderFailed):
                mouth.utterance_id = -1
            self._host.feed(event)
