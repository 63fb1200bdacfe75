"""What is left of the widgets when a notebook has run; runs in the notebook's kernel, before that ends.

Relies on what widgets promise their pages and on nothing inside them: the state they send, that a window's `moment`
follows its `step`, and that they answer a message «sound» (a comparison: «hear») with the bytes of one.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATE, SOUND = "widgets.json", "{}.wav"


def keep(folder: str | Path, names: Mapping[str, Any]) -> None:
    """Write every widget of this process into `folder`: its state, its moments, its sounds; and whose numbers `names` hold."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    widgets = {}
    if "ipywidgets" in sys.modules:
        from ipywidgets.widgets.widget import _instances

        widgets = {name: harvested(widget, Path(folder)) for name, widget in dict(_instances).items()}
    mixes = {str(mix) for mix in (getattr(thing, "mix", "") for thing in dict(names).values()) if isinstance(mix, str)}
    kept = {"widgets": widgets, "mixes": sorted(mixes - {""})}
    (Path(folder) / STATE).write_text(json.dumps(kept, default=_plain), encoding="utf-8")


def harvested(widget: Any, folder: Path) -> dict[str, Any]:
    """One widget: its state, and where it is a window its moments; its sounds go to `folder`."""
    out: dict[str, Any] = {"kind": type(widget).__name__}
    sounds: list[tuple[dict[str, Any], str]] = []
    if {"step", "steps", "moment"} <= set(widget.keys):
        out["moments"] = moments(widget)
        sounds += _sounds(widget, folder, [{"kind": "sound"}])
    elif {"rows", "same"} <= set(widget.keys):
        asked = [
            {"kind": "hear", "row": row, "side": side} for row in range(len(widget.rows)) for side in ("left", "right")
        ]
        sounds += _sounds(widget, folder, asked)
    elif {"curves", "rules"} <= set(widget.keys):  # a page that is looked at asks for each; here nobody has
        for rule in widget.rules:
            widget._handle_custom_msg({"kind": "draw", "rule": rule}, [])
    out["sounds"] = sounds
    out["state"] = widget.get_state()
    if out["state"].get("_model_name") == "PasswordModel":
        out["state"]["value"] = ""  # it is empty anyway: no page ever holds a key
    if "can_label" in out["state"]:
        out["state"]["can_label"] = False  # a page keeps nothing
    return out


def moments(window: Any) -> dict[str, dict[str, list[Any]]]:
    """What changes in a window with the step, as columns: the different values of each field, and which each step has."""
    chosen, rows = window.step, []
    with window.hold_sync():
        for step in range(window.steps):
            window.step = step
            rows.append(dict(window.moment))
        window.step = chosen
    columns: dict[str, dict[str, list[Any]]] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        numbers: dict[str, int] = {}
        values: list[Any] = []
        steps = []
        for row in rows:
            value = row.get(name)
            written = json.dumps(value, default=_plain)
            if written not in numbers:
                numbers[written] = len(values)
                values.append(value)
            steps.append(numbers[written])
        columns[name] = {"values": values, "steps": steps}
    return columns


def _sounds(widget: Any, folder: Path, asked: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """The sounds with which a widget answers: to which message, and the name of the file."""
    found: list[tuple[dict[str, Any], str]] = []
    for message in asked:
        with _listening(widget) as heard:
            widget._handle_custom_msg(message, [])
        if heard:
            name = SOUND.format(f"{widget.model_id}_{len(found)}")
            (folder / name).write_bytes(heard[-1])
            found.append((message, name))
    return found


@contextmanager
def _listening(widget: Any) -> Iterator[list[bytes]]:
    """What the widget sends to its page meanwhile."""
    heard: list[bytes] = []
    widget.send = lambda _content, buffers=None: heard.extend(bytes(b) for b in buffers or ())
    try:
        yield heard
    finally:
        del widget.send


def _plain(value: Any) -> Any:
    """What JSON has no form for: a widget's bytes."""
    return (
        {"bytes": b64encode(bytes(value)).decode()} if isinstance(value, bytes | bytearray | memoryview) else str(value)
    )
