"""The ghost beside the recorded conversation, by its methods: what a slider does, `choose` does too."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from clara_kit import Settings, WhatIfView, simulate
from clara_kit.core.errors import ClaraError
from clara_kit.lab.what_if import AS_RECORDED
from clara_kit.widgets.ghost import KNOBS
from clara_kit.widgets.words import WORDS

COUGHED = simulate(
    ["¿Qué protector solar me recomiendas?", {"sound": "cough", "sound_ms": 300, "interrupt_after_ms": 2000}], seed=5
)


@pytest.fixture
def shown() -> WhatIfView:
    return WhatIfView(COUGHED)


def test_a_dragged_setting_draws_the_ghost_and_back_it_is_the_record(shown: WhatIfView) -> None:
    assert shown.told == ["Nothing would have been otherwise."] and shown.value == 0
    shown.value = 700.0  # as the slider of the view does
    assert not shown.ghost.same and shown.ghost.settings.sustained_ms == 700
    assert shown.told[0].startswith("At ") and "interrupted" in shown.told[0] and "nothing. (" in shown.told[1]
    shown.value = 150.0
    assert not shown.ghost.same  # stopped all the same, and later
    shown.value = 0.0
    assert shown.ghost.same


def test_the_picture_marks_what_is_replayed_and_what_is_drawn_anew(shown: WhatIfView) -> None:
    before = [*ElementTree.fromstring(shown.svg).iter("{http://www.w3.org/2000/svg}g")]
    assert [g.get("class") for g in before if g.get("class")] == ["replayed"]
    shown.choose("sustained_ms", 700)
    root = ElementTree.fromstring(shown.svg)
    classes = [g.get("class") for g in root.iter("{http://www.w3.org/2000/svg}g") if g.get("class")]
    assert classes == ["replayed", "drawn", "differs"]
    text = " ".join(root.itertext())
    assert "a sound stops her after: 0 → 700" in text and "no number here is a vendor’s" in text
    again = WhatIfView(COUGHED)
    again.choose("sustained_ms", 700)
    assert again.svg == shown.svg == shown._repr_mimebundle_()[0]["image/svg+xml"]


def test_a_sound_that_is_held_covers_no_words_of_hers(shown: WhatIfView) -> None:
    shown.choose("sustained_ms", 700, base="tuned")
    boxes = [
        g for g in ElementTree.fromstring(shown.svg).iter("{http://www.w3.org/2000/svg}g") if g.get("class") is None
    ]
    held = [rect for group in boxes for rect in group if rect.get("fill") == "#0072b2"]
    assert held and all(float(rect.get("height") or 99) <= 5 for rect in held)


def test_another_setting_begins_where_it_stands_and_a_preset_is_the_rest(shown: WhatIfView) -> None:
    shown.knob = "no_words_timeout_ms"
    assert shown.value == 2500 and shown.ghost.same
    shown.base = "tuned"
    assert shown.ghost.settings == Settings.preset("tuned") and not shown.ghost.same
    shown.choose("enable_barge_in", False, base="recorded")
    assert shown.shown == "off" and not shown.ghost.settings.flags.enable_barge_in and not shown.ghost.same
    with pytest.raises(ClaraError, match="as in 'mine'"):
        shown.choose(base="mine")
    with pytest.raises(ClaraError, match="cannot be dragged"):
        shown.choose("stt_model")
    shown.choose("sustained_ms", 700)
    shown.value = 9e9
    assert shown.problem and not shown.ghost.same  # the last one stays


def test_every_setting_that_can_be_dragged_has_a_name_and_matters(shown: WhatIfView) -> None:
    assert not AS_RECORDED & set(KNOBS)
    assert all(f"set_{name}" in WORDS for name in KNOBS)
    spanish = WhatIfView(COUGHED, base="tuned", language="es")
    assert spanish.told[0].startswith("A los ") and "Clara, fantasma" in spanish.svg
