"""Decision vectors: short conversations as what came in and what was decided, for whoever decides in another language.

Made from conversations that chance breaks (`lab/survival/chaos.py`), the same without what breaks them, and those of invented
customers, under the three presets and with each setting that decisions read turned once in a while. Equal builds give
equal lines; a line is one conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import msgspec
from msgspec.structs import replace

from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import PRESETS, Preset, Settings
from clara_kit.lab.export.shapes import LEFT_OUT
from clara_kit.lab.survival.chaos import ASKS, Chaos, chaos
from clara_kit.measure import codec
from clara_kit.turns import usual_policies
from clara_kit.world.script import Line, Script
from clara_kit.world.sim import simulate

KINDS = {
    "first": "typed questions, whole answers, nothing goes wrong: where a port begins",
    "plain": "spoken and typed, with interruptions, coughs and nods; nothing fails",
    "customer": "the same with a customer whom the shop may know",
    "trouble": "one to three services fail, once or for a while",
    "odd": "events come twice, too late or not at all, buttons are pressed and settings turned: nothing may raise",
}
_TURNS = (
    "first", "plain", "customer", "trouble", "plain", "trouble", "customer", "plain", "trouble", "odd",
)  # fmt: skip
CUSTOMERS = ("antonia", "matias", "sin_datos", "hostil")
ALWAYS = {"retry_jitter": 0.0}  # its hash is not in every language, and nobody needs the same jitter twice
TURNED: tuple[dict[str, Any], ...] = (
    {}, {"enable_chunked_heygen": False}, {"openers": True}, {"enable_barge_in": False}, {"turn_hold_ms": 400},
    {"enable_response_cache": True}, {"first_clause": True}, {"after_false_interruption": "restate"}, {"min_words": 2},
    {"after_false_interruption": "end"}, {"protected_opening_ms": 800}, {"avatar_vendor": "heygen"}, {"hold_phrase": ""},
    {"enable_auto_fallback": True}, {"local_vad": False}, {"open_avatar_early": True}, {"barge_in_debounce_ms": 250},
    {"failure_threshold": 1, "enable_auto_fallback": True}, {"max_retries": 0}, {"greeting": ""}, {"absence_ms": 20_000},
    {"history_max_messages": 2}, {"slow_response_ms": 1500}, {"llm_max_tokens": 30},
)  # fmt: skip
"""What is turned on top of the preset, one after the other."""
_LOST, _TWICE, _MORE = 0.03, 0.04, 0.04  # of the events of an odd conversation
_MOST_RINGS = 200


def vectors(count: int) -> Iterator[bytes]:
    """So many lines of JSON, without the newline: id, kind, preset, settings that differ from it, steps."""
    for n in range(count):
        one, kind = conversation(n), _TURNS[n % len(_TURNS)]
        settings = Settings.preset(one.preset).with_changes(**one.settings)
        customer = CUSTOMERS[n // 10 % len(CUSTOMERS)] if kind == "customer" else None
        run = simulate(one.script, settings, seed=n, latency=one.latency, customer=customer)
        came = [event for event in run.events if not isinstance(event, LEFT_OUT)]
        told = steps(settings, came) if kind != "odd" else steps(settings, _odd(came, child_rng(n, "odd")), rings=True)
        line = {"id": f"{kind}-{n:04d}", "kind": kind, "preset": one.preset, "settings": one.settings, "steps": [*told]}
        yield msgspec.json.encode(line)


def conversation(n: int) -> Chaos:
    """The conversation of this number: kinds and presets by turns, and each of `TURNED` under each of both."""
    one, kind, rng = chaos(n), _TURNS[n % len(_TURNS)], child_rng(n, "vectors")
    preset: Preset = [*PRESETS][n // 10 % len(PRESETS)]  # type: ignore[assignment]
    settings = {**(one.settings if kind == "trouble" else {}), **TURNED[n // 30 % len(TURNED)], **ALWAYS}
    falls_back = settings.get("enable_auto_fallback", False)
    lines, faults = one.script.lines, one.script.faults if kind == "trouble" else ()
    faults = tuple(fault for fault in faults if falls_back or fault.service != "backup")
    if kind == "first":
        lines = tuple(Line(text=ask, typed=True) for ask in rng.sample(ASKS, rng.randint(1, 2)))
        settings = {
            "enable_chunked_heygen": False,
            "enable_response_cache": False,
            "greeting": rng.choice(("", "¡Hola! Soy Clara.")),
            **ALWAYS,
        }
    elif not falls_back:  # who comes back from a fallback needs time
        lines = lines[: rng.choice((1, 2, 2, 3))]
    script = Script(title=one.script.title, lines=lines, faults=faults)
    latency = "fast" if kind == "first" else one.latency
    return replace(one, preset=preset, settings=settings, script=script, latency=latency)


def steps(settings: Settings, events: Iterable[ev.Event], *, rings: bool = False) -> Iterator[dict[str, Any]]:
    """What came, what is to be done, and the state where that changed it; what has its usual value is left out.

    rings: the timers are rung here, for what comes is not what came when they were recorded.
    """
    decides = Conversation(settings, policies=usual_policies())
    due: dict[str, float] = {}
    rung = 0
    for event in events:
        if rings and isinstance(event, ev.TimerFired):
            continue
        while rings and rung < _MOST_RINGS and due and min(due.values()) <= event.at_ms:
            timer_id = min(due, key=lambda one: due[one])
            rung += 1
            yield _step(decides, ev.TimerFired(at_ms=due.pop(timer_id), timer_id=timer_id), due)
        yield _step(decides, event, due)


def _step(decides: Conversation, event: ev.Event, due: dict[str, float]) -> dict[str, Any]:
    before = decides.state
    out = decides.handle(event)
    for command in out:
        if isinstance(command, do.SetTimer):
            due[command.timer_id] = command.due_ms
        elif isinstance(command, do.CancelTimer):
            due.pop(command.timer_id, None)
    step: dict[str, Any] = {"in": short(event)}
    if out:
        step["out"] = [short(command) for command in out]
    if decides.state is not before:
        step["state"] = decides.state.value
    return step


def _odd(came: list[ev.Event], rng: Random) -> Iterator[ev.Event]:
    """The same, but some of it twice, too late or not at all, and something else in between."""
    late: list[ev.Event] = []
    for event in came:
        chance = rng.random()
        if chance < _LOST and not isinstance(event, ev.ConversationStarted):
            continue
        yield event
        if chance > 1 - _TWICE:
            late.append(event)
        if late and rng.random() < 0.3:
            yield replace(late.pop(0), at_ms=event.at_ms)
        if rng.random() < _MORE:
            yield _another(event.at_ms, rng)


def _another(at_ms: float, rng: Random) -> ev.Event:
    """Something that no simulation does by itself."""
    service: ev.Service = rng.choice(("stt", "llm", "tts", "avatar", "backup"))
    turned: Any = rng.choice((("duck", True), ("min_words", 2), ("turn_hold_ms", 300.0), ("enable_barge_in", False)))
    circuit: ev.Circuit = rng.choice(("open", "half_open", "closed"))
    kind: Any = rng.choice(("overloaded", "cut", "stalled", "refused"))
    return rng.choice((
        ev.InterruptRequested(at_ms=at_ms), ev.TextTyped(at_ms=at_ms, text="¿Y cuánto demora?"),
        ev.SettingsChanged(at_ms=at_ms, changes=(turned,)), ev.TurnEndExpected(at_ms=at_ms, text="¿Y el precio?"),
        ev.TurnResumed(at_ms=at_ms), ev.HealthTold(at_ms=at_ms, service=service, circuit=circuit),
        ev.ProviderWarned(at_ms=at_ms, service=service, message="it warns"),
        ev.ProviderRecovered(at_ms=at_ms, service=service), ev.AnswerNotFound(at_ms=at_ms, turn_id=1, why="odd"),
        ev.AnswerFound(at_ms=at_ms, turn_id=rng.randint(0, 2), text="Sí, despachamos a todo Chile."),
        ev.ProviderFailed(at_ms=at_ms, service=service, kind=kind, message="it fails", retryable=kind != "refused"),
        ev.SpeechStarted(at_ms=at_ms, source="vad", sound_at_ms=at_ms - 70),
        ev.SpeechEnded(at_ms=at_ms, source="vad", sound_at_ms=at_ms - 64), ev.TranscriptInterim(at_ms=at_ms, text="Espera"),
    ))  # fmt: skip


def short(record: Record) -> dict[str, Any]:
    """A record as plain data, without the fields that have their usual value."""
    usual = {field.name: field.default for field in msgspec.structs.fields(record)}
    return {
        name: value
        for name, value in codec.to_dict(record).items()
        if name == "type" or getattr(record, name) != usual[name]
    }
