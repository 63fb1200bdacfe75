"""The page's half of the prompt lab; its view is in `prompt_lab*.js`."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from clara_kit.widgets.view import style, view

STEPS = ("prompts", "try", "run", "read", "rate", "verdict", "save")


class LabView(anywidget.AnyWidget):
    """The page's half of a prompt lab."""

    _esm = view("prompt_lab_read", "prompt_lab_verdict", "prompt_lab")
    _css = style("desk", "shelf", "prompt_lab")

    words = traitlets.Dict().tag(sync=True)
    step = traitlets.Unicode(STEPS[0]).tag(sync=True)
    steps: Any = traitlets.List([*STEPS]).tag(sync=True)
    offers = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    sides = traitlets.Dict().tag(sync=True)
    plan = traitlets.Dict().tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)
    pairs: Any = traitlets.List().tag(sync=True)
    reading = traitlets.Dict().tag(sync=True)
    rating = traitlets.Dict().tag(sync=True)
    verdict = traitlets.Dict().tag(sync=True)
    saved = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)
