"""Decision vectors: conversations as what came in and what was decided, for whoever decides in another language.

After `conversations.py`, which says what came. A line of JSON is one conversation; equal builds give equal lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from clara_kit.conversation import conversation as deciding
from clara_kit.conversation.policies import Policies
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.lab.export.conversations import Conversation, conversation
from clara_kit.measure import codec
from clara_kit.turns import usual_policies

_MOST_RINGS = 200  # of timers that are rung here; nobody waits for ever


def vectors(count: int) -> Iterator[bytes]:
    """So many lines of JSON, without the newline: id, kind, preset, settings that differ from it, steps."""
    for one in map(conversation, range(count)):
        line = {"id": one.id, "kind": one.kind, "preset": one.preset, "settings": one.changes, "steps": [*steps(one)]}
        yield msgspec.json.encode(line)


def steps(one: Conversation, policies: Policies | None = None) -> Iterator[dict[str, Any]]:
    """What came, what is to be done, and the state where that changed it; what has its usual value is left out."""
    decides = deciding.Conversation(one.settings, policies=policies or usual_policies())
    due: dict[str, float] = {}
    rung = 0
    for event in one.events:
        if one.rings and isinstance(event, ev.TimerFired):
            continue
        while one.rings and rung < _MOST_RINGS and due and min(due.values()) <= event.at_ms:
            timer_id = min(due, key=lambda one: due[one])
            rung += 1
            yield _step(decides, ev.TimerFired(at_ms=due.pop(timer_id), timer_id=timer_id), due)
        yield _step(decides, event, due)


def _step(decides: deciding.Conversation, event: ev.Event, due: dict[str, float]) -> dict[str, Any]:
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


def short(record: Record) -> dict[str, Any]:
    """A record as plain data, without the fields that have their usual value."""
    usual = {field.name: field.default for field in msgspec.structs.fields(record)}
    return {
        name: value
        for name, value in codec.to_dict(record).items()
        if name == "type" or getattr(record, name) != usual[name]
    }
