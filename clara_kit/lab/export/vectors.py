"""Decision vectors: short conversations as what came in and what was decided, for whoever decides in another language.

Made from conversations that chance breaks (`lab/survival/chaos.py`), the same without what breaks them, and those of invented
customers, under the three presets and with each setting that decisions read turned once in a while. Equal builds give
equal lines; a line is one conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from clara_kit.conversation.conversation import Conversation
from clara_kit.core.events import Event
from clara_kit.core.records import Record
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import PRESETS, Preset, Settings
from clara_kit.lab.export.shapes import LEFT_OUT
from clara_kit.lab.survival.chaos import Chaos, chaos
from clara_kit.measure import codec
from clara_kit.turns import usual_policies
from clara_kit.world.script import Script
from clara_kit.world.sim import simulate

KINDS = ("plain", "customer", "trouble")
"""Nothing goes wrong; a customer whom the shop knows; one to three services in trouble."""
CUSTOMERS = ("antonia", "matias", "sin_datos", "hostil")
TURNED: tuple[dict[str, Any], ...] = (
    {}, {"enable_chunked_heygen": False}, {"openers": True}, {"enable_barge_in": False}, {"turn_hold_ms": 400},
    {"enable_response_cache": True}, {"first_clause": True}, {"after_false_interruption": "restate"}, {"min_words": 2},
    {"after_false_interruption": "end"}, {"protected_opening_ms": 800}, {"avatar_vendor": "heygen"}, {"hold_phrase": ""},
    {"enable_auto_fallback": True}, {"local_vad": False}, {"open_avatar_early": True}, {"barge_in_debounce_ms": 250},
    {"failure_threshold": 1, "enable_auto_fallback": True}, {"max_retries": 0}, {"greeting": ""}, {"absence_ms": 20_000},
    {"history_max_messages": 2}, {"slow_response_ms": 1500}, {"llm_max_tokens": 30},
)  # fmt: skip
"""What is turned on top of the preset, one after the other."""


def vectors(count: int) -> Iterator[bytes]:
    """So many lines of JSON, without the newline: id, kind, preset, settings that differ from it, steps."""
    for n in range(count):
        one = conversation(n)
        settings = Settings.preset(one.preset).with_changes(**one.settings)
        kind = KINDS[n % len(KINDS)]
        known = {"customer": CUSTOMERS[n // 3 % len(CUSTOMERS)], "template": "warm"} if kind == "customer" else {}
        run = simulate(one.script, settings, seed=n, latency=one.latency, **known)
        line = {
            "id": f"{kind}-{n:04d}", "kind": kind, "preset": one.preset, "settings": one.settings,
            "steps": [*steps(settings, (event for event in run.events if not isinstance(event, LEFT_OUT)))],
        }  # fmt: skip
        yield msgspec.json.encode(line)


def conversation(n: int) -> Chaos:
    """The conversation of this number. Presets and kinds come by turns, and each setting of `TURNED` under each of both."""
    one, kind = chaos(n), KINDS[n % len(KINDS)]
    preset: Preset = tuple(PRESETS)[n // 3 % len(PRESETS)]  # type: ignore[assignment]
    settings = {**(one.settings if kind == "trouble" else {}), **TURNED[n // 9 % len(TURNED)]}
    falls_back = settings.get("enable_auto_fallback", False)
    faults = one.script.faults if kind == "trouble" else ()
    faults = tuple(fault for fault in faults if falls_back or fault.service != "backup")
    lines = one.script.lines[: child_rng(n, "vectors").choice((1, 2, 2, 3))]
    script = Script(title=one.script.title, lines=lines, faults=faults)
    return replace(one, preset=preset, settings=settings, script=script)


def steps(settings: Settings, events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    """What came, what is to be done, and the state where that changed it; what has its usual value is left out."""
    decides = Conversation(settings, policies=usual_policies())
    for event in events:
        before = decides.state
        out = decides.handle(event)
        step: dict[str, Any] = {"in": short(event)}
        if out:
            step["out"] = [short(command) for command in out]
        if decides.state is not before:
            step["state"] = decides.state.value
        yield step


def short(record: Record) -> dict[str, Any]:
    """A record as plain data, without the fields that have their usual value."""
    usual = {field.name: field.default for field in msgspec.structs.fields(record)}
    return {
        name: value
        for name, value in codec.to_dict(record).items()
        if name == "type" or getattr(record, name) != usual[name]
    }
