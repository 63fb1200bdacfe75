"""The errors of the kit, as a tree. Each says whose fault it was and, in `hint`, what to do next.

ClaraError
├── SettingsError        a setting is wrong, or a key is missing
├── ScriptError          a script, profile or data file is wrong
├── TemplateError        a prompt template is wrong; names its file and line
├── AudioError           a sound cannot be used as it is
├── InvalidTransition    the state machine was asked for a change that is not in its table
├── RunLogError          a recorded run cannot be read, or written
└── ProviderError        a vendor, or the way to it
    ├── ProviderRefused      key, plan, rights or parameters: trying again will not help
    ├── ProviderUnavailable  overloaded, rate-limited, unreachable, cut, too slow: try again later
    └── ProtocolError        what came makes no sense
"""

from __future__ import annotations

from typing import Literal

FailureKind = Literal[
    "refused",  # key, plan, rights, parameters: trying again will not help
    "rate_limited",
    "overloaded",
    "unreachable",
    "cut",  # the connection broke in the middle
    "stalled",  # nothing came in time
    "protocol",  # what came makes no sense
    "bad_input",
    "unknown",
]


def _whole(text: str) -> str:
    """For a message that quotes half a character must still be shown; `core/text.py`, which knows more, knows events."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class ClaraError(Exception):
    """Base of every error the kit raises on purpose. `where`: the place in the data that is wrong, as `$.lines[2]`."""

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        self.message, self.hint = map(_whole, (message, hint))
        super().__init__(self.message)
        self.where = where

    def __str__(self) -> str:
        return f"{self.message} What to do: {self.hint}" if self.hint else self.message


class SettingsError(ClaraError):
    """A setting is wrong, or a key is missing."""


class ScriptError(ClaraError):
    """A script, latency profile, fault or data file is wrong."""


class TemplateError(ClaraError):
    """A prompt template is wrong. `line` counts from the top of the file, front matter included; 0: the whole file."""

    def __init__(self, message: str, *, hint: str = "", file: str = "", line: int = 0) -> None:
        where = f"{file}, line {line}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{where}{message}", hint=hint)
        self.file = file
        self.line = line


class AudioError(ClaraError):
    """A sound cannot be used as it is: not a WAV, truncated, empty, compressed."""


class InvalidTransition(ClaraError):
    """The state machine was asked for a change that its table does not have; nothing was changed."""


class RunLogError(ClaraError):
    """A recorded run cannot be read or replayed, or a new one not be written."""


class ProviderError(ClaraError):
    """A vendor, or the way to it, failed: the one shape of a failure, from the wire to the decision.

    kind: what happened, as `ProviderFailed.kind`. retryable: whether trying again may help. retry_after_ms: how long
    the vendor asks to wait first, None where it does not say. `ProviderFailed.of(error, ...)` makes the event of it.
    """

    usual: tuple[FailureKind, bool] = ("unknown", True)

    def __init__(
        self, message: str, *, hint: str = "", kind: FailureKind | None = None, retryable: bool | None = None,
        retry_after_ms: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, hint=hint)
        self.retry_after_ms = retry_after_ms
        self.kind: FailureKind = kind or self.usual[0]
        self.retryable = self.usual[1] if retryable is None else retryable


class ProviderRefused(ProviderError):
    """The vendor said no: key, plan, rights or parameters. Trying again will not help."""

    usual = ("refused", False)


class ProviderUnavailable(ProviderError):
    """The vendor cannot answer now: overloaded, rate-limited, unreachable, cut off or too slow."""

    usual = ("unreachable", True)


class ProtocolError(ProviderError):
    """The vendor sent something that makes no sense."""

    usual = ("protocol", True)
