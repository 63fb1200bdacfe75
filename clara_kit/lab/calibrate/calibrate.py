"""The protocol as a whole: rounds through every vendor that has a key, under a limit of money, to a profile of one's own.

A round asks each service once, so that what changes in the course of the minutes changes for all. After each round the
profile is written anew, and each sample is on disk as soon as it is taken: whoever stops it loses nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from clara_kit.core.clock import Clock
from clara_kit.core.errors import ClaraError, SettingsError
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calibrate import hearing, showing, speaking
from clara_kit.lab.calibrate.bench import Bench, Part
from clara_kit.lab.calibrate.profile_file import write
from clara_kit.lab.calibrate.tape import Cost, Tape, together
from clara_kit.providers.vendors import TABLE
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import compose
from clara_kit.runtime.libraries import load
from clara_kit.runtime.services import Services
from clara_kit.world.latency import OWN

TWINS_PACE = 20.0  # so many times faster than the wall
ROUNDS = 20  # the median of a lognormal with sigma 0.35 is then known to about 20 %
SECONDS_A_ROUND = 35
_PROBE_S = 90.0
_FAILURES = 2  # in a row, after which a vendor is left alone
PARTS = (
    Part(service="tts", vendor="deepgram", probe=speaking.voice, cost=speaking.voice_cost,
         stages=("tts_first_chunk", "tts_lead_silence", "tts_realtime_factor", "handshake"),
         beside=("tts_first_chunk_of_a_socket",)),
    Part(service="stt", vendor="deepgram", probe=hearing.hearing, cost=hearing.hearing_cost,
         stages=("stt_onset", "stt_interim_every", "stt_results", "handshake"), beside=("stt_finalize",)),
    Part(service="llm", vendor="anthropic", probe=speaking.model, cost=speaking.model_cost,
         stages=("llm_first_token", "llm_tokens_per_s"),
         beside=("llm_first_token_uncached", "llm_first_token_short", "llm_first_token_long", "handshake_model")),
    Part(service="avatar", vendor="liveavatar", probe=showing.avatar, cost=showing.avatar_cost,
         stages=("avatar_start", "avatar_interrupt", "avatar_open"),
         beside=("avatar_start_second_by_second", "avatar_start_from_silence", "avatar_heard", "avatar_heard_opened_early", "avatar_gain_at_once", "avatar_gain_opened_early")),
)  # fmt: skip

Behind = Literal["live", "twins"]
Ended = Literal["done", "limit", "unpriced", "nobody"]


class Step(NamedTuple):
    """One service was asked in one round (from 1). problem: what was wrong; empty: nothing."""

    number: int
    rounds: int
    service: str
    problem: str


Told = Callable[[Step | Path], object]
"""Gets each step, and in the end where the profile was kept, also where it was stopped."""


class Calibration(NamedTuple):
    """What came of it. path: the profile, None where too little was measured for any stage; ended: why it was over."""

    tape: Tape
    path: Path | None
    ended: Ended


def parts_with_key(keys: Keys, settings: Settings) -> tuple[Part, ...]:
    """The parts whose vendor can be asked; raises `SettingsError` where there is none."""
    found = tuple(part for part in PARTS if TABLE[part.vendor].has_key(keys) and _measurable(part, settings))
    if not found:
        hint = (
            "put the keys that you have into the file .env (data/money_and_privacy.md says what they cost), "
            "or try it without: clara calibrate --twins."
        )
        raise SettingsError("No vendor has a key, so there is nothing to measure.", hint=hint)
    return found


def _measurable(part: Part, settings: Settings) -> bool:
    """HeyGen's classic avatar never says when it begins: there is nothing to measure."""
    return part.service != "avatar" or settings.avatar_vendor == "liveavatar"


def foreseen(parts: Iterable[Part], services: Services, rounds: int) -> dict[str, Cost]:
    """What each service may cost at most."""
    return {part.service: together([part.cost(services)] * rounds) for part in parts}


def live_services(parts: Iterable[Part], settings: Settings, keys: Keys) -> Services:
    """The vendors of these parts; what has no key is simulated, and not asked."""
    there = {part.service for part in parts}
    modes: dict[str, Any] = {name: "live" if name in there else "sim" for name in ("stt", "llm", "tts", "avatar")}
    return compose(**modes, settings=plain(settings), keys=keys)


