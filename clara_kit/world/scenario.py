"""Scenarios: a conversation to be tried, and what a good answer must and must not do. `data/scenarios/README.md`."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from msgspec import Meta, structs

from clara_kit import data_files
from clara_kit.core.checked import Checked
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.core.placeholders import fold
from clara_kit.store import disk
from clara_kit.world import spreadsheet
from clara_kit.world.reacting import Reacts, Tell, Want, manners
from clara_kit.world.saying import sought
from clara_kit.world.script import Script, each_of

FOLDER = DATA / "scenarios"
MINE = FOLDER / "mine"  # one's own, never tracked
Topic = Literal[
    "routine", "acne", "pregnancy", "allergy", "budget", "complaint", "order_status", "off_topic", "rude",
    "code_switching", "interruptions", "silence", "other",
]  # fmt: skip
TOPICS: tuple[Topic, ...] = get_args(Topic)
_Text = Annotated[str, Meta(pattern=r"\S")]
_ONE_WAY = "a scenario has either `lines` or a customer who `reacts`"


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

    def problems(self) -> list[str]:
        """A rule has words that can be sought, or a check."""
        return sought("says", self.says) if self.says or self.check else ["a rule needs `says` or a `check`"]

    @classmethod
    def of(cls, data: Any) -> Rule:
        """A rule from a mapping, or from the text (or the texts) that it says; raises `ScriptError`."""
        if isinstance(data, str):
            return cls(says=(data,))
        if isinstance(data, list):
            return cls(says=tuple(data))
        if not isinstance(data, dict):
            raise ScriptError(f"A rule is a text or a mapping, not {type(data).__name__}.", hint=cls.hint)
        return cls.model_validate(data)


class Scenario(_Part, frozen=True, kw_only=True):
    """One conversation with what is expected of it. Its lines are fixed (`script`), or come from a customer who reacts."""

    name: str = ""
    title: _Text
    topic: Topic
    description: str = ""
    script: Script | None = None
    reacts: Reacts | None = None
    must: tuple[Rule, ...] = ()
    must_not: tuple[Rule, ...] = ()

    def problems(self) -> list[str]:
        """Somebody speaks one way."""
        return [_ONE_WAY] if self.script is not None and self.reacts is not None else []

    @property
    def plays(self) -> Script | Reacts:
        """Who speaks. Raises `ScriptError` where nobody does."""
        plays = self.script or self.reacts
        if plays is None:
            raise ScriptError(f"Nobody speaks in {self.title!r}: {_ONE_WAY}.", hint=self.hint)
        return plays

    @property
    def played(self) -> dict[str, Any]:
        """What of it a conversation depends on: what is said, not what is expected."""
        plays = self.plays
        return (
            plays.model_dump()
            if isinstance(plays, Script)
            else {"title": self.title, "reacts": plays.whole.model_dump()}
        )

    @property
    def about(self) -> dict[str, Any]:
        """What of it a manifest names."""
        return {"title": self.title, "scenario": {"name": self.name, "topic": self.topic, "hash": self.hash}}

    @property
    def hash(self) -> str:
        """Twelve letters that stand for all of it but its name, the manner of who reacts included; for manifests."""
        return _hash(self)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Scenario:
        """A scenario of `data/scenarios/` or of one's own by name, or any YAML file by path; raises `ScriptError`."""
        mine = MINE / f"{name_or_path}.yaml"
        path = mine if mine.is_file() else data_files.find(name_or_path, FOLDER, "scenario")
        return data_files.made(path, _read)

    @classmethod
    def all(cls, topic: Topic | None = None, *, mine: bool = True) -> tuple[Scenario, ...]:
        """Every scenario, by name; one whose file has a mistake is left out, and logged. mine: one's own too."""
        names = {*data_files.known(FOLDER), *(data_files.known(MINE) if mine else ())}
        return tuple(one for one in data_files.each(sorted(names), cls.load)[0] if topic in (None, one.topic))

    @classmethod
    def of(cls, data: Any, *, name: str = "") -> Scenario:
        """A scenario from parsed YAML; raises `ScriptError`."""
        if not isinstance(data, dict):
            raise ScriptError(f"A scenario is a mapping, not {type(data).__name__}.", hint=cls.hint)
        made = {key: each_of(data, key, Rule.of, f"{key}, rule {{}}: ") for key in ("must", "must_not")}
        script = reacts = None
        if data.get("lines"):
            title = data.get("title")
            lines = {"lines": data["lines"], "faults": data.get("faults") or ()}
            script = Script.of(lines, name=title if isinstance(title, str) else name)
        if data.get("reacts"):
            reacts = _reacts(data["reacts"])
        if script is None and reacts is None:
            raise ScriptError(f"Nobody speaks: {_ONE_WAY}.", hint=cls.hint)
        rest = {k: v for k, v in data.items() if k not in ("lines", "faults", "reacts", *made)}
        return cls.model_validate({**rest, **made, "name": name, "script": script, "reacts": reacts})

    @classmethod
    def from_csv(cls, path: str | Path) -> tuple[Scenario, ...]:
        """The scenarios of a spreadsheet's CSV, one row a scenario or a turn. Raises `ScriptError`, with row and column."""
        made = []
        for found in spreadsheet.scenarios(Path(path)):
            try:
                made.append(cls.of(found.data, name=_stem(found.name)))
            except ScriptError as exc:
                raise found.wrong(exc) from exc
        return tuple(made)

    def keep(self, folder: Path | None = None) -> Scenario:
        """Keep it among one's own (`data/scenarios/mine/`) under its name, or the next that is free; returns it so named.

        Raises `ScriptError` where it cannot be written.
        """
        folder = folder or MINE
        stem = _stem(self.name or self.title)
        taken = {*data_files.known(FOLDER), *data_files.known(folder)}
        name = next(n for n in (stem, *(f"{stem}_{k}" for k in range(2, 10_000))) if n not in taken)
        path = folder / f"{name}.yaml"
        with disk(f"{path.name} cannot be kept", f"may one write in {folder}?", ScriptError):
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(self.to_yaml(), "utf-8")
        return structs.replace(self, name=name)

    def to_yaml(self) -> str:
        """As a file of `data/scenarios/`."""
        return yaml.safe_dump(_plain(self), allow_unicode=True, sort_keys=False, width=120)


