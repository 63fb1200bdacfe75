"""Conversations to which chance does what it likes: seeded faults, interruptions, pauses, typing, in simulation.

Each is a script (customer, faults) with settings and a seed, so that whatever breaks can be written down as a file of a few
lines and played by anybody: `shrunk` makes it as short as it still breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import Preset, Settings
from clara_kit.lab.survival.checked import checked
from clara_kit.lab.survival.survival import Survival
from clara_kit.measure.run import Run
from clara_kit.world.faults import APPLIES, Fault
from clara_kit.world.script import Line, Pause, Script
from clara_kit.world.sim import simulate

ASKS = (
    "¿Cuánto cuesta el protector solar?", "Busco una crema para piel seca.", "¿Hacen despachos a Punta Arenas?",
    "¿Tienen algún sérum con vitamina?", "Necesito un limpiador facial suave.", "¿Puedo devolver mi compra abierta?",
    "Quiero saber de ofertas esta semana.", "¿Con qué medios de pago trabajan?", "Mi rostro queda grasoso al mediodía.",
    "¿Demora mucho el envío hasta Arica?", "¿Sirve durante el embarazo?", "¿Qué ingredientes lleva el tónico?",
    "Cuéntame cómo armar una rutina nocturna.", "¿Venden mascarillas de arcilla?", "Prefiero fragancias naturales.",
)  # fmt: skip
"""What the customer may ask; no two have much in common, so that it can be told which was answered."""
_NODS = ("Ajá", "Mmm", "Ya")
_STATUS = {"stt": (503, 429, 401, 504), "llm": (529, 503, 500, 429, 401), "tts": (503, 429, 401, 529)}
_MOST = 1000.0


class Chaos(Struct, frozen=True, kw_only=True):
    """One conversation and what befalls it. `settings`: what differs from the defaults; `preset`: on top of which."""

    seed: int
    script: Script
    preset: Preset = "plan"
    settings: dict[str, Any] = {}
    latency: str = "published"

    def play(self) -> Run:
        """In virtual time; equal every time."""
        return simulate(self.script, self._settings, seed=self.seed, latency=self.latency)

    @property
    def _settings(self) -> Settings:
        return Settings.preset(self.preset).with_changes(**self.settings)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a file: only what is not as usual."""
        lines = [_short(line, Line(text="x")) for line in self.script.lines]
        faults = [_short(fault, Fault(service=fault.service, kind=fault.kind)) | {"service": fault.service, "kind": fault.kind} for fault in self.script.faults]  # fmt: skip
        more = {} if self.latency == "published" else {"latency": self.latency}
        return {"seed": self.seed, "preset": self.preset, "settings": self.settings, **more, "lines": lines, "faults": faults}  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Chaos:
        """From such a file; `about` in it is for people. Raises `ScriptError`."""
        data = data_files.built(path, _mapping, "see Chaos.to_dict.")
        script = Script.of({"lines": data.pop("lines"), "faults": data.pop("faults", ())}, name=path.stem)
        return cls(script=script, **{name: value for name, value in data.items() if name != "about"})


def _mapping(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict) or not {"seed", "lines"} <= set(data):
        raise ScriptError("It is a mapping with at least seed and lines.")
    return dict(data)


def _short(one: Any, usual: Any) -> dict[str, Any]:
    names = one.__struct_fields__ if isinstance(one, Line) else tuple(one.to_dict())
    told = {name: getattr(one, name) for name in names if getattr(one, name) != getattr(usual, name)}
    if "pauses" in told:
        told["pauses"] = [{"after_word": pause.after_word, "ms": pause.ms} for pause in told["pauses"]]
    return told


LEVERS = ("openers", "first_clause", "trim_lead_silence", "enable_response_cache")


def chaos(seed: int, *, fallback: bool | None = None) -> Chaos:
    """The conversation of this seed. fallback: switched on, off, or (None) as the seed has it."""
    rng = child_rng(seed, "chaos")
    preset: Preset = rng.choice(("plan", "tuned", "tuned"))
    on = rng.random() < 0.5
    on = on if fallback is None else fallback
    settings: dict[str, Any] = {"enable_auto_fallback": on}
    if rng.random() < 0.2:
        settings["avatar_vendor"] = "heygen"
    if rng.random() < 0.3:
        settings["greeting"] = ""
    latency = rng.choice(("published", "published", "fast"))
    lines, faults = _lines(rng), _faults(rng, on=on)
    settings |= {lever: True for lever in LEVERS if rng.random() < 0.3}
    return Chaos(
        seed=seed, script=Script(title=f"chaos {seed}", lines=lines, faults=faults), preset=preset,
        settings=settings, latency=latency,
    )  # fmt: skip


def _lines(rng: Random) -> tuple[Line, ...]:
    asks = rng.sample(ASKS, rng.randint(1, 4))
    lines: list[Line] = []
    for n, ask in enumerate(asks):
        when: dict[str, Any] = {"after_clara_ms": round(rng.choice((300.0, 700.0, 1500.0)))}
        if n and rng.random() < 0.4:
            when["interrupt_after_ms"] = round(rng.uniform(0, 4000))
        if rng.random() < 0.3:
            when["at_most_ms"] = round(rng.uniform(2500, 9000))
        words = len(ask.split())
        if rng.random() < 0.2 and words > 2:
            when["pauses"] = (Pause(after_word=rng.randint(1, words - 1), ms=round(rng.uniform(200, 1200))),)
        lines.append(Line(text=ask, typed=rng.random() < 0.15, **when))
        if rng.random() < 0.3:
            lines.append(_aside(rng))
    return tuple(lines)


