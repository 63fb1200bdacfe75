"""What happened and what followed, in plain sentences: nothing is without one, in either language."""

from __future__ import annotations

import re
from string import Formatter
from types import ModuleType
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit import Fault, Settings, simulate
from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core import records
from clara_kit.core.states import ConversationState
from clara_kit.lab.sentences import Language, followed, happened, in_plain, table
from clara_kit.lab.stepping import Stepper
from clara_kit.turns import usual_policies
from clara_kit.world.faults import FaultKind
from clara_kit.world.script import Line, Script
from tests.conversation.test_any_order import EVENTS

SCRIPT = Script(
    lines=(
        Line(text="¿Hacen despachos a regiones?"),
        Line(text="Espera, ¿cuánto cuesta?", interrupt_after_ms=900),
        Line(text="Gracias", typed=True),
    )
)
LANGUAGES: tuple[Language, Language] = ("en", "es")
RAW = re.compile(r"internal error|not an event of this kit|its time is no time|^A setting is wrong")  # for engineers


def _kinds(module: ModuleType, base: type) -> set[type]:
    return {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, base)} - {base}


def _untold(kinds: set[type], told: str) -> list[str]:
    """The kinds that have no sentence, or one that speaks of what they have not."""
    wrong = []
    for kind in kinds:
        texts = [t for name, both in table(told).items() if name.partition(".")[0] == kind.__name__ for t in both]
        fields = {*getattr(kind, "__struct_fields__", ()), *(["wait"] if kind is do.SetTimer else [])}
        named = {field for text in texts for _, field, _, _ in Formatter().parse(text) if field}
        if len(texts) < 2 or not all(map(str.strip, texts)) or not named <= fields:
            wrong.append(kind.__name__)
    return wrong


def test_every_kind_of_event_and_command_has_a_sentence_in_both_languages() -> None:
    assert _untold(_kinds(ev, ev.Event), "events") == []
    assert _untold(_kinds(do, do.Command), "commands") == []
    assert _untold({records.Ignored, records.HeardEstimated, records.StateChanged}, "commands") == []
    assert all(f"StateChanged.{state}" in table("commands") for state in ConversationState)

    class SomethingNew(ev.Event, frozen=True, kw_only=True):
        """An event of tomorrow."""

    assert _untold({SomethingNew}, "events") == ["SomethingNew"]


def test_a_reason_speaks_of_nothing_in_one_language_that_it_does_not_in_the_other() -> None:
    for reason, (english, spanish) in table("reasons").items():
        there, en, es = ({f for _, f, _, _ in Formatter().parse(text) if f} for text in (reason, english, spanish))
        assert en == es and en <= there, reason


@pytest.mark.parametrize(
    ("language", "first", "then"),
    [
        ("en", "The customer finished: «", "300 ms of silence said that the turn was over, so Clara asked the model."),
        ("es", "El cliente terminó: «", "300 ms de silencio dijeron que el turno había terminado; por eso Clara le preguntó al modelo."),
    ],
)  # fmt: skip
def test_the_end_of_a_turn_reads_as_a_person_would_say_it(language: Language, first: str, then: str) -> None:
    run = simulate(SCRIPT, seed=3)
    final = next(n for n, event in enumerate(run.events) if isinstance(event, ev.TranscriptFinal))
    moment = Stepper(run.trace, run.settings, language).moment(final)
    assert moment.plain[0].startswith(first) and moment.plain[1:] == (then,)
    assert moment.why.index(then) < moment.why.index("RequestReply")


@pytest.mark.parametrize("service", ["stt", "llm", "tts", "avatar"])
def test_what_fails_is_told_with_what_is_done_about_it(service: str) -> None:
    run = simulate(SCRIPT, seed=3, faults=[Fault(service=service, kind="cut", on=1)])
    stepper = Stepper(run.trace, run.settings)
    failed = next(n for n, event in enumerate(run.events) if isinstance(event, ev.ProviderFailed))
    told = " ".join(stepper.moment(failed).plain)
    assert "Something failed" in told and ("again in" in told or "a new connection to" in told)


@given(events=st.lists(EVENTS, max_size=40), hold=st.booleans(), tuned=st.booleans())
@settings(max_examples=40, deadline=None)
def test_whatever_comes_in_whatever_order_can_be_told_and_every_reason_is_known(
    events: list[ev.Event], hold: bool, tuned: bool
) -> None:
    settled = Settings.preset("tuned" if tuned else "plan").with_changes(turn_hold_ms=300 if hold else 0)
    conversation = Conversation(settled, policies=usual_policies())
    conversation.handle(ev.ConversationStarted(at_ms=0.0, greeting="Hola."))
    for event in events:
        before = len(conversation.trace)
        conversation.handle(event)
        decided = [r for r in conversation.trace[before:] if not isinstance(r, ev.Event)]
        for language in LANGUAGES:
            told = (happened(event, language), *followed(decided, language))
            assert all(sentence[-1] in ".?!" and not sentence[0].islower() for sentence in told)
        reasons = {r.reason for r in decided if not isinstance(r, records.HeardEstimated)}
        assert all(in_plain(reason, "es") or RAW.search(reason) for reason in reasons), reasons


@pytest.mark.parametrize(
    ("on", "english", "spanish"),
    [(True, "sound was lowered", "se bajó el sonido"), (False, "not lowered any more", "ya no está más bajo")],
)
def test_lowering_her_sound_and_bringing_it_back_are_told_apart(on: bool, english: str, spanish: str) -> None:
    command = do.Duck(
        at_ms=0, on=on, reason="a sound began while Clara has the floor: an interruption if it lasts 700 ms"
    )
    told = [" ".join(followed([command], language)) for language in LANGUAGES]
    assert english in told[0] and spanish in told[1] and "only a noise" in told[0]


def test_every_fault_that_is_played_is_told_in_words() -> None:
    assert {*table("faults")} == {*get_args(FaultKind)}
