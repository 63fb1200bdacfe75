"""Whose turn is it? Overlaps in Spanish, played in the simulation under the tuned preset, in a slow and in a fast world."""

from __future__ import annotations

from typing import Any

import pytest

from clara_kit import Run, Settings, simulate
from clara_kit.conversation.echo import ALIKE, echoed
from clara_kit.conversation.lexicon import plain
from clara_kit.core.commands import InterruptAvatar, RequestReply, Speak
from clara_kit.core.events import SpeakingEnded
from clara_kit.core.records import StateChanged
from clara_kit.core.states import ConversationState as S

ASKED = "¿Qué protector solar me recomiendas?"  # answered in two sentences, about twelve seconds
WORLDS = ("published", "fast")
BACKCHANNELS = (
    "ajá", "Ajá.", "mmm", "mhm", "ya", "sí", "claro", "ok", "dale", "perfecto", "bacán", "obvio", "siii", "buenísimo", "eso",
)  # fmt: skip
LONG_ONES = (
    "Ya, ya", "sí, claro", "claro po", "ya po", "sí po", "qué bueno", "Ah, ya.", "en serio", "no me digas", "ya po, dale", "aah ya",
    "de acuerdo", "claro que sí", "uy, qué rico", "excelente", "ehm",
)  # fmt: skip
INTERRUPTIONS = (
    "espera", "Para.", "no", "pero", "oye", "disculpa", "un momento", "a ver", "¿cómo?", "¿qué?", "ya, ya, ya", "ya, para",
    "no, gracias", "espera, ¿cuánto cuesta?", "¿y hacen despachos?", "mejor una crema", "sí, pero tengo piel seca", "¿ah?",
    "quiero otra cosa", "o a Talca", "no me gusta", "es que tengo poca plata", "de hecho ya lo usé", "me refiero a otra", "¿y en regiones?", "claro, ¿y el despacho?", "perdón",
)  # fmt: skip
UNFINISHED = (
    ("Y también quería", "una crema de manos"), ("Busco algo para", "la piel seca"), ("Tengo la piel mixta y", "me salen granitos"),
    ("Mi número es el nueve ocho", "siete seis cinco cuatro tres dos uno"), ("Me gustaría un", "protector solar"),
    ("¿Tienen, eh,", "despacho a regiones?"), ("Necesito o sea", "un sérum"), ("Quiero dos cremas, un gel", "y un sérum"),
    ("Me gustaría", "devolverlo"), ("Vivo en avenida Matta", "mil doscientos"), ("Lo quiero para mi", "hermana"),
)  # fmt: skip

COMPLETE = (
    "¿Hacen despachos a regiones?", "Quiero una crema de manos.", "Gracias.", "No.", "Sí", "No sé", "Nada más", "Es para mí", "Bueno",
    "Sí, esa", "Quiero este", "Creo que sí", "No, eso es", "El de $14.990", "Es el 9.876.543-2", "Mi número es el 9 2222 1111",
    "Sí, la crema", "No puedo", "Vivo en avenida Matta 1200", "El gel, la crema y el sérum",
)  # fmt: skip


def play(lines: list[Any], world: str, **changes: Any) -> Run:
    return simulate(lines, Settings.preset("tuned").with_changes(**changes), seed=5, latency=world)


def during(text: str, after_ms: float = 2000, **more: Any) -> dict[str, Any]:
    return {"text": text, "interrupt_after_ms": after_ms, **more}


def cuts(run: Run) -> list[InterruptAvatar]:
    return [r for r in run.trace if isinstance(r, InterruptAvatar)]


def asked(run: Run) -> list[str]:
    return [r.text for r in run.trace if isinstance(r, RequestReply)]


def test_the_model_is_told_of_a_backchannel_as_what_it_was() -> None:
    run = play([ASKED, during("ajá"), "¿Y cuánto cuesta?"], "published")
    last = [r for r in run.trace if isinstance(r, RequestReply)][-1]
    assert [m.role for m in last.messages] == ["user", "assistant"] * (len(last.messages) // 2) + ["user"]
    assert any("dijo: «ajá»" in m.text for m in last.messages[:-1]) and last.messages[-1].text == "¿Y cuánto cuesta?"


def said_whole(run: Run) -> bool:
    """What she said last was not cut, and it is the end of her answer."""
    spoken = [r for r in run.trace if isinstance(r, Speak)]
    over = [r.utterance_id for r in run.trace if isinstance(r, SpeakingEnded)]
    return spoken[-1].utterance_id == over[-1] and spoken[-1].text.endswith("$14.990.")


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("said", BACKCHANNELS)
def test_a_backchannel_neither_stops_her_nor_is_answered(said: str, world: str) -> None:
    run = play([ASKED, during(said)], world)
    assert not cuts(run) and asked(run) == [ASKED]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("said", LONG_ONES)
def test_one_that_lasts_is_not_answered_either_and_she_says_all_that_she_had_to_say(said: str, world: str) -> None:
    run = play([ASKED, during(said)], world)
    assert asked(run) == [ASKED] and said_whole(run)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("said", INTERRUPTIONS)
def test_who_means_it_stops_her_and_is_answered_once(said: str, world: str) -> None:
    run = play([ASKED, during(said)], world)
    assert len(cuts(run)) == 1 and asked(run) == [ASKED, said]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("sound_ms", [120, 250, 400, 500])
def test_a_cough_stops_nothing(sound_ms: int, world: str) -> None:
    run = play([ASKED, {"sound": "cough", "sound_ms": sound_ms, "interrupt_after_ms": 2000}], world)
    assert not cuts(run) and asked(run) == [ASKED]


@pytest.mark.parametrize("world", WORLDS)
def test_a_cough_while_the_answer_is_prepared_changes_nothing(world: str) -> None:
    plain, coughed = (
        play([ASKED, *more], world) for more in ([], [{"sound": "cough", "sound_ms": 300, "at_most_ms": 500}])
    )
    assert asked(coughed) == [ASKED] and not cuts(coughed)
    assert coughed.turns["total_ms"].to_list()[:2] == plain.turns["total_ms"].to_list()[:2]


@pytest.mark.parametrize("world", WORLDS)
def test_her_own_voice_in_the_microphone_is_nobody_s_turn(world: str) -> None:
    hers = play([ASKED], world).turns["clara"][1]
    heard = " ".join(hers.split()[:6]).replace("pieles", "piedes")  # and one word of it misheard
    run = play([ASKED, during(heard, 1500)], world)
    assert asked(run) == [ASKED] and said_whole(run)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("said", "after_ms"), [("las pieles", 1100), ("pieles", 1200)])
