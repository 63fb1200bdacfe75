"""When a turn's first sound and its answer come: many turns at once, each stage drawn by the laws of a latency profile.

The same chances are drawn whatever levers are pulled, so that two choices differ by their levers alone. A test holds what
comes out to `simulate`, and to a sum of the laws that draws nothing. Left out is «Un momento», said where no answer has come
after three seconds (of the serial design it makes one turn in fifty later still), and that a model is given up after eight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from clara_kit.audio.lead import BETWEEN_MS, HEAD_MS
from clara_kit.core.settings import Settings
from clara_kit.lab.budget.levers import EAGER_MS, FINALIZED_MS, FLUX_MS, SENT_AHEAD_MS, Given, Levers
from clara_kit.turns import usual_lexicon
from clara_kit.world.latency import LatencyProfile, Law, Stage
from clara_kit.world.mouths import spoken_ms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

TURNS, SEED = 20_000, 15
ENDPOINTING_MS = float(Settings().stt_endpointing_ms)
AT_ONCE, EARLY = "avatar_gain_at_once", "avatar_gain_opened_early"  # as `clara calibrate` has them
CLASSIC = "classic"  # the profile of the avatar that speaks text with a voice of its own: no sound is sent to it


class Draws:
    """The chances of `count` turns under one profile. A stage's are always the same, whoever asks for it, and when."""

    def __init__(self, profile: LatencyProfile, count: int = TURNS, seed: int = SEED) -> None:
        self.profile, self.count, self._seed = profile, count, seed
        self._kept: dict[str, Array] = {}

    def law(self, stage: Stage) -> Array:
        """What a stage takes, without its rare spikes, ms unless its name says otherwise."""
        return self._drawn(stage, self.profile.laws[stage])

    def lognormal(self, name: str, p50: float, p95: float) -> Array:
        """Chances of a stage that no profile has."""
        return self._drawn(name, Law(kind="lognormal", low=p50, high=p95, source=name))

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> Array:
        """The same between two values."""
        return self._drawn(name, Law(kind="uniform", low=low, high=high, source=name))

    def gain(self, name: str) -> tuple[float, float] | None:
        """What `clara calibrate` found that something of the avatar's gains, p50 and p95 at the vendor; None: it has not."""
        calibrated = self.profile.calibrated
        found = calibrated.beside.get(name) if calibrated is not None and calibrated.behind == "live" else None
        return None if found is None else (max(0.0, found.p50_between[0]), max(0.0, found.p50_between[1]))

    def spikes(self, stage: Stage) -> Array:
        """What a stage takes when it takes long."""
        law = self.profile.laws[stage]
        return self.uniform(f"{stage} spikes", law.spike_low, law.spike_high)

    def _drawn(self, name: str, law: Law) -> Array:
        if name not in self._kept:
            rng = np.random.default_rng([self._seed, *name.encode()])
            self._kept[name] = _values(law, rng, self.count)
        return self._kept[name]


def _values(law: Law, rng: np.random.Generator, count: int) -> Array:
    if law.sigma:
        return np.asarray(law.low * np.exp(rng.standard_normal(count) * law.sigma))
    if law.kind == "uniform":
        return rng.uniform(law.low, law.high, count)
    return np.full(count, law.low)


def draws(profile: str, count: int = TURNS, seed: int = SEED) -> Draws:
    """Those of a profile by name («calibrated»: the newest of your own), anew where its file has changed. Raises `ScriptError`."""
    found = LatencyProfile.load(profile)
    kept = _kept(id(found), count, seed)
    if not kept:
        kept.append(Draws(found, count, seed))
    return kept[0]


@lru_cache(maxsize=16)
def _kept(profile: int, count: int, seed: int) -> list[Draws]:
    return []  # with its profile, so that no other has its number


@dataclass(frozen=True)
class Factors:
    """By how much the middle of a stage is another than in the profile: 1 as it is."""

    stages: tuple[tuple[Stage, float], ...] = ()
    sent_ahead: float = 1.0

    def of(self, stage: Stage) -> float:
        """That of one stage."""
        return dict(self.stages).get(stage, 1.0)


AS_IT_IS = Factors()


