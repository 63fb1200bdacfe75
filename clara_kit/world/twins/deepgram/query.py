"""The query of `/v1/listen`, checked as the vendor checks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MODELS = ("nova-3", "nova-2", "nova-3-general", "nova-2-general")
LANGUAGES = ("es", "es-419", "en", "en-US", "multi", "pt", "pt-BR", "fr", "de", "it")


@dataclass(frozen=True, slots=True)
class Options:
    """The query of a connection, checked."""

    model: str
    rate_hz: int
    endpointing_ms: float | None
    utterance_end_ms: float | None
    interim: bool
    vad_events: bool
    formatted: bool


class BadQuery(Exception):
    """A parameter the vendor would refuse with HTTP 400."""


def options(query: Any) -> Options:
    """Check a query as the vendor does; raises `BadQuery`."""
    model, language = query.get("model", "nova-3"), query.get("language", "en")
    if model not in MODELS:
        raise BadQuery(f"Bad Request: No such model/language/tier combination found: {model}.")
    if language not in LANGUAGES:
        raise BadQuery(f"Bad Request: No such model/language/tier combination found: {language}.")
    if query.get("keyterm") and not model.startswith("nova-3"):
        raise BadQuery("Bad Request: Keyterm prompting is only available for Nova-3.")
    if query.get("encoding", "linear16") != "linear16":
        raise BadQuery(f"Bad Request: this twin decodes linear16 only, not {query['encoding']}.")
    if query.get("channels", "1") != "1":
        raise BadQuery(f"Bad Request: this twin hears one channel only, not {query['channels']}.")
    rate = query.get("sample_rate", "")
    if not rate.isdigit() or not 8000 <= int(rate) <= 96_000:
        raise BadQuery("Bad Request: sample_rate is required with encoding and must be a number of Hz.")
    interim = query.get("interim_results", "false") == "true"
    end = query.get("utterance_end_ms")
    if end is not None and (not end.isdigit() or int(end) < 1000 or not interim):
        raise BadQuery("Bad Request: utterance_end_ms must be at least 1000 and needs interim_results=true.")
    pause = query.get("endpointing", "10")
    if pause not in ("true", "false") and not pause.isdigit():
        raise BadQuery("Bad Request: endpointing must be milliseconds or false.")
    return Options(
        model=model,
        rate_hz=int(rate),
        endpointing_ms=None if pause == "false" else 10.0 if pause == "true" else float(pause),
        utterance_end_ms=float(end) if end else None,
        interim=interim,
        vad_events=query.get("vad_events") == "true",
        formatted="true" in (query.get("smart_format"), query.get("punctuate")),
    )
