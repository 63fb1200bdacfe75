"""Put the words of a person back where placeholders stand, to show a conversation on a screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from clara_kit.core.profile import fill
from clara_kit.core.records import Record


def reveal(trace: Iterable[Record], words: Mapping[str, str]) -> tuple[Record, ...]:
    """The same records with the words in place of their placeholders. For eyes only: decisions know placeholders."""
    return tuple(_revealed(record, words) for record in trace) if words else tuple(trace)


def _revealed(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return fill(value, words)
    if isinstance(value, tuple):
        return tuple(_revealed(item, words) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        found = {f.name: getattr(value, f.name) for f in fields(value)}
        shown = {name: _revealed(item, words) for name, item in found.items()}
        changed = {
            name: item for name, item in shown.items() if item is not found[name] and item != found[name]
        }
        return replace(value, **changed) if changed else value
    return value
