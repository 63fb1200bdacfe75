"""Scenarios: a conversation to be tried, and what a good answer must and must not do. `data/scenarios/README.md`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from clara_kit import data_files
from clara_kit.core.checked import Checked
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.world.script import Script

FOLDER = DATA / "scenarios"
Topic = Literal[
    "routine", "acne", "pregnancy", "allergy", "budget", "complaint", "order_status", "off_topic", "rude",
    "code_switching", "interruptions", "silence", "other",
]  # fmt: skip
_Text = Annotated[str, Meta(pattern=r"\S")]


class _Part(Checked, frozen=True, kw_only=True):
    error = ScriptError
    what = "A scenario is wrong"
    hint = "see data/scenarios/README.md."


class Rule(_Part, frozen=True, kw_only=True):
    """One thing that Clara must say (or must not): any of `says`, whole words, without regard to case and accents.

    A text in /slashes/ is a regular expression. check: a rule-based check by name instead (`lab/scores/checks.py`).
    turn: of which answer (1: the first after the greeting); None: of any. why: what it is there for, for people.
    """

    says: tuple[_Text, ...] = ()
    check: str = ""
    turn: Annotated[int, Meta(ge=1)] | None = None
    why: str = ""


class Reacts(_Part, frozen=True, kw_only=True):
    """A customer who reacts to what she hears: see `world/reacting.py`."""

    goal: str
    wants: tuple[Any, ...] = ()
    patience: Annotated[int, Meta(ge=1, le=9)] = 2
    manner: str = "calm"


class Scenario(_Part, frozen=True, kw_only=True):
    """One conversation with what is expected of it. Its lines are fixed (`script`), or come from a customer who reacts."""

    name: str = ""
    title: str
    topic: Topic
    description: str = ""
    script: Script | None = None
    reacts: Reacts | None = None
    must: tuple[Rule, ...] = ()
    must_not: tuple[Rule, ...] = ()

    @classmethod
    def load(cls, name_or_path: str | Path) -> Scenario:
        """A scenario of `data/scenarios/` by name, or any YAML file by path; raises `ScriptError`."""
        return data_files.made(data_files.find(name_or_path, FOLDER, "scenario"), _read)

    @classmethod
    def all(cls, topic: Topic | None = None) -> tuple[Scenario, ...]:
        """Every scenario of the folder, by name; one whose file has a mistake is left out, and logged."""
        return data_files.each(data_files.known(FOLDER), cls.load)[0]


def _read(path: Path) -> Scenario:
    def made(data: Any) -> Scenario:
        if not isinstance(data, dict):
            raise ScriptError(f"A scenario is a mapping, not {type(data).__name__}.", hint=_Part.hint)
        script = Script.of({"lines": data["lines"]}, name=path.stem) if "lines" in data else None
        rules = {k: tuple(map(Rule.model_validate, data.get(k) or ())) for k in ("must", "must_not")}
        reacts = Reacts.model_validate(data["reacts"]) if "reacts" in data else None
        rest = {k: v for k, v in data.items() if k not in ("lines", "reacts", *rules)}
        return Scenario.model_validate({**rest, **rules, "name": path.stem, "script": script, "reacts": reacts})

    return data_files.built(path, made, _Part.hint)
