"""What comes of another next line at a recorded moment, played in the simulated world.

Beside `ghost.py`, from which it has what was under way: the reply that was being written and what Clara was saying go on as
they were recorded, until the rules cut them. The recorded customer says nothing more; the line is typed in her place.
Every service takes the median of what it took in this run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.talk import Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated
from clara_kit.lab.ghost import LONGER_MS, Ghost
from clara_kit.lab.recorded import Recorded
from clara_kit.lab.retold import Told
from clara_kit.world.brain import Brain
from clara_kit.world.scheduler import World

Note = tuple[str, dict[str, str]]
"""A name of `sentences.yml`'s branches, and what stands in its braces, with placeholders."""


class Onward(Ghost):
    """Plays on from where `conversation` stands, right after event number `step`, with what Clara is `told` from there on."""

    def __init__(
        self, recorded: Recorded, conversation: Conversation, step: int, told: Told, changed: dict[str, Any], brain: Brain | None = None
    ) -> None:  # fmt: skip
        self._line, self._begins = "", len(conversation.trace)
        if changed:
            conversation.handle(ev.SettingsChanged(at_ms=conversation.talk.now_ms, changes=tuple(changed.items())))
        super().__init__(recorded, conversation, step + 1, step + 1)
        self.writer.brain = brain
        self._briefing, self._prompt = told.briefing, told.prompt
        self.door.placeholders = told.placeholders.fresh()
        broken = (name for name, health in conversation.talk.services.items() if health.down == "broken")
        for service in broken:  # it was being connected again
            self.at(self._now_ms, ev.ProviderRecovered(at_ms=self._now_ms, service=service))

    def go_on(self, line: str, *, cuts_in: bool) -> None:
        """Type the line, now or once nothing is under way any more, and play all that follows to its end."""
        self._line = line
        if self.conversation.talk.sounding:  # the recorded sound is no part of this
            self.at(self._now_ms, ev.SpeechEnded(at_ms=self._now_ms, source="vad", sound_at_ms=self._now_ms))
        if cuts_in or self.conversation.is_quiet:
            self._type()
        self.play(at_most_ms=self._now_ms + LONGER_MS)

    def notes(self, before: Talk, under_way: str | None) -> Iterator[Note]:
        """What was under way, as it stood before, and what became of it."""
        fresh = self.conversation.trace[self._begins :]
        unanswered = " ".join(filter(None, (before.turn.question, before.turn.interim)))
        if unanswered and under_way == "cut":
            yield "words", {"text": unanswered}
        elif before.sounding:
            yield "sound", {}
        if under_way == "continued":
            line_ms = next(r.at_ms for r in fresh if type(r) is ev.TextTyped)
            yield "continued", {"seconds": f"{line_ms / 1000:.2f}"}
        if under_way == "cut" and before.utterance is not None and before.utterance.phase == "sounding":
            unheard = next((r.unheard for r in fresh if isinstance(r, HeardEstimated)), "")
            yield ("cut", {"unheard": unheard}) if unheard else ("silenced", {})
        if under_way == "cut" and before.replies:
            yield "dropped", {}
        failed = next((r for r in fresh if type(r) is ev.ProviderFailed and r.service == "llm"), None)
        if failed is not None:
            yield "failed", {"why": failed.message}
        yield from (("assumed", {"what": what}) for what in dict.fromkeys(self.assumed))

    def _type(self) -> None:
        line, self._line = self._line, ""
        self.at(self._now_ms, ev.TextTyped(at_ms=self._now_ms, text=line))

    def _feed(self, event: ev.Event) -> None:
        if type(event) is ev.ConversationStopped and self._line:  # nothing else is going to happen
            self._type()
            return self.play(at_most_ms=self._now_ms + LONGER_MS)
        super()._feed(event)
        if self._line and self.conversation.is_quiet:
            self._type()

    def _customer_goes_on(self, step: int, fed: int) -> None:
        """Of what was recorded after the moment only that still comes which was ordered before, and is not drawn anew."""
        recorded = self._recorded
        under_way = recorded.writing(step), recorded.sounding(step)
        ordered = {
            ("reply_id", n) for n, one in recorded.replies.items() if one.step < step and one is not under_way[0]
        }
        ordered |= {
            ("utterance_id", n) for n, one in recorded.said.items() if one.pieces[0][0] < step and n != under_way[1]
        }
        answers = recorded.answers
        ordered |= {one for a in answers if a.step < step and a is not recorded.answering(step) for one in a.ids}
        awaits_profile = "profile" in self.conversation.talk.timers
        for event, _ in recorded.steps[fed:]:
            ids = ((name, getattr(event, name, None)) for name in ("reply_id", "utterance_id"))
            if any(one in ordered for one in ids) or (awaits_profile and type(event) is ev.ProfileLoaded):
                at_ms = max(event.at_ms, self._now_ms)
                self.at(at_ms, replace(event, at_ms=at_ms))

    def _finalize(self, command: do.FinalizeWords) -> None:
        """Nobody speaks."""

    def _request_reply(self, command: Any) -> None:
        """Asked anew, whatever was answered when it was recorded."""
        World._request_reply(self, command)
