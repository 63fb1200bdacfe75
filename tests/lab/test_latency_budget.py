"""The latency budget: held to a sum of the laws that draws nothing, and to the kit's own decisions in simulation."""

from __future__ import annotations

import re
from math import log
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import pytest

from clara_kit import Settings
from clara_kit.core.errors import ClaraError
from clara_kit.core.paths import DATA
from clara_kit.lab.budget import levers as budget
from clara_kit.lab.budget.figures import bought, figures, seen
from clara_kit.lab.budget.levers import FAST, LEVERS, OPENERS, PLAN, UNPROVEN, Given, Levers, cost
from clara_kit.lab.budget.played import played
from clara_kit.lab.budget.reach import ALL, PROVEN, can_we, percent, reach
from clara_kit.lab.budget.times import AS_IT_IS, Factors, draws, times
from clara_kit.lab.explorer import Figure
from clara_kit.lab.sentences import Language
from clara_kit.world.latency import LatencyProfile, Law

STEP_MS, MOST_MS = 2.0, 16_000.0
NO_HITS = Given(hit_share=0)
PROFILES = ("published", "optimistic", "long_tail", "classic")


def of(figure: Figure) -> float:
    """It is known."""
    assert figure.value is not None
    return figure.value


# --- an independent calculation: the distributions themselves, added up by convolution ---


def _mass(law: Law, scale: float = 1.0) -> Any:
    """The probabilities of a law on a grid of two milliseconds."""
    edges = np.arange(-STEP_MS / 2, MOST_MS, STEP_MS) / scale
    from math import erf

    def below(x: float) -> float:
        if law.kind == "lognormal" and law.high > law.low:
            sigma = log(law.high / law.low) / 1.645
            usual = 0.0 if x <= 0 else 0.5 * (1 + erf(log(x / law.low) / sigma / 2**0.5))
        elif law.kind == "uniform":
            usual = min(1.0, max(0.0, (x - law.low) / (law.high - law.low)))
        else:
            usual = float(x >= law.low)
        if not law.spike_share:
            return usual
        spike = min(1.0, max(0.0, (x - law.spike_low) / (law.spike_high - law.spike_low)))
        return (1 - law.spike_share) * usual + law.spike_share * spike

    return np.diff([below(float(x)) for x in edges])


def _tokens(rate: Law, count: int) -> Any:
    """Of the time that so many tokens take at a rate with this law."""
    if rate.kind == "fixed":
        return _mass(Law(kind="fixed", low=count * 1000 / rate.low, high=0, source=""))
    edges = np.arange(-STEP_MS / 2, MOST_MS, STEP_MS)
    at = [0.0 if x <= 0 else min(1.0, max(0.0, (rate.high - count * 1000 / x) / (rate.high - rate.low))) for x in edges]
    return np.diff(at)


