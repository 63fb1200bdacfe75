"""The shapes of events, commands and settings for other languages: JSON Schema, and TypeScript made from it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState

LEFT_OUT = (ev.FaultInjected, ev.TurnHeard, ev.KeepingFailed, ev.KeepingRecovered, ev.ServiceExchanged)
"""Events of the kit's own twins, recordings and desk, which an application never has; nothing is decided upon them."""
EVENTS = tuple(cls for cls in ev.Event.__subclasses__() if cls not in LEFT_OUT)
COMMANDS = tuple(do.Command.__subclasses__())
_FREE = ("at_ms", "reason", "by")  # of a command; what it says to people is not compared
_PLAIN = {"number": "number", "integer": "number", "string": "string", "boolean": "boolean", "null": "null"}


@cache
def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of everything in the vectors."""
    _, shapes = msgspec.json.schema_components((*EVENTS, *COMMANDS, Settings), ref_template="#/$defs/{name}")
    names = {"Event": EVENTS, "Command": COMMANDS}
    unions = {
        name: {"anyOf": [{"$ref": f"#/$defs/{cls.__name__}"} for cls in several]} for name, several in names.items()
    }
    state = {"State": {"enum": [state.value for state in ConversationState], "description": "Whose turn it is."}}
    told = {name: {**shape, "description": _plain(shape.get("description", ""))} for name, shape in shapes.items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {**told, **unions, **state}}


def typescript() -> str:
    """The same as TypeScript's types: events come whole, of a command what is as usual may be left out."""
    commands = {cls.__name__ for cls in COMMANDS}
    parts = ["// Written by `clara export`, from the kit's own classes."]
    for name, shape in schema()["$defs"].items():
        says = f"/** {shape['description']} */\n" if shape.get("description") else ""
        if "properties" not in shape:
            parts.append(f"{says}export type {name} = {_type(shape)};")
            continue
        free = {*_FREE, *(field for field in shape["properties"] if field not in shape["required"])}
        fields = (
            f"  readonly {field}{'?' if name in commands and field in free else ''}: {_type(kind)};"
            for field, kind in shape["properties"].items()
        )
        parts.append("\n".join((f"{says}export interface {name} {{", *fields, "}")))
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return " ".join(text.replace("*/", "").split())


def _type(kind: dict[str, Any]) -> str:
    if "$ref" in kind:
        return str(kind["$ref"]).rpartition("/")[2]
    if "enum" in kind:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in kind["enum"])
    if "anyOf" in kind:
        return " | ".join(dict.fromkeys(map(_type, kind["anyOf"])))
    if kind["type"] == "array" and "prefixItems" in kind:
        return f"readonly [{', '.join(map(_type, kind['prefixItems']))}]"
    if kind["type"] == "array":
        return f"readonly ({_type(kind['items'])})[]"
    return _PLAIN[kind["type"]]