@dataclass(frozen=True)
class Times:
    """Of many turns, in ms from the customer's last word. `first`: the avatar says that it speaks; `ear`: the first sound
    that can be heard; `answer`, `answer_ear`: the same of the answer's first word, which comes after an opener's."""

    hear: Array
    text: Array  # the first piece that is said is written
    sound: Array  # its first sound has come
    first: Array
    ear: Array
    answer: Array
    answer_ear: Array
    think: Array

    @cached_property
    def stages(self) -> dict[str, float]:
        """Where the milliseconds of a typical turn go, as the ear hears it (the mean of the middle tenth)."""
        order = np.argsort(self.ear)
        middle = order[len(order) * 9 // 20 : max(len(order) * 11 // 20, len(order) * 9 // 20 + 1)]
        ends = {
            "hear": self.hear, "think": np.minimum(self.think, self.text), "write": self.text, "voice": self.sound,
            "avatar": self.first, "playout": self.ear,
        }  # fmt: skip
        at = [0.0, *(float(np.mean(end[middle])) for end in ends.values())]
        return {name: max(0.0, at[n + 1] - at[n]) for n, name in enumerate(ends)}


def times(levers: Levers, given: Given, d: Draws, but: Factors = AS_IT_IS) -> Times:
    """What comes of these levers."""
    count, classic = d.count, given.profile == CLASSIC

    def law(stage: Stage) -> Array:
        factor = but.of(stage)
        return d.law(stage) if factor == 1.0 else d.law(stage) * factor

    hear = _hear(levers, d, law("stt_results"))
    cold = (d.uniform("cold") < given.cold_share) & (not levers.pool)
    shakes: Any = np.where(cold, d.law("handshake"), 0.0) if not levers.pool and given.cold_share else 0.0
    asked = hear - d.uniform("eager", *EAGER_MS) if levers.eager and levers.flux else hear
    think = asked + law("llm_first_token") + shakes
    tokens = _tokens(levers, given, d)
    text = np.maximum(hear, think + tokens * 1000 / law("llm_tokens_per_s"))
    sound = text if classic else text + law("tts_first_chunk") + shakes
    left = 0.0 if classic else np.minimum(HEAD_MS, law("tts_lead_silence")) if levers.trim else law("tts_lead_silence")
    lead: Any = np.broadcast_to(left, (count,))
    hit = (d.uniform("asked before") < given.hit_share) if levers.cache else np.zeros(count, dtype=bool)
    if levers.cache:
        text, sound, think = np.where(hit, hear, text), np.where(hit, hear, sound), np.where(hit, hear, think)
        lead = lead if classic else np.where(hit, 0.0, lead)
    start = _start(levers, given, d, law("avatar_start"), but, classic=classic)
    playout = law("playout")
    early = levers.open_early and not classic
    first = np.maximum(hear + start, sound) if early else sound + start
    if early and (gain := d.gain(EARLY)) is not None:  # found, and not assumed
        first = sound + np.maximum(0.0, start - d.uniform("opened early", *gain))
    if not levers.openers:
        return Times(hear, text, sound, first, first + lead + playout, first, first + lead + playout, think)
    opened = hear + start
    ends = opened + (_opener_ms(d) if given.opener_ms is None else given.opener_ms)
    answer = np.maximum(ends, sound) + (start if classic else 0.0)
    first, answer = np.where(hit, first, opened), np.where(hit, first, answer)
    ear = first + playout
    if levers.trim and not classic:
        lead = np.where(hit, 0.0, np.minimum(BETWEEN_MS, law("tts_lead_silence")))
    at = [np.where(hit, one, hear) for one in (text, sound, think)]
    return Times(hear, at[0], at[1], first, ear, answer, answer + lead + playout, at[2])


def _hear(levers: Levers, d: Draws, results: Array) -> Array:
    """The customer's last word to the end of the turn."""
    if levers.flux:
        return d.lognormal("flux", *FLUX_MS)
    return np.full(d.count, FINALIZED_MS) if levers.finalize else ENDPOINTING_MS + results


def _tokens(levers: Levers, given: Given, d: Draws) -> Any:
    """How many the model writes until the first piece can be spoken."""
    sentence = min(given.sentence_tokens, given.reply_tokens)
    if not levers.chunked:
        return given.reply_tokens
    if not levers.first_clause:
        return sentence
    return np.where(d.uniform("clause") < given.clause_share, min(given.clause_tokens, sentence), sentence)


def _opener_ms(d: Draws) -> Array:
    """How long the kit's own openers sound, each as often."""
    lengths = np.array([spoken_ms(text) for text in usual_lexicon().openers])
    return np.asarray(lengths[(d.uniform("which opener") * len(lengths)).astype(int)])


def _start(levers: Levers, given: Given, d: Draws, usual: Array, but: Factors, *, classic: bool) -> Array:
    """The avatar's start: no lever touches its slow ones."""
    law = d.profile.laws["avatar_start"]
    if levers.send_ahead and not classic:
        usual = np.maximum(0.0, usual - d.uniform("sent ahead", *(d.gain(AT_ONCE) or SENT_AHEAD_MS)) * but.sent_ahead)
    share = law.spike_share if given.slow_share is None else given.slow_share
    if not share or not law.spike_high:
        return usual
    return np.where(d.uniform("slow start") < share, d.spikes("avatar_start"), usual)
