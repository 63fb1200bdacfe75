"""Of what others say only what has a strict shape, or is a word of ours, comes through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_kit.core.outside import Address, about, media_type, place, printable, request_id

UUID = "0a1b2c3d-0000-4000-8000-00000000000a"
STEERING = "\x1b[2J\x1b]8;;http://x\x07\x9b31m\r\x08\x00\x7f\x85\u202e\u2066\u2069\u200f\u061c\u2028\ud800"


@pytest.mark.parametrize("found", [UUID, f"{UUID}-1700000000", "req_011CSHoEeqs5C35K2UUqR7Fy"])
def test_an_id_of_a_request_is_kept_to_report_it_by(found: str) -> None:
    assert request_id(found) == found and request_id(found, "another key") == found
    assert request_id(found, found) == request_id(found, found[5:12]) == ""  # a key may look like an id


@pytest.mark.parametrize(
    "other",
    [
        "",
        None,
        7,
        "hola",
        f"{UUID} ",
        f"x{UUID}",
        f"{UUID}\n",
        "req_",
        "req_a b c d e f g",
        "req_áéíóúáéíóú",
        UUID.upper(),
    ],
)
def test_what_has_not_the_shape_of_an_id_is_left_out(other: object) -> None:
    assert request_id(other) == ""


def test_of_a_vendors_sentence_only_our_own_terms_are_told() -> None:
    words = "No such model/language: Bearer secret. remodeled"
    assert about(words, ("model", "language", "voice")) == "; it speaks of model, language"
    assert about("remodeled my_model", ("model",)) == about(None, ("model",)) == about({"a": 1}, ("model",)) == ""
    assert media_type("text/html; charset=utf-8") == "text/html" and media_type("text/secret") == "of no known type"


@pytest.mark.parametrize(
    ("url", "plain", "host"),
    [
        ("https://api.example.com/", "https://api.example.com", "api.example.com"),
        (" http://u:p%40w@127.0.0.1:80/a/?token=t#f ", "http://127.0.0.1:80/a", "127.0.0.1:80"),
        ("wss://[::1]:9/x", "wss://[::1]:9/x", "[::1]:9"),
        ("http://u:p/w@host", "", ""), ("http://u:12/w@host", "", ""), ("http://u:12#w@host", "", ""),
        ("http://u:12?w@host/", "", ""), ("https://host/@team/v1", "https://host/@team/v1", "host"),
        ("http://h\ud83d/", "http://h\ufffd", "h\ufffd"), ("no address", "", ""), ("", "", ""), ("http://[::1", "", ""),
    ],
)  # fmt: skip
def test_an_address_shows_its_host_alone(url: str, plain: str, host: str) -> None:
    address = Address.of(url)
    assert (address.url, address.host) == (plain, host)
    assert address.login == ({"Authorization": "Basic dTpwQHc="} if "u:p%" in url else {})
    assert repr(address) == f"Address(host={host!r})"


def test_a_place_in_the_code_is_told_without_the_errors_words() -> None:
    with pytest.raises(ValueError) as caught:
        int("secreto")
    assert place(caught.value).startswith("ValueError < test_outside.py:") and "secreto" not in place(caught.value)


def test_nothing_that_steers_a_terminal_is_left_and_every_letter_stays() -> None:
    assert printable("¿Cómo estás, Ñandú?\n\t👩‍🚀 \u0301") == "¿Cómo estás, Ñandú?\n\t👩‍🚀 \u0301"
    assert not set(printable(STEERING)) & set(
        "\x1b\x07\x9b\r\x08\x00\x7f\x85\u202e\u2066\u2069\u200f\u061c\u2028\ud800"
    )


@given(st.text())
def test_what_is_printable_stays_so(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown and len(shown) == len(text)
    assert all(c in "\n\t" or ord(c) >= 32 for c in shown)
    shown.encode()
