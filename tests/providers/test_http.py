"""What the vendors' HTTP has in common: addresses, keys, statuses and breaks."""

from __future__ import annotations

import httpx
import httpx2
import pytest

from clara_kit.core.errors import ProviderRefused, ProviderUnavailable, SettingsError
from clara_kit.providers import http


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("ws://localhost", True),
        ("wss://[::1]:9/x", True),
        ("http://127.0.0.1.example.com", False),
        ("https://localhost@api.heygen.com", False),
        ("https://api.anthropic.com", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, local: bool) -> None:
    assert http.is_loopback(url) is local


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (200, "protocol", True),
        (400, "bad_input", False),
        (401, "refused", False),
        (402, "refused", False),
        (403, "refused", False),
        (404, "refused", False),
        (408, "stalled", True),
        (413, "bad_input", False),
        (422, "bad_input", False),
        (429, "rate_limited", True),
        (500, "overloaded", True),
        (503, "overloaded", True),
        (529, "overloaded", True),
    ],
)
def test_a_status_has_one_meaning_everywhere(status: int, kind: str, retryable: bool) -> None:
    error = http.failure(http.kind_of(status), "No.")
    assert (error.kind, error.retryable) == (kind, retryable)
    assert isinstance(error, ProviderUnavailable if retryable else ProviderRefused) and error.hint


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_break_is_told_for_what_it_is_by_either_library(library: object) -> None:
    kinds = {
        "ConnectError": "unreachable",
        "ConnectTimeout": "unreachable",
        "ReadTimeout": "stalled",
        "ReadError": "cut",
        "RemoteProtocolError": "cut",
    }
    for name, kind in kinds.items():
        error = http.broken(
            getattr(library, name)("x"), "Somebody", "http://there", setting="SOME_URL", asked="/v1/thing"
        )
        assert error.kind == kind and error.retryable and name in error.message and error.hint


def test_a_socket_that_cannot_be_opened_names_the_systems_reason() -> None:
    refused = http.broken(
        ConnectionRefusedError(111, "Connection refused"), "Somebody", "http://u:pw@there:9/p?t=tok", setting="SOME_URL"
    )
    assert "cannot be reached at there:9 (Connection refused)" in refused.message and "SOME_URL" in refused.hint
    assert http.broken(TimeoutError(), "Somebody", "there", setting="SOME_URL").kind == "stalled"


@pytest.mark.parametrize(
    ("header", "said"),
    [({}, ""), ({"retry-after": "3"}, "; it asks to wait 3 s"), ({"retry-after": "Wed, 21 Oct"}, "")],
)
def test_what_the_vendor_asks_to_wait_ends_the_sentence(header: dict[str, str], said: str) -> None:
    assert http.asked_to_wait(header) == said


@pytest.mark.parametrize("key", ["", "  ", "clé", "two words", "line\nbreak"])
def test_what_can_be_no_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(SettingsError, match="SOME_KEY") as caught:
        http.checked_key(key, "SOME_KEY", "https://there")
    assert not key.strip() or key not in str(caught.value)
    assert http.checked_key(" good ", "SOME_KEY", "https://there") == "good"