def _summed(*parts: Any) -> Any:
    size = 2 * len(parts[0])
    product = np.ones(size // 2 + 1, dtype=complex)
    for part in parts:
        product *= np.fft.rfft(part, size)
    return np.maximum(0.0, np.fft.irfft(product, size))


def _added_up(levers: Levers, given: Given) -> Any:
    """The distribution of the avatar's word, for choices without shared parts."""
    laws = LatencyProfile.load(given.profile).laws
    hear = _summed(_mass(laws["stt_results"]), _mass(Law(kind="fixed", low=300, high=0, source="")))[
        : len(_mass(laws["stt_results"]))
    ]
    start = _mass(laws["avatar_start"])
    if levers.openers:
        return _summed(hear, start)
    rate = laws["llm_tokens_per_s"]
    tokens = {given.reply_tokens: 1.0}
    if levers.chunked:
        tokens = {given.sentence_tokens: 1.0}
    if levers.first_clause:
        tokens = {given.clause_tokens: given.clause_share, given.sentence_tokens: 1 - given.clause_share}
    written = sum(share * _tokens(rate, count) for count, share in tokens.items())
    voice = () if given.profile == "classic" else (_mass(laws["tts_first_chunk"]),)
    whole = _summed(hear, _mass(laws["llm_first_token"]), np.asarray(written), *voice, start)
    if not levers.cache:
        return whole
    return (1 - given.hit_share) * whole + given.hit_share * _summed(
        hear, start, *[_mass(Law(kind="fixed", low=0, high=0, source=""))]
    )


def _of(mass: Any) -> tuple[float, float, dict[float, float]]:
    running, at = np.cumsum(mass), np.arange(len(mass)) * STEP_MS
    p50, p95 = (float(at[int(np.searchsorted(running, share))]) for share in (0.5, 0.95))
    return p50, p95, {ms: float(running[int(ms / STEP_MS)]) for ms in (600.0, 800.0, 1600.0, 3000.0)}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "levers", [PLAN, Levers(chunked=True), FAST, OPENERS], ids=["plan", "sentences", "fast", "openers"]
)
def test_what_is_drawn_agrees_with_the_laws_added_up(profile: str, levers: Levers) -> None:
    given = Given(profile=profile, hit_share=0.2)
    p50, p95, below = _of(_added_up(levers, given))
    found, first = figures(levers, given), times(levers, given, draws(profile)).first
    assert of(found.first_p50) == pytest.approx(p50, rel=0.02)
    assert of(found.first_p95) == pytest.approx(p95, rel=0.03)
    for ms, share in below.items():
        assert float(np.mean(first < ms)) == pytest.approx(share, abs=0.02)


def agrees(settings: Settings, given: Given, turns: int, apart: float = 1.0) -> None:
    """apart: by how many times more than in twenty thousand turns the figures of so few may lie apart.

    Nothing is calculated of the phrase with which Clara asks to hold on after three seconds, nor of a model that is given
    up after eight: she has no such phrase here, and patience.
    """
    levers, waits, answers = Levers.of(settings), [], []
    settings = settings.with_changes(hold_phrase="", llm_first_token_timeout_ms=60_000, turn_deadline_ms=60_000)
    for n in range(0, turns, 200):
        for turn in played(settings, given, turns=200, seed=n).ledger:
            if turn.kind != "greeting" and not turn.problem:
                waits.append(turn.points["speaking_started"] - turn.points["words_ended"])
                answers.append(turn.answer_ms or turn.total_ms or 0.0)
    assert len(waits) >= 0.99 * turns
    found = figures(levers, given)
    assert of(found.first_p50) == pytest.approx(median(waits), rel=0.02 * apart)
    assert of(found.answer_ear_p50) == pytest.approx(median(answers), rel=0.02 * apart)
    assert of(found.first_p95) == pytest.approx(quantiles(waits, n=20)[-1], rel=0.03 * apart)
    shares = ((found.under_800, sum(ms < 800 for ms in waits)), (found.over_3000, sum(ms > 3000 for ms in waits)))
    for share, count in shares:
        assert of(share) == pytest.approx(count / len(waits), abs=0.02 * apart)


SERIAL, QUICK = Settings.of(enable_chunked_heygen=False), Settings.preset("fast")


@pytest.mark.parametrize(
    "settings", [SERIAL, QUICK, QUICK.with_changes(openers=True)], ids=["serial", "fast", "openers"]
)
def test_the_kit_in_simulation_takes_as_long_as_was_calculated(settings: Settings) -> None:
    agrees(settings, Given(hit_share=0, slow_share=0), 600, apart=2.5)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("profile", ["published", "long_tail"])
def test_so_does_it_in_twenty_thousand_turns(profile: str) -> None:
    for settings in (SERIAL, Settings(), QUICK, QUICK.with_changes(openers=True)):
        agrees(settings, Given(profile=profile, hit_share=0), 20_000)


# --- what is told ---


def test_where_the_milliseconds_of_a_typical_turn_go_adds_up_to_its_median() -> None:
    for levers in (PLAN, FAST, OPENERS):
        found = figures(levers)
        assert sum(found.stages.values()) == pytest.approx(of(found.ear_p50), rel=0.02)
        assert all(ms >= 0 for ms in found.stages.values())


