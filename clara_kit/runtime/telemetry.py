"""The turns of conversations as OpenTelemetry spans and metrics, by its conventions for generative AI.

For whoever runs Clara beside other services and looks at all of them in one place. Optional (`pip install clara-kit[otel]`),
imported only when asked for, and told by `watching.py` when a turn is over: spans carry the times at which things happened.
No word of what was said leaves by this door: names, numbers and times only.

Conventions (status: development): open-telemetry/semantic-conventions-genai, docs/gen-ai, as of 2026-11. Names that they
have not got (`clara.*`) are the kit's own.
"""

from __future__ import annotations

import time
from typing import Any

from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.records import Record
from clara_kit.measure.ledger import LABELS
from clara_kit.measure.monitor import Alert, Timed
from clara_kit.measure.told import Reply
from clara_kit.runtime.latency_log import Followed
from clara_kit.runtime.run_log import versions

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The bounds of durations that the conventions ask for; those of tokens are the powers of four."""
_MOST_ENDS = 1000  # of replies, by conversation and id: what is told of one whose turn never ends is forgotten


class Telemetry:
    """Give it to `Watching`. Spans and metrics go to these providers, or to those that the application has set.

    Raises `ClaraError` where there are none: what nobody takes would be lost without a word.
    """

    def __init__(self, *, tracer_provider: Any = None, meter_provider: Any = None) -> None:
        try:
            from opentelemetry import context, metrics, trace
        except ImportError as exc:
            raise ClaraError("OpenTelemetry is not installed.", hint="pip install 'clara-kit[otel]'.") from exc
        self._trace, self._nothing = trace, context.Context()
        tracers = tracer_provider or trace.get_tracer_provider()
        meters = meter_provider or metrics.get_meter_provider()
        if isinstance(tracers, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
            hint = "install clara-kit[otel], set a tracer provider of opentelemetry.sdk, or give one here."
            raise ClaraError("No OpenTelemetry SDK takes what is told.", hint=hint)
        version = versions()["clara-kit"]
        self._tracer = tracers.get_tracer("clara_kit", version)
        meter = meters.get_meter("clara_kit", version)

        def seconds(name: str, what: str) -> Any:
            return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=[*SECONDS])

        self._duration = seconds("gen_ai.client.operation.duration", "GenAI operation duration.")
        self._first = seconds("gen_ai.client.operation.time_to_first_chunk", "Time to receive the first chunk.")
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=[4**n for n in range(14)],
        )  # fmt: skip
        self._stage = seconds(
            "clara.stage.duration", "Time of one stage on the way from a customer's last word to Clara's first."
        )
        self._alerts = meter.create_up_down_counter("clara.latency.alerts", "{alert}", "Stages over their budget now.")
        self._ends: dict[tuple[str, int], dict[str, Any]] = {}  # how each reply ended

    def saw(self, one: Followed, record: Record) -> None:
        """The next record of a conversation: only how a reply ended is not in its turn."""
        if type(record) is ev.ReplyCompleted:
            self._ends[one.run_id, record.reply_id] = {"gen_ai.response.finish_reasons": (record.stop_reason,)}
        elif type(record) is ev.ProviderFailed and record.reply_id is not None:
            self._ends[one.run_id, record.reply_id] = {"error.type": record.kind}
        while len(self._ends) > _MOST_ENDS:
            del self._ends[next(iter(self._ends))]

    def told(self, one: Followed, told: Timed | Alert) -> None:
        """What the monitor tells."""
        if isinstance(told, Alert):
            self._alerts.add(1 if told.raised else -1, {"clara.stage": told.stage})
        else:
            self._turn(one, told)

    def _turn(self, one: Followed, timed: Timed) -> None:
        turn, mix = timed.turn, one.mix(timed.turn.exchanged)
        clock = one.session.clock
        zero_ns = time.time_ns() - round(clock.now_ms() * 1e6)  # of the conversation's clock

        def at(ms: float) -> int:
            return zero_ns + round(ms * 1e6)

        usual: dict[str, Any] = {"gen_ai.conversation.id": one.run_id, "clara.mix": mix, "clara.turn.id": turn.turn_id}
        said = [u for u in timed.told.utterances if u.stopped_ms is not None]
        begins = min((*turn.points.values(), timed.at_ms))
        root = self._tracer.start_span(
            "invoke_agent Clara", self._nothing, self._trace.SpanKind.INTERNAL, start_time=at(begins),
            attributes={
                "gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": _provider(one, turn.by_backup),
                "gen_ai.agent.name": "Clara", "gen_ai.output.type": "speech", "clara.turn.kind": turn.kind,
                "clara.turn.interrupted": turn.interrupted, "clara.turn.kept": turn.kept, **usual,
                **({"gen_ai.request.model": turn.model} if turn.model else {}),
                **{f"clara.{name.replace(' ', '_')}_ms": ms for name, ms in timed.values.items()},
            },
        )  # fmt: skip
        within = self._trace.set_span_in_context(root, self._nothing)
        for reply in timed.told.replies:
            self._reply(one, reply, within, usual, at, timed.at_ms)
        for stage, ms in turn.stages.items():
            first, last = stage.split(" → ")
            if ms >= 0:
                span = self._tracer.start_span(
                    f"clara {LABELS.get(stage, stage)}", within, start_time=at(turn.points[first]), attributes=usual
                )
                span.end(at(turn.points[last]))
        for name, ms in timed.values.items():
            self._stage.record(ms / 1000, {"clara.stage": name, "clara.mix": mix})
        root.end(at(max((begins, *(u.stopped_ms or 0.0 for u in said), *turn.points.values()))))

    def _reply(self, one: Followed, reply: Reply, within: Any, usual: dict[str, Any], at: Any, now_ms: float) -> None:
        ended = self._ends.pop((one.run_id, reply.reply_id), {})
        if reply.sent_ms is None or reply.kept:
            return
        usage, until_ms = reply.usage, reply.ended_ms if reply.ended_ms is not None else now_ms
        about = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": _provider(one, reply.backup is not None)}
        about |= {"gen_ai.request.model": reply.model, "gen_ai.response.model": reply.model} if reply.model else {}
        span = self._tracer.start_span(
            f"chat {reply.model}".strip(), within, self._trace.SpanKind.CLIENT, start_time=at(reply.sent_ms),
            attributes={**about, **usual, "gen_ai.request.stream": True, **ended},
        )  # fmt: skip
        if "error.type" in ended:
            span.set_status(self._trace.StatusCode.ERROR)
            about["error.type"] = ended["error.type"]
        self._duration.record((until_ms - reply.sent_ms) / 1000, about)
        about.pop("error.type", None)
        if reply.first_ms is not None:
            first_s = (reply.first_ms - reply.sent_ms) / 1000
            span.set_attribute("gen_ai.response.time_to_first_chunk", first_s)
            self._first.record(first_s, about)
        if usage is not None:
            counted = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
            span.set_attributes({
                "gen_ai.usage.input_tokens": counted, "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
            })  # fmt: skip
            self._tokens.record(counted, {**about, "gen_ai.token.type": "input"})
            self._tokens.record(usage.output_tokens, {**about, "gen_ai.token.type": "output"})
        span.end(at(max(until_ms, reply.sent_ms)))


def _provider(one: Followed, by_backup: bool) -> str:
    """As the conventions call it; `clara.mix` says whether it was the vendor at all."""
    if by_backup:
        return "heygen"
    return "local" if one.session.services.modes["llm"] == "local" else "anthropic"
