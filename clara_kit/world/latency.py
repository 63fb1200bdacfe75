"""How long each stage takes: profiles of published figures, read from `data/latency/*.yaml`.

Used by the simulation and by the twins alike, so that both worlds are equally fast. Every stage names the
source of its numbers; a profile is never shown as a vendor's own measurement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Literal, get_args

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA

Stage = Literal[
    "stt_onset",  # sound begins -> SpeechStarted message
    "stt_interim_every",  # between two interim results while words come
    "stt_results",  # last sound of a segment (after endpointing) -> its final message
    "llm_first_token",  # request -> first text
    "llm_tokens_per_s",  # a rate, not a time
    "tts_first_chunk",  # flush -> first sound
    "tts_lead_silence",  # silence at the beginning of that sound
    "tts_realtime_factor",  # seconds of work per second of sound: a ratio
    "avatar_start",  # first sound at the avatar -> it begins to speak
    "avatar_interrupt",  # interrupt order -> silence
    "shop_answer",  # query to the shop -> its whole answer
]
LawKind = Literal["fixed", "uniform", "lognormal"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A distribution: `fixed(value)`, `uniform(low, high)` or `lognormal(p50, p95)`, with rare spikes if given.

    The lognormal's sigma is ln(p95 / p50) / 1.645. A spike replaces the draw with uniform(spike_low,
    spike_high) in a share of `spike_share` of all draws.
    """

    kind: LawKind
    low: float
    high: float
    source: str
    spike_share: float = 0.0
    spike_low: float = 0.0
    spike_high: float = 0.0

    @property
    def middle(self) -> float:
        """The median, spikes left out."""
        return self.low if self.kind != "uniform" else (self.low + self.high) / 2

    def draw(self, rng: Random) -> float:
        """One value. Takes the same number of draws whatever comes out, so that equal seeds stay in step."""
        if self.low == self.high and not self.spike_share:
            return self.low  # every stage has a generator of its own: nobody is put out of step
        spike, where, z = rng.random(), rng.random(), rng.gauss(0.0, 1.0)
        if spike < self.spike_share:
            return self.spike_low + where * (self.spike_high - self.spike_low)
        if self.kind == "uniform":
            return self.low + where * (self.high - self.low)
        if self.kind == "lognormal" and self.high > self.low:
            return self.low * math.exp(z * math.log(self.high / self.low) / 1.645)
        return self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyProfile:
    """A named set of laws, one for each stage. Times in milliseconds."""

    name: str
    description: str
    laws: Mapping[Stage, Law]

    def draw(self, stage: Stage, rng: Random) -> float:
        """One value for a stage: milliseconds, unless the stage's name says otherwise."""
        return self.laws[stage].draw(rng)

    def to_dict(self) -> dict[str, Any]:
        """Name and laws as plain data: what a run's inputs keep of it."""
        laws = {s: [w.kind, w.low, w.high, w.spike_share, w.spike_low, w.spike_high] for s, w in self.laws.items()}
        return {"name": self.name, "laws": laws}

    @classmethod
    def load(cls, name_or_path: str | Path) -> LatencyProfile:
        """A profile of `data/latency/` by name, or any YAML file by path; raises `ScriptError`."""
        path = data_files.find(name_or_path, DATA / "latency", "latency profile")
        return data_files.made(path, cls._read)

    @classmethod
    def _read(cls, path: Path) -> LatencyProfile:
        return cls.from_dict(data_files.data(path), name=path.stem)

    @classmethod
    def from_dict(cls, data: Any, *, name: str) -> LatencyProfile:
        """A profile from parsed YAML: `description` and `stages: {stage: {law: [...], source: ...}}`."""
        if not isinstance(data, dict) or not isinstance(data.get("stages"), dict):
            raise ScriptError(f"Latency profile {name!r} needs a mapping called stages.")
        stages = data["stages"]
        missing, unknown = set(STAGES) - set(stages), set(stages) - set(STAGES)
        if missing or unknown:
            raise ScriptError(
                f"Latency profile {name!r}: missing stages {sorted(missing)}, unknown stages {sorted(unknown)}.",
                hint="the stages are listed in clara_kit/world/latency.py.",
            )
        laws = {stage: _law(stages[stage], f"{name}.{stage}") for stage in STAGES}
        return cls(name=name, description=str(data.get("description", "")), laws=MappingProxyType(laws))


def _law(entry: Any, where: str) -> Law:
    try:
        kinds: tuple[LawKind, ...] = ("fixed", "uniform", "lognormal")
        kind = next(k for k in kinds if k in entry)
        values = entry[kind]
        low, high = (values, values) if kind == "fixed" else values
        spikes = entry.get("spikes", {"share": 0, "between": (0, 0)})
        numbers = [float(n) for n in (low, high, spikes["share"], *spikes["between"])]
        source = str(entry["source"])
    except (StopIteration, TypeError, KeyError, ValueError) as exc:
        raise ScriptError(
            f"Latency law {where} is malformed: {entry!r}.",
            hint="write {fixed: x}, {uniform: [low, high]} or {lognormal: [p50, p95]}, and a source.",
        ) from exc
    if not all(math.isfinite(n) and n >= 0 for n in numbers) or numbers[1] < numbers[0]:
        raise ScriptError(f"Latency law {where}: numbers must be finite, not negative, and in order.")
    return Law(
        kind=kind,
        low=numbers[0],
        high=numbers[1],
        source=source,
        spike_share=numbers[2],
        spike_low=numbers[3],
        spike_high=numbers[4],
    )
