"""Labelled overlaps, generated from parameters that have their sources; and what the kit's own decisions make of them."""

from __future__ import annotations

from collections import Counter
from statistics import fmean, median

import pytest

from clara_kit import Settings
from clara_kit.core.errors import ScriptError
from clara_kit.core.events import SpeechStarted, TranscriptFinal
from clara_kit.core.settings import PRESETS
from clara_kit.lab.explorer import RULES, VALUES
from clara_kit.lab.judging import Judge, Log, played
from clara_kit.lab.overlaps import SHARES, Overlaps, known_backchannels, overlaps

CASES = overlaps(1000, 7)


def test_equal_arguments_give_equal_cases_and_another_seed_others() -> None:
    assert overlaps(60, 3) == overlaps(60, 3) != overlaps(60, 4)


def test_every_kind_has_its_share_and_its_rate() -> None:
    kinds = Counter(case.kind for case in CASES)
    assert kinds == {kind: round(1000 * share) for kind, (_, share) in SHARES.items()}
    rates = {kind: sum(case.per_min for case in CASES if case.kind == kind) for kind in kinds}
    backchannels = sum(rate for kind, rate in rates.items() if "backchannel" in kind)
    assert backchannels == pytest.approx(4.3) and rates["cough"] + rates["noise"] == pytest.approx(0.5)
    assert sum(c.per_min for c in overlaps(200, cough_s=0.2, coughs_per_min=2) if c.kind == "cough") == pytest.approx(2)


def test_a_parameter_that_is_swept_shifts_no_other_number() -> None:
    longer = overlaps(1000, 7, backchannel_s={"lognormal": [0.8, 0.35]})
    pairs = [(a, b) for a, b in zip(CASES, longer) if a.kind == "backchannel"]
    assert all(a.text == b.text and a.begins_ms == b.begins_ms for a, b in pairs)
    assert fmean(b.ends_ms - b.begins_ms for _, b in pairs) > 1.5 * fmean(a.ends_ms - a.begins_ms for a, _ in pairs)
    assert [a for a in CASES if "backchannel" not in a.kind] == [b for b in longer if "backchannel" not in b.kind]
    with pytest.raises(ScriptError, match="cough_s cannot be 'long'"):
        Overlaps.load().with_changes(cough_s="long")  # type: ignore[arg-type]
    with pytest.raises(ScriptError, match="no parameter 'coughs'"):
        overlaps(10, coughs=1)


def test_every_parameter_says_where_it_comes_from_and_how_sure_that_is() -> None:
    held = Overlaps.load()
    assert all(one.source and one.confidence in "HML" for one in held.parameters.values())
    assert len(held.parameters) > 15 and all(len(known_backchannels(known)) > 15 for known in (True, False))


def test_words_that_no_list_has_are_none_of_the_lists_and_those_it_has_are() -> None:
    judge = Judge([c for c in CASES if c.kind in ("backchannel", "unknown backchannel")])
    long_enough = Settings.of(sustained_ms=9000, ignore_backchannels=True)
    asked = [
        (case.kind, any(what == "ask" for what, *_ in log)) for case, log in zip(judge.cases, judge.logs(long_enough))
    ]
    assert {of for kind, of in asked if kind == "unknown backchannel"} == {True}
    assert fmean(of for kind, of in asked if kind == "backchannel") < 0.1


def test_the_ears_tell_in_order_and_the_local_one_about_90_ms_late() -> None:
    late = []
    for case in CASES:
        times = [event.at_ms for event in case.events]
        assert times == sorted(times) and case.begins_ms < case.ends_ms
        late += [e.at_ms - e.sound_at_ms for e in case.events if isinstance(e, SpeechStarted) and e.source == "vad"]
        finals = [e for e in case.events if isinstance(e, TranscriptFinal)]
        assert case.text == " ".join(e.text for e in finals).strip()
    assert min(late) > 60 and median(late) == pytest.approx(90, abs=15)


def near(log: Log) -> list[tuple[str, float, str]]:
    return [(what, round(at_ms, 3), text) for what, at_ms, text in log]


@pytest.mark.parametrize("rule", [*RULES, "plan", "tuned as it is"])
def test_the_judge_says_of_every_case_of_a_sample_what_a_whole_conversation_does(rule: str) -> None:
    if rule in RULES:
        knob, changes = RULES[rule]
        settings = Settings.of(**{**changes, knob: VALUES[knob][7]})
    else:
        settings = Settings.preset("plan" if rule == "plan" else "tuned")
    sample = CASES[:: 11 if rule in RULES else 5]
    for case, log in zip(sample, Judge(sample).logs(settings), strict=True):
        assert near(log) == near(played(case, settings)), case


def test_what_is_swept_at_once_is_what_each_value_gives_by_itself() -> None:
    sample, values = CASES[::12], (150, 300, 450, 700, 1100)
    for settings, knob in ((Settings(), "barge_in_debounce_ms"), (Settings.of(**PRESETS["tuned"]), "sustained_ms")):
        judge = Judge(sample)
        together = judge.swept(settings, knob, values)
        for value, logs in zip(values, together, strict=True):
            assert logs == list(Judge(sample).logs(settings.with_changes(**{knob: value})))


def test_a_sweep_that_takes_over_from_the_one_before_says_what_it_would_say_alone() -> None:
    sample, values, judge = CASES[3::12], (250, 500, 800), Judge(CASES[3::12])
    rules = (
        {},
        {"min_words": 2},
        {"ignore_backchannels": True},
        {"ignore_echo": True},
        PRESETS["tuned"],
        {"min_words": 3},
    )
    taken_over = 0
    for changes in rules:
        settings = Settings.of(**{"finalize_short_sounds": True, "no_words_after_sound_ms": 800, **changes})
        before = {id(log) for plays in judge._plays for known in plays.values() for log, *_ in known}
        together = judge.swept(settings, "sustained_ms", values)
        assert list(together) == list(Judge(sample).swept(settings, "sustained_ms", values)), changes
        taken_over += sum(id(log) in before for logs in together for log in logs)
    assert taken_over > len(sample) * len(values)
