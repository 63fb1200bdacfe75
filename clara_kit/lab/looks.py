"""When the decisions upon a recorded run first look at each setting: from there on another value can matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.history import History
from clara_kit.conversation.policies import Policies
from clara_kit.conversation.talk import Talk
from clara_kit.core.settings import FeatureFlags, Settings
from clara_kit.lab.recorded import Recorded


class _Spy:
    """Settings that remember at which step each was first looked at. A method may look at any."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self.step, self.first = settings, 0, dict[str, int]()

    def __getattr__(self, name: str) -> Any:
        known = name in Settings.__struct_fields__ and name != "flags"
        flags = FeatureFlags.__struct_fields__
        for one in (name,) if known else flags if name == "flags" else (*Settings.__struct_fields__, *flags):
            self.first.setdefault(one, self.step)
        return getattr(self._settings, name)


class Looks:
    """When the decisions upon a run first look at each setting, and the state right before."""

    def __init__(self, recorded: Recorded, policies: Policies) -> None:
        self.policies, settings = policies, recorded.run.settings
        spy: Any = _Spy(settings)
        spied = Conversation(talk=Talk(spy, History(max_messages=spy.history_max_messages)), policies=policies)
        self._end = len(recorded.steps)  # or where this version decides otherwise with the same settings
        for step, (event, then) in enumerate(recorded.steps):
            spy.step, began = step, len(spied.trace) + 1
            spied.handle(event)
            if tuple(spied.trace[began:]) != then:
                self._end = step
                break
        self._first = spy.first
        self._whole = Conversation(settings, policies=policies)
        self._states: dict[int, tuple[int, Talk]] = {}
        for step, (event, _) in enumerate(recorded.steps[: self._end + 1]):
            if step == self._end or step in self._first.values():
                self._states[step] = len(self._whole.trace), self._whole.snapshot()
            if step < self._end:
                self._whole.handle(event)

    def before(self, changed: Iterable[str], settings: Settings) -> tuple[int, Conversation]:
        """The step from which on these settings can matter, and the conversation before it, with all that was decided."""
        step = min((self._first.get(name, self._end) for name in changed), default=self._end)
        if step not in self._states:  # the end
            return step, self._whole
        length, talk = self._states[step]
        conversation = Conversation(talk=talk.copy(), policies=self.policies)
        conversation.talk.settings = settings
        conversation.trace.extend(self._whole.trace[:length])
        return step, conversation
