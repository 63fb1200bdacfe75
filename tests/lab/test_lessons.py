"""What the course teaches about comparisons, held against the truth that its numbers were made with."""

from __future__ import annotations

from clara_kit.lab.statistics import lessons


def test_pairs_find_what_other_scenarios_for_each_prompt_hide() -> None:
    apart, paired = lessons.pairing().frame["so"]
    assert (apart, paired) == ("cannot tell", "B is better")
    assert lessons.pairing().frame.equals(lessons.pairing().frame)


def test_intervals_narrow_with_scenarios_around_the_true_difference() -> None:
    found = [
        tuple(map(float, text.split(" and "))) for text in lessons.intervals((10, 20, 40, 80)).frame["lies between"]
    ]
    widths = [round(high - low, 2) for low, high in found]
    assert widths == sorted(widths, reverse=True) and all(low <= lessons.TRUE <= high for low, high in found[:3])


def test_who_looks_often_is_fooled_often_unless_by_the_rule_for_it() -> None:
    once, often, watched = (
        int(text.split()[0]) for text in lessons.peeking(300).frame["calls equal prompts different"]
    )
    assert watched <= 5 and once <= 9 and often >= 15


def test_the_numbers_say_that_they_are_no_conversations() -> None:
    for sheet in (lessons.pairing(), lessons.intervals((10,)), lessons.peeking(20)):
        assert "Generated numbers, no conversations" in repr(sheet)