def plain(settings: Settings) -> Settings:
    """Each vendor alone: nothing kept, nothing warmed, nothing trimmed; and replies of the usual length."""
    flags = ("enable_response_cache", "enable_connection_pool", "enable_auto_fallback")
    off = dict.fromkeys((*flags, "openers", "trim_lead_silence", "open_avatar_early"), False)
    return settings.with_changes(**off, llm_max_tokens=speaking.MAX_TOKENS)


async def calibrate(
    services: Services,
    clock: Clock,
    *,
    parts: Iterable[Part] = PARTS,
    rounds: int = ROUNDS,
    cap_usd: float | None,
    behind: Behind,
    now: datetime,
    folder: Path | None = None,
    tell: Told = lambda _: None,
) -> Calibration:
    """Measure, round by round, until all are done or `cap_usd` (None: nothing costs anything) is reached.

    services: opened. now: the day that the profile bears. Cancelled, it keeps what it has and is cancelled.
    """
    path = _free(OWN if folder is None else folder, behind, now)
    tape = Tape(path.with_suffix(".jsonl"))
    ended: Ended = "done"
    bench, asked = Bench(services=services, clock=clock, tape=tape), [*parts]
    failures: Counter[str] = Counter()
    written: Path | None = None
    await load(services.modes, asyncio.Event(), *(part.service for part in asked))  # importing is nobody's latency
    try:
        for number in range(rounds):
            for part in asked:
                if failures[part.service] >= _FAILURES:
                    continue
                cost = part.cost(services) if behind == "live" else Cost()
                if cap_usd is not None and (cost.unknown or tape.spent.plus(cost).usd > cap_usd):
                    ended = "unpriced" if cost.unknown else "limit"
                    return Calibration(tape, written, ended)
                tape.spend(cost)
                problem = await _one_round(part, bench, number)
                failures[part.service] = failures[part.service] + 1 if problem else 0
                tell(Step(number + 1, rounds, part.service, problem))
                if problem:
                    tape.note(f"{part.service}: {problem}")
            written = write(path, tape, now=now, behind=behind) or written
            if all(failures[part.service] >= _FAILURES for part in asked):
                ended = "nobody"
                break
    finally:
        written = write(path, tape, now=now, behind=behind) or written
        tape.close()
        if written is not None:
            tell(written)
    return Calibration(tape, written, ended)


async def _one_round(part: Part, bench: Bench, number: int) -> str:
    """Ask one service; what was wrong, in our words, or an empty text."""
    try:
        async with asyncio.timeout(_PROBE_S):
            await part.probe(bench, number)
    except ClaraError as exc:
        return exc.message
    except TimeoutError:
        return f"it was not done within {_PROBE_S:.0f} s"
    except Exception as exc:  # a vendor's surprise ends its round, not the calibration
        return f"something unforeseen came: {type(exc).__name__}"
    return ""


def _free(folder: Path, behind: Behind, now: datetime) -> Path:
    """The day's file, or the day's next. What the twins gave is never taken for a vendor's."""
    stem = f"{'twins-' if behind == 'twins' else ''}{now:%Y-%m-%d}"
    path, number = folder / f"{stem}.yaml", 2
    while path.exists() or path.with_suffix(".jsonl").exists():
        path, number = folder / f"{stem}-{number}.yaml", number + 1
    return path


async def calibrate_twins(
    latency: Any = "published",
    *,
    settings: Settings | None = None,
    seed: int = 0,
    pace: float | None = None,
    **how: Any,
) -> Calibration:
    """The same, of twins of our own, whose truth is `latency`: it must be found again. Costs nothing.

    pace: how many times faster than the wall the twins live; the loop that this runs in must keep it too.
    """
    services = compose("twin", latency=latency, settings=plain(settings or Settings()), seed=seed, pace=pace)
    await asyncio.to_thread(services.open)
    try:
        return await calibrate(services, MonotonicClock(pace), cap_usd=None, behind="twins", **how)
    finally:
        await asyncio.to_thread(services.close)
