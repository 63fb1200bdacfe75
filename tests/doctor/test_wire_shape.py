"""What of a message is kept, and how two takes are compared."""

from __future__ import annotations

from typing import Any

from clara_kit.doctor.shapes import Difference, WireMessage, compare, fields_of, kind_of, side_by_side


def message(kind: str, value: Any = None, *, at_ms: float = 0, vendor: str = "deepgram") -> WireMessage:
    return WireMessage(vendor=vendor, at_ms=at_ms, way="received", kind=kind, fields=fields_of(value))


def differences(live: list[WireMessage], twin: list[WireMessage]) -> tuple[Difference, ...]:
    return compare(side_by_side(live, twin))


def test_contents_are_never_kept() -> None:
    value = {"type": "Results", "channel": {"words": [{"word": "secreto", "start": 0.5}]}, "mi correo": 1}
    kept = repr(message(kind_of(value, "text"), value))
    assert "secreto" not in kept and "0.5" not in kept and "correo" not in kept
    assert ("channel.words[].start", "number") in fields_of(value) and ("(other)", "number") in fields_of(value)
    assert kind_of({"type": "hola, ¿qué tal?"}, "text") == "text"


def test_equal_shapes_do_not_differ_whatever_they_hold() -> None:
    assert differences([message("R", {"a": 1, "b": [1.5]})], [message("R", {"a": 2.5, "b": []})]) == ()


def test_what_is_missing_or_of_another_type_is_told_by_side() -> None:
    live = [message("R", {"a": 1, "new": {"inner": 1}}), message("Extra")]
    twin = [message("R", {"a": "1", "old": True}), message("Invented")]
    told = {(d.kind, d.field): (d.verdict, d.live, d.twin) for d in differences(live, twin)}
    assert told == {
        ("R", "a"): ("type differs", "number", "text"),
        ("R", "new"): ("missing in twin", "object", ""),
        ("R", "old"): ("missing live", "", "bool"),
        ("Extra", ""): ("missing in twin", "yes", ""),
        ("Invented", ""): ("missing live", "", "yes"),
    }


def test_a_field_that_may_be_null_is_of_no_other_type() -> None:
    assert differences([message("R", {"a": None})], [message("R", {"a": {"b": 1}})]) == ()


def test_order_and_times_count_from_each_vendors_first_message() -> None:
    live = [message("A", at_ms=100), message("B", at_ms=130), message("B", at_ms=150), message("X", vendor="anthropic", at_ms=900)]  # fmt: skip
    rows = side_by_side(live, [message("B", at_ms=5), message("A", at_ms=7)])
    assert [(kind, a.count, a.first_ms, b.first_ms) for (_, _, kind), a, b in rows] == [
        ("X", 1, 0, None), ("A", 1, 0, 2), ("B", 2, 30, 0),
    ]  # fmt: skip
