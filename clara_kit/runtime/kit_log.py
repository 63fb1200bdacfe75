"""What the kit itself has to say while a conversation runs (warnings, mistakes), in a file beside its run.

Opened and closed by `keeping.py`. However long the conversation lasts and whatever repeats, it stays small: the newest
lines and those before them. Without it a process that was killed would take them along.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from threading import get_ident

from clara_kit.runtime.run_log import private

LOG_FILE = "kit.log"
MOST_BYTES = 256_000  # of the file, and of the one before it
_KIT = logging.getLogger("clara_kit")


class SmallLog(RotatingFileHandler):
    """A file beside a run, its owner's alone, and the one before it; there is none before the first line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MOST_BYTES, backupCount=1, encoding="utf-8", delay=True)

    def line(self, text: str) -> None:
        """One more line, at once."""
        self.handle(logging.makeLogRecord({"msg": text}))

    def _open(self) -> TextIOWrapper:
        private(Path(self.baseFilename), anew=False).close()  # its owner's alone
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:
        """A disk that does not take a line of this costs that line."""

    def close(self) -> None:
        """No more of it. May be called twice."""
        with suppress(OSError):
            super().close()


class KitLog(SmallLog):
    """Takes what is logged in the thread in which it is made."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / LOG_FILE)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        thread = get_ident()
        self.addFilter(lambda record: record.thread == thread)
        if logging.lastResort is not None and not logging.getLogger().handlers:
            _KIT.addHandler(logging.lastResort)  # else nobody would see it any more who saw it until now
        _KIT.addHandler(self)

    def close(self) -> None:
        """No more of it. May be called twice."""
        _KIT.removeHandler(self)
        if logging.lastResort is not None and not any(isinstance(one, KitLog) for one in _KIT.handlers):
            _KIT.removeHandler(logging.lastResort)
        super().close()
