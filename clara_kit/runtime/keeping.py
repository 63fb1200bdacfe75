"""What is kept of a conversation: its run and its sound, written while it goes on, and what the disk does not take.

Between `session.py`, in whose event loop it lives, and the two that write: `run_log.py` and the recorder of `ears.py`. A
full disk is told as events, like a vendor that fails, so that whoever looks on knows; nothing is decided upon it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.errors import ClaraError, RunLogError
from clara_kit.core.records import Record
from clara_kit.measure.run import Run
from clara_kit.prompts.briefing import Briefing
from clara_kit.runtime.ears import Recorder
from clara_kit.runtime.kit_log import KitLog
from clara_kit.runtime.run_log import RunLog

LOG_EVERY_S = 0.05  # how much of the run a crash of the whole process may cost
AGAIN_S = 1.0  # how soon a disk that was full is asked again, though nothing new has happened


class Keeping:
    """Of one conversation. `trace`: what is written of it, as it grows; records: where its sound is kept, if at all.

    Raises `RunLogError` where there can be no such file.
    """

    def __init__(self, run_log: RunLog, trace: Sequence[Record], *, record: bool) -> None:
        self.run_log, self._trace = run_log, trace
        self.recorder = Recorder(run_log.sound_path) if record else None
        self._words: Callable[[], Mapping[str, str]] = dict
        self._feed: Callable[[ev.Event], object] | None = None
        self._due: asyncio.TimerHandle | None = None
        self._told: set[str] = set()
        self._kit_log: KitLog | None = None

    def begin(self, clock: Clock, feed: Callable[[ev.Event], object], words: Callable[[], Mapping[str, str]]) -> None:
        """From now on in this event loop. words: what the placeholders stand for, as far as it is known."""
        self._clock, self._feed, self._words = clock, feed, words
        self._kit_log = KitLog(self.run_log.folder)

    def soon(self) -> None:
        """Something is new: write it before long."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(LOG_EVERY_S, self._write)

    def _write(self) -> None:
        self._due = None
        self.run_log.append(self._trace, dict(self._words()))
        self._tell("events", self.run_log.trouble)
        if self.run_log.trouble is not None and self._due is None:
            self._due = asyncio.get_running_loop().call_later(AGAIN_S, self._write)

    def frame(self, pcm: bytes, captured_ms: float) -> None:
        """A frame of the customer's sound, to be recorded with Clara's."""
        if (recorder := self.recorder) is None:
            return
        recorder.frame(pcm, captured_ms)
        self._tell("sound", recorder.trouble)
        if recorder.from_ms == captured_ms:  # the first: whoever opens a run that was killed must know
            self.run_log.note(sound_from_ms=captured_ms)

    def _tell(self, what: Literal["events", "sound"], trouble: RunLogError | None) -> None:
        if (trouble is None) == (what not in self._told) or self._feed is None:
            return
        at_ms = self._clock.now_ms()
        if trouble is None:
            self._told.discard(what)
            self._feed(ev.KeepingRecovered(at_ms=at_ms, what=what))
        else:
            self._told.add(what)
            self._feed(ev.KeepingFailed(at_ms=at_ms, what=what, message=trouble.message, hint=trouble.hint))

    def close(self, briefing: Briefing | None, error: ClaraError | None) -> tuple[Run, ClaraError | None]:
        """The run, and why the end of its log could not be written, if so: what was said is not lost with the disk.

        May be called again, when there is room.
        """
        run_log, trace = self.run_log, tuple(self._trace)
        if self._due is not None:
            self._due.cancel()
        if self._kit_log is not None:
            self._kit_log.close()
        words = briefing.placeholders.map if briefing is not None else {}
        if any(type(record) is ev.ServiceExchanged for record in trace):  # else the inputs tell all of it
            run_log.facts["mix"] = Run(inputs=run_log.inputs, trace=trace).mix
        failed: ClaraError | None = None
        try:
            if self.recorder is not None:
                run_log.facts["sound_from_ms"] = self.recorder.from_ms or 0.0
                self.recorder.close()
        except Exception as exc:
            failed = self._unwritten(exc)
        try:
            return run_log.close(trace, error=str(error or failed or ""), words=words), failed
        except Exception as exc:
            run = Run(inputs=run_log.inputs, facts=run_log.facts, trace=trace, folder=run_log.folder, words=words)
            return run, failed or self._unwritten(exc)

    def _unwritten(self, exc: Exception) -> ClaraError:
        hint = f"make room on the disk; {self.run_log.folder} has what was written, and `run` all of it."
        told = ClaraError(f"The end of the run cannot be written: {exc}.", hint=hint)
        told.__cause__ = exc
        return exc if isinstance(exc, ClaraError) else told
