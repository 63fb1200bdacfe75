"""The design of an experiment: everything that its outcome depends on, as plain data whose hash is the experiment's id.

Made of what was asked for (`of`), or of what was kept (`kept`): in the folder of an experiment, or in a worker that is to
play a part of it. No key is ever part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib import metadata
from math import prod
from operator import index
from pathlib import Path
from typing import Any, cast

from clara_kit import data_files
from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.core.errors import RunLogError, SettingsError
from clara_kit.core.rng import child_rng
from clara_kit.core.settings import Settings
from clara_kit.lab.experiment.cells import Cell, Variant, Variants, listed, variants_of
from clara_kit.measure.run import experiment_id
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.template import PromptTemplate
from clara_kit.turns import usual_policies
from clara_kit.world.answers import AnswerBook
from clara_kit.world.brain import LLM, LLMS
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.personas import Persona
from clara_kit.world.scenario import Scenario

MOST = 1_000_000  # conversations: each is held as an object, and they are days of work
WELL_FORMED = frozenset((
    "no_orders", "many_orders", "bought_the_best", "many_concerns", "doctor", "long_name", "spelling", "deleted_product",
    "no_metafields",
))  # fmt: skip
"""What may be hard about a customer of the usual set: the rest are there to test the shop and its data, not prompts."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """`inputs`: what the outcome depends on, as JSON has it. The rest is made of them."""

    inputs: dict[str, Any]
    variants: Mapping[str, Variant]
    scenarios: Mapping[str, Scenario]
    latency: LatencyProfile

    @classmethod
    def of(
        cls, variants: Variants, scenarios: Iterable[Scenario | str] | None = None, customers: Iterable[str] | None = None,
        seeds: int | Sequence[int] = 1, *, seed: int = 0, latency: str | LatencyProfile = "published", llm: LLM = "scripted",
        stop_when_sure: str = "", twin: bool = False,
    ) -> Design:  # fmt: skip
        """What is asked for, checked. twin: whoever answers in the vendor's place is on this machine, and no vendor.

        Raises `SettingsError`, `TemplateError`, `ScriptError`.
        """
        if llm not in LLMS:
            raise SettingsError(f"llm is one of {', '.join(LLMS)}, not {llm!r}.", hint='leave it out for "scripted".')
        tried = variants_of(variants)
        met = (
            Scenario.all()
            if scenarios is None
            else [
                s if isinstance(s, Scenario) else Scenario.load(s)
                for s in _named(scenarios, "scenarios", Scenario, Path)
            ]
        )
        who = usual_customers() if customers is None else _named(customers, "customers")
        times = range(seeds) if isinstance(seeds, int) else [*map(_number, listed(seeds, "seeds"))]
        laws = (
            latency
            if isinstance(latency, LatencyProfile)
            else LatencyProfile.load(*_named((latency,), "latency", Path))
        )
        if (count := prod(map(len, (tried, met, who, times)))) > MOST:
            raise SettingsError(
                f"{count:,} conversations are too many for one experiment.", hint=f"ask for {MOST:,} at most."
            )
        for what, names in (("scenarios", [s.name for s in met]), ("customers", who), ("seeds", times)):
            if not names or len(set(names)) < len(names):
                raise SettingsError(f"The {what} are none, or one stands there twice.", hint=f"give other {what}.")
        inputs = {
            "variants": [_plain(v) for v in tried],
            "scenarios": [s.model_dump(mode="json") for s in met],
            "customers": list(who),
            "seeds": list(times),
            "seed": _number(seed),
            "latency": laws.to_dict(),
            "llm": llm,
            "data": data_here(who),
        }
        inputs |= {"stop_when_sure": stop_when_sure} if stop_when_sure else {}
        inputs |= {"twin": True} if twin and llm in ("recorded", "live") else {}
        return cls(
            inputs=inputs, variants={v.name: v for v in tried}, scenarios={s.name: s for s in met}, latency=laws
        )  # fmt: skip

    @classmethod
    def kept(cls, inputs: dict[str, Any]) -> Design:
        """The same of its inputs, wherever they come from. Raises `RunLogError` where templates or data are others here."""
        try:
            variants = {v["name"]: _variant(v) for v in inputs["variants"]}
            scenarios = {s["name"]: Scenario.model_validate(s) for s in inputs["scenarios"]}
            laws = LatencyProfile.kept(inputs["latency"])
            here = data_here(inputs["customers"])
            changed = [what for what, was in inputs["data"].items() if here.get(what) != was]
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise RunLogError(
                f"This is no design of an experiment ({type(exc).__name__}: {exc}).",
                hint="its rows can be read, if they are there; to play it, run it anew.",
            ) from exc
        if changed:
            raise RunLogError(
                f"The experiment was made with other data: {', '.join(changed)}.",
                hint="its rows stand; to play it again, use the data that it was made with, or run it anew.",
            )
        return cls(inputs=inputs, variants=variants, scenarios=scenarios, latency=laws)

    @cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the inputs."""
        return experiment_id(self.inputs)

    @property
    def llm(self) -> LLM:
        """What stands behind the model."""
        return cast(LLM, self.inputs["llm"])

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every conversation, in the order in which they are played: scenario by scenario, in random order.

        So whoever stops in between, or looks in between, has seen a random part of the scenarios, each with all of its
        customers, seeds and variants.
        """
        order = list(self.scenarios)
        child_rng(self.inputs["seed"], "order of scenarios").shuffle(order)
        found = (
            (variant, scenario, customer, seed)
            for scenario in order
            for customer in self.inputs["customers"]
            for seed in self.inputs["seeds"]
            for variant in self.variants
        )
        return tuple(Cell(number=n, variant=v, scenario=s, customer=c, seed=i) for n, (v, s, c, i) in enumerate(found))

    @cached_property
    def rounds(self) -> tuple[tuple[Cell, ...], ...]:
        """The cells up to each moment at which somebody looks whether it is sure; all of them where nobody does."""
        if "stop_when_sure" not in self.inputs:
            return (self.cells,)
        size = _ROUND * len(self.cells) // len(self.scenarios)
        return tuple(self.cells[at : at + size] for at in range(0, len(self.cells), size))


def _named(given: Any, what: str, *kinds: type) -> tuple[Any, ...]:
    """Names, or one of these kinds. Raises `SettingsError`."""
    for one in (found := listed(given, what)):
        if not isinstance(one, (str, *kinds)):
            raise SettingsError(f"{one!r} in place of {what}.", hint=f"give {what} by name.")
    return found


def _number(given: Any) -> int:
    """A whole number as tables hold it. Raises `SettingsError`."""
    try:
        if abs(number := index(given)) < 2**63:
            return number
    except TypeError:
        pass
    raise SettingsError(f"{given!r} is no number of a seed.", hint="use a whole number of at most 18 digits.")


_ROUND = 2  # scenarios, after which whoever wants to stop when it is sure looks at what there is


def usual_customers() -> tuple[str, ...]:
    """The invented customers whose data are as a shop has them, by name."""
    return tuple(p.name for p in Persona.all() if not p.blocked and set(p.hard) <= WELL_FORMED)


def data_here(customers: Iterable[str]) -> dict[str, Any]:
    """Fingerprints of the data on this machine that a conversation, or its score, depends on."""
    return {
        "answers": AnswerBook.load().hash,
        "catalog": Catalog.load().hash,
        "pronunciation": data_files.fingerprint(usual_pronunciation()),
        "policies": usual_policies().to_dict(),
        "customers": [data_files.fingerprint(Persona.load(name).profile) if name else "" for name in customers],
    }


@lru_cache(maxsize=1)  # it is the code that was loaded which counts
def code_here() -> str:
    """Version of the kit, and a hash of its source: two machines of one cluster must have the same."""
    package, digest = Path(data_files.__file__).parent, sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    try:
        version = metadata.version("clara-kit")
    except metadata.PackageNotFoundError:
        version = "not installed"
    return f"{version} ({digest.hexdigest()[:12]})"


def _plain(variant: Variant) -> dict[str, Any]:
    assert isinstance(variant.template, PromptTemplate) and variant.settings is not None
    template = {**variant.template.about, "source": variant.template.source}
    return {"name": variant.name, "template": template, "settings": variant.settings.model_dump(mode="json")}


def _variant(data: dict[str, Any]) -> Variant:
    kept = data["template"]
    template = PromptTemplate.from_source(kept["source"])
    if template.hash != kept["hash"]:
        raise RunLogError(
            f"The template of «{data['name']}» includes parts that have changed since ({kept['hash']}, now {template.hash}).",
            hint="its rows stand; to play it again, put back data/prompts/parts as it was.",
        )
    return Variant(name=data["name"], template=template, settings=Settings.model_validate(data["settings"]))
