"""The simulated world: a script, a brain and a latency profile played against the decisions in virtual time.

A small discrete-event scheduler. It stands where `runtime/manager.py` stands for real sockets: what the
conversation commands, the simulated services carry out, and what happens to them comes back as events at
its time. No clock, no sleep, no I/O: thousands of turns a second, and equal inputs give equal bytes.

What is simulated is each service together with its provider: a fault shows as what the provider would
make of it. Durations of speech come from the text (`CHARS_PER_S`), latencies from the profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import Any

from msgspec.structs import replace

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.heard import CHARS_PER_S
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import SettingsError
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.profile import CustomerProfile
from clara_kit.core.prompt import Prompt
from clara_kit.core.records import StateChanged
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import USUAL_GREETING, Settings
from clara_kit.measure.run import SERVICES, Run
from clara_kit.prompts.briefing import Briefing, brief
from clara_kit.prompts.template import PromptTemplate
from clara_kit.world.answers import AnswerBook
from clara_kit.world.customer import ScriptedCustomer, Wish
from clara_kit.world.faults import Fault, FaultBox, find
from clara_kit.world.latency import LatencyProfile, Stage
from clara_kit.world.personas import Persona
from clara_kit.world.script import Line, Script, ScriptLike, word_times
from clara_kit.world.timelines import answer_tokens, recognised, shop_answer, stretches, token_count

VAD_HANG_MS = 64.0  # two frames of 32 ms: how long the local VAD waits before it says that a sound stopped
WATCHDOG_MS = 1500.0  # how much later than expected an utterance is closed whose end never comes
STALL_MS = 8000.0  # a stalled reply is given up after this

Action = Callable[[float], None]


def simulate(
    script: ScriptLike,
    settings: Settings | None = None,
    *,
    seed: int = 0,
    profile: str | LatencyProfile = "published",
    faults: Iterable[Fault] = (),
    customer: str | Persona | CustomerProfile | None = None,
    template: PromptTemplate | Prompt | str | None = None,
) -> Run:
    """Play a script in virtual time and return the whole run. Equal arguments give equal bytes.

    script: a `Script`, the name of one in `data/scripts/`, a path, or a plain list of strings.
    profile: a name in `data/latency/` or a `LatencyProfile`. template: the prompt to be obeyed: a `PromptTemplate`
    or the id of one, a plain `Prompt`, or the text of one (default: none; with a customer, the kit's own).
    customer: whom the simulated shop knows: an invented customer of `data/customers/` by name, or a profile.
    """
    script = Script.of(script)
    settings = settings or Settings()
    profile = profile if isinstance(profile, LatencyProfile) else LatencyProfile.load(profile)
    told = _told(template, customer)
    known = _profile(customer) if customer is not None else None
    faults = (*script.faults, *faults)
    if known is None and any(fault.service == "shop" for fault in faults):
        raise SettingsError("Nobody asks the shop, so its faults cannot happen.", hint="give a customer.")
    world = World(script, settings, seed=seed, profile=profile, faults=faults, told=told, customer=known)
    world.play()
    prompt = told.prompt if isinstance(told, Briefing) else told
    inputs: dict[str, Any] = {
        "modes": dict.fromkeys(SERVICES, "sim"),
        "script": script.model_dump(mode="json"),
        "settings": settings.model_dump(mode="json"),
        "profile": profile.to_dict(),
        "faults": [f.to_dict() for f in faults],
        "seed": seed,
        "prompt_hash": prompt.hash if prompt else "",
        "answers": world.book.hash,
    }
    if isinstance(told, Briefing):
        inputs["template"] = told.template.about
    if known is not None:
        inputs["modes"] = {**inputs["modes"], "shop": "sim"}
        inputs["customer"] = sha256(repr(known).encode()).hexdigest()[:12]
    trace = tuple(world.conversation.trace)
    return Run(inputs=inputs, trace=trace, facts={"title": script.title}, words=world.placeholders.map)


def _told(
    template: PromptTemplate | Prompt | str | None, customer: str | Persona | CustomerProfile | None
) -> Briefing | Prompt | None:
    """What Clara is told of a customer of whom nothing is known yet."""
    if isinstance(template, str) and len(template.split()) > 1:
        template = Prompt(static=template)
    if isinstance(template, Prompt):
        if customer is not None:
            raise SettingsError(
                "A plain prompt has no place for what the shop knows of a customer.",
                hint="give a template (its id, or a PromptTemplate) instead of a text.",
            )
        return template
    if template is None and customer is None:
        return None
    return brief(template or "warm")


def _profile(customer: str | Persona | CustomerProfile) -> CustomerProfile:
    if isinstance(customer, CustomerProfile):
        return customer
    return (Persona.load(customer) if isinstance(customer, str) else customer).profile


class World:
    """One conversation in virtual time. `play()` runs it to its end."""

    def __init__(
        self,
        script: Script,
        settings: Settings,
        *,
        seed: int,
        profile: LatencyProfile,
        faults: Iterable[Fault],
        told: Briefing | Prompt | None = None,
        customer: CustomerProfile | None = None,
    ) -> None:
        self.conversation = Conversation(settings)
        self.settings = settings
        self.book = AnswerBook.load()
        self._profile = profile
        self._rngs: dict[Stage, Random] = {stage: child_rng(seed, "sim", stage) for stage in profile.laws}
        self._faults = FaultBox(faults)
        self._faults.watch(self._fault_played)
        self._told, self._known = told, customer
        self._greeting = _greeting(settings, told)
        self.placeholders = Placeholders()
        self._customer = ScriptedCustomer(script, greeted=bool(self._greeting.strip()))
        self._heap: list[tuple[float, int, ev.Event | Action]] = []
        self._numbers = count()
        self._now_ms = 0.0
        self._void: set[str] = set()  # timers that were cancelled
        self._reply_id = -1  # the reply that is being written
        self._stt_down_until_ms = 0.0
        self._avatar = _Avatar(self)
        self._seen = 0  # how much of the trace the customer has seen
        self._carry: dict[type[do.Command], Callable[[Any, float], None]] = {
            do.RequestReply: self._request_reply,
            do.CancelReply: self._cancel_reply,
            do.Speak: self._avatar.speak,
            do.EndSpeech: self._avatar.end_speech,
            do.InterruptAvatar: self._avatar.interrupt,
            do.SetTimer: self._set_timer,
            do.CancelTimer: self._cancel_timer,
            do.LoadProfile: self._load_profile,
        }

    def play(self, *, at_most_ms: float = 1e9) -> None:
        """Run until nothing is left to happen, or until `at_most_ms` of virtual time (eleven days)."""
        key = "sim" if self._known is not None else ""
        self._feed(ev.ConversationStarted(at_ms=0.0, greeting=self._greeting, customer_key=key), 0.0)
        self._wish(self._customer.begin(0.0))
        heap, feed = self._heap, self._feed
        now_ms = 0.0
        while heap and now_ms <= at_most_ms:
            now_ms, _, what = heappop(heap)
            self._now_ms = now_ms
            if isinstance(what, ev.Event):
                feed(what, now_ms)
            else:
                what(now_ms)
        self._feed(ev.ConversationStopped(at_ms=now_ms), now_ms)

    def at(self, at_ms: float, what: ev.Event | Action) -> None:
        """Let `what` happen at `at_ms`."""
        heappush(self._heap, (at_ms, next(self._numbers), what))

    def draw(self, stage: Stage) -> float:
        """The next value of a stage, to the microsecond."""
        return round(self._profile.draw(stage, self._rngs[stage]), 3)

    def faults(self, service: ev.Service) -> tuple[Fault, ...]:
        """What goes wrong on this occasion."""
        faults = self._faults.next_occasion(service)
        if service == "avatar":  # there is no door here to be refused at: it shows as the utterance's failure
            faults += self._faults.next_occasion(service, "token")
        return faults

    def _fault_played(self, fault: Fault) -> None:
        at_ms = self._now_ms
        self.at(at_ms, ev.FaultInjected(at_ms=at_ms, service=fault.service, kind=fault.kind, note=str(fault)))

    # --- the loop's two halves -------------------------------------------------------------------------

    def _feed(self, event: ev.Event, now_ms: float) -> None:
        if type(event) is ev.TimerFired and event.timer_id in self._void:
            self._void.discard(event.timer_id)
            return
        if type(event) is ev.ReplyDelta and event.reply_id != self._reply_id:
            return  # cancelled: the provider gives nothing more
        conversation = self.conversation
        for hidden in self.placeholders.events(event):
            for command in conversation.handle(hidden):
                carry = self._carry.get(type(command))
                if carry is not None:
                    carry(command, now_ms)
        trace = conversation.trace
        for n in range(self._seen, len(trace)):
            record = trace[n]
            if type(record) is StateChanged:
                self._wish(self._customer.saw(record.target, now_ms))
        self._seen = len(trace)

    def _set_timer(self, command: do.SetTimer, now_ms: float) -> None:
        self.at(command.due_ms, ev.TimerFired(at_ms=command.due_ms, timer_id=command.timer_id))

    def _cancel_timer(self, command: do.CancelTimer, now_ms: float) -> None:
        self._void.add(command.timer_id)

    # --- the customer and the recogniser ---------------------------------------------------------------

    def _wish(self, wish: Wish | None) -> None:
        if wish is not None:
            self.at(wish.due_ms, lambda now_ms, token=wish.token: self._say(token, now_ms))  # type: ignore[misc]

    def _say(self, token: int, now_ms: float) -> None:
        line = self._customer.fire(token)
        if line is None:
            return
        if line.typed:
            self._feed(ev.TextTyped(at_ms=now_ms, text=line.text), now_ms)
            self._wish(self._customer.line_ended(now_ms))
            return
        end_ms = now_ms + line.sound_ms if line.sound else now_ms + word_times(line)[-1].end_ms
        self.at(end_ms, lambda then_ms: self._wish(self._customer.line_ended(then_ms)))
        if line.sound:
            self._vad(now_ms, end_ms)
        else:
            for event in self._recognise(line, now_ms):
                self.at(event.at_ms, event)

    def _vad(self, start_ms: float, end_ms: float) -> None:
        if not self.settings.local_vad:
            return
        onset = start_ms + self.draw("stt_onset")
        if onset < end_ms:
            self.at(onset, ev.SpeechStarted(at_ms=onset, source="vad", sound_at_ms=start_ms))
            self.at(
                end_ms + VAD_HANG_MS,
                ev.SpeechEnded(at_ms=end_ms + VAD_HANG_MS, source="vad", sound_at_ms=end_ms),
            )

    def _recognise(self, line: Line, start_ms: float) -> Iterator[ev.Event]:
        """What the recogniser makes of a spoken line: one utterance for each stretch between long pauses."""
        faults = self.faults("stt")
        slow = find(faults, "slow")
        late_ms = slow.for_ms if slow else 0.0
        broken = find(faults, "refuse", "cut", "error", "stall")
        for words in stretches(line, float(self.settings.stt_endpointing_ms)):
            began, ended = start_ms + words[0].start_ms, start_ms + words[-1].end_ms
            self._vad(began, ended)
            if began < self._stt_down_until_ms:
                continue
            if broken is not None:
                at_ms = began + self.draw("stt_onset") + broken.after_ms
                yield _stt_failure(broken, at_ms)
                if broken.kind == "refuse":
                    self._stt_down_until_ms = inf
                else:  # the runtime opens it again after the first delay
                    self._stt_down_until_ms = at_ms + self.settings.initial_retry_delay_ms
                    yield ev.ProviderRecovered(at_ms=self._stt_down_until_ms, service="stt")
                broken = None
                continue
            no_end = find(faults, "no_end") is not None
            yield from recognised(words, start_ms, self.settings, self.draw, late_ms=late_ms, no_end=no_end)

    # --- the shop --------------------------------------------------------------------------------------

    def _load_profile(self, command: do.LoadProfile, now_ms: float) -> None:
        assert self._known is not None
        shown = shop_answer(self._known, self.faults("shop"), self.settings)
        at_ms = now_ms + self.draw("shop_answer") + shown.late_ms
        for warning in shown.warnings:
            self.at(at_ms, ev.ProviderWarned(at_ms=at_ms, service="shop", message=warning))
        if shown.failed is not None:
            return self.at(at_ms, replace(shown.failed, at_ms=at_ms))
        self.at(at_ms, lambda then_ms: self._profile_came(shown.profile, then_ms))

    def _profile_came(self, profile: CustomerProfile, now_ms: float) -> None:
        assert isinstance(self._told, Briefing)
        told = self._told = brief(self._told.template, profile)
        self.placeholders = told.placeholders
        greeting, known = told.hidden_greeting, profile.known_fields
        self._feed(ev.ProfileLoaded(at_ms=now_ms, known_fields=known, greeting=greeting), now_ms)

    # --- the model -------------------------------------------------------------------------------------

    def _request_reply(self, command: do.RequestReply, now_ms: float) -> None:
        reply_id = self._reply_id = command.reply_id
        model = self.settings.llm_model
        told = self._told
        prompt = told.prompt if isinstance(told, Briefing) else told
        logged = told.hidden_prompt if isinstance(told, Briefing) else told
        hash_ = logged.hash if logged is not None else ""
        self.at(now_ms, ev.ReplyStarted(at_ms=now_ms, reply_id=reply_id, model=model, prompt_hash=hash_))
        faults = self.faults("llm")
        broken = find(faults, "refuse", "cut", "error", "stall")
        slow = find(faults, "slow")
        first = sum(m.role == "user" for m in command.messages) <= 1
        tokens = answer_tokens(self.book, self.placeholders.fill(command.text), prompt, first=first)
        first_ms = now_ms + self.draw("llm_first_token") + (slow.for_ms if slow else 0.0)
        per_token_ms = 1000 / self.draw("llm_tokens_per_s")
        declined, cut_short = find(faults, "decline"), find(faults, "truncate")
        if declined:
            tokens = ()
        if broken is not None and broken.kind == "refuse":
            self.at(first_ms, _reply_failure(broken, first_ms, reply_id))
            return
        limit = self.settings.llm_max_tokens
        at_ms = first_ms
        for token in tokens[:limit]:
            if cut_short is not None and at_ms >= first_ms + cut_short.after_ms:
                break
            if broken is not None and at_ms >= first_ms + broken.after_ms:
                at_ms += STALL_MS if broken.kind == "stall" else 0.0
                self.at(at_ms, _reply_failure(broken, at_ms, reply_id))
                return
            heappush(
                self._heap,
                (at_ms, next(self._numbers), ev.ReplyDelta(at_ms=at_ms, reply_id=reply_id, text=token)),
            )
            at_ms = round(at_ms + per_token_ms, 3)
        usage = ev.Usage(input_tokens=_tokens_in(command), output_tokens=min(len(tokens), limit))
        reason = "max_tokens" if len(tokens) > limit or cut_short else "refusal" if declined else "end_turn"
        done = ev.ReplyCompleted(at_ms=at_ms, reply_id=reply_id, stop_reason=reason, usage=usage)
        self.at(at_ms, lambda then_ms: self._feed(done, then_ms) if self._reply_id == reply_id else None)

    def _cancel_reply(self, command: do.CancelReply, now_ms: float) -> None:
        if self._reply_id == command.reply_id:
            self._reply_id = -1


class _Avatar:
    """The voice and the avatar together: speaks one utterance at a time, at the pace of sound."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._utterance_id = -1
        self._texts: list[str] = []
        self._faults: tuple[Fault, ...] = ()
        self._start_ms = 0.0
        self._sound_ms = 0.0  # length of the sound that has been made
        self._free_ms = 0.0  # when all sound made so far will have been played

    def speak(self, command: do.Speak, now_ms: float) -> None:
        """The next piece. The first makes sound at once, the rest when the reply ends: two flushes a reply."""
        world, utterance_id = self._world, command.utterance_id
        world.at(now_ms, ev.SpeechSent(at_ms=now_ms, utterance_id=utterance_id, piece_no=command.piece_no))
        if command.piece_no > 0:
            self._texts.append(command.text)
            return
        self._utterance_id, self._texts = utterance_id, []
        self._faults = (*world.faults("tts"), *world.faults("avatar"))
        broken = find(self._faults, "refuse", "cut", "error", "stall")
        if broken is not None:
            at_ms = now_ms + broken.after_ms
            world.at(at_ms, lambda then_ms: self._fail(broken, utterance_id, then_ms))
        slow = find(self._faults, "slow")
        first_ms = now_ms + world.draw("tts_first_chunk") + (slow.for_ms if slow else 0.0)
        self._sound_ms = world.draw("tts_lead_silence") + _spoken_ms(command.text)
        made_ms = first_ms + self._sound_ms * world.draw("tts_realtime_factor")
        self._start_ms = first_ms + world.draw("avatar_start")
        self._free_ms = self._start_ms + self._sound_ms
        for event in (
            ev.FirstAudio(at_ms=first_ms, utterance_id=utterance_id),
            ev.SpeechVoiced(at_ms=made_ms, utterance_id=utterance_id, piece_no=0, audio_ms=self._sound_ms),
            ev.SpeakingStarted(at_ms=self._start_ms, utterance_id=utterance_id),
        ):
            self._emit(event)

    def end_speech(self, command: do.EndSpeech, now_ms: float) -> None:
        """No more pieces: make the sound of the rest, and end when all of it has been played."""
        if command.utterance_id != self._utterance_id:
            return
        world, utterance_id = self._world, command.utterance_id
        if self._texts:
            first_ms = now_ms + world.draw("tts_first_chunk")
            rest_ms = world.draw("tts_lead_silence") + sum(map(_spoken_ms, self._texts))
            self._sound_ms += rest_ms
            self._free_ms = max(self._free_ms, first_ms) + rest_ms
            made_ms = first_ms + rest_ms * world.draw("tts_realtime_factor")
            piece_no = len(self._texts)
            self._emit(
                ev.SpeechVoiced(
                    at_ms=made_ms, utterance_id=utterance_id, piece_no=piece_no, audio_ms=self._sound_ms
                )
            )
        end_ms, estimated = max(self._free_ms, now_ms), False
        if find(self._faults, "premature_end"):
            end_ms = max(self._start_ms, now_ms) + (end_ms - max(self._start_ms, now_ms)) / 2
        if find(self._faults, "no_end"):
            end_ms, estimated = end_ms + WATCHDOG_MS, True
        self._emit(ev.SpeakingEnded(at_ms=end_ms, utterance_id=utterance_id, estimated=estimated), last=True)

    def interrupt(self, command: do.InterruptAvatar, now_ms: float) -> None:
        """Fall silent."""
        if command.utterance_id == self._utterance_id:
            self._utterance_id = -1
            at_ms = now_ms + self._world.draw("avatar_interrupt")
            self._world.at(at_ms, ev.SpeakingInterrupted(at_ms=at_ms, utterance_id=command.utterance_id))

    def _emit(self, event: Any, *, last: bool = False) -> None:
        """Let an event of this utterance happen unless it was silenced before."""

        def happen(now_ms: float) -> None:
            if event.utterance_id == self._utterance_id:
                if last:
                    self._utterance_id = -1
                self._world._feed(event, now_ms)

        self._world.at(event.at_ms, happen)

    def _fail(self, fault: Fault, utterance_id: int, now_ms: float) -> None:
        if utterance_id == self._utterance_id:
            self._utterance_id = -1
            self._world._feed(
                ev.ProviderFailed(
                    at_ms=now_ms,
                    service=fault.service,
                    kind="refused" if fault.kind == "refuse" else "cut",
                    message=f"Simulated fault: {fault.service} {fault.kind}.",
                    retryable=fault.kind != "refuse",
                    utterance_id=utterance_id,
                ),
                now_ms,
            )


def _greeting(settings: Settings, told: Briefing | Prompt | None) -> str:
    if settings.greeting is not None:
        return settings.greeting
    return told.greeting if isinstance(told, Briefing) else USUAL_GREETING


def _stt_failure(fault: Fault, at_ms: float) -> ev.ProviderFailed:
    return ev.ProviderFailed(
        at_ms=at_ms,
        service="stt",
        kind="refused" if fault.kind == "refuse" else "cut",
        message=f"Simulated fault: stt {fault.kind}.",
        retryable=fault.kind != "refuse",
    )


def _reply_failure(fault: Fault, at_ms: float, reply_id: int) -> ev.ProviderFailed:
    refused = fault.kind == "refuse" and fault.status < 500 and fault.status != 429
    kind: ev.FailureKind = "refused" if refused else "stalled" if fault.kind == "stall" else "overloaded"
    return ev.ProviderFailed(
        at_ms=at_ms,
        service="llm",
        kind="cut" if fault.kind == "cut" else kind,
        message=f"Simulated fault: llm {fault.kind}.",
        retryable=not refused,
        reply_id=reply_id,
    )


def _tokens_in(command: do.RequestReply) -> int:
    return sum(token_count(message.text) for message in command.messages)


@lru_cache(maxsize=4096)
def _spoken_ms(text: str) -> float:
    """How long the voice takes for a text, to the microsecond."""
    return round(len(text) / CHARS_PER_S * 1000, 3)
