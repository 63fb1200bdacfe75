"""`what_if(run, settings)`: what would have become of a recorded conversation with other settings.

It is decided again, event by event, as long as the services are asked for the same; what is drawn anew from there on is
`ghost.py`'s. So a run on which the settings have no bearing costs a replay and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.policies import Policies
from clara_kit.core.outside import printable
from clara_kit.core.page import Html, escape, table
from clara_kit.core.records import Record
from clara_kit.core.settings import Settings, sure
from clara_kit.lab.deciding import Again, Changed, changes
from clara_kit.lab.ghost import Ghost
from clara_kit.lab.recorded import Recorded
from clara_kit.measure.run import Run
from clara_kit.turns import usual_policies

DRAWN_ANEW = ("llm", "tts", "avatar", "backup")  # Clara's side
AS_RECORDED = frozenset({
    "stt_model", "stt_language", "stt_endpointing_ms", "stt_utterance_end_ms", "stt_keyterms", "local_vad", "llm_model", "llm_max_tokens",
    "llm_temperature", "llm_first_token_timeout_ms", "llm_stall_timeout_ms", "tts_voice", "tts_other_voice", "avatar_vendor", "heygen_avatar_name",
    "heygen_voice_id", "avatar_id", "avatar_sandbox", "profile_cache_hours", "shopify_api_version", "absence_ms", "greeting",
    "enable_personalization",
})  # fmt: skip
"""Settings that a ghost cannot know of: what was heard, written and greeted with stays as it was recorded."""


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """A ghost: what would have been of the conversation `of`, with `settings`.

    trace: its records. differs: None where every decision that anybody notices is the same. assumed: what the record
    could not tell. drawn: how long each service takes where Clara's side is drawn anew; empty where nothing is.
    by_version: another version recorded it, and this one decides otherwise there with the recorded settings too.
    """

    of: Run
    settings: Settings
    trace: tuple[Record, ...]
    differs: Changed | None
    replayed_until_ms: float
    assumed: tuple[str, ...] = ()
    drawn: dict[str, float] = field(default_factory=dict)
    policies: Policies
    by_version: bool = False

    @cached_property
    def run(self) -> Run:
        """The ghost as any other run, to be shown and counted; its inputs say until when it is a replay."""
        of = self.of
        ghost: dict[str, Any] = {"of": of.run_id, "replayed_until_ms": self.replayed_until_ms}
        inputs = {**of.inputs, "settings": self.settings.model_dump(mode="json"), "policies": self.policies.to_dict()}
        if self.drawn:
            ghost |= {"then": "Clara's side drawn anew, the customer's as recorded", "drawn": self.drawn, "assumed": [*self.assumed]}  # fmt: skip
            modes = {**({"backup": "sim"} if self.settings.flags.enable_auto_fallback else {}), **of.modes}
            inputs["modes"] = {k: f"{v} then sim" if v != "sim" and k in DRAWN_ANEW else v for k, v in modes.items()}
        facts = {k: v for k, v in of.facts.items() if k not in ("run_id", "sound_from_ms")}
        facts["title"] = f"{of.title or of.run_id}, had it been otherwise"
        return Run(inputs={**inputs, "ghost": ghost}, trace=self.trace, facts=facts, words=of.words)

    @property
    def same(self) -> bool:
        """Whether nothing that anybody notices came out otherwise."""
        return self.differs is None

    @cached_property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """The settings that differ: as recorded, and now."""
        return changes(self.of.settings, self.settings)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {was} → {now}" for name, (was, now) in self.changes.items()) or "the same settings"
        if self.differs is None:
            return printable(f"<WhatIf {told}: nothing would have been otherwise>")
        was, now = (text or "nothing" for text in self.differs.told())
        version = ", by this version whatever the settings" if self.by_version else ""
        return printable(f"<WhatIf {told}: at {self.differs.at_ms / 1000:.2f} s{version}, recorded: {was} now: {now}>")

    def _repr_html_(self) -> str:
        rows: list[tuple[Any, ...]] = []
        for run, whose in ((self.of, "recorded"), (self.run, "ghost")):
            for turn in run.ledger:
                heard = escape(turn.clara if turn.heard is None else turn.heard)
                unheard = f" <s style='opacity:.6'>{escape(turn.unheard)}</s>" if turn.unheard else ""
                wait = None if turn.total_ms is None else round(turn.total_ms)
                rows.append((whose, turn.turn_id, turn.customer, Html(heard + unheard), wait))
        rows.sort(key=lambda row: row[1])
        until = f"Replayed until {self.replayed_until_ms / 1000:.2f} s; after that Clara’s side is drawn anew, the customer’s stays."
        assumed = f" Assumed: {'; '.join(self.assumed)}." if self.assumed else ""
        return table(rows, ("", "turn", "customer", "Clara", "wait, ms"), f"{repr(self)[1:-1]}. {until}{assumed}")


def what_if(run: Run | str | Path, settings: Settings, *, policies: Policies | None = None) -> WhatIf:
    """What would have been of a recorded run with other settings. Equal arguments give equal bytes.

    What the customer said and when stays as recorded (`AS_RECORDED`: the settings that therefore change nothing); from
    the first order to a service that differs on, Clara's side is drawn anew, with the times that this run's services took.
    run: a `Run` or a path to one. Raises `RunLogError` if it cannot be read.
    """
    return WhatIfs(run).of(settings, policies=policies)


class WhatIfs:
    """One run, read once, for many settings: what a slider asks."""

    def __init__(self, run: Run | str | Path) -> None:
        self.run = run if isinstance(run, Run) else Run.load(run)
        self.recorded = Recorded(self.run)

    def of(self, settings: Settings, *, policies: Policies | None = None) -> WhatIf:
        """The ghost with these settings."""
        policies = policies or usual_policies()
        again = self._again(sure(settings), policies)
        differs, own, ghost = again.differs, self._own, None
        if (departed := again.departed) is not None:
            ghost = Ghost(self.recorded, again.conversation, departed.step, departed.fed)
            ghost.play_on(departed.orders)
        return WhatIf(
            of=self.run, settings=settings, trace=tuple(again.conversation.trace), differs=differs, policies=policies,
            replayed_until_ms=self.recorded.ends_ms if departed is None else departed.at_ms,
            drawn={} if ghost is None else {stage: law.low for stage, law in self.recorded.latency.laws.items()},
            assumed=() if ghost is None else tuple(dict.fromkeys(ghost.assumed)),
            by_version=differs is not None and own is not None and (own.step, own.recorded) == (differs.step, differs.recorded),
        )  # fmt: skip

    @cached_property
    def _own(self) -> Changed | None:
        """What this version decides otherwise with the recorded settings."""
        return self._again(self.run.settings, usual_policies()).differs

    def _again(self, settings: Settings, policies: Policies) -> Again:
        conversation = Conversation(settings, policies=policies)
        again = Again(self.recorded, changes(self.run.settings, settings), conversation)
        return again.play((n, event, then) for n, (event, then) in enumerate(self.recorded.steps))
