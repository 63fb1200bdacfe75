"""What the shop knows of a person is hidden at the door, and comes back unchanged where it is needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_kit.core import events as ev
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.profile import CustomerProfile, Purchase

PROFILE = CustomerProfile(
    customer_id="gid://shopify/Customer/1",
    first_name="María José",
    skin_type="Mixta",
    skin_concerns=("Manchas", "Acné"),
    purchases=(Purchase(handle="calma", title="Sérum Calma", days_ago=40),),
)
WORDS = ["María José", "maria", "JOSE", "mixta", "Mixta", "acne", "manchas", "sérum calma", "Sérum", "marías",
         "remixta", "mixta2", ",", ".", "¡", "hola", "la", "piel", "\n"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).flatmap(
    lambda words: st.sampled_from([" ", ""]).map(lambda joint: joint.join(words))
)


def test_a_known_value_becomes_a_placeholder_whatever_its_case_and_accents() -> None:
    hidden = Placeholders(PROFILE).hide("Hola Maria Jose, ¿tu piel MIXTA tiene acné? Prueba el serum calma.")
    assert hidden == "Hola {first_name~2}, ¿tu piel {skin_type~2} tiene {concern_2}? Prueba el {purchase_1~2}."


def test_parts_of_other_words_are_left_alone() -> None:
    assert Placeholders(PROFILE).hide("las marías remixtas") == "las marías remixtas"


def test_a_name_is_hidden_word_by_word_too() -> None:
    assert Placeholders(PROFILE).hide("Soy María.") == "Soy {first_name_1}."


def test_an_empty_profile_hides_nothing() -> None:
    nobody = Placeholders(CustomerProfile())
    assert nobody.is_empty
    assert nobody.hide("Hola María José") == "Hola María José"


@given(TEXTS)
def test_filling_is_the_inverse_of_hiding(text: str) -> None:
    words = Placeholders(PROFILE)
    assert words.fill(words.hide(text)) == text


@given(TEXTS)
def test_no_known_value_is_left(text: str) -> None:
    words = Placeholders(PROFILE)
    hidden = words.hide(text)
    assert words.hide(hidden) == hidden


@given(TEXTS, st.lists(st.integers(0, 80), max_size=10))
def test_a_reply_cut_anywhere_is_hidden_as_a_whole_one(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    deltas = [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    words = Placeholders(PROFILE)
    came = [e for d in deltas for e in words.events(ev.ReplyDelta(at_ms=1, reply_id=1, text=d))]
    came += words.events(ev.ReplyCompleted(at_ms=2, reply_id=1, stop_reason="end_turn"))
    assert isinstance(came[-1], ev.ReplyCompleted)
    assert "".join(e.text for e in came if isinstance(e, ev.ReplyDelta)) == Placeholders(PROFILE).hide(text)


def test_ordinary_words_of_a_reply_are_not_held_back() -> None:
    words = Placeholders(PROFILE)
    (event,) = words.events(ev.ReplyDelta(at_ms=1, reply_id=1, text="Te recomiendo el gel"))
    assert isinstance(event, ev.ReplyDelta) and event.text == "Te recomiendo el gel"


def test_the_first_token_keeps_its_time_even_where_its_text_waits() -> None:
    (event,) = Placeholders(PROFILE).events(ev.ReplyDelta(at_ms=7, reply_id=1, text="Mar"))
    assert event == ev.ReplyDelta(at_ms=7, reply_id=1, text="")


def test_words_that_are_one_value_become_one_word() -> None:
    said = ["soy", "maría", "josé,", "hola"]
    words = tuple(ev.Word(text=w, start_ms=i * 100, end_ms=i * 100 + 90) for i, w in enumerate(said))
    event = ev.TranscriptFinal(at_ms=9, text=" ".join(said), speech_started_ms=0, speech_ended_ms=390, words=words)
    (hidden,) = Placeholders(PROFILE).events(event)
    assert isinstance(hidden, ev.TranscriptFinal)
    assert hidden.text == "soy {first_name~2}, hola"
    assert [(w.text, w.start_ms, w.end_ms) for w in hidden.words] == [
        ("soy", 0, 90), ("{first_name~2},", 100, 290), ("hola", 300, 390)]  # fmt: skip


@pytest.mark.parametrize("said", ["Hola María José, qué tal", "María José", "Hola", ""])
def test_lengths_of_filled_text_are_found_again_in_the_hidden_one(said: str) -> None:
    words = Placeholders(PROFILE)
    hidden = words.hide(said)
    assert words.hidden_chars(hidden, 0) == 0
    assert words.hidden_chars(hidden, len(said)) == len(hidden)
    for n in range(len(said)):
        at = words.hidden_chars(hidden, n)
        assert len(words.fill(hidden[:at])) >= n  # inside a value: to its end


def test_a_vendors_message_that_quotes_the_customer_is_hidden_too() -> None:
    failed = ev.ProviderFailed(at_ms=1, service="llm", kind="refused", message="bad text: María José", reply_id=1)
    (hidden,) = Placeholders(PROFILE).events(failed)
    assert isinstance(hidden, ev.ProviderFailed) and hidden.message == "bad text: {first_name}"
