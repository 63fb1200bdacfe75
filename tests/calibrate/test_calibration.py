"""A calibration against twins, whose truth is known: it must find it, and lose nothing whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

import pytest

from clara_kit.core.errors import SettingsError
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calibrate.calibrate import (
    PARTS,
    Calibration,
    calibrate,
    calibrate_twins,
    foreseen,
    live_services,
    parts_with_key,
)
from clara_kit.lab.calibrate.hearing import LINE, SHORT_LINE
from clara_kit.lab.calibrate.showing import SILENT_MS
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.compose import TWIN_KEY
from clara_kit.world.faults import Fault, FaultBox
from clara_kit.world.latency import LatencyProfile, Law, Stage
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.every import every_twin
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.voices import clara_voice

pytestmark = pytest.mark.timeout(120)

NOW = datetime(2026, 11, 29, 14, 3, tzinfo=timezone(timedelta(hours=-3)))
VENDORS = ("deepgram", "anthropic", "liveavatar")
# What a twin's stage is longer than its law, at the most: the way over loopback, the silence at the head of the offline
# voice's own sound, and for the recogniser the ears themselves, which hear speech end up to four frames late.
LATER_MS = {"tts_lead_silence": 60, "stt_results": 100, "handshake": 60, "stt_interim_every": 80}


def truth(**stages: float) -> LatencyProfile:
    """The fast profile with some stages fixed."""
    laws: dict[Stage, Law] = dict(LatencyProfile.load("fast").laws)
    laws |= {s: Law(kind="fixed", low=v, high=v, source="the test's") for s, v in stages.items()}  # type: ignore[misc]
    return LatencyProfile(name="truth", description="", laws=MappingProxyType(laws))


def only(*services: str) -> list[Any]:
    return [part for part in PARTS if part.service in services]


@contextmanager
def vendors(key: str = TWIN_KEY, lines: LineBook | None = None, faults: Iterable[Fault] = ()) -> Iterator[Keys]:
    """A server of twins that plays the live vendors, and keys that lead to it."""
    context = TwinContext(profile=LatencyProfile.load("fast"), faults=FaultBox(faults))
    with TwinServer(every_twin(context, lines or LineBook())) as server:
        found = {f"{v}_api_key": key for v in VENDORS}
        found |= {f"{v}_base_url": server.addresses[v]["base_url"] for v in VENDORS}
        yield Keys.model_validate(found)


async def live(keys: Keys, folder: Path, services: tuple[str, ...] = ("tts",), **how: Any) -> Calibration:
    parts = [part for part in parts_with_key(keys, Settings()) if part.service in services]
    described = live_services(parts, Settings(), keys)
    how = {"rounds": 3, "cap_usd": 1.0, **how}
    return await calibrate(described, MonotonicClock(), parts=parts, behind="live", now=NOW, folder=folder, **how)


TRUTHS = [
    {"handshake": 150, "tts_first_chunk": 210, "tts_lead_silence": 120, "tts_realtime_factor": 0.2, "stt_interim_every": 900,
     "stt_results": 180, "llm_first_token": 480, "llm_tokens_per_s": 75, "avatar_start": 640, "avatar_interrupt": 90},
    {"handshake": 60, "tts_first_chunk": 70, "tts_lead_silence": 260, "tts_realtime_factor": 0.05, "stt_interim_every": 600,
     "stt_results": 420, "llm_first_token": 1150, "llm_tokens_per_s": 40, "avatar_start": 2900, "avatar_interrupt": 310},
]  # fmt: skip


def assert_found(done: Calibration, stages: dict[str, float], *, busy_ms: float) -> None:
    """Each stage is what it is, and by no more than `busy_ms` longer (a machine that works makes it so) than a twin makes it."""
    assert done.tape.notes == []
    found = {
        stage: median(done.tape.samples[stage])
        for stage in (*stages, "avatar_gain_opened_early", "avatar_gain_at_once", "handshake_model")
    }
    busy = 1 + busy_ms / 500
    for stage, value in stages.items():
        if stage == "llm_tokens_per_s":
            assert value / busy <= found[stage] <= value * 1.1, stage
        elif stage == "tts_realtime_factor":
            assert value * 0.98 <= found[stage] <= value * busy, stage
        else:
            assert value - 1.5 <= found[stage] <= value + LATER_MS.get(stage, 0) + busy_ms, stage
    start_ms = stages["avatar_start"]
    gained = start_ms - max(0, start_ms - 1500 + SILENT_MS)  # the silence is played first, before the sound or over it
    assert found["avatar_gain_opened_early"] == pytest.approx(gained, abs=busy_ms)
    assert found["avatar_gain_at_once"] == pytest.approx(0, abs=busy_ms)
    assert found["handshake_model"] == pytest.approx(stages["handshake"], abs=busy_ms)


@pytest.mark.parametrize("stages", TRUTHS)
async def test_what_the_twins_are_like_is_found_again(stages: dict[str, float], tmp_path: Path) -> None:
    done = await calibrate_twins(truth(**stages), rounds=1, now=NOW, folder=tmp_path)
    assert_found(done, stages, busy_ms=250)


@pytest.mark.soak
@pytest.mark.parametrize("stages", TRUTHS)
async def test_by_more_rounds_it_is_found_to_a_few_milliseconds(stages: dict[str, float], tmp_path: Path) -> None:
    done = await calibrate_twins(truth(**stages), rounds=7, now=NOW, folder=tmp_path)
    assert_found(done, stages, busy_ms=30)


@pytest.mark.soak
async def test_a_tail_and_rare_slow_starts_are_found_within_their_intervals(tmp_path: Path) -> None:
    done = await calibrate_twins("long_tail", rounds=9, now=NOW, folder=tmp_path, parts=only("tts", "avatar"), seed=3)
    assert done.path is not None
    found, laws = LatencyProfile.load(done.path), LatencyProfile.load("long_tail").laws
    assert found.calibrated is not None
    first, start = found.calibrated.stages["tts_first_chunk"], found.laws["avatar_start"]
    assert first.p50_between[0] <= laws["tts_first_chunk"].low <= first.p50_between[1]
    assert first.p95_between[0] <= laws["tts_first_chunk"].high <= first.p95_between[1]
    assert 0 < start.spike_share < 0.5 and 4000 <= start.spike_low <= start.spike_high <= 6600
    assert start.middle == pytest.approx(laws["avatar_start"].low, rel=0.35)


async def test_what_was_not_measured_is_as_published_and_says_so(tmp_path: Path) -> None:
    done = await calibrate_twins("fast", rounds=3, now=NOW, folder=tmp_path, parts=only("tts"))
    assert done.path is not None
    profile, published = LatencyProfile.load(done.path), LatencyProfile.load("published")
    assert profile.laws["avatar_start"].source.startswith("as published: ")
    assert profile.laws["avatar_start"].high == published.laws["avatar_start"].high
    assert "stand for no vendor" in profile.laws["tts_first_chunk"].source


async def test_a_limit_of_money_is_never_passed_and_what_was_measured_until_then_is_kept(tmp_path: Path) -> None:
    with vendors() as keys:
        parts = parts_with_key(keys, Settings())
        a_round = foreseen(parts, live_services(parts, Settings(), keys), 1)["tts"].usd
        done = await live(keys, tmp_path, rounds=20, cap_usd=3.5 * a_round)
    assert done.tape.spent.usd == pytest.approx(3 * a_round) and done.ended == "limit"
    assert done.path is not None and len(done.tape.samples["tts_first_chunk"]) == 3
    profile = LatencyProfile.load(done.path)
    assert profile.calibrated is not None and profile.calibrated.behind == "live"
    assert profile.calibrated.stages["tts_first_chunk"].n == 3


async def test_a_model_without_a_price_is_not_asked_under_a_limit(tmp_path: Path) -> None:
    with vendors() as keys:
        parts = only("llm")
        services = live_services(parts, Settings.of(llm_model="claude-unheard-of"), keys)
        done = await calibrate(
            services, MonotonicClock(), parts=parts, rounds=1, cap_usd=9, behind="live", now=NOW, folder=tmp_path
        )
    assert done.ended == "unpriced" and done.tape.spent.usd == 0 and done.path is None


async def test_who_stops_it_loses_nothing(tmp_path: Path) -> None:
    came = asyncio.Event()
    rounds: list[object] = []

    def tell(told: object) -> None:
        rounds.append(told)
        if len(rounds) == 4:
            came.set()

    running = asyncio.create_task(
        calibrate_twins("fast", rounds=50, now=NOW, folder=tmp_path, parts=only("tts"), tell=tell)
    )
    await came.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    path = tmp_path / "twins-2026-11-29.yaml"
    assert rounds[-1] == path
    calibrated = LatencyProfile.load(path).calibrated
    assert calibrated is not None and calibrated.stages["tts_first_chunk"].n >= 4
    lines = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
    assert sum(line.get("what") == "tts_first_chunk" for line in lines) == calibrated.stages["tts_first_chunk"].n


async def test_a_vendor_that_fails_twice_is_left_alone_and_the_others_go_on(tmp_path: Path) -> None:
    with vendors() as keys:
        broken = keys.model_copy(update={"anthropic_base_url": "http://127.0.0.1:9"})
        done = await live(broken, tmp_path, services=("tts", "llm"), rounds=4)
    assert len(done.tape.samples["tts_first_chunk"]) == 4 and not done.tape.samples["llm_first_token"]
    assert len([note for note in done.tape.notes if note.startswith("llm: ")]) == 1 and done.path is not None


async def test_where_nobody_answers_it_ends_soon_and_writes_no_profile(tmp_path: Path) -> None:
    with vendors(key="wrong-key") as keys:
        told: list[object] = []
        done = await live(keys, tmp_path, rounds=20, tell=told.append)
    assert done.path is None and len(told) == 2 and done.ended == "nobody"


def test_without_a_key_it_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match="No vendor has a key") as caught:
        parts_with_key(Keys(), Settings())
    assert "--twins" in caught.value.hint


def test_only_vendors_with_a_key_are_measured_and_the_classic_avatar_never() -> None:
    keys = Keys.model_validate({"anthropic_api_key": "k", "liveavatar_api_key": "k"})
    assert [part.service for part in parts_with_key(keys, Settings())] == ["llm", "avatar"]
    classic = Settings.of(avatar_vendor="heygen")
    assert [part.service for part in parts_with_key(keys, classic)] == ["llm"]


def test_a_session_that_is_not_in_the_sandbox_costs_a_whole_minute_at_most() -> None:
    keys = Keys.model_validate({"liveavatar_api_key": "k"})
    paid = Settings.of(avatar_sandbox=False)
    parts = parts_with_key(keys, paid)
    assert foreseen(parts, live_services(parts, paid, keys), 20)["avatar"].credits == 20
    free = foreseen(parts, live_services(parts, Settings(), keys), 20)["avatar"]
    assert (free.usd, free.credits) == (0, 0)


def test_what_is_switched_on_for_conversations_is_off_while_vendors_are_measured() -> None:
    keys = Keys.model_validate({"deepgram_api_key": "k"})
    wanted = Settings.preset("fast").with_changes(openers=True)
    services = live_services(only("tts"), wanted, keys)
    assert type(services.tts()).__name__ == "DeepgramAuraTTS"  # and nothing around it that keeps or trims
    assert not services.settings.flags.enable_connection_pool


async def test_the_recogniser_hears_the_vendors_own_voice_where_that_is_live(tmp_path: Path) -> None:
    lines = LineBook()
    for line in (LINE, SHORT_LINE):
        lines.learn(line, clara_voice().synthesize(line))  # as the twin of the voice speaks it
    with vendors(lines=lines) as keys:
        done = await live(keys, tmp_path, services=("tts", "stt"), rounds=1)
    assert done.tape.notes == [] and done.tape.samples["stt_results"] and done.tape.samples["stt_finalize"]


async def test_a_recogniser_that_understands_nothing_has_its_times_all_the_same_and_a_note(tmp_path: Path) -> None:
    with vendors() as keys:  # it knows no line
        done = await live(keys, tmp_path, services=("stt",), rounds=1)
    assert len(done.tape.notes) == 1 and "understood no words" in done.tape.notes[0]
    assert 0 <= done.tape.samples["stt_results"][0] <= 5 + LATER_MS["stt_results"] + 250
    assert done.tape.samples["stt_onset"] and not done.tape.samples["stt_interim_every"]


async def test_a_recogniser_that_falls_silent_is_told_of_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    with vendors(faults=[Fault(service="stt", kind="stall", on=on, after_ms=700) for on in (1, 2)]) as keys:
        done = await live(keys, tmp_path, services=("stt", "llm"), rounds=2)
    assert "sent nothing back" in done.tape.notes[0] and len(done.tape.samples["llm_first_token"]) == 2
    assert done.tape.samples["handshake"] and not done.tape.samples["stt_results"]
