"""The ledger runs to the ear: silence at the head of the sound, the way to the customer, gaps in the middle of an answer."""

from __future__ import annotations

import pytest

from clara_kit import Run, Settings, simulate
from clara_kit.core import events as ev
from clara_kit.world.latency import LatencyProfile

ASK = ["¿Qué me recomiendas para las manchas?"]
QUIET = Settings.preset("tuned").with_changes(greeting="")


def with_law(stage: str, **law: object) -> LatencyProfile:
    plain = {"fixed": 100, "source": "chosen for a test"}
    stages = {
        name: {"fixed": one.middle or 1.0, "source": "chosen for a test"}
        for name, one in LatencyProfile.load("published").laws.items()
    }
    return LatencyProfile.from_dict({"stages": {**stages, stage: {**plain, **law}}}, name="test")


def turn(run: Run) -> dict[str, float]:
    return run.turns.row(-1, named=True)


def test_the_total_counts_the_silence_at_the_head_of_the_sound_and_the_way_to_the_customer() -> None:
    run = simulate(ASK, QUIET, latency=with_law("playout", fixed=120), seed=2)
    voiced = next(e for e in run.events if isinstance(e, ev.SpeechVoiced))
    told, (one,) = turn(run), run.ledger
    assert voiced.lead_ms == 200 and told["ear"] == pytest.approx(320)
    assert told["total_ms"] == pytest.approx(told["total_latency"] + 320) == told["answer_ms"]
    assert one.points["audible"] - one.points["speaking_started"] == pytest.approx(320) and one.problem == ""


def test_a_gap_in_the_middle_of_an_answer_is_measured() -> None:
    patient = QUIET.with_changes(slow_response_ms=60_000)
    slow, quick = (
        simulate(ASK, patient, latency=with_law("llm_tokens_per_s", fixed=rate), seed=2) for rate in (2.5, 100)
    )
    assert quick.ledger[-1].gaps_ms == () and turn(quick)["longest_gap_ms"] is None
    (gap_ms,) = slow.ledger[-1].gaps_ms[:1]
    first, second = [e for e in slow.events if isinstance(e, ev.SpeechVoiced)][:2]
    started_ms = next(e.at_ms for e in slow.events if isinstance(e, ev.SpeakingStarted))
    assert (
        second.first_ms is not None
        and gap_ms == pytest.approx(second.first_ms - started_ms - first.audio_ms)
        and gap_ms > 0
    )


def test_behind_an_opener_the_first_word_of_the_answer_stands_beside_the_first_sound() -> None:
    run = simulate(ASK, QUIET.with_changes(openers=True), latency=with_law("playout", fixed=0), seed=2)
    told, (one,) = turn(run), run.ledger
    opener, answer = [e for e in run.events if isinstance(e, ev.SpeechVoiced)][:2]
    began_ms = next(e.at_ms for e in run.events if isinstance(e, ev.SpeakingStarted))
    assert one.opener and told["opener"] == one.opener and answer.first_ms is not None
    heard_ms = max(began_ms + opener.audio_ms, answer.first_ms) + answer.lead_ms
    assert (
        told["answer_ms"] == pytest.approx(heard_ms - one.points["words_ended"])
        and told["answer_ms"] > told["total_ms"]
    )


def test_what_an_older_recording_does_not_know_of_is_nothing() -> None:
    run = simulate(ASK, QUIET, latency=with_law("playout", fixed=0), seed=2)
    trace = [e for e in run.trace if not isinstance(e, ev.SpeechVoiced)]
    one = Run(inputs=run.inputs, trace=tuple(trace)).ledger[-1]
    assert one.total_ms == one.metrics.total_latency and one.gaps_ms == () and one.problem == ""
