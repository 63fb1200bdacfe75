"""What happened at a moment of a conversation and what followed, in plain sentences, in English and in Spanish.

The sentences are data (`sentences.yml`). Bookkeeping (timers, changes of state) is told only where nothing else
followed; a reason that has no sentence is left out, for the engineers' part has all of them word for word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import msgspec

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record, StateChanged
from clara_kit.data_files import data
from clara_kit.measure.interruptions import Interruption

Language = Literal["en", "es"]
_Table = dict[str, tuple[str, str]]


@cache
def table(name: str) -> _Table:
    """`events`, `commands` (and what else is decided), `reasons`, `services`, `frame`: each text in both languages."""
    return {
        key: (english, spanish) for key, (english, spanish) in data(Path(__file__).with_suffix(".yml"))[name].items()
    }


def frame(name: str, language: Language) -> str:
    """A word that holds the sentences together: `at`, `nothing`, `engineers`."""
    return table("frame")[name][language == "es"]


def happened(record: Record, language: Language = "en") -> str:
    """An event, or what was decided, as one sentence."""
    return _sentence(_told("events" if isinstance(record, ev.Event) else "commands", record, language))


def followed(records: Iterable[Record], language: Language = "en") -> tuple[str, ...]:
    """What was decided upon an event, a sentence for each reason; empty where nothing was."""
    decided = [r for r in records if not isinstance(r, ev.Event)]
    first = min(map(_rank, decided), default=0)
    told = groupby((r for r in decided if _rank(r) == first), lambda r: getattr(r, "reason", ""))
    sentences = []
    for reason, group in told:
        does = [_told("commands", record, language) for record in group]
        then = frame("and", language).join(filter(None, (", ".join(does[:-1]), does[-1])))
        because = in_plain(reason, language)
        sentences.append(frame("so", language).format(because=because, then=then) if because else f"{then}.")
    return tuple(map(_sentence, sentences))


def in_plain(reason: str, language: Language = "en") -> str:
    """A decision's reason in plain words; empty where none are known."""
    for pattern, texts in _reasons():
        if found := pattern.fullmatch(reason):
            fields = {k: _service(v, language) for k, v in found.groupdict().items()}
            return texts[language == "es"].format_map(fields)
    first, semicolon, rest = reason.partition("; ")
    parts = (in_plain(first, language), in_plain(rest, language)) if semicolon else ()
    return frame("and", language).join(filter(None, parts))


def interruption(one: Interruption, language: Language = "en") -> str:
    """What became of a sound that may have been an interruption, why, and its times in ms from its beginning."""
    which, words = language == "es", {**table("times")}
    counts, hand = (words.pop(name)[which] for name in ("sound", "hand"))
    began_ms = one.suspected_ms if one.sound_ms is None else one.sound_ms
    times = (
        text[which].format(ms=f"{'≈ ' if name == 'silent_ms' and one.silent_estimated else ''}{at_ms - began_ms:.0f}")
        for name, text in words.items()
        if (at_ms := getattr(one, name)) is not None
    )
    outcome = table("outcomes")["resumed" if one.resumed_ms is not None else one.outcome][which]
    because = in_plain(one.reason, language) if one.outcome != "open" else ""
    counted = (hand if one.sound_ms is None else counts).format(times=", ".join(times))
    return f"{_sentence(f'{outcome} ({because})' if because else outcome)} {_sentence(counted)}"


def in_place(target: str, language: Language = "en") -> str:
    """What stands in a service's place."""
    return frame("in_place", language).format(target=table("targets")[target][language == "es"])


def fares(service: str, health: Any, language: Language = "en") -> str:
    """How a service fares (`conversation.talk.Health`) in one sentence; empty where it is simply well."""
    failing = "failing" if health.failures and not health.down and health.circuit == "closed" else ""
    down = health.down if health.circuit != "open" else ""
    texts = (table("fares").get(name) for name in (failing, down, health.circuit))
    named = {"n": health.failures, "good": health.good}
    parts = [text[language == "es"].format_map(named) for text in texts if text]
    parts += [in_place(health.target, language)] if health.target else []
    return _sentence(f"{_service(service, language)}: {', '.join(parts)}") if parts else ""


def _rank(record: Record) -> int:
    """0: always told; 1: where nothing else is; 2: where not even that is."""
    match record:
        case do.CancelTimer() | do.EndSpeech():
            return 2
        case do.SetTimer():
            return 0 if record.timer_id.startswith(("retry", "connect")) else 1
        case StateChanged() | do.Notify():
            return 1
    return 0


def _told(kinds: str, record: Record, language: Language) -> str:
    name, which = type(record).__name__, _variant(record)
    texts = table(kinds).get(f"{name}.{which}") or table(kinds).get(name)
    return texts[language == "es"].format_map(_fields(record, language)) if texts else name


def _variant(record: Any) -> str:
    """What tells two records of a kind apart."""
    match record:
        case StateChanged():
            return str(record.target)
        case ev.TimerFired() | do.SetTimer() | do.CancelTimer():
            return record.timer_id.partition("#")[0]
        case do.Duck() | do.WakeAvatar():
            return "on" if record.on else "off"
        case do.SwitchTo():
            return "backup_speaks" if (record.service, record.target) == ("avatar", "backup") else record.target
        case do.OpenBackup(hears=True):
            return "hears"
        case do.AskBackup(heard=True):
            return "heard"
        case ev.HealthTold():
            return record.circuit
        case ev.ProviderRecovered():
            return record.service
        case ev.ReplyCompleted():
            return record.stop_reason
        case ev.KeepingFailed() | ev.KeepingRecovered():
            return record.what
        case ev.TranscriptInterim() | ev.TranscriptFinal() if not record.text.strip():
            return "empty"
    return ""


def _fields(record: Any, language: Language) -> dict[str, str]:
    fields = {k: " ".join(str(v).split()) for k, v in msgspec.structs.asdict(record).items()}
    if "service" in fields:
        fields["service"] = _service(fields["service"], language)
    if "message" in fields:
        fields["message"] = in_plain(fields["message"], language) or fields["message"]
    if isinstance(record, ev.FaultInjected):
        fields["kind"] = table("faults").get(record.kind, (record.kind,) * 2)[language == "es"]
    if isinstance(record, do.SetTimer):
        fields["wait"] = f"{record.due_ms - record.at_ms:.0f}"
    return fields


def _service(name: str, language: Language) -> str:
    return table("services").get(name, (name, name))[language == "es"]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


@cache
def _reasons() -> tuple[tuple[re.Pattern[str], tuple[str, str]], ...]:
    """Each known reason as a pattern, in the order of the file."""
    return tuple(
        (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(reason)), re.DOTALL), texts)
        for reason, texts in table("reasons").items()
    )