def _aside(rng: Random) -> Line:
    """A sound or a nod while Clara speaks, or somebody who waits in vain."""
    after = round(rng.uniform(200, 3000))
    kind: Literal["cough", "noise", "nod", "hello"] = rng.choice(("cough", "noise", "nod", "hello"))
    if kind == "hello":
        return Line(text="¿Aló?", after_clara_ms=600_000, at_most_ms=round(rng.uniform(2000, 6000)))
    if kind == "nod":
        return Line(text=rng.choice(_NODS), interrupt_after_ms=after)
    sound_ms = round(rng.uniform(80, 500) if kind == "cough" else rng.uniform(600, 3000))
    return Line(sound=kind, sound_ms=sound_ms, interrupt_after_ms=after)


def _faults(rng: Random, *, on: bool) -> tuple[Fault, ...]:
    """One to three services in trouble: once, or for a while."""
    services = ["stt", "llm", "tts", "avatar", *(["backup"] if on else [])]
    found: list[Fault] = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        service: Any = rng.choice(services)
        kind = rng.choice(APPLIES[service])
        first, often = rng.randint(1, 4), rng.choice((1, 1, 1, 2, 4, 12))
        for_ms = 0.0
        if kind in ("stall", "slow"):
            for_ms = 0.0 if kind == "stall" and rng.random() < 0.4 else round(rng.uniform(200, 12_000))
        elif kind == "refuse" and rng.random() < 0.2:
            for_ms = rng.choice((1000.0, 5000.0, 30_000.0))
        status = rng.choice(_STATUS.get(service, (503, 401, 429)))
        after = 0.0 if rng.random() < 0.4 else round(rng.uniform(0, 6000))
        found += [
            Fault(service=service, kind=kind, on=first + n, after_ms=0.0 if n else after, for_ms=for_ms, status=status)
            for n in range(often)
        ]  # fmt: skip
    return tuple(found)


# --- what breaks, as short as it can be ------------------------------------------------------------------------


def sign_of(survival: Survival) -> frozenset[str]:
    """In which ways it does not survive, apart from times and texts; empty where it does."""
    wrong = {f"lost: {one.why}" for one in survival.said if one.fate == "lost"}
    return frozenset(wrong | {_bare(problem) for problem in survival.problems})


def _bare(problem: str) -> str:
    told = problem.partition(" ms: ")[2] or problem
    told = told.partition("«")[0] + told.rpartition("»")[2] if "«" in told else told
    return "".join(c for c in told if not c.isdigit()).strip()


def broken(one: Chaos) -> frozenset[str]:
    """What must not be, of this conversation; an exception of the kit's own is that too."""
    try:
        return sign_of(checked(one.play()))
    except Exception as exc:
        return frozenset({f"raised {type(exc).__name__}: {exc}"[:200]})


def shrunk(one: Chaos, sign: str | None = None, *, breaks: Callable[[Chaos], frozenset[str]] = broken) -> Chaos:
    """The shortest that still breaks in the same way: fewer lines, fewer faults, plainer times and settings."""
    signs = breaks(one)
    if not signs:
        raise ScriptError("Nothing breaks in it.", hint="shrunk is for those of which `broken` says something.")
    sign = sign or min(signs)
    tried = 0
    going = True
    while going and tried < _MOST:
        going = False
        for simpler in _simpler(one):
            tried += 1
            if sign in breaks(simpler):
                one, going = simpler, True
                break
    return one


def _simpler(one: Chaos) -> Iterator[Chaos]:
    script = one.script

    def of(**parts: Any) -> Chaos:
        whole = {"title": script.title, "lines": script.lines, "faults": script.faults, **parts}
        return replace(one, script=Script(**whole))

    faults = script.faults
    if len(faults) > 3:
        yield of(faults=faults[: len(faults) // 2])
        yield of(faults=faults[len(faults) // 2 :])
    for n in range(len(faults)):
        yield of(faults=faults[:n] + faults[n + 1 :])
    if len(script.lines) > 1:
        for n in range(len(script.lines)):
            yield of(lines=script.lines[:n] + script.lines[n + 1 :])
    for n, line in enumerate(script.lines):
        plain = Line(text=line.text, sound=line.sound)
        for name in line.__struct_fields__:
            if getattr(line, name) != (usual := getattr(plain, name)):
                yield of(lines=(*script.lines[:n], replace(line, **{name: usual}), *script.lines[n + 1 :]))
    for n, fault in enumerate(faults):
        told, usual = fault.to_dict(), Fault(service=fault.service, kind=fault.kind).to_dict()
        for name in told:
            if told[name] != usual[name]:
                yield of(faults=(*faults[:n], Fault(**{**told, name: usual[name]}), *faults[n + 1 :]))
    for name in one.settings:
        yield replace(one, settings={k: v for k, v in one.settings.items() if k != name})
    if one.preset != "plan":
        yield replace(one, preset="plan")
    if one.latency != "published":
        yield replace(one, latency="published")
    if one.seed:
        yield replace(one, seed=0)
