"""Turns as OpenTelemetry spans and metrics, read back from its own SDK's memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clara_kit import ConversationManager, Run, Settings, compose
from clara_kit.core.errors import ClaraError
from clara_kit.runtime.kit_log import LOG_FILE
from clara_kit.runtime.telemetry import SECONDS, Telemetry
from clara_kit.runtime.watching import Watching
from clara_kit.world.faults import Fault

ASK = "¿Hacen despachos a regiones?"
SETTINGS = Settings.of(greeting="", local_vad=False, initial_retry_delay_ms=50)


def test_where_no_sdk_takes_it_that_is_said() -> None:
    with pytest.raises(ClaraError, match=r"No OpenTelemetry SDK.*clara-kit\[otel\]"):
        Telemetry()


async def talked(tmp_path: Path, settings: Settings, *faults: Fault) -> tuple[Run, tuple[Any, ...], dict[str, Any]]:
    """Two questions in a simulated conversation: its run, its spans, and the points of its metrics by name."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, reader, tracers = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = Telemetry(tracer_provider=tracers, meter_provider=MeterProvider([reader]))
    services = compose("sim", settings=settings, latency="fast", faults=faults)
    clara = ConversationManager(services, log_root=tmp_path)
    Watching(telemetry=telemetry).follow(clara)
    async with clara:
        for _ in range(2):
            await clara.type(ASK)
            await clara._call(clara._session.when(lambda: clara._session.is_quiet))
    assert clara.run is not None and clara.run.folder is not None
    assert not (clara.run.folder / LOG_FILE).exists()  # no mistake was logged
    points: dict[str, Any] = {}
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            points |= {metric.name: metric.data.data_points for metric in scope.metrics}
    return clara.run, spans.get_finished_spans(), points


async def test_behind_an_opener_the_way_of_the_sound_is_told_and_the_model_has_its_own_span(tmp_path: Path) -> None:
    run, told, _ = await talked(tmp_path, SETTINGS.with_changes(openers=True))
    assert any(turn.opener for turn in run.ledger), "no opener was said"
    assert sum(span.name.startswith("chat ") for span in told) == sum(turn.requests for turn in run.ledger)
    assert sum(span.name == "invoke_agent Clara" for span in told) == len(run.ledger)


async def test_a_turn_is_a_trace_by_the_conventions_for_generative_ai_without_a_word_of_it(tmp_path: Path) -> None:
    run, told, points = await talked(tmp_path, SETTINGS, Fault(service="llm", kind="refuse", on=2))
    roots = [span for span in told if span.name == "invoke_agent Clara"]
    chats = [span for span in told if span.name == f"chat {SETTINGS.llm_model}"]
    assert len(roots) == len(run.ledger) == 2 and len(chats) == sum(turn.requests for turn in run.ledger) == 3
    assert all(span.kind.name == "CLIENT" for span in chats) and all(span.parent is None for span in roots)
    assert {span.parent.span_id for span in told if span.parent} == {span.context.span_id for span in roots}
    answered, refused = chats[0], chats[1]
    for name, value in {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": SETTINGS.llm_model,
        "gen_ai.request.stream": True, "gen_ai.conversation.id": run.run_id, "clara.mix": "simulated",
        "gen_ai.response.finish_reasons": ("end_turn",),
    }.items():  # fmt: skip
        assert answered.attributes[name] == value
    first, turn = run.ledger[0], roots[0]
    wanted_s = first.stages["request_sent → first_token"] / 1000
    assert answered.attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(wanted_s)
    assert refused.attributes["error.type"] and refused.status.status_code.name == "ERROR"
    assert first.total_ms is not None and first.usage is not None
    assert turn.attributes["clara.total_ms"] == pytest.approx(first.total_ms)
    assert turn.end_time - turn.start_time >= first.total_ms * 1e6
    parts = {
        s.name: (s.end_time - s.start_time) / 1e6 for s in told if s.parent and s.parent.span_id == turn.context.span_id
    }
    assert parts["clara avatar"] == pytest.approx(first.stages["first_audio → speaking_started"], abs=0.01)
    assert answered.attributes["gen_ai.usage.output_tokens"] == first.usage.output_tokens
    (ok, failed) = sorted(points["gen_ai.client.operation.duration"], key=lambda p: "error.type" in p.attributes)
    assert (ok.count, failed.count, ok.explicit_bounds) == (2, 1, SECONDS)
    assert sum(p.count for p in points["gen_ai.client.operation.time_to_first_chunk"]) == 2
    assert {p.attributes["gen_ai.token.type"] for p in points["gen_ai.client.token.usage"]} == {"input", "output"}
    assert {p.attributes["clara.stage"] for p in points["clara.stage.duration"]} >= {
        "think",
        "voice",
        "avatar",
        "total",
    }
    everything = repr([span.to_json() for span in told]) + repr(points)
    assert "despachos" not in everything and "despachamos" not in everything