def _stem(text: str) -> str:
    """A name for a file."""
    return re.sub(r"[^a-z0-9]+", "_", fold(text)).strip("_")[:50].strip("_") or "scenario"


def _reacts(data: Any) -> Reacts:
    if not isinstance(data, dict):
        raise ScriptError(f"reacts is a mapping, not {type(data).__name__}.", hint=_Part.hint, where="$.reacts")
    try:
        parts = {
            "wants": each_of(data, "wants", Want.model_validate, "reacts, want {}: "),
            "tells": each_of(data, "tells", Tell.model_validate, "reacts, tell {}: "),
        }
        return Reacts.model_validate({**data, **parts}).whole
    except ScriptError as exc:
        raise ScriptError(exc.message, hint=exc.hint, where=f"$.reacts{exc.where[1:]}") from exc


def _read(path: Path) -> Scenario:
    return data_files.built(path, lambda data: Scenario.of(data, name=path.stem), _Part.hint)


def _plain(scenario: Scenario) -> dict[str, Any]:
    """What a file would say of it, without what is the default anyway."""
    data = {key: value for key, value in _brief(scenario).items() if key not in ("name", "script")}
    if scenario.reacts is not None and scenario.reacts.speaks == manners().get(scenario.reacts.manner):
        data["reacts"].pop("speaks", None)
    if scenario.script is not None:
        lines = [_brief(line) for line in scenario.script.lines]
        data["lines"] = [line["text"] if line.keys() == {"text"} else line for line in lines]
        if scenario.script.faults:
            data["faults"] = [fault.to_dict() for fault in scenario.script.faults]
    return data


def _brief(value: Any) -> Any:
    if isinstance(value, Checked):
        fields = {field.name: field for field in structs.fields(type(value))}
        return {
            name: _brief(part)
            for name in fields
            if (part := getattr(value, name)) != fields[name].default and part != ()
        }
    return [_brief(one) for one in value] if isinstance(value, tuple) else value


@lru_cache(maxsize=1024)
def _hash(scenario: Scenario) -> str:
    if scenario.reacts is not None:
        scenario = structs.replace(scenario, reacts=scenario.reacts.whole)
    data = scenario.model_dump() | {"name": ""}
    return sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]
