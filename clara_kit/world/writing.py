"""Who writes Clara's answers in a simulation: the scripted brain, or one that is handed in (`brain.py`). Pure.

Used by `scheduler.py`. Either gives a reply's events with their times, and what had been used where it is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from math import inf

from msgspec.structs import replace

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Settings
from clara_kit.providers.llm import pricing
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.world import timelines
from clara_kit.world.answers import AnswerBook
from clara_kit.world.brain import Brain, Written
from clara_kit.world.faults import Fault, find


class Writer:
    """Writes one reply at a time; whoever asks for the next is done with the one before."""

    def __init__(self, settings: Settings, draw: timelines.Draw, brain: Brain | None) -> None:
        self.brain = brain
        self._settings, self._draw, self.book = settings, draw, AnswerBook.load()
        self._written: Written | None = None
        self._all = sha256()

    @property
    def written(self) -> str:
        """The hash of all that the brain wrote so far, and of when: for a run, what it was answered from."""
        return self._all.hexdigest()[:12]

    def reply(
        self, command: do.RequestReply, prompt: Prompt | None, logged: Prompt | None, hides: Placeholders, *,
        now_ms: float, faults: tuple[Fault, ...],
    ) -> Iterator[ev.Event]:  # fmt: skip
        """The events of a reply that is asked for now. logged: the prompt as a log may hold it, which `hides` made."""
        hash_ = logged.hash if logged is not None else ""
        if self.brain is None:
            first, said = timelines.how_asked(command.messages)
            tokens = timelines.answer_tokens(self.book, command.text, prompt, first=first, said=said)
            return timelines.reply(
                tokens, command.messages, reply_id=command.reply_id, now_ms=now_ms, prompt_hash=hash_,
                settings=self._settings, draw=self._draw, faults=faults,
            )  # fmt: skip
        request = ReplyRequest(
            reply_id=command.reply_id,
            prompt=logged or Prompt(static=""),
            messages=tuple(replace(m, text=hides.hide(m.text)) for m in command.messages),
        )
        self._written = written = self.brain.write(request, words=hides.map)
        said = hides.hide("".join(text for _, text in written.chunks))
        times = [came_ms for came_ms, _ in written.chunks]
        self._all.update(repr((said, times, written.ends_ms, written.stop_reason, str(written.failed))).encode())
        return played(written, command.reply_id, now_ms=now_ms, hash_=hash_, settings=self._settings, faults=faults)

    def dropped(self, asked: do.RequestReply, chunks: int) -> ev.Usage:
        """What the reply to that had used if it is dropped after so many chunks."""
        return timelines.dropped(asked.messages, chunks) if self._written is None else left(self._written, chunks)


def left(written: Written, chunks: int) -> ev.Usage:
    """What an answer had used of which only so many chunks came: no vendor counts the output then."""
    usage = written.usage or ev.Usage()
    if chunks >= len(written.chunks):
        return usage
    texts = [len(text) for _, text in written.chunks]
    tokens = round(usage.output_tokens * sum(texts[:chunks]) / max(1, sum(texts)))
    usage = replace(usage, output_tokens=tokens, output_estimated=True)
    return replace(usage, cost_usd=None if usage.cost_usd is None else pricing.cost_usd(written.model, usage))


def played(
    written: Written, reply_id: int, *, now_ms: float, hash_: str, settings: Settings, faults: tuple[Fault, ...]
) -> Iterator[ev.Event]:
    """An answer at the times at which it came; faults and time limits are what they are with the scripted brain."""
    yield ev.ReplyStarted(at_ms=now_ms, reply_id=reply_id, model=written.model or settings.llm_model, prompt_hash=hash_)
    broken, slow = find(faults, "refuse", "cut", "error", "stall"), find(faults, "slow")
    declined, cut_short = find(faults, "decline"), find(faults, "truncate")
    first_ms = written.chunks[0][0] if written.chunks else written.ends_ms
    chunks, ends_ms = ((), first_ms) if declined else (written.chunks, written.ends_ms)
    came, reason = 0, "refusal" if declined else written.stop_reason
    since_ms, patience_ms = now_ms, settings.llm_first_token_timeout_ms
    late_ms = slow.for_ms if slow else 0.0
    for after_ms, text in (*chunks, (ends_ms, "")):
        if cut_short is not None and after_ms >= first_ms + cut_short.after_ms:
            reason = "max_tokens"
            break
        if broken is not None and broken.kind == "stall" and after_ms >= first_ms + broken.after_ms:
            late_ms, broken = late_ms + (broken.for_ms or inf), None
        at_ms = round(now_ms + late_ms + after_ms, 3)
        if at_ms > since_ms + patience_ms:
            usage = left(written, came) if came else None
            yield timelines.too_late(since_ms + patience_ms, patience_ms, reply_id, usage)
            return
        if broken is not None and (broken.kind == "refuse" or after_ms >= first_ms + broken.after_ms):
            usage = None if broken.kind == "refuse" else left(written, came)
            yield timelines.failed(broken, at_ms, reply_id=reply_id, usage=usage)
            return
        if came < len(chunks):
            yield ev.ReplyDelta(at_ms=at_ms, reply_id=reply_id, text=text)
            came += 1
            since_ms, patience_ms = at_ms, settings.llm_stall_timeout_ms
    if written.failed is not None and not declined and reason != "max_tokens":
        yield replace(ev.ProviderFailed.of(written.failed, "llm", at_ms, reply_id=reply_id), usage=written.usage)
        return
    usage = left(written, came)
    yield ev.ReplyCompleted(at_ms=at_ms, reply_id=reply_id, stop_reason=reason, usage=usage)
