"""The conversations behind the decision vectors: which there are, under which settings, and what came in them.

Made from conversations that chance breaks (`lab/survival/chaos.py`), from generated overlaps (`lab/overlaps.py`), and from
questions that have a kept answer. Kinds and presets come by turns, and each of `TURNED` under each preset.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clara_kit import data_files
from clara_kit.core import events as ev
from clara_kit.core.paths import DATA
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import PRESETS, Preset, Settings
from clara_kit.lab.export.shapes import LEFT_OUT
from clara_kit.lab.judging import through
from clara_kit.lab.overlaps import Case, overlaps
from clara_kit.lab.survival.chaos import ASKS, chaos
from clara_kit.world.faults import Fault
from clara_kit.world.script import Line, Script
from clara_kit.world.sim import simulate

KINDS = {
    "first": "typed questions, whole answers, nothing goes wrong: where a port begins",
    "plain": "spoken and typed, with interruptions, coughs and nods; nothing fails",
    "overlap": "one moment in which both are heard, or might be: a nod, a noise, her own echo, half a sentence, a word that stops her",
    "customer": "a customer whom the shop may know",
    "kept": "frequent questions that are answered from what is kept, some of them corrected or interrupted",
    "trouble": "one to three services fail, once or for a while",
    "odd": "events come twice, too late or not at all, buttons are pressed and settings turned: nothing may raise",
}
_TURNS = (
    "first", "overlap", "customer", "trouble", "plain", "overlap", "trouble", "kept", "overlap", "odd",
)  # fmt: skip
CUSTOMERS = ("antonia", "matias", "sin_datos", "hostil")
ALWAYS = {"retry_jitter": 0.0}  # its hash is not in every language, and nobody needs the same jitter twice
MANNERS: tuple[dict[str, Any], ...] = (
    {}, {"enable_chunked_heygen": False}, {"openers": True}, {"enable_barge_in": False}, {"turn_hold_ms": 400},
    {"enable_response_cache": True}, {"first_clause": True}, {"after_false_interruption": "restate"}, {"min_words": 2},
    {"after_false_interruption": "end"}, {"protected_opening_ms": 1500}, {"avatar_vendor": "heygen"}, {"local_vad": False},
    {"open_avatar_early": True}, {"barge_in_debounce_ms": 250}, {"history_max_messages": 2}, {"sustained_ms": 500},
    {"no_words_timeout_ms": 1200, "final_timeout_ms": 1500}, {"words_so_far_ms": 300}, {"ignore_backchannels": False},
    {"ignore_echo": False}, {"finalize_short_sounds": True, "no_words_after_sound_ms": 400}, {"unfinished_hold_ms": 800},
    {"duck": True}, {"taken_back_ms": 1500}, {"llm_max_tokens": 30}, {"openers": True, "enable_response_cache": False},
    {"openers": True, "first_clause": True}, {"slow_response_ms": 1500},
)  # fmt: skip
_TROUBLES: tuple[dict[str, Any], ...] = (
    {}, {"enable_auto_fallback": True}, {"hold_phrase": ""}, {"failure_threshold": 1, "enable_auto_fallback": True},
    {"max_retries": 0}, {"turn_deadline_ms": 3000.0}, {"apology": ""}, {"broken_reply": ""}, {"slow_response_ms": 1500},
    {"failure_threshold": 1, "enable_auto_fallback": True, "fallback_open_ms": 4000, "fallback_successes": 1},
    {"initial_retry_delay_ms": 300, "retry_backoff_multiplier": 4, "max_retry_delay_ms": 2000}, {"tts_speed": 1.3},
    {"max_retries": 1}, {"enable_auto_fallback": True, "fallback_notice": "", "failure_threshold": 1}, {"openers": True},
)  # fmt: skip
_CUSTOMERS: tuple[dict[str, Any], ...] = (
    {}, {"profile_deadline_ms": 100}, {"enable_personalization": False}, {"greeting": ""}, {"openers": True},
)  # fmt: skip
TURNED = {"trouble": _TROUBLES, "customer": _CUSTOMERS}
"""What is turned on top of the preset, one after the other, by kinds; of the others `MANNERS`."""
_SLOW = Fault(service="llm", kind="slow", for_ms=5000)
_REFUSED = Fault(service="llm", kind="refuse", status=529)
_TROUBLE_OF = {
    "apology": (_REFUSED, _REFUSED), "max_retry_delay_ms": (_REFUSED, _REFUSED), "turn_deadline_ms": (_REFUSED, _REFUSED),
    "hold_phrase": (_SLOW, _SLOW),
    "broken_reply": (Fault(service="llm", kind="cut", after_ms=200), _REFUSED),
}  # fmt: skip
"""What must happen at first, and then again and again, for these settings to matter."""
_OVERLAPS = 330
LATE_MS = 400.0
_CORRECTIONS = (
    "No, eso no es lo que te pregunté.",
    "Te equivocas, no me refiero a eso.",
    "Gracias, ¿y qué más me recomiendas?",
)
_LOST, _TWICE, _MORE = 0.03, 0.04, 0.04  # of the events of an odd conversation


class Conversation(Struct, frozen=True, kw_only=True):
    """What came. rings: the timers must be rung again, for it is not what came when they were set."""

    id: str
    kind: str
    preset: Preset
    changes: dict[str, Any]
    events: tuple[ev.Event, ...]
    rings: bool = False

    @property
    def settings(self) -> Settings:
        """All of them."""
        return Settings.preset(self.preset).with_changes(**self.changes)


def chosen(n: int) -> tuple[str, Preset, dict[str, Any]]:
    """Kind, preset, and what is turned on top of it."""
    kind, preset = _TURNS[n % len(_TURNS)], [*PRESETS][n // len(_TURNS) % len(PRESETS)]
    several = TURNED.get(kind, MANNERS)  # each comes under every preset before the next one comes
    changes = several[_nth(n // len(PRESETS), n) % len(several)]
    if kind == "first":
        greeting = child_rng(n, "vectors").choice(("", "¡Hola! Soy Clara."))
        changes = {"enable_chunked_heygen": False, "enable_response_cache": False, "greeting": greeting}
    elif kind == "overlap":  # her words there are an answer that is written, not kept
        changes = {**changes, "enable_response_cache": False}
    elif kind == "kept":
        changes = {**changes, "enable_response_cache": True}
    elif kind == "trouble":
        changes = {**chaos(n).settings, **changes}
    return kind, preset, {**changes, **ALWAYS}  # type: ignore[return-value]


def conversation(n: int) -> Conversation:
    """The conversation of this number. Equal builds make equal ones."""
    kind, preset, changes = chosen(n)
    settings, rng = Settings.preset(preset).with_changes(**changes), child_rng(n, "vectors")
    if kind == "overlap":
        came = [record for record in through(_case(n), settings)[0].trace if isinstance(record, ev.Event)]
    else:
        customer = CUSTOMERS[n // len(_TURNS) % len(CUSTOMERS)] if kind == "customer" else None
        latency = (
            "fast" if kind == "first" else "published" if changes.keys() & _TROUBLE_OF.keys() else chaos(n).latency
        )
        came = [*simulate(_script(n, kind, settings, rng), settings, seed=n, latency=latency, customer=customer).events]
    came = [event for event in came if not isinstance(event, LEFT_OUT)]
    odd = kind == "odd"
    return Conversation(
        id=f"{kind}-{n:04d}", kind=kind, preset=preset, changes=changes, rings=odd,
        events=tuple(_odd(came, child_rng(n, "odd")) if odd else came),
    )  # fmt: skip


def _script(n: int, kind: str, settings: Settings, rng: Random) -> Script:
    one, falls_back = chaos(n).script, settings.flags.enable_auto_fallback
    lines, faults = one.lines, one.faults if kind == "trouble" else ()
    if kind == "first":
        lines = tuple(Line(text=ask, typed=True) for ask in rng.sample(ASKS, rng.randint(1, 2)))
    elif kind == "kept":
        lines = _kept(rng)
    elif not (faults and falls_back):  # who comes back from a fallback needs time
        lines = lines[: rng.choice((1, 2, 2, 3))]
    if kind == "customer" and rng.random() < 0.4:
        faults = (
            Fault(service="shop", kind=rng.choice(("refuse", "slow", "stall")), for_ms=rng.choice((400.0, 4000.0))),
        )
    if kind == "trouble" and rng.random() < 0.15:  # her voice breaks off where it began, again and again
        service: ev.Service = rng.choice(("tts", "avatar"))
        faults = tuple(Fault(service=service, kind="cut", on=on, after_ms=300) for on in range(2, 14))
    for first, then in (_TROUBLE_OF[name] for name in chosen(n)[2] if kind == "trouble" and name in _TROUBLE_OF):
        faults = (first, *(Fault(**{**then.to_dict(), "on": on}) for on in range(2, 13)))
    faults = tuple(fault for fault in faults if falls_back or fault.service != "backup")
    return Script(title=f"vector {n}", lines=lines, faults=faults)


def _kept(rng: Random) -> tuple[Line, ...]:
    """A frequent question, and what the customer makes of its answer."""
    ask, another = rng.sample(_frequent(), 2)
    then = rng.choice(_CORRECTIONS)
    cut = rng.choice((None, None, round(rng.uniform(300, 2500))))
    more = (Line(text=another),) if rng.random() < 0.3 else ()
    return Line(text=ask, typed=rng.random() < 0.3), Line(text=then, interrupt_after_ms=cut), *more


@cache
def _frequent() -> tuple[str, ...]:
    held = (data_files.data(path)["answers"] for path in sorted((DATA / "faq").glob("*.yml")))
    asked = tuple(one["question"] for answers in held for one in answers if not one.get("depends"))
    return asked if len(asked) > 1 else ASKS


@cache
def _cases() -> tuple[tuple[Case, ...], ...]:
    """Of each kind of overlap the cases."""
    kinds: dict[str, list[Case]] = {}
    for case in overlaps(_OVERLAPS):
        kinds.setdefault(case.kind, []).append(case)
    return tuple(map(tuple, kinds.values()))


def _nth(ten: int, n: int) -> int:
    """The how-manieth of its kind a conversation is, in these ten."""
    slot = n % len(_TURNS)
    return ten // len(_TURNS) * _TURNS.count(_TURNS[slot]) + _TURNS[:slot].count(_TURNS[slot])


def _case(n: int) -> Case:
    nth = _nth(n, n)
    several = _cases()[nth % len(_cases())]
    case = several[nth // len(_cases()) % len(several)]
    if nth % 2:  # she answers as soon as she should one day; what is slow hides manners
        case = replace(case, answer_ms=800.0, restart_ms=min(case.restart_ms, 400.0))
    late = nth % 3 == 2  # the recogniser tells of a sound when the local ear has let it go
    return replace(case, events=tuple(sorted(map(_later, case.events), key=lambda e: e.at_ms))) if late else case


def _later(event: ev.Event) -> ev.Event:
    began = isinstance(event, ev.SpeechStarted) and event.source == "vendor"
    return replace(event, at_ms=event.at_ms + LATE_MS) if began else event


def _odd(came: list[ev.Event], rng: Random) -> Iterator[ev.Event]:
    """The same, but some of it twice, too late or not at all, and something else in between."""
    late: list[ev.Event] = []
    for event in came:
        chance = rng.random()
        if chance < _LOST and not isinstance(event, ev.ConversationStarted):
            continue
        yield event
        if chance > 1 - _TWICE:
            late.append(event)
        if late and rng.random() < 0.3:
            yield replace(late.pop(0), at_ms=event.at_ms)
        if rng.random() < _MORE:
            yield _another(event.at_ms, rng)


def _another(at_ms: float, rng: Random) -> ev.Event:
    """Something that no simulation does by itself."""
    service: ev.Service = rng.choice(("stt", "llm", "tts", "avatar", "backup"))
    turned: Any = rng.choice((("duck", True), ("min_words", 2), ("turn_hold_ms", 300.0), ("enable_barge_in", False)))
    circuit: ev.Circuit = rng.choice(("open", "half_open", "closed"))
    kind: Any = rng.choice(("overloaded", "cut", "stalled", "refused"))
    return rng.choice((
        ev.InterruptRequested(at_ms=at_ms), ev.TextTyped(at_ms=at_ms, text="¿Y cuánto demora?"),
        ev.SettingsChanged(at_ms=at_ms, changes=(turned,)), ev.TurnEndExpected(at_ms=at_ms, text="¿Y el precio?"),
        ev.TurnResumed(at_ms=at_ms), ev.HealthTold(at_ms=at_ms, service=service, circuit=circuit),
        ev.ProviderWarned(at_ms=at_ms, service=service, message="it warns"),
        ev.ProviderRecovered(at_ms=at_ms, service=service), ev.AnswerNotFound(at_ms=at_ms, turn_id=1, why="odd"),
        ev.AnswerFound(at_ms=at_ms, turn_id=rng.randint(0, 2), text="Sí, despachamos a todo Chile."),
        ev.ProviderFailed(at_ms=at_ms, service=service, kind=kind, message="it fails", retryable=kind != "refused"),
        ev.SpeechStarted(at_ms=at_ms, source="vad", sound_at_ms=at_ms - 70),
        ev.SpeechEnded(at_ms=at_ms, source="vad", sound_at_ms=at_ms - 64), ev.TranscriptInterim(at_ms=at_ms, text="Espera"),
    ))  # fmt: skip
