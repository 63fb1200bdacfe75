"""Widgets as what they show.

A view of the kit (anywidget) is drawn in the page by the very script that draws it in a notebook, from the state that
was left; `host.js` stands where the kernel was. Plain controls (ipywidgets) are drawn as HTML, for they have no such
script. A window can be walked through and heard; whatever else needs Python says that it is live in the notebook.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from html import escape
from typing import Any

from pages.assets import Assets, script_json
from pages.running import Ran

NOTE = "A picture of what the notebook shows: there it is live."
_LAYOUT = ("width", "max_width", "min_width", "flex", "flex_flow", "justify_content", "align_items")


class Widgets:
    """The widgets of one notebook as HTML. `scripts`: what the page must load for them, in order."""

    def __init__(self, ran: Ran, assets: Assets) -> None:
        self._ran, self._assets = ran, assets
        self.scripts: dict[str, None] = {}
        self.styles: dict[str, None] = {}

    def shown(self, model_id: str) -> str:
        """One output of a cell."""
        if model_id not in self._ran.widgets:
            return "<p class='note'>Here the notebook shows a widget that could not be kept.</p>"
        walks = "moments" in self._ran.widgets[model_id]
        note = "" if walks else f"<p class='note' role='status'>{NOTE}</p>"
        return f"<div class='widget'>{note}{self._one(model_id)}</div>"

    def _one(self, model_id: str) -> str:
        kept = self._ran.widgets.get(model_id.removeprefix("IPY_MODEL_"))
        if kept is None:
            return ""
        if "_esm" in kept["state"]:
            return self._hosted(kept)
        draw = _DRAWN.get(kept["state"].get("_model_name", ""))
        return draw(self, kept["state"]) if draw else f"<p class='note'>{escape(kept['kind'])}</p>"

    def _hosted(self, kept: dict[str, Any]) -> str:
        view, script = self._assets.view(kept["state"]["_esm"])
        self.styles[self._assets.style(kept["state"].get("_css") or "")] = None
        self.scripts[script] = None
        state = {
            k: v
            for k, v in kept["state"].items()
            if not k.startswith("_") and k not in ("layout", "tabbable", "tooltip")
        }
        sounds = [[message, self._assets.sound(self._ran.sounds[name])[0]] for message, name in kept["sounds"]]
        data = {"view": view, "state": state, "moments": kept.get("moments"), "sounds": sounds}
        name, script = self._assets.data(data)
        self.scripts[script] = None
        return f"<div class='hosted' data-clara='{name}'></div>"

    # --- plain controls ---------------------------------------------------------------------------------------

    def _box(self, state: dict[str, Any], direction: str) -> str:
        children = "".join(self._one(child) for child in state["children"])
        return f"<div class='box {direction}' style='{self._layout(state)}'>{children}</div>"

    def _folds(self, state: dict[str, Any]) -> str:
        opened = state.get("selected_index")
        opened = opened if isinstance(opened, list | tuple) else [opened]
        return "".join(
            f"<details{' open' if n in opened else ''}><summary>{escape(str(title))}</summary>{self._one(child)}</details>"
            for n, (child, title) in enumerate(zip(state["children"], [*state["titles"], *state["children"]]))
        )

    def _html(self, state: dict[str, Any]) -> str:
        return (
            f"<div class='html' style='{self._layout(state)}'>{_named(state)}{state['value']}</div>"
            if state["value"]
            else ""
        )

    def _label(self, state: dict[str, Any]) -> str:
        return f"<span class='html'>{escape(state['value'])}</span>"

    def _button(self, state: dict[str, Any]) -> str:
        return f"<button type='button' disabled>{escape(state['description'])}</button>"

    def _field(self, state: dict[str, Any], text: str = "") -> str:
        shown = escape(text or str(state.get("value", "")) or state.get("placeholder") or " ")
        return f"<div class='field' style='{self._layout(state)}'>{_named(state)}<output>{shown}</output></div>"

    def _choice(self, state: dict[str, Any]) -> str:
        labels, index = state["_options_labels"], state["index"]
        return self._field(state, str(labels[index]) if index is not None else "")

    def _text(self, state: dict[str, Any]) -> str:
        return f"<pre class='text' style='{self._layout(state)}'>{escape(state['value'])}</pre>"

    def _audio(self, state: dict[str, Any]) -> str:
        value = state["value"]
        wav = b64decode(value["bytes"]) if isinstance(value, dict) else b""
        return audio(wav, self._assets) if wav else ""

    def _layout(self, state: dict[str, Any]) -> str:
        kept = self._ran.widgets.get(str(state.get("layout", "")).removeprefix("IPY_MODEL_"))
        values = kept["state"] if kept else {}
        return escape(";".join(f"{n.replace('_', '-')}:{values[n]}" for n in _LAYOUT if values.get(n)), quote=True)


def audio(wav: bytes, assets: Assets) -> str:
    """The browser's own player."""
    return f"<audio controls preload='none' src='{assets.player(wav)}'></audio>"


def plot(figure: dict[str, Any], assets: Assets, scripts: dict[str, None]) -> str:
    """A plot that plotly draws when the page opens."""
    scripts[assets.plotly()] = None
    return f"<div class='plot'><script type='application/json'>{script_json(figure)}</script></div>"


def _named(state: dict[str, Any]) -> str:
    return f"<b>{escape(state['description'])}</b> " if state.get("description") else ""


_DRAWN: dict[str, Callable[[Widgets, dict[str, Any]], str]] = {
    "VBoxModel": lambda w, s: w._box(s, "down"),
    "HBoxModel": lambda w, s: w._box(s, "across"),
    "BoxModel": lambda w, s: w._box(s, "across"),
    "GridBoxModel": lambda w, s: w._box(s, "across"),
    "AccordionModel": Widgets._folds,
    "TabModel": Widgets._folds,
    "HTMLModel": Widgets._html,
    "HTMLMathModel": Widgets._html,
    "LabelModel": Widgets._label,
    "ButtonModel": Widgets._button,
    "DropdownModel": Widgets._choice,
    "SelectModel": Widgets._choice,
    "RadioButtonsModel": Widgets._choice,
    "ToggleButtonsModel": Widgets._choice,
    "TextareaModel": Widgets._text,
    "AudioModel": Widgets._audio,
} | dict.fromkeys(
    (
        "TextModel",
        "PasswordModel",
        "CheckboxModel",
        "IntTextModel",
        "FloatTextModel",
        "IntSliderModel",
        "FloatSliderModel",
    ),
    Widgets._field,
)
