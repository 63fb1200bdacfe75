"""The five states of a conversation and the table of allowed changes, which also draws its own diagram."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from clara_kit.core.errors import InvalidTransition


class ConversationState(StrEnum):
    """Whose turn it is."""

    IDLE = "IDLE"
    USER_SPEAKING = "USER_SPEAKING"
    PROCESSING = "PROCESSING"
    AVATAR_SPEAKING = "AVATAR_SPEAKING"
    INTERRUPTED = "INTERRUPTED"

    def __repr__(self) -> str:
        return self.value


_S = ConversationState

TRANSITIONS: dict[ConversationState, dict[ConversationState, str]] = {
    _S.IDLE: {_S.USER_SPEAKING: "the customer speaks", _S.PROCESSING: "typed text", _S.AVATAR_SPEAKING: "greeting"},
    _S.USER_SPEAKING: {_S.PROCESSING: "the customer is done", _S.IDLE: "no words came"},
    _S.PROCESSING: {
        _S.AVATAR_SPEAKING: "Clara speaks",
        _S.USER_SPEAKING: "the customer went on",
        _S.IDLE: "nothing to say",
    },
    _S.AVATAR_SPEAKING: {
        _S.IDLE: "Clara is done",
        _S.PROCESSING: "the opener ended before the reply was ready",
        _S.INTERRUPTED: "barge-in",
    },
    _S.INTERRUPTED: {
        _S.USER_SPEAKING: "words came",
        _S.PROCESSING: "typed, or the words were final at once",
        _S.AVATAR_SPEAKING: "it was none: resume",
        _S.IDLE: "it was none, nothing left to say",
    },
}


@dataclass(slots=True, eq=False, repr=False)
class ConversationStateMachine:
    """Holds the current state and refuses every change that `TRANSITIONS` does not have."""

    state: ConversationState = ConversationState.IDLE
    reason: str = "beginning"

    def allows(self, state: ConversationState) -> bool:
        """Whether `transition(state)` would be accepted now."""
        return state in TRANSITIONS[self.state]

    def can_interrupt(self) -> bool:
        """Whether Clara is speaking, so that she can be interrupted."""
        return self.state is ConversationState.AVATAR_SPEAKING

    def transition(self, state: ConversationState, reason: str = "") -> None:
        """Change to `state`, or raise `InvalidTransition` and change nothing."""
        if state not in TRANSITIONS[self.state]:
            allowed = ", ".join(TRANSITIONS[self.state])
            raise InvalidTransition(f"{self.state} cannot become {state}.", hint=f"from {self.state} only: {allowed}.")
        self.state, self.reason = state, reason

    def copy(self) -> ConversationStateMachine:
        """The same, apart."""
        return replace(self)

    def diagram(self) -> StateDiagram:
        """The table as a picture, with the current state marked."""
        return StateDiagram(self.state)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self.diagram()._repr_mimebundle_()

    def __repr__(self) -> str:
        return f"ConversationStateMachine({self.state}: {self.reason})"


_ARROWS = [(source, target, why) for source, targets in TRANSITIONS.items() for target, why in targets.items()]

# Where each state stands: its centre in SVG units, x + y j. The only thing the table does not know.
_AT = {
    _S.IDLE: 110 + 60j,
    _S.USER_SPEAKING: 110 + 290j,
    _S.PROCESSING: 480 + 290j,
    _S.AVATAR_SPEAKING: 480 + 60j,
    _S.INTERRUPTED: 295 + 175j,
}

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 590 350" width="590" height="350" '
    'font-family="sans-serif" role="img" aria-label="states of a conversation">'
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#7a7a7a"/></marker></defs>{}</svg>'
)


@dataclass(frozen=True)
class StateDiagram:
    """The state table drawn from the table itself: `.mermaid` (text), `.svg`, and a picture in notebooks."""

    current: ConversationState | None = None

    @property
    def mermaid(self) -> str:
        """The table in mermaid's stateDiagram-v2 language."""
        lines = ["stateDiagram-v2", "    [*] --> IDLE"]
        lines += [f"    {source} --> {target}: {why}" for source, target, why in _ARROWS]
        if self.current is not None:
            lines += ["    classDef current font-weight:bold,stroke-width:3px", f"    class {self.current} current"]
        return "\n".join(lines)

    @property
    def svg(self) -> str:
        """The table as an SVG of 590 x 350 units, readable in light and dark."""
        return _SVG.format("".join([*(_arrow(*arrow) for arrow in _ARROWS), *map(self._box, TRANSITIONS)]))

    def _box(self, state: ConversationState) -> str:
        x, y = int(_AT[state].real), int(_AT[state].imag)
        fill, width = ("#f4b942", 3) if state is self.current else ("#e8eef5", 1)
        return (
            f'<rect x="{x - 75}" y="{y - 20}" width="150" height="40" rx="8" fill="{fill}" stroke="#33475b" '
            f'stroke-width="{width}"/><text x="{x}" y="{y + 5}" text-anchor="middle" font-size="13" '
            f'fill="#1c2733">{state}</text>'
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.mermaid}


def _arrow(source: ConversationState, target: ConversationState, why: str) -> str:
    way = _AT[target] - _AT[source]
    # Which share of the way lies inside a box of 150 x 40 (plus a small gap).
    inside = way * min(half / abs(delta) for half, delta in ((79, way.real), (24, way.imag)) if delta)
    # The two directions of a pair run side by side, each shifted to its own left.
    aside = way / abs(way) * 9j
    a, b = _AT[source] + inside + aside, _AT[target] - inside + aside
    return (
        f'<line x1="{a.real:.0f}" y1="{a.imag:.0f}" x2="{b.real:.0f}" y2="{b.imag:.0f}" stroke="#7a7a7a" '
        f'stroke-width="1.5" marker-end="url(#tip)"><title>{source} to {target}: {why}</title></line>'
    )
