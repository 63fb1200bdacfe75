"""A whole shelf asked at once says of each conversation what `what_if` says of it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit import Settings, simulate, what_if_shelf
from clara_kit.core.errors import RunLogError, SettingsError
from clara_kit.lab.what_if import WhatIfs
from clara_kit.measure.run import Run
from clara_kit.runtime.run_log import RunLog
from clara_kit.world.faults import Fault

TUNED = Settings.preset("tuned")
LINES = (
    [
        {"text": "Espera, ¿y hacen despachos a regiones?", "interrupt_after_ms": 1500},
        {"sound": "cough", "interrupt_after_ms": 900},
    ],
    ["¿Qué limpiador me recomiendas?", {"text": "ajá", "interrupt_after_ms": 1200}, "¿Y cuánto cuesta?", "no, gracias"],
    [
        "Busco algo para…",
        {"text": "las manchas, y también", "after_clara_ms": 200, "pauses": [{"after_word": 2, "ms": 900}]},
    ],
    [
        {"text": "¿Puedo usar retinol embarazada?", "typed": True},
        {"sound": "noise", "sound_ms": 1400, "interrupt_after_ms": 600},
    ],
)
CHOICES = {
    "plan": Settings.preset("plan"),
    **{f"sustained {ms}": TUNED.with_changes(sustained_ms=ms) for ms in (0, 300, 700, 1500)},
    "three words": TUNED.with_changes(min_words=3),
    "backchannels count": TUNED.with_changes(ignore_backchannels=False),
    "loud": TUNED.with_changes(duck=False),
    "hold": TUNED.with_changes(turn_hold_ms=600),
    "no hold": TUNED.with_changes(unfinished_hold_ms=0),
    "whole replies": TUNED.with_changes(enable_chunked_heygen=not TUNED.flags.enable_chunked_heygen),
    "short memory": TUNED.with_changes(history_max_messages=2),
    "never give up": TUNED.with_changes(max_retries=9),
    "late finals": TUNED.with_changes(final_timeout_ms=300),
    "no barge-in": TUNED.with_changes(enable_barge_in=False),
    "as it was": TUNED,
    "falls back": TUNED.with_changes(enable_auto_fallback=True),
    "falls back at once": TUNED.with_changes(enable_auto_fallback=True, failure_threshold=1, fallback_open_ms=5000),
    "another jitter": TUNED.with_changes(retry_jitter=0.4),
    "hurried": TUNED.with_changes(turn_deadline_ms=1500, slow_response_ms=1000),
}  # fmt: skip


def recorded() -> list[Run]:
    cuts = [Fault(service="llm", kind="cut", on=1, after_ms=400), Fault(service="stt", kind="cut", on=1, after_ms=900)]
    gone = [Fault(service="llm", kind="refuse", status=529, on=n) for n in range(1, 5)]
    return [
        *(
            simulate(lines, TUNED if seed % 3 else Settings.preset("plan"), seed=seed, faults=cuts if seed % 2 else ())
            for seed in range(4)
            for lines in LINES
        ),
        *(simulate(lines, CHOICES["falls back"], seed=5, faults=gone) for lines in LINES[:2]),
        simulate(LINES[0], TUNED, seed=6, faults=gone, latency="optimistic"),
    ]


def test_each_conversation_of_a_shelf_goes_as_what_if_says_of_it_alone() -> None:
    runs = recorded()
    found = what_if_shelf(runs, CHOICES)
    said = {(one.name, runs.index(one.source)): one for one in found.otherwise if isinstance(one.source, Run)}
    assert len(said) == len(found.otherwise) > 100
    for number, run in enumerate(runs):
        alone = WhatIfs(run)
        for name, settings in CHOICES.items():
            ghost, one = alone.of(settings), said.get((name, number))
            assert (one.differs if one else None) == ghost.differs, f"{name} of run {number}"
            if one is not None:
                assert one.vouched == pytest.approx(min(1.0, ghost.replayed_until_ms / alone.recorded.ends_ms))
    assert not any(name == "as it was" and runs[number].settings == TUNED for name, number in said)


def test_what_does_not_happen_any_more_has_no_reason_from_elsewhere() -> None:
    run = simulate(LINES[1], TUNED.with_changes(slow_response_ms=0), seed=1)

    alone = WhatIfs(run).of(TUNED.with_changes(slow_response_ms=60_000)).differs
    (one,) = what_if_shelf([run], {"patient": {"slow_response_ms": 60_000}}).otherwise

    assert alone == one.differs and alone is not None
    assert alone.now is None and (alone.policy, alone.reason) == ("", "")


def test_a_shelf_tells_how_many_by_reason_and_what_it_could_not_ask(tmp_path: Path) -> None:
    for run in recorded()[:3]:
        log = RunLog(run.inputs, title="una conversación", root=tmp_path)
        log.close([*run.trace])
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "manifest.json").write_text("{}")
    told: list[tuple[int, int]] = []
    found = what_if_shelf(
        tmp_path, {"plan": Settings.preset("plan"), "loud": CHOICES["loud"]}, progress=lambda *at: told.append(at)
    )
    assert found.asked == 3 and list(found.refused) == ["damaged"] and told[-1] == (4, 4)
    assert "plan: of 3 conversations" in str(found) and "1 cannot be decided again" in str(found)
    reasons = found.by_reason("loud")
    assert sum(map(len, reasons.values())) == sum(one.name == "loud" for one in found.otherwise) > 0
    assert found.table["mix"].unique().to_list() == ["simulated"]
    first = found.otherwise[0]
    assert first.open().differs == first.differs and first.name in found._repr_html_()


@pytest.mark.parametrize("given", [{}, "tuned", None, {"x": 3}])
def test_what_are_no_settings_are_refused(given: object) -> None:
    with pytest.raises(SettingsError):
        what_if_shelf([], given)  # type: ignore[arg-type]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match="no folder"):
        what_if_shelf(tmp_path / "elsewhere", Settings())
