"""The five states of a conversation and the table of allowed changes, which also draws its own diagram."""

from __future__ import annotations

from enum import StrEnum

from clara_kit.core.errors import InvalidTransition


class ConversationState(StrEnum):
    """Whose turn it is."""

    IDLE = "IDLE"
    USER_SPEAKING = "USER_SPEAKING"
    PROCESSING = "PROCESSING"
    AVATAR_SPEAKING = "AVATAR_SPEAKING"
    INTERRUPTED = "INTERRUPTED"


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


class ConversationStateMachine:
    """Holds the current state and refuses every change that `TRANSITIONS` does not have."""

    __slots__ = ("reason", "state")

    def __init__(self, state: ConversationState = ConversationState.IDLE) -> None:
        self.state = state
        self.reason = "beginning"

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
        self.state = state
        self.reason = reason

    def copy(self) -> ConversationStateMachine:
        """The same, apart."""
        twin = ConversationStateMachine(self.state)
        twin.reason = self.reason
        return twin

    def diagram(self) -> StateDiagram:
        """The table as a picture, with the current state marked."""
        return StateDiagram(self.state)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self.diagram()._repr_mimebundle_()

    def __repr__(self) -> str:
        return f"ConversationStateMachine({self.state}: {self.reason})"


class StateDiagram:
    """The state table drawn from the table itself: `.mermaid` (text), `.svg`, and a picture in notebooks."""

    # Where each state stands (centre, in SVG units). The only thing the table does not know.
    _AT = {  # noqa: RUF012 - a constant of this class
        _S.IDLE: (110, 60),
        _S.USER_SPEAKING: (110, 290),
        _S.PROCESSING: (480, 290),
        _S.AVATAR_SPEAKING: (480, 60),
        _S.INTERRUPTED: (295, 175),
    }

    def __init__(self, current: ConversationState | None = None) -> None:
        self.current = current

    @property
    def mermaid(self) -> str:
        """The table in mermaid's stateDiagram-v2 language."""
        lines = ["stateDiagram-v2", "    [*] --> IDLE"]
        lines += [
            f"    {source} --> {target}: {why}"
            for source, targets in TRANSITIONS.items()
            for target, why in targets.items()
        ]
        if self.current is not None:
            lines += ["    classDef current font-weight:bold,stroke-width:3px", f"    class {self.current} current"]
        return "\n".join(lines)

    @property
    def svg(self) -> str:
        """The table as an SVG of 590 x 350 units, readable in light and dark."""
        arrows = [
            self._arrow(source, target, why)
            for source, targets in TRANSITIONS.items()
            for target, why in targets.items()
        ]
        boxes = [self._box(state) for state in TRANSITIONS]
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 590 350" width="590" height="350" '
            'font-family="sans-serif" role="img" aria-label="states of a conversation">'
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#7a7a7a"/></marker></defs>'
            + "".join(arrows)
            + "".join(boxes)
            + "</svg>"
        )

    def _box(self, state: ConversationState) -> str:
        x, y = self._AT[state]
        fill, width = ("#f4b942", 3) if state is self.current else ("#e8eef5", 1)
        return (
            f'<rect x="{x - 75}" y="{y - 20}" width="150" height="40" rx="8" fill="{fill}" stroke="#33475b" '
            f'stroke-width="{width}"/><text x="{x}" y="{y + 5}" text-anchor="middle" font-size="13" '
            f'fill="#1c2733">{state}</text>'
        )

    def _arrow(self, source: ConversationState, target: ConversationState, why: str) -> str:
        (x1, y1), (x2, y2) = self._AT[source], self._AT[target]
        dx, dy = x2 - x1, y2 - y1
        length = (dx * dx + dy * dy) ** 0.5
        # The two directions of a pair run side by side, each shifted to its own left.
        ox, oy = -dy / length * 9, dx / length * 9
        t1 = _edge_share(dx, dy)
        ax, ay = x1 + dx * t1 + ox, y1 + dy * t1 + oy
        bx, by = x2 - dx * t1 + ox, y2 - dy * t1 + oy
        return (
            f'<line x1="{ax:.0f}" y1="{ay:.0f}" x2="{bx:.0f}" y2="{by:.0f}" stroke="#7a7a7a" stroke-width="1.5" '
            f'marker-end="url(#tip)"><title>{source} to {target}: {why}</title></line>'
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.mermaid}


def _edge_share(dx: float, dy: float) -> float:
    """Which share of the way between two centres lies inside a box of 150 x 40 (plus a small gap)."""
    shares = [half / abs(delta) for half, delta in ((79, dx), (24, dy)) if delta]
    return min(shares)
