"""Whatever comes in whatever order: no exception, no invalid transition, no command for something ended."""

from __future__ import annotations

from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated, Ignored, StateChanged
from clara_kit.core.settings import Settings
from clara_kit.core.states import TRANSITIONS
from clara_kit.turns import usual_policies

IDS = st.integers(min_value=0, max_value=4)
TEXT = st.sampled_from(
    ["", " ", "Hola.", "¿Cuánto cuesta? ", "y además", "Sí. Claro. Te cuento", "…", "1.", "ajá", "espera", "nueve ocho"]
)


def _event(cls: type[ev.Event], /, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[ev.Event]:
    return st.builds(cls, at_ms=st.floats(min_value=0, max_value=60_000), **fields)


def _failures() -> st.SearchStrategy[ev.Event]:
    return _event(
        ev.ProviderFailed,
        service=st.sampled_from(["stt", "llm", "tts", "avatar", "shop"]),
        kind=st.sampled_from(["refused", "cut", "stalled"]),
        message=st.just("it broke"),
        retryable=st.booleans(),
        reply_id=st.none() | IDS,
        utterance_id=st.none() | IDS,
    )


SOURCE = st.sampled_from(["vendor", "vad"])
TIMES = st.floats(min_value=0, max_value=60_000)
EVENTS = st.one_of(
    _event(ev.ConversationStarted, greeting=TEXT, customer_key=st.sampled_from(["", "k1"])),
    _event(ev.SpeechStarted, source=SOURCE, sound_at_ms=TIMES),
    _event(ev.SpeechEnded, source=SOURCE, sound_at_ms=TIMES),
    _event(ev.TranscriptInterim, text=TEXT),
    _event(ev.TranscriptFinal, text=TEXT, speech_started_ms=TIMES, speech_ended_ms=TIMES),
    _event(ev.TurnEndExpected, text=TEXT),
    _event(ev.TurnResumed),
    _event(ev.TextTyped, text=TEXT),
    _event(ev.InterruptRequested),
    _event(ev.ReplyStarted, reply_id=IDS, model=st.just("m")),
    _event(ev.ReplyDelta, reply_id=IDS, text=TEXT),
    _event(ev.ReplyCompleted, reply_id=IDS, stop_reason=st.sampled_from(["end_turn", "max_tokens", "refusal"])),
    _event(ev.SpeechSent, utterance_id=IDS, piece_no=IDS),
    _event(ev.FirstAudio, utterance_id=IDS),
    _event(ev.SpeechVoiced, utterance_id=IDS, piece_no=IDS, audio_ms=TIMES),
    _event(ev.SpeakingStarted, utterance_id=IDS),
    _event(ev.SpeakingEnded, utterance_id=IDS),
    _event(ev.SpeakingInterrupted, utterance_id=IDS),
    _failures(),
    _event(ev.ProviderRecovered, service=st.just("llm")),
    _event(ev.AnswerFound, turn_id=IDS, text=TEXT),
    _event(ev.AnswerNotFound, turn_id=IDS, why=TEXT),
    _event(
        ev.SettingsChanged,
        changes=st.sampled_from([(("barge_in_debounce_ms", 50),), (("nonsense", 1),), (("turn_hold_ms", 300),)]),
    ),
    _event(ev.ProviderWarned, service=st.sampled_from(["stt", "tts"]), message=st.just("x")),
    _event(ev.ServiceExchanged, service=st.just("llm"), mode=st.sampled_from(["live", "twin"])),
    _event(ev.FaultInjected, service=st.sampled_from(["stt", "avatar"]), kind=st.just("cut")),
    _event(
        ev.ProfileLoaded, known_fields=st.just(("first_name",)), greeting=st.sampled_from(["", "¡Hola, {first_name}!"])
    ),
    _event(
        ev.TimerFired,
        timer_id=st.sampled_from(
            [f"{k}#{n}" for k in ("barge_in", "no_words", "retry", "profile", "turn_end") for n in range(1, 4)]
        ),
    ),
)
FIRE = st.just("fire the next timer")
CURRENT = st.sampled_from(["delta", "done", "speak", "end", "stopped", "failed"])


class Checker:
    """Follows the commands and notices any for something that is over."""

    def __init__(self) -> None:
        self.replies: set[int] = set()
        self.utterances: dict[int, bool] = {}  # id -> EndSpeech was given
        self.timers: dict[str, float] = {}
        self.all_timers: set[str] = set()
        self.texts: dict[int, str] = {}  # of each utterance, as far as it was given to the voice
        self.low = False

    def event(self, event: ev.Event) -> None:
        match event:
            case ev.ReplyCompleted() | ev.ProviderFailed(service="llm"):
                self.replies.discard(event.reply_id)  # type: ignore[arg-type]
            case ev.SpeakingEnded() | ev.SpeakingInterrupted():
                self.utterances.pop(event.utterance_id, None)
            case ev.ProviderFailed() if event.service in ("avatar", "tts"):
                if event.utterance_id is None:
                    self.utterances.clear()
                else:
                    self.utterances.pop(event.utterance_id, None)
            case ev.TimerFired():
                self.timers.pop(event.timer_id, None)
            case _:
                pass

    def command(self, command: do.Command) -> None:
        match command:
            case do.RequestReply():
                assert command.reply_id not in self.replies
                assert command.messages and command.messages[0].role == command.messages[-1].role == "user"
                roles = [m.role for m in command.messages]
                assert all(a != b for a, b in zip(roles, roles[1:], strict=False)), roles
                assert all(m.text.strip() for m in command.messages)
                self.replies.add(command.reply_id)
            case do.CancelReply():
                assert command.reply_id in self.replies, "cancelled a reply that is over"
                self.replies.discard(command.reply_id)
            case do.Speak():
                if command.piece_no == 0:
                    assert command.utterance_id not in self.utterances
                    self.utterances[command.utterance_id] = False
                assert self.utterances.get(command.utterance_id) is False, "spoke in an utterance that is over"
                assert list(self.utterances) == [command.utterance_id], "two utterances at once"
                assert command.text.strip()
                so_far = self.texts.get(command.utterance_id, "")
                self.texts[command.utterance_id] = f"{so_far} {command.text}".strip()
            case do.Duck():
                assert command.on is not self.low, "lowered twice, or brought back what was not low"
                self.low = command.on
            case do.EndSpeech():
                assert self.utterances.get(command.utterance_id) is False, (
                    "ended an utterance twice, or one that is over"
                )
                self.utterances[command.utterance_id] = True
            case do.InterruptAvatar():
                assert command.utterance_id in self.utterances, "interrupted an utterance that is over"
                del self.utterances[command.utterance_id]
            case do.SetTimer():
                assert command.timer_id not in self.all_timers, "used a timer id twice"
                self.all_timers.add(command.timer_id)
                self.timers[command.timer_id] = command.due_ms
            case do.CancelTimer():
                assert command.timer_id in self.timers, "cancelled a timer that is over"
                del self.timers[command.timer_id]
            case _:
                pass
        assert command.reason


def _play(steps: list[object], flags: dict[str, bool], preset: Literal["plan", "tuned"] = "plan") -> Conversation:
    conversation = Conversation(Settings.preset(preset).with_changes(**flags), policies=usual_policies())
    checker = Checker()
    now_ms = 0.0
    twin = conversation
    for number, step in enumerate(steps):
        if isinstance(step, ev.Event):
            event: ev.Event = step
        else:
            now_ms += 50
            made = _current(str(step), checker, now_ms)
            if made is None:
                continue
            event = made
        checker.event(event)
        if number == len(steps) // 2:  # from here on a second one goes on from what the first has come to
            twin = Conversation(talk=conversation.snapshot(), policies=conversation.policies)
        commands = conversation.handle(event)
        assert twin is conversation or twin.handle(event) == commands
        for command in commands:
            checker.command(command)
    for record in conversation.trace:
        if isinstance(record, StateChanged):
            assert record.target in TRANSITIONS[record.source]
        if isinstance(record, Ignored):
            assert "internal error" not in record.reason, record.reason
        if isinstance(record, HeardEstimated):
            assert checker.texts[record.utterance_id].startswith(record.heard), "heard more than was said"
    roles = [message.role for message in conversation.history.said]
    assert all(a != b for a, b in zip(roles, roles[1:], strict=False)), roles
    return conversation


def _current(step: str, checker: Checker, now_ms: float) -> ev.Event | None:
    """An event that fits what is going on, so that the deep states are reached."""
    reply = max(checker.replies, default=None)
    utterance = max(checker.utterances, default=None)
    if step == "fire the next timer" and checker.timers:
        timer_id = min(checker.timers, key=lambda t: checker.timers[t])
        return ev.TimerFired(at_ms=max(now_ms, checker.timers[timer_id]), timer_id=timer_id)
    if reply is not None and step == "delta":
        return ev.ReplyDelta(at_ms=now_ms, reply_id=reply, text="Claro que sí. Te cuento")
    if reply is not None and step == "done":
        return ev.ReplyCompleted(at_ms=now_ms, reply_id=reply, stop_reason="end_turn")
    if reply is not None and step == "failed":
        return ev.ProviderFailed(at_ms=now_ms, service="llm", kind="cut", message="cut", retryable=True, reply_id=reply)
    if utterance is not None and step in ("speak", "end", "stopped"):
        kind = {"speak": ev.SpeakingStarted, "end": ev.SpeakingEnded, "stopped": ev.SpeakingInterrupted}[step]
        return kind(at_ms=now_ms, utterance_id=utterance)
    return None


PRESET = st.sampled_from(["plan", "tuned"])
FLAGS = st.fixed_dictionaries({"enable_barge_in": st.booleans(), "enable_chunked_heygen": st.booleans()})


@settings(max_examples=600, deadline=None)
@given(steps=st.lists(st.one_of(EVENTS, FIRE, CURRENT, CURRENT), max_size=60), flags=FLAGS, preset=PRESET)
def test_any_order_of_events_is_survived_and_no_command_is_for_something_ended(
    steps: list[object], flags: dict[str, bool], preset: Literal["plan", "tuned"]
) -> None:
    _play(steps, flags, preset)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(st.one_of(EVENTS, FIRE, CURRENT), max_size=40))
def test_after_hanging_up_nothing_is_commanded_any_more(steps: list[object]) -> None:
    conversation = _play([*steps], {}, "tuned")
    conversation.handle(ev.ConversationStopped(at_ms=70_000))
    ducks = [record for record in conversation.trace if isinstance(record, do.Duck)]
    assert not ducks or not ducks[-1].on, "her sound stays low for ever"
    assert not any(conversation.handle(step) for step in steps if isinstance(step, ev.Event))


@given(junk=st.one_of(st.none(), st.integers(), st.text(), st.builds(object)))
def test_what_is_no_event_is_ignored(junk: object) -> None:
    conversation = Conversation()
    assert conversation.handle(junk) == ()  # type: ignore[arg-type]
    assert isinstance(conversation.trace[-1], Ignored)


@given(at_ms=st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e300]))
def test_a_time_that_is_no_time_is_ignored_and_does_not_move_the_clock(at_ms: float) -> None:
    conversation = Conversation()
    assert conversation.handle(ev.TextTyped(at_ms=at_ms, text="hola")) == ()
    assert conversation.handle(ev.TextTyped(at_ms=5.0, text="hola"))[0].at_ms == 5.0
