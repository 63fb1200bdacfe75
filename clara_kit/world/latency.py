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
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

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
    "avatar_open",  # order to open a session of the avatar's vendor in mid-call -> it is there
    "playout",  # the avatar's word that it speaks -> its sound at the customer's ear
    "handshake",  # to open one connection to a vendor
    "backup_answer",  # question to the avatar vendor's own assistant, or its last word -> first sound of the answer
]
LawKind = Literal["fixed", "uniform", "lognormal"]
STAGES: tuple[Stage, ...] = get_args(Stage)
_LATER: tuple[Stage, ...] = (
    "avatar_open",
    "backup_answer",
    "playout",
    "handshake",
)  # which a file may lack: then as published


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

    @property
    def sigma(self) -> float:
        """Of a lognormal; 0 for any other."""
        return math.log(self.high / self.low) / 1.645 if self.kind == "lognormal" and self.high > self.low else 0.0

    def __str__(self) -> str:
        """«350», «150–250», «790, p95 1600»: in the unit of what it is of."""
        if self.kind == "fixed":
            return f"{self.low:g}"
        return f"{self.low:g}–{self.high:g}" if self.kind == "uniform" else f"{self.low:g}, p95 {self.high:g}"

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


class Found(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `clara calibrate` found of one thing, in its own unit. *_between: 95 % intervals."""

    n: int
    p50: float
    p50_between: tuple[float, float]
    p95: float
    p95_between: tuple[float, float]
    how: str = ""


class Calibrated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When and behind whom a profile was measured. beside: behaviour that is no stage, by its name in `lab/calibrate`.

    measured: how many stages were, which a run remembers; what was found of them, only the profile's file.
    """

    at: str  # ISO 8601
    behind: Literal["live", "twins"]
    measured: int = 0
    stages: dict[str, Found] = {}
    beside: dict[str, Found] = {}
    notes: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyProfile:
    """A named set of laws, one for each stage. Times in milliseconds. calibrated: None where all figures are published."""

    name: str
    description: str
    laws: Mapping[Stage, Law]
    calibrated: Calibrated | None = None

    def draw(self, stage: Stage, rng: Random) -> float:
        """One value for a stage: milliseconds, unless the stage's name says otherwise."""
        return self.laws[stage].draw(rng)

    def to_dict(self) -> dict[str, Any]:
        """Name and laws as plain data: what a run's inputs keep of it."""
        laws = {s: [w.kind, w.low, w.high, w.spike_share, w.spike_low, w.spike_high] for s, w in self.laws.items()}
        own = self.calibrated
        about = {"calibrated": [own.at, own.behind, own.measured]} if own is not None else {}
        return {"name": self.name, "laws": laws, **about}

    @classmethod
    def kept(cls, data: Mapping[str, Any]) -> LatencyProfile:
        """What `to_dict` gave, whatever has become of the file; of stages that were not known then, as published."""
        names = ("kind", "low", "high", "spike_share", "spike_low", "spike_high")
        laws = {
            stage: Law(**dict(zip(names, law, strict=True)), source="as kept") for stage, law in data["laws"].items()
        }
        at, behind, measured = data.get("calibrated", ("", "live", 0))
        return cls(
            name=str(data["name"]), description="", laws=MappingProxyType({**cls.load("published").laws, **laws}),
            calibrated=Calibrated(at=at, behind=behind, measured=measured) if at else None,
        )  # fmt: skip

    @classmethod
    def load(cls, name_or_path: str | Path) -> LatencyProfile:
        """A profile of `data/latency/` by name, or any YAML file by path; `calibrated` is the newest of one's own.

        Raises `ScriptError`.
        """
        if name_or_path == CALIBRATED and (newest := newest_calibration()) is not None:
            name_or_path = newest
        elif name_or_path == CALIBRATED:
            hint = "run `clara calibrate` (it needs keys), or use published."
            raise ScriptError("The vendors have never been measured from here.", hint=hint)
        path = data_files.find(name_or_path, DATA / "latency", "latency profile")
        return data_files.made(path, cls._read)

    @classmethod
    def _read(cls, path: Path) -> LatencyProfile:
        return data_files.built(path, lambda data: cls.from_dict(data, name=path.stem), _HINT)

    @classmethod
    def from_dict(cls, data: Any, *, name: str) -> LatencyProfile:
        """A profile from parsed YAML: `description` and `stages: {stage: {law: [...], source: ...}}`."""
        stages = data.get("stages") if isinstance(data, dict) else None
        if isinstance(stages, dict) and not set(STAGES) - set(_LATER) <= set(stages) <= set(STAGES):
            missing = sorted(set(STAGES) - set(_LATER) - set(stages))
            unknown = sorted(map(str, set(stages) - set(STAGES)))
            raise ScriptError(f"missing stages {missing}, unknown stages {unknown}.", hint=_HINT, where="$.stages")
        try:
            file = msgspec.convert(data, _File)
        except msgspec.ValidationError as exc:
            raise data_files.wrong(exc, _HINT) from exc
        given = {stage: getattr(file.stages, stage) for stage in STAGES}
        laws = {stage: _law(law, stage) for stage, law in given.items() if law is not None}
        if len(laws) < len(STAGES):
            laws = {**cls.load("published").laws, **laws}
        laws_of_all = MappingProxyType(laws)
        return cls(name=name, description=file.description, laws=laws_of_all, calibrated=file.calibrated)


CALIBRATED = "calibrated"
OWN = DATA / "cache" / "latency"


def newest_calibration(folder: Path | None = None) -> Path | None:
    """The newest profile that `clara calibrate` wrote of live vendors; None where there is none."""
    folder = OWN if folder is None else folder
    return max(folder.glob("[0-9]*.yaml"), key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)


_HINT = "write {fixed: x}, {uniform: [low, high]} or {lognormal: [p50, p95]}, and a source, for each of its stages."
_Number = Annotated[float, Meta(ge=0, le=3_600_000)]  # an hour; and no NaN, which is not above 0
_Share = Annotated[float, Meta(ge=0, le=1)]


class _Spikes(Struct, frozen=True, forbid_unknown_fields=True):
    share: _Share = 0.0
    between: tuple[_Number, _Number] = (0.0, 0.0)


class _Law(Struct, forbid_unknown_fields=True):
    source: Annotated[str, Meta(pattern=r"\S")]
    fixed: _Number | None = None
    uniform: tuple[_Number, _Number] | None = None
    lognormal: tuple[_Number, _Number] | None = None
    spikes: _Spikes = _Spikes()


_fields: list[Any] = [(stage, _Law | None, None) if stage in _LATER else (stage, _Law) for stage in STAGES]
_Stages = msgspec.defstruct("_Stages", _fields, forbid_unknown_fields=True)


class _File(Struct, forbid_unknown_fields=True):
    stages: _Stages  # type: ignore[valid-type]
    description: str = ""
    calibrated: Calibrated | None = None


def _law(entry: _Law, stage: Stage) -> Law:
    given: dict[LawKind, Any] = {"fixed": entry.fixed, "uniform": entry.uniform, "lognormal": entry.lognormal}
    kinds = [kind for kind, value in given.items() if value is not None]
    low, high = (entry.fixed,) * 2 if entry.fixed is not None else given[kinds[0]] if kinds else (0.0, 0.0)
    spikes, wrong = entry.spikes, ""
    if len(kinds) != 1:
        wrong = "a stage has one law"
    elif high < low or spikes.between[1] < spikes.between[0]:
        wrong = "numbers must be in order"
    elif (kinds == ["lognormal"] or stage == "llm_tokens_per_s") and low == 0:
        wrong = "this must be above 0"
    if wrong:
        raise ScriptError(f"{stage}: {wrong}.", hint=_HINT, where=f"$.stages.{stage}")
    return Law(
        kind=kinds[0],
        low=low,
        high=high,
        source=entry.source,
        spike_share=spikes.share,
        spike_low=spikes.between[0],
        spike_high=spikes.between[1],
    )
