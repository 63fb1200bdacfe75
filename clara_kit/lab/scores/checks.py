"""What can be said of any answer by rule: small pure functions, each with its reason and the offending words."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from clara_kit.lab.scores.heard import Failure, Heard

Check = Callable[[Heard], Iterable[Failure]]

CHECKS: dict[str, Check] = {}
"""By name, which is that of a metric too; each gives what is wrong, nothing where all is well."""
