"""The simulated world's clockwork: a small discrete-event scheduler.

It stands where `runtime/session.py` stands for real sockets: what the conversation commands, the services' timelines
(`timelines.py`, `mouths.py`) answer, and what happens comes back as events at its time. No clock, no sleep, no I/O:
thousands of turns a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from heapq import heappop, heappush
from itertools import takewhile
from math import inf
from typing import TYPE_CHECKING

from msgspec.structs import replace

from clara_kit.audio.spoken import Pronunciation
from clara_kit.cache.responses import ResponseCache
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.door import Door
from clara_kit.conversation.policies import STANDARD, Policies
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderError
from clara_kit.core.profile import CustomerProfile
from clara_kit.core.prompt import Prompt
from clara_kit.core.records import StateChanged
from clara_kit.core.settings import USUAL_GREETING, Settings
from clara_kit.world import mouths, timelines
from clara_kit.world.brain import Brain
from clara_kit.world.customer import Wish
from clara_kit.world.faults import DOORS, Fault, FaultBox
from clara_kit.world.hears import Hears
from clara_kit.world.keeps import kept_answer
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.reacting import Reacts, customer_of
from clara_kit.world.script import Script, word_times
from clara_kit.world.shop_answers import shop_answer
from clara_kit.world.speakers import Speakers
from clara_kit.world.writing import Writer

if TYPE_CHECKING:
    from clara_kit.prompts.briefing import Briefing

PROBE_MS = 300.0  # assumed: a question to the model's vendor that costs nothing

Action = Callable[[float], object]
_NEVER = (inf, 0)


class World(Hears):
    """One conversation in virtual time. `play()` runs it to its end."""

    def __init__(
        self,
        script: Script | Reacts,
        settings: Settings,
        *,
        seed: int,
        latency: LatencyProfile,
        faults: Iterable[Fault],
        briefing: Briefing | None = None,
        prompt: Prompt | None = None,
        customer: CustomerProfile | None = None,
        pronunciation: Pronunciation = (),
        policies: Policies = STANDARD,
        brain: Brain | None = None,
        customer_brain: Brain | None = None,
        health: Mapping[ev.Service, ev.Circuit] | None = None,
        cache: ResponseCache | None = None,
    ) -> None:
        self.settings, self._cache = settings, cache
        self._draw = timelines.Drawn(latency, seed)
        self._faults = FaultBox(faults)
        self._faults.watch(self._fault_played)
        self._briefing, self._prompt, self._known = briefing, prompt, customer
        self._greeting = _greeting(settings, briefing)
        self._health, self._seed, self._number, self._now_ms = health or {}, seed, 0, 0.0
        self._heap: list[tuple[float, int, ev.Event | Action]] = []
        self._void: set[str] = set()  # timers that were cancelled
        # The reply that is being written: its next event, where in the queue it stands, and the rest. Not one entry of
        # the heap for each token: most of what happens is the next token.
        self._writing: Iterator[ev.Event] = iter(())
        self._next: ev.Event | None = None
        self._next_at: tuple[float, int] = _NEVER
        self._asked: do.RequestReply | None = None
        self.writer = Writer(settings, self._draw, brain)
        length = partial(mouths.spoken_ms, speed=settings.tts_speed, pronunciation=pronunciation)
        self._listens()
        self.speakers = Speakers(self, settings, latency, self._draw, length, self.writer.book)
        self.conversation = Conversation(settings, policies=policies)
        self.door = Door(
            self.conversation,
            {
                do.RequestReply: self._request_reply,
                do.CancelReply: self._cancel_reply,
                **self.speakers.hands,
                do.SetTimer: self._set_timer,
                do.CancelTimer: lambda command: self._void.add(command.timer_id),
                do.LoadProfile: self._load_profile,
                do.LookUpAnswer: self._look_up,
                do.FinalizeWords: lambda command: self._heard(self._ear.finalize(self._now_ms, over=command.over)),
                do.Connect: self._connect,
                do.Disconnect: self._disconnect,
                do.ProbePrimary: self._probe,
                do.SwitchTo: self._switch_to,
                do.ShowText: self._show,
            },
        )
        self.customer = customer_of(script, self.door, greeting=self._greeting, seed=seed, brain=customer_brain)

    def play(self, *, at_most_ms: float = 1e9) -> None:
        """Run until nothing is left to happen, or until `at_most_ms` of virtual time (eleven days)."""
        key = "sim" if self._known is not None else ""
        for service, circuit in self._health.items():
            self._feed(ev.HealthTold(at_ms=0.0, service=service, circuit=circuit, why="the simulation was told so"))
        self._feed(ev.ConversationStarted(at_ms=0.0, greeting=self._greeting, customer_key=key, seed=self._seed))
        self._wish(self.customer.begin(0.0))
        heap, void = self._heap, self._void
        while self._now_ms <= at_most_ms:
            if heap and heap[0] < self._next_at:
                self._now_ms, _, what = heappop(heap)
                if not isinstance(what, ev.Event):
                    what(self._now_ms)
                elif type(what) is ev.TimerFired and what.timer_id in void:
                    void.discard(what.timer_id)
                elif type(what) is ev.TimerFired and what.timer_id.startswith("probe_") and self._all_is_said:
                    continue  # what still comes, comes: words that are heard again, say
                else:
                    self._feed(what)
            elif (event := self._next) is not None:
                self._now_ms, place = self._next_at
                following = self._next = next(self._writing, None)
                self._next_at = _NEVER if following is None else (following.at_ms, place)
                if type(event) is ev.ReplyDelta and self.door.placeholders.is_empty:
                    # Two events of three: most order nothing, and none changes the state by itself.
                    for command in self.conversation.handle(event):
                        self.door.carry_out(command)
                else:
                    self._feed(event)
            else:
                break
        self._feed(ev.ConversationStopped(at_ms=self._now_ms))

    @property
    def _all_is_said(self) -> bool:
        """Nobody waits on the line for a service that is only tried from time to time."""
        return self.customer.done and self.conversation.is_quiet

    def at(self, at_ms: float, what: ev.Event | Action) -> None:
        """Let `what` happen at `at_ms`."""
        self._number += 1
        if at_ms < inf:
            heappush(self._heap, (at_ms, self._number, what))

    def faults(self, service: ev.Service) -> tuple[Fault, ...]:
        """What goes wrong on this occasion."""
        if not self._faults.waiting:  # nobody adds any here: nothing has to be counted
            return ()
        faults = self._faults.next_occasion(service)
        if (
            service == "avatar"
        ):  # its session is there, and no door to be refused at: it shows as the utterance's failure
            faults += self.doors(service)
        return faults

    def doors(self, service: ev.Service) -> tuple[Fault, ...]:
        """The refusals of a session that is to be opened now."""
        if not self._faults.waiting:
            return ()
        return tuple(fault for door in DOORS for fault in self._faults.next_occasion(service, door))

    def _fault_played(self, fault: Fault) -> None:
        at_ms = self._now_ms
        self.at(at_ms, ev.FaultInjected(at_ms=at_ms, service=fault.service, kind=fault.kind, note=str(fault)))

    def _feed(self, event: ev.Event) -> None:
        began = self.door.feed(event)
        trace = self.conversation.trace
        if len(trace) > began + 1:  # more than the event itself
            for record in trace[began:]:
                if type(record) is StateChanged:
                    self._wish(self.customer.saw(record.target, self._now_ms))

    def _set_timer(self, command: do.SetTimer) -> None:
        self.at(command.due_ms, ev.TimerFired(at_ms=command.due_ms, timer_id=command.timer_id))

    # --- the customer and the recogniser ---------------------------------------------------------------

    def _wish(self, wish: Wish | None) -> None:
        if wish is not None:
            token = wish.token
            self.at(wish.due_ms, lambda now_ms: self._say(token, now_ms))

    def _said(self, wish: Wish | None = None) -> None:
        """A line is over, or none came; where she has hung up nobody is there any more, and nothing happens."""
        self._wish(wish)
        if self.customer.gone:
            self._heap.clear()
            self._next, self._next_at, self._writing = None, _NEVER, iter(())

    def _say(self, token: int, now_ms: float) -> None:
        line = self.customer.fire(token)
        if line is None:
            return self._said()
        if line.typed:
            self._feed(ev.TextTyped(at_ms=now_ms, text=line.text))
            return self._said(self.customer.line_ended(now_ms))
        end_ms = now_ms + (line.sound_ms if line.sound else word_times(line)[-1].end_ms)
        self.at(end_ms, lambda then_ms: self._said(self.customer.line_ended(then_ms)))
        if line.sound:
            self._vad(now_ms, end_ms)
        else:
            self._recognise(line, now_ms)

    def _connect(self, command: do.Connect | do.ProbePrimary) -> None:
        if command.service == "avatar":
            return self.speakers.connect()
        if command.service == "stt":
            self._connect_ear()

    def _disconnect(self, command: do.Disconnect) -> None:
        if command.service == "avatar":
            self.speakers.disconnect()
        elif command.service == "stt":
            self._disconnect_ear()

    def _probe(self, command: do.ProbePrimary) -> None:
        if command.service in ("stt", "avatar"):
            return self._connect(command)
        at_ms = self._now_ms + PROBE_MS  # no request, so no occasion of a fault: it shows with the next answer
        self.at(at_ms, ev.ProviderRecovered(at_ms=at_ms, service=command.service))

    def _switch_to(self, command: do.SwitchTo) -> None:
        if command.service == "avatar":
            self.speakers.use(command.target)
        elif command.service == "stt":
            if command.target == "backup":
                self._disconnect_ear()  # what it has not understood, the backup hears
            self.speakers.listen(command.target == "backup")

    def _show(self, command: do.ShowText) -> None:
        self._wish(self.customer.reads(command.text, self._now_ms))

    def _look_up(self, asked: do.LookUpAnswer) -> None:
        obeyed = self._prompt if self._briefing is None else self._briefing.template
        self.at(self._now_ms, kept_answer(self._cache, asked, self._now_ms, self._known, obeyed))

    # --- the shop --------------------------------------------------------------------------------------

    def _load_profile(self, command: do.LoadProfile) -> None:
        assert self._known is not None
        shown = shop_answer(self._known, self.faults("shop"))
        at_ms = self._now_ms + self._draw("shop_answer") + shown.late_ms
        for warning in shown.warnings:
            self.at(at_ms, ev.ProviderWarned(at_ms=at_ms, service="shop", message=warning))
        if shown.failed is not None:
            return self.at(at_ms, replace(shown.failed, at_ms=at_ms))
        self.at(at_ms, lambda then_ms: self._profile_came(shown.profile, then_ms))

    def _profile_came(self, profile: CustomerProfile, now_ms: float) -> None:
        from clara_kit.prompts.briefing import (
            brief_or_why,  # only where there is a customer: it brings the templates' language
        )

        assert self._briefing is not None
        briefing = brief_or_why(self._briefing.template, profile)
        if isinstance(briefing, ProviderError):
            return self._feed(ev.ProviderFailed.of(briefing, "shop", now_ms))
        self._briefing = briefing
        self.door.placeholders = briefing.placeholders.fresh()
        greeting, known = briefing.hidden_greeting, profile.known_fields
        self._feed(ev.ProfileLoaded(at_ms=now_ms, known_fields=known, greeting=greeting))

    # --- the model -------------------------------------------------------------------------------------

    def _request_reply(self, command: do.RequestReply) -> None:
        self._number += 1
        self._asked, self._next_at = command, (self._now_ms, self._number)
        prompt, logged = self._prompts()
        self._writing = self.writer.reply(
            command, prompt, logged, self.door.placeholders, now_ms=self._now_ms, faults=self.faults("llm")
        )
        self._write_on()

    def _prompts(self) -> tuple[Prompt | None, Prompt | None]:
        """What Clara is told, and the same as a log may hold it."""
        if self._briefing is not None:
            return self._briefing.prompt, self._briefing.hidden_prompt
        return self._prompt, self._prompt

    def told(self) -> tuple[Prompt | None, str]:
        """What the backup is told, and what a log names it by."""
        prompt, logged = self._prompts()
        return prompt, logged.hash if logged is not None else ""

    def _write_on(self) -> None:
        """The next event of the reply keeps the reply's place in the queue: what was asked first comes first."""
        event = self._next = next(self._writing, None)
        self._next_at = _NEVER if event is None else (event.at_ms, self._next_at[1])

    def _cancel_reply(self, command: do.CancelReply) -> None:
        asked, who, at_ms = self._asked, command.reply_id, self._now_ms
        if asked is not None and asked.reply_id == who and self._next is not None:  # there was more to come
            since = takewhile(
                lambda r: type(r) is not do.RequestReply or r.reply_id != who, reversed(self.conversation.trace)
            )
            if written := sum(type(r) is ev.ReplyDelta and r.reply_id == who for r in since):
                usage = self.writer.dropped(asked, written)
                late = ev.ReplyCompleted(at_ms=at_ms, reply_id=who, stop_reason=ev.CANCELLED, usage=usage)
                self.at(at_ms, late)
        if asked is not None and asked.reply_id == who:  # the backup's goes on until it is silenced
            self._writing = iter(())
            self._write_on()


def _greeting(settings: Settings, briefing: Briefing | None) -> str:
    if settings.greeting is not None:
        return settings.greeting
    return USUAL_GREETING if briefing is None else briefing.greeting
