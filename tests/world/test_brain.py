"""A simulation answered by a brain that is handed in: what it wrote is played at its times, and cut as anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderRefused
from clara_kit.core.settings import Settings
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.providers.llm.pricing import cost_usd
from clara_kit.world.brain import Written
from clara_kit.world.faults import Fault
from clara_kit.world.script import Line, Script
from clara_kit.world.sim import simulate

MODEL = "claude-haiku-5-5"
SAID = ("Claro, Camila. ", "El gel Lluvia te hidrata sin engrasar. ", "Es liviano y se absorbe en un minuto. ", "¿Te cuento cómo usarlo?")  # fmt: skip
USAGE = ev.Usage(
    input_tokens=1000, output_tokens=40, cost_usd=cost_usd(MODEL, ev.Usage(input_tokens=1000, output_tokens=40))
)


class Scripted:
    """Says the same, and notes what it was asked."""

    mode = "recorded"

    def __init__(self, *times_ms: float, ends_ms: float = 900.0, **otherwise: Any) -> None:
        times = times_ms or (400.0, 500.0, 700.0, 900.0)
        told = {"chunks": tuple(zip(times, SAID, strict=False)), "ends_ms": ends_ms, "usage": USAGE, "model": MODEL}
        self._written = Written(source="recorded", **{**told, **otherwise})
        self.asked: list[tuple[ReplyRequest, dict[str, str]]] = []

    def write(self, request: ReplyRequest, *, words: Mapping[str, str]) -> Written:
        self.asked.append((request, dict(words)))
        return self._written


def of(run: Any, kind: type) -> list[Any]:
    return [event for event in run.events if type(event) is kind]


def test_what_was_written_is_played_at_the_times_at_which_it_came() -> None:
    run = simulate(["¿Qué me recomiendas?"], brain=Scripted())
    (started,), deltas, (ended,) = of(run, ev.ReplyStarted), of(run, ev.ReplyDelta), of(run, ev.ReplyCompleted)
    assert [round(d.at_ms - started.at_ms, 3) for d in deltas] == [400, 500, 700, 900]
    assert "".join(d.text for d in deltas) == "".join(SAID)
    assert round(ended.at_ms - started.at_ms, 3) == 900
    assert (ended.usage, ended.stop_reason, started.model) == (USAGE, "end_turn", MODEL)
    assert run.mix == "stt sim, llm recorded, tts sim, avatar sim"
    assert run.turns["cost_usd"][-1] == USAGE.cost_usd


def test_equal_brains_make_equal_bytes_and_another_answer_another_run() -> None:
    one, same, other = (simulate(["Hola"], brain=b) for b in (Scripted(), Scripted(), Scripted(ends_ms=950.0)))
    assert one.to_jsonl() == same.to_jsonl()
    assert one.experiment_id != other.experiment_id
    assert one.inputs.keys() ^ simulate(["Hola"]).inputs.keys() == {"written", "answers"}


def test_it_gets_placeholders_and_the_trace_never_a_name() -> None:
    brain = Scripted()
    run = simulate(["Hola, soy Camila", "¿Qué me recomiendas?"], brain=brain, customer="camila")
    request, words = brain.asked[-1]
    assert words["{first_name}"] == "Camila"
    texts = [request.prompt.text, *(m.text for m in request.messages)]
    assert not any("Camila" in text for text in texts)
    assert any("{first_name}" in m.text for m in request.messages)
    told = run.to_jsonl().partition("\n")[2]  # the first line has the script, which the customer says
    assert "Camila" not in told
    assert "{first_name}" in told


def test_who_cuts_in_ends_it_and_what_it_had_used_is_counted_by_what_came() -> None:
    long = Scripted(300.0, 400.0, 60_000.0, ends_ms=61_000.0)
    script = Script(
        lines=(Line(text="¿Qué me recomiendas?"), Line(text="Espera, ¿cuánto cuesta?", interrupt_after_ms=1500))
    )
    run = simulate(script, Settings.of(llm_stall_timeout_ms=600_000), brain=long)
    (dropped,) = [e for e in of(run, ev.ReplyCompleted) if e.stop_reason == ev.CANCELLED][:1]
    assert dropped.usage.output_estimated
    assert 0 < dropped.usage.output_tokens < 40
    assert dropped.usage.input_tokens == 1000
    assert dropped.usage.cost_usd == cost_usd(MODEL, dropped.usage)
    assert len(long.asked) >= 2


def test_what_it_failed_with_is_told_as_the_providers_failure() -> None:
    error = ProviderRefused("Nothing is kept.", hint="record it.")
    run = simulate(["Hola"], brain=Scripted(chunks=(), ends_ms=0.0, failed=error, usage=None))
    failed = of(run, ev.ProviderFailed)[0]
    assert (failed.service, failed.kind, failed.message, failed.hint) == (
        "llm",
        "refused",
        "Nothing is kept.",
        "record it.",
    )
    assert failed.reply_id is not None
    assert not of(run, ev.ReplyDelta)


@pytest.mark.parametrize(
    ("brain", "waited_ms"), [(Scripted(9000.0, ends_ms=9100.0), 8000), (Scripted(300.0, 9000.0, ends_ms=9100.0), 5300)]
)
def test_it_is_given_up_where_a_provider_would_be(brain: Scripted, waited_ms: float) -> None:
    run = simulate(["Hola"], Settings.of(max_retries=0), brain=brain)
    started, failed = of(run, ev.ReplyStarted)[0], of(run, ev.ProviderFailed)[0]
    assert failed.kind == "stalled"
    assert failed.at_ms - started.at_ms == pytest.approx(waited_ms)


@pytest.mark.parametrize(
    ("fault", "kind", "pieces"),
    [
        (Fault(service="llm", kind="refuse", status=529), "overloaded", 0),
        (Fault(service="llm", kind="cut", after_ms=200), "cut", 2),
        (Fault(service="llm", kind="stall", after_ms=200), "stalled", 2),
    ],
)
def test_faults_strike_it_too(fault: Fault, kind: str, pieces: int) -> None:
    run = simulate(["Hola"], Settings.of(max_retries=0), brain=Scripted(), faults=[fault])
    failed = of(run, ev.ProviderFailed)[0]
    assert failed.kind == kind
    assert len([d for d in of(run, ev.ReplyDelta) if d.reply_id == failed.reply_id]) == pieces
    if pieces:
        assert 0 < failed.usage.output_tokens < 40


def test_slowness_moves_it_and_a_short_or_declined_answer_is_what_it_is() -> None:
    slow = simulate(["Hola"], brain=Scripted(), faults=[Fault(service="llm", kind="slow", for_ms=2000)])
    assert of(slow, ev.ReplyDelta)[0].at_ms - of(slow, ev.ReplyStarted)[0].at_ms == pytest.approx(2400)
    short = simulate(["Hola"], brain=Scripted(), faults=[Fault(service="llm", kind="truncate", after_ms=250)])
    assert (of(short, ev.ReplyCompleted)[0].stop_reason, len(of(short, ev.ReplyDelta))) == ("max_tokens", 2)
    declined = simulate(
        ["Hola"], Settings.of(max_retries=0), brain=Scripted(), faults=[Fault(service="llm", kind="decline")]
    )
    assert of(declined, ev.ReplyCompleted)[0].stop_reason == "refusal"
