"""The end of a conversation: what it holds is let go, its run is kept, and what went wrong is put into words.

Used by `session.py` and `thread.py`. Nothing here may fail, or wait long for anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.records import Record
from clara_kit.measure.run import Run
from clara_kit.prompts.briefing import Briefing
from clara_kit.providers.llm.base import LLMProvider
from clara_kit.providers.tts.base import TTSProvider
from clara_kit.runtime.ears import Recorder
from clara_kit.runtime.run_log import RunLog

_BY_CUSTOMER = frozenset(
    (ev.ConversationStarted, ev.TextTyped, ev.TranscriptInterim, ev.TranscriptFinal, ev.InterruptRequested)
)
ABSENT = "no word of the customer"
CLOSE_S = 0.1  # for model and voice: the avatar has taken most of a second by then


class Absence:
    """How long no word has come of the customer, by the wall: a closed page is no customer, and a sound is no word.

    Counted from when both are on the line: connecting may take its time.
    """

    def __init__(self) -> None:
        self._since_s = monotonic()
        self.hang_up: Callable[[str], object]
        """Ends the conversation, with the reason."""

    def saw(self, event: ev.Event) -> None:
        """Something happened."""
        if type(event) in _BY_CUSTOMER:
            self._since_s = monotonic()

    async def lasts(self, limit_ms: float) -> None:
        """Hang up once it has lasted so long; never for 0."""
        while limit_ms and (rest_s := self._since_s + limit_ms / 1000 - monotonic()) > 0:
            await asyncio.sleep(max(rest_s, 0.1))
        if limit_ms:
            self.hang_up(f"{ABSENT} for {limit_ms / 60_000:g} minutes (ABSENCE_MS)")


async def let_go(*providers: LLMProvider | TTSProvider) -> None:
    """Close model and voice; what one of them does not close in time goes with the event loop."""
    closing = [asyncio.ensure_future(provider.aclose()) for provider in providers]
    _, late = await asyncio.wait(closing, timeout=CLOSE_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*closing, return_exceptions=True)


def close(
    run_log: RunLog,
    recorder: Recorder | None,
    briefing: Briefing | None,
    trace: tuple[Record, ...],
    error: ClaraError | None,
) -> tuple[Run, ClaraError | None]:
    """The run, and why the end of its log could not be written, if so: what was said is not lost with the disk."""
    words = briefing.placeholders.map if briefing is not None else {}
    if any(type(record) is ev.ServiceExchanged for record in trace):  # else the inputs tell all of it
        run_log.facts["mix"] = Run(inputs=run_log.inputs, trace=trace).mix
    failed: ClaraError | None = None
    try:
        if briefing is not None and not briefing.profile.is_anonymous:
            run_log.facts["personal_prompt"] = briefing.hidden_prompt.personal
        if recorder is not None:
            run_log.facts["sound_from_ms"] = recorder.from_ms or 0.0
            recorder.close()
    except Exception as exc:
        failed = _unwritten(run_log, exc)
    try:
        return run_log.close(list(trace), error=str(error or failed or ""), words=words), failed
    except Exception as exc:
        run = Run(inputs=run_log.inputs, facts=run_log.facts, trace=trace, folder=run_log.folder, words=words)
        return run, failed or _unwritten(run_log, exc)


def _unwritten(run_log: RunLog, exc: Exception) -> ClaraError:
    hint = f"make room on the disk; {run_log.folder} has what was written, and `run` all of it."
    told = ClaraError(f"The end of the run cannot be written: {exc}.", hint=hint)
    told.__cause__ = exc
    return exc if isinstance(exc, ClaraError) else told


def first_of(error: BaseException) -> BaseException:
    """The error itself; of a group the first that is in it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def worded(error: BaseException) -> ClaraError:
    """Whatever ended a conversation, as an error that says what to do."""
    cause = first_of(error)
    if isinstance(cause, ClaraError):
        return cause
    told = ClaraError(f"A mistake in the kit ended it ({type(cause).__name__}: {cause}).", hint="see the log.")
    if isinstance(cause, OSError):
        told = ClaraError(f"It could not be kept: {cause}.", hint="see to the disk's space and to your rights there.")
    told.__cause__ = cause
    return told