def test_every_lever_has_a_source_and_its_mark_says_what_stands_behind_it() -> None:
    assert tuple(LEVERS) == Levers.__struct_fields__
    assert all(lever.source and lever.mark for lever in LEVERS.values())
    assert {name for name, lever in LEVERS.items() if lever.mark == "assumed"} >= {*UNPROVEN}
    built = Levers.of(Settings.preset("fast").with_changes(openers=True, open_avatar_early=True))
    assert {*built} == {name for name, lever in LEVERS.items() if lever.setting}
    assert Levers.of(Settings.of(enable_chunked_heygen=False)) == PLAN and Levers.of(built.settings) == built


def test_what_nobody_has_published_is_unknown_and_never_nothing() -> None:
    assert cost(OPENERS, Given()).cut_off is None
    assert cost(Levers(flux=True), Given()).cut_off is None
    assert cost(Levers(finalize=True), Given()).cut_off == pytest.approx(6 / 27)
    assert cost(PLAN, Given(), model="a model of tomorrow").usd is None
    plan, eager = cost(PLAN, Given()), cost(Levers(flux=True, eager=True), Given())
    assert eager.prompt_tokens == pytest.approx(1.6 * plan.prompt_tokens)
    assert eager.usd is not None and plan.usd is not None and eager.usd == pytest.approx(1.6 * plan.usd)


def test_an_interval_holds_the_figure_and_is_as_wide_as_three_measurements_leave_it() -> None:
    found, laws = figures(PLAN), draws("published").profile.laws
    for name in ("first_p50", "first_p95", "ear_p50", "answer_p50", "over_3000", "under_800"):
        figure = getattr(found, name)
        assert (figure.low or 0) <= of(figure) <= (figure.high or 0), name
    assert (seen(laws["avatar_start"]), seen(laws["playout"]), seen(laws["tts_lead_silence"])) == (3, 1, None)
    p50 = found.first_p50
    assert p50.high is not None and p50.low is not None and p50.high - p50.low > 300  # LITE's start: n = 3
    sure = figures(PLAN, Given(profile="optimistic")).first_p50
    assert sure.high is not None and sure.low is not None and sure.high - sure.low < 20


def test_no_lever_touches_the_slow_starts() -> None:
    assert of(figures(ALL).under_800) <= 0.925 + 0.005
    assert of(figures(ALL, Given(slow_share=0)).under_800) > of(figures(ALL).under_800)
    assert of(figures(PLAN, Given(slow_share=0.5)).over_3000) > of(figures(PLAN).over_3000)


def test_once_an_opener_is_on_clauses_buy_nothing_for_the_first_sound_and_something_for_the_answer() -> None:
    by = {one.lever: one for one in bought(OPENERS, NO_HITS)}
    assert by["first_clause"].first_last == 0 and by["first_clause"].first_alone > 50
    assert by["openers"].first_last > by["openers"].answer_last
    assert by["trim"].first_last == 0 and by["trim"].ear_alone > 150
    assert by["pool"].first_alone == 0  # the published figures are of warm connections
    cold = {one.lever: one for one in bought(FAST, Given(cold_share=1))}
    assert 200 < cold["pool"].first_last < 300  # two handshakes


def test_every_lever_brings_the_first_sound_forward_or_leaves_it_where_it_is() -> None:
    d = draws("published", 2000)
    for name, lever in LEVERS.items():
        needs = {lever.needs: True} if lever.needs else {}
        without, with_it = (times(PLAN.but(**needs, **{name: on}), Given(), d) for on in (False, True))
        for column in ("first", "ear"):
            assert np.median(getattr(with_it, column)) <= np.median(getattr(without, column)) + 1e-9, name