def test_one_or_two_words_of_hers_in_the_moment_in_which_she_says_them_are_her_echo_too(
    said: str, after_ms: float, world: str
) -> None:
    run = play([ASKED, during(said, after_ms)], world)
    assert asked(run) == [ASKED] and said_whole(run)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("said", "after_ms"),
    [("el protector Sol Ligero", 8500), ("Sol Ligero", 6500), ("todas las pieles te va espera", 1200)],
)
def test_who_takes_up_what_she_said_long_ago_or_stops_her_with_it_is_no_echo(
    said: str, after_ms: float, world: str
) -> None:
    assert asked(play([ASKED, during(said, after_ms)], world)) == [ASKED, said]


HERS = "para la piel seca te recomiendo la crema nutritiva beta que tiene karite tambien en la mañana nos escribes y la mandamos"


@pytest.mark.parametrize(
    ("said", "is_hers"),
    [
        ("para la piel seca te recomiendo", True),
        ("la crema nutritiva veta", True),  # misheard
        ("que tiene carité también en la mañana", True),
        ("para la piel grasa no", False),  # a word of it is quite another
        ("para la piel seca no", False),
        ("y también para las manos", False),  # pieces from everywhere
    ],
)
def test_her_own_voice_is_one_stretch_of_what_she_says_and_has_no_word_of_the_customer_s(
    said: str, is_hers: bool
) -> None:
    assert (echoed(HERS, plain(said)) >= ALIKE) is is_hers


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("parts", UNFINISHED, ids=lambda parts: parts[0])
def test_an_unfinished_clause_is_waited_for_and_both_halves_are_answered_once(
    parts: tuple[str, str], world: str
) -> None:
    first, second = parts
    line = {"text": f"{first} {second}", "pauses": [{"after_word": len(first.split()), "ms": 1000}]}
    run = play([line], world)
    assert asked(run) == [f"{first} {second}"]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("said", COMPLETE)
def test_a_clause_that_is_complete_is_answered_at_once(said: str, world: str) -> None:
    held, plain = (play([said], world, **c) for c in ({}, {"unfinished_hold_ms": 0}))
    assert held.turns["total_ms"].to_list() == plain.turns["total_ms"].to_list()


def test_a_yes_to_her_question_is_an_answer() -> None:
    greeting = "Hola, soy Clara. ¿Te ayudo a elegir una crema?"
    run = simulate(
        [{"text": "sí", "after_clara_ms": 300}], Settings.preset("tuned").with_changes(greeting=greeting), seed=2
    )
    assert asked(run) == ["sí"]


def test_the_plan_s_preset_is_what_the_settings_are_anyway() -> None:
    assert Settings.preset("plan") == Settings() != Settings.preset("tuned")


def test_a_long_hum_stops_her_and_she_goes_on_where_she_was() -> None:
    run = play([ASKED, during("mmmmmmmmmmmm", words_per_min=60)], "published")
    assert asked(run) == [ASKED]
    states = [r.target for r in run.trace if isinstance(r, StateChanged)]
    assert states[-1] is S.IDLE


def test_a_noise_that_does_not_end_stops_her_for_a_while_and_not_for_good() -> None:
    run = play([ASKED, {"sound": "noise", "sound_ms": 40_000, "interrupt_after_ms": 2000}], "published")
    spoken = [r for r in run.trace if isinstance(r, Speak)]
    assert len(cuts(run)) == 1 and asked(run) == [ASKED] and said_whole(run)
    assert 9_000 < spoken[-1].at_ms - cuts(run)[0].at_ms < 13_000


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("ms", [500, 700, 1000])
@pytest.mark.parametrize("parts", [("Busco un protector", "que no deje grasa"), ("Hola", "¿tienen retinol?")])
def test_whoever_goes_on_after_a_pause_is_answered_once_however_fast_she_is(
    parts: tuple[str, str], ms: int, world: str
) -> None:
    line = {"text": " ".join(parts), "pauses": [{"after_word": len(parts[0].split()), "ms": ms}]}
    answered = [r.text for r in play([line], world).trace if isinstance(r, RequestReply)]
    assert answered[-1] == " ".join(parts)
