"""The table of states: what it allows, and the diagram drawn from it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from clara_kit.core.errors import InvalidTransition
from clara_kit.core.states import TRANSITIONS, ConversationState, ConversationStateMachine

S = ConversationState


@pytest.mark.parametrize("source", list(S))
@pytest.mark.parametrize("target", list(S))
def test_only_what_the_table_has_is_allowed_and_a_refusal_changes_nothing(source: S, target: S) -> None:
    machine = ConversationStateMachine(source)
    if target in TRANSITIONS[source]:
        machine.transition(target, "why")
        assert (machine.state, machine.reason) == (target, "why")
    else:
        with pytest.raises(InvalidTransition) as caught:
            machine.transition(target, "why")
        assert source in str(caught.value) and target in str(caught.value)
        assert (machine.state, machine.reason) == (source, "beginning")


def test_the_table_is_the_designs() -> None:
    table = {source: set(targets) for source, targets in TRANSITIONS.items()}
    assert table == {
        S.IDLE: {S.USER_SPEAKING, S.PROCESSING, S.AVATAR_SPEAKING},
        S.USER_SPEAKING: {S.PROCESSING, S.IDLE},
        S.PROCESSING: {S.AVATAR_SPEAKING, S.USER_SPEAKING, S.IDLE},
        S.AVATAR_SPEAKING: {S.IDLE, S.PROCESSING, S.INTERRUPTED},
        S.INTERRUPTED: {S.USER_SPEAKING, S.PROCESSING, S.AVATAR_SPEAKING, S.IDLE},
    }


def test_the_diagram_is_drawn_from_the_table_and_marks_the_current_state() -> None:
    diagram = ConversationStateMachine(S.PROCESSING).diagram()
    count = sum(map(len, TRANSITIONS.values()))
    ElementTree.fromstring(diagram.svg)
    assert diagram.svg.count("marker-end=") == count
    assert diagram.mermaid.count("-->") == count + 1
    assert "class PROCESSING current" in diagram.mermaid


def test_only_a_speaking_clara_can_be_interrupted() -> None:
    assert [s for s in S if ConversationStateMachine(s).can_interrupt()] == [S.AVATAR_SPEAKING]
