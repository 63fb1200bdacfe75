"""Answers to frequent questions: the shape of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """For whom, and of what, an answer may hold."""

    customer: str = ""
    skin: str = ""
    catalog: str = ""
    price: str = ""
    stock: str = ""
    date: str = ""
    prompt: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A kept answer."""

    answer: str
    why: str


@dataclass(frozen=True, slots=True)
class Miss:
    """None, and why."""

    why: str


class ResponseCache:
    """Nothing is kept yet."""

    hash = ""

    def look_up(self, question: str, scope: Scope) -> Hit | Miss:
        """See `Hit` and `Miss`."""
        return Miss("nothing is kept")


def usual_cache() -> ResponseCache:
    """The frequent questions of `data/faq/`."""
    return ResponseCache()
