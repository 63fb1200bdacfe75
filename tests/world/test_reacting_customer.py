"""A customer who reacts: what she says follows from what she has heard, and from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_kit import Settings, simulate
from clara_kit.core import events as ev
from clara_kit.core.commands import Speak
from clara_kit.core.states import ConversationState as S
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.world.brain import Written
from clara_kit.world.reacting import ReactingCustomer, Reacts, manners
from clara_kit.world.scenario import Scenario

WANTS = [
    {"name": "cream", "asks": ["¿Qué crema me recomiendas?", "Dime una crema."], "hears": ["crema Nube"]},
    {"name": "price", "asks": ["¿Y cuánto cuesta?", "¿Qué precio tiene?"], "hears": [r"/\$ ?\d/"]},
]
TELLS = [{"asked": ["piel"], "says": "La tengo seca."}]


class Says:
    """A model that answers one text after the other, the last again and again."""

    mode = "recorded"

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = answers, list[str]()

    def write(self, request: ReplyRequest, *, words: Any) -> Written:
        self.asked.append(request.messages[-1].text)
        text = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return Written(chunks=((150.0, text),), ends_ms=200.0, source="recorded")


def customer(**changes: Any) -> Scenario:
    reacts = {"goal": "a cream and its price", "wants": WANTS, **changes}
    return Scenario.of({"title": "A cream", "topic": "routine", "reacts": reacts}, name="cream")


def played(*answers: str, seed: int = 0, **changes: Any) -> tuple[list[str], dict[str, Any], Any]:
    """What she said, what became of her, and the run."""
    run = simulate(customer(**changes), seed=seed, brain=Says(*answers))
    return [t.customer for t in run.ledger if t.kind != "greeting"], run.facts["customer"], run


def test_what_came_by_itself_is_not_asked_for() -> None:
    said, told, _ = played("Te recomiendo la crema Nube, cuesta $13.990.")
    assert said[0].endswith("¿Qué crema me recomiendas?") and len(said) == 2 and told["asked"] == 2
    assert told["goal_reached"] and not told["hung_up"] and told["misses"] == 0 and told["missing"] == []
    assert said[1] in manners()["calm"].thanks and told["reached_ms"] < told["ended_ms"]


def test_she_asks_again_in_other_words_when_the_price_was_missing() -> None:
    said, told, _ = played("La crema Nube.", "Es muy buena.", "Cuesta $13.990.")
    assert [line.rsplit(". ")[-1] for line in said[:3]] == [
        "¿Qué crema me recomiendas?",
        "¿Y cuánto cuesta?",
        "¿Qué precio tiene?",
    ]
    assert told["misses"] == 1 and told["goal_reached"]


def test_after_two_misses_she_hangs_up_and_nobody_hears_the_rest() -> None:
    said, told, run = played("No sé.", manner="rude")
    assert len(said) == 2 and told["hung_up"] and told["misses"] == 2 and told["missing"] == ["cream", "price"]
    assert not told["goal_reached"] and told["reached_ms"] is None
    assert isinstance(run.trace[-1], ev.ConversationStopped) or run.events[-1].at_ms == told["ended_ms"]
    assert run.events[-1].at_ms == pytest.approx(told["ended_ms"], abs=0.001)
    said, _, _ = played("No sé.", manner="rude", patience=4)
    assert len(said) == 4


def test_who_leaves_with_a_word_is_gone_when_it_is_said() -> None:
    _, told, run = played("No sé.", manner="hurried")
    assert told["hung_up"] and told["asked"] == 3
    assert not any(isinstance(r, Speak) and r.at_ms > told["ended_ms"] for r in run.trace)


LONG = "Mira, " + "es importante cuidar la piel todos los días con constancia, " * 5 + "y usa la crema Nube a $13.990."


def test_she_cuts_in_on_a_long_answer_and_what_she_did_not_hear_does_not_count() -> None:
    said, told, run = played(LONG, "La crema Nube cuesta $13.990.")
    assert said[1].endswith("Dime una crema.") and any(said[1].startswith(w) for w in manners()["calm"].cuts_in)
    cut = run.ledger[1]
    assert cut.interrupted and "crema Nube" in cut.unheard and "crema Nube" not in cut.heard
    assert told["goal_reached"] and told["misses"] == 1
    began, spoke = run.ledger[2].points["words_ended"], cut.points["speaking_started"]
    assert 12_000 < began - spoke < 17_000
    _, patient, heard = played(LONG, cuts_in_ms=0)
    assert patient["misses"] == 0 and not heard.ledger[1].interrupted


def test_what_she_has_heard_before_she_cuts_in_counts() -> None:
    answer = "La crema Nube. " + LONG
    said, told, _ = played(answer, "$13.990.", cuts_in_ms=6000)
    assert said[1].endswith("¿Y cuánto cuesta?") and told["misses"] == 0


def test_she_tells_once_what_clara_asks_her_and_that_is_no_miss() -> None:
    said, told, _ = played("¿Cómo es tu piel?", "¿Y cómo es tu piel?", "La crema Nube, a $13.990.", tells=TELLS)
    assert said[1] == "La tengo seca." and said[2].endswith("Dime una crema.") and told["misses"] == 1
    assert told["goal_reached"]


def test_the_greeting_answers_nothing() -> None:
    settings = Settings.of(greeting="Hola, hoy la crema Nube cuesta $13.990.")
    run = simulate(customer(), settings, brain=Says("No sé."))
    assert run.facts["customer"]["missing"] == ["cream", "price"]


def test_she_hears_also_what_the_trace_hides() -> None:
    run = simulate(customer(), customer="rosario", brain=Says("Te va bien la crema Nube Rica, a $15.990."))
    assert "{purchase_1" in run.ledger[1].clara and run.facts["customer"]["goal_reached"]


def test_equal_inputs_give_equal_bytes_and_the_seed_gives_her_other_words_and_pauses() -> None:
    one, same, other = (played("No sé.", "La crema Nube cuesta $13.990.", seed=n)[2] for n in (1, 1, 2))
    assert one.to_jsonl() == same.to_jsonl() and one.facts == same.facts
    assert one.facts["customer"]["ended_ms"] != other.facts["customer"]["ended_ms"]
    words = {tuple(played("No sé.", seed=n, patience=4)[0]) for n in range(4)}
    assert len(words) > 1


def test_a_manner_that_changes_is_another_conversation() -> None:
    calm, slow = customer(), customer(manner="silent")
    assert calm.hash != slow.hash and calm.played["reacts"]["speaks"]["cuts_in_ms"] == 12_000
    waits = [simulate(one, brain=Says("No sé.")).facts["customer"]["ended_ms"] for one in (calm, slow)]
    assert waits[1] > waits[0] + 4000


def drive(reacts: Reacts, answers: Sequence[str | None], seed: int) -> tuple[list[str], ReactingCustomer]:
    """Talk to her alone: each line gets the next answer, or None."""
    heard: list[str] = []
    hears: Callable[[float], Sequence[str]] = lambda now_ms: tuple(heard)  # noqa: E731
    her = ReactingCustomer(reacts, hears, greeted=False, seed=seed)
    wish, now, said = her.begin(0.0), 0.0, list[str]()
    for answer in (*answers, *[None] * 99):
        assert wish is not None
        now = max(now, wish.due_ms)
        line = her.fire(wish.token)
        if line is None:
            break
        said.append(line.text)
        wish = her.line_ended(now + 1000)
        if her.done:
            break
        if answer is not None:
            her.saw(S.AVATAR_SPEAKING, now + 1500)
            heard.append(answer)
            wish = her.saw(S.IDLE, now + 3000)
    return said, her


ANSWERS = st.sampled_from(["La crema Nube.", "Cuesta $13.990.", "No sé.", "¿Cómo es tu piel?", "¿Y tu piel?", None])


@given(st.lists(ANSWERS, max_size=8), st.integers(1, 4), st.sampled_from(sorted(manners())), st.integers(0, 9))
def test_whatever_she_hears_she_comes_to_an_end(
    answers: list[str | None], patience: int, manner: str, seed: int
) -> None:
    reacts = customer(tells=TELLS, patience=patience, manner=manner).reacts
    assert reacts is not None
    said, her = drive(reacts, answers, seed)
    told = her.account()
    assert her.done and told["goal_reached"] != told["hung_up"]
    assert told["misses"] <= patience and len(said) == told["asked"] <= patience + len(WANTS) + len(TELLS) + 1
    assert told["goal_reached"] == (told["missing"] == []) and drive(reacts, answers, seed)[0] == said


def test_to_a_clara_who_is_silent_she_says_hello_and_hangs_up() -> None:
    reacts = customer().reacts
    assert reacts is not None
    said, her = drive(reacts, [], 0)
    assert any(said[1].startswith(words) for words in manners()["calm"].alone) and her.gone


def test_a_model_may_word_her_lines_and_what_she_wants_stays_hers() -> None:
    answers = ("La crema Nube.", "Cuesta $13.990.")
    words = Says("Oye, ¿y qué crema sería buena pa' mí?", "", "palabra " * 99)
    run = simulate(customer(), brain=Says(*answers), customer_brain=words)
    told = run.facts["customer"]
    said = [t.customer for t in run.ledger if t.kind != "greeting"]
    assert said[0] == words.answers[0] and said[1].endswith("¿Y cuánto cuesta?") and told["own_words"] == 2
    assert told["goal_reached"] and "Ella quiere decir: ¿Y cuánto cuesta?" in words.asked[1]
    assert "customer recorded" in run.mix and run.inputs["customer_words"] == told["written"]
    none = simulate(customer(), brain=Says(*answers), customer_brain=Says(""))
    assert "customer recorded" not in none.mix and none.facts["customer"]["own_words"] == 3
    plain = simulate(customer(), brain=Says(*answers))
    assert plain.experiment_id != run.experiment_id and "customer" not in plain.modes