def test_a_profile_of_your_own_is_used_with_what_it_found_and_read_anew_when_it_changes(tmp_path: Path) -> None:
    path, published = tmp_path / "mine.yaml", (DATA / "latency" / "published.yaml").read_text(encoding="utf-8")
    path.write_text(published.replace("lognormal: [950, 1600]", "lognormal: [300, 400]"), encoding="utf-8")
    given = Given(profile=str(path), hit_share=0)
    sooner = of(figures(OPENERS, given).first_p50)
    assert sooner == pytest.approx(of(figures(OPENERS, NO_HITS).first_p50) - 650, abs=40)
    found = "{n: 30, p50: 200, p50_between: [180, 220], p95: 260, p95_between: [240, 300]}"
    beside = (
        f"calibrated: {{at: '2026-11-28T12:00:00-03:00', behind: live, beside: {{avatar_gain_at_once: {found}}}}}\n"
    )
    path.write_text(beside + path.read_text(encoding="utf-8"), encoding="utf-8")
    ahead = of(figures(OPENERS.but(send_ahead=True), given).first_p50)
    assert ahead == pytest.approx(sooner - 200, abs=30)  # as it was found, and not as it was assumed


# --- backwards ---


def test_a_target_is_reached_by_the_cheapest_that_reaches_it() -> None:
    found = reach(2000, 0.5)
    assert found.levers is not None and not {*found.levers} & {*UNPROVEN} and found.share >= 0.5
    for name in found.levers:  # none of them could be spared
        with_less = found.levers.but(**{name: False})
        assert float(np.mean(times(with_less, Given(), draws("published", 4000)).first < 2000)) < 0.5, name
    slack = reach(20_000, 0.9)
    assert slack.levers == PLAN and "the plan's design" in slack.told()


def test_a_share_that_is_told_backwards_is_the_one_that_the_tables_show() -> None:
    found = reach(800, 0.5)
    assert found.levers is not None and found.share == figures(found.levers).under_800.value
    assert found.proven == figures(PROVEN).under_800.value


def test_what_no_lever_reaches_says_what_the_unknown_must_be_and_that_is_true() -> None:
    found = reach(800, 0.5)
    assert found.proven < 0.1 and found.levers is not None and {*found.levers} & {*UNPROVEN}
    start, ahead = found.needs
    assert start.ms is not None and start.published_ms == 950 and start.n == 3
    but = Factors(stages=(("avatar_start", start.ms / start.published_ms),))
    assert float(np.mean(times(OPENERS, Given(), draws("published", 4000), but).first < 800)) == pytest.approx(
        0.5, abs=0.01
    )
    assert ahead.ms is not None and ahead.ms > 650
    assert f"within {start.ms:.0f} ms" in found.told("en") and f"{start.ms:.0f} ms" in found.told("es")
    never = reach(800, 0.95)
    assert (
        never.levers is None
        and never.needs[0].ms is None
        and "Not even" in never.told()
        and "Ni siquiera" in never.told("es")
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_the_honest_sentence_holds_only_numbers_that_were_calculated(profile: str) -> None:
    given = Given(profile=profile)
    languages: dict[Language, str] = {"en": "No, not yet", "es": "No, todavía no"}
    for language, first in languages.items():
        said = can_we(600, given, language)
        assert said.startswith(first) and said.count(".") <= 4
        best, d = figures(OPENERS, given), draws(profile)
        proven = float(np.mean(times(PROVEN, given, d, AS_IT_IS).first < 600))
        assert (
            percent(proven) in said and f"{of(best.first_p50):.0f} ms" in said and f"{of(best.ear_p50):.0f} ms" in said
        )
        assert f"{d.profile.laws['avatar_start'].middle:.0f} ms" in said


def test_shares_are_never_rounded_to_none_or_all() -> None:
    assert [percent(x) for x in (0, 0.0004, 0.004, 0.5, 0.9996, 1)] == [
        "0\u00a0%",
        "<0.1\u00a0%",
        "0.4\u00a0%",
        "50\u00a0%",
        ">99.9\u00a0%",
        "100\u00a0%",
    ]


def test_what_makes_no_sense_is_refused_by_name() -> None:
    with pytest.raises(ClaraError, match="hit_share"):
        Given(hit_share=2)
    with pytest.raises(ClaraError, match="magic"):
        PLAN.but(magic=True)
    with pytest.raises(ClaraError, match="nowhere"):
        figures(PLAN, Given(profile="nowhere"))
    assert re.search(r"assumed", budget.LEVERS["send_ahead"].mark)
