"""A recorded conversation played once more by this build, and what it depends on that is no longer as it was.

`replay` decides the recorded events again; here the customer says her lines again, and everything else is new. For a
simulation that is the whole proof: equal inputs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any, Literal

from msgspec import structs

from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.conversation.policies import Policies
from clara_kit.core.errors import ClaraError, RunLogError
from clara_kit.data_files import fingerprint
from clara_kit.lab.retold import persona_of, template_of
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story, Utterance, Words
from clara_kit.prompts.briefing import brief
from clara_kit.prompts.catalog import Catalog
from clara_kit.runtime.run_log import code, versions
from clara_kit.turns import usual_policies
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import Fault
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.script import Line, Script
from clara_kit.world.sim import simulate

Kind = Literal["prompt", "data", "settings", "policy", "package", "code"]
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a run depends on, as it was `then` and as it is `now`; `NOTHING` where there is or was none."""

    kind: Kind
    name: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.then} → {self.now}"


def again(run: Run, *, faults: Iterable[Fault] | None = None, **settings: Any) -> Run:
    """The same conversation, simulated by this build: lines, settings, seed, and today's prompt, customer and data.

    faults: other ones than were played in it on purpose. settings: changes of those that it was run with.

    Of a run that was no simulation the lines are those that were heard, at the same distance from what Clara said. Raises
    `RunLogError` where it has none, or cannot be read.
    """
    inputs, template = run.inputs, run.inputs.get("template")
    laws = inputs.get("latency", inputs.get("profile"))
    told: Any = template_of(template) if isinstance(template, dict) else inputs.get("prompt")
    try:
        script = script_of(run)
        if faults is None:  # the script brings its own
            faults = [Fault.from_dict(one) for one in inputs.get("faults") or ()][len(script.faults) :]
        else:
            script = structs.replace(script, faults=())
        played = simulate(
            script,
            run.settings.with_changes(**settings),
            seed=seed if isinstance(seed := inputs.get("seed"), int) else 0,
            latency=LatencyProfile.kept(laws) if isinstance(laws, dict) else "published",
            faults=faults,
            customer=persona_of(inputs.get("customer")),
            template=told or None,
        )
    except (ClaraError, KeyError, TypeError, ValueError) as exc:
        why = exc.message if isinstance(exc, ClaraError) else type(exc).__name__
        hint = "`replay(run)` and `run.turns` may still work."
        raise RunLogError(f"This conversation cannot be played again: {why}", hint=hint) from exc
    played.facts["title"] = run.title or played.title
    return played


def script_of(run: Run) -> Script:
    """What the customer said, as a script: the one that it was simulated with, or the lines that were heard."""
    given = run.inputs.get("script")
    if isinstance(given, dict):
        return Script.of(given)
    lines: list[Line] = []
    before: Utterance | None = None
    for said in Story(run.shown().trace).said:
        if isinstance(said, Utterance):
            before = said if said.started_ms is not None else before
        elif said.text.strip():
            lines.append(_line(said, before))
    if not lines:
        raise RunLogError("The customer said nothing in this conversation.", hint="choose another one.")
    return Script.of({"title": run.title or "untitled", "lines": lines})


def _line(said: Words, before: Utterance | None) -> Line:
    typed = said.kind == "typed"
    if before is None or before.started_ms is None:
        return Line(text=said.text, typed=typed)
    after_ms = said.began_ms - (said.began_ms if before.stopped_ms is None else before.stopped_ms)
    if before.stopped_ms is None or after_ms < 0 or before.cut:
        at_ms = min(600_000.0, max(0.0, said.began_ms - before.started_ms))
        return Line(text=said.text, typed=typed, interrupt_after_ms=round(at_ms, 3))
    return Line(text=said.text, typed=typed, after_clara_ms=round(min(600_000.0, after_ms), 3))


def changes(run: Run, policies: Policies | None = None) -> tuple[Change, ...]:
    """What has changed since a run was recorded, of all that its inputs and facts keep."""
    by_rule = partial(_policies, policies=policies or usual_policies())
    told: list[Change] = []
    finds: tuple[tuple[Kind, Callable[[Run], Iterator[Change]]], ...] = (
        ("prompt", _prompts), ("data", _data), ("settings", _settings), ("policy", by_rule), ("package", _made_with),
    )  # fmt: skip
    for kind, find in finds:
        try:
            told += find(run)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # a manifest may be damaged anywhere
            told.append(Change(kind, "what was kept of it", "cannot be read", NOTHING))
    return tuple(told)


def _prompts(run: Run) -> Iterator[Change]:
    about = run.inputs.get("template")
    if not isinstance(about, dict):
        return
    name = f"{about.get('id')} v{about.get('version')}"
    try:
        now = template_of(about)
    except ClaraError:
        yield Change("prompt", name, str(about.get("hash")), NOTHING)
        return
    if now.hash != about.get("hash"):
        yield Change("prompt", name, str(about.get("hash")), now.hash)
    was = run.inputs.get("prompt")
    if isinstance(was, str) and now.hash != about.get("hash"):
        text = brief(now).prompt.text
        for number, (a, b) in enumerate(zip_longest(was.splitlines(), text.splitlines()), start=1):
            if a != b:
                yield Change("prompt", f"{name}, line {number}", *apart(a or NOTHING, b or NOTHING))
                return


def apart(then: str, now: str, around: int = 24) -> tuple[str, str]:
    """Where two texts begin to differ, with some words on either side."""
    at = next((n for n, (a, b) in enumerate(zip(then, now)) if a != b), min(len(then), len(now)))
    end = next(
        (n for n, (a, b) in enumerate(zip(then[at:][::-1], now[at:][::-1])) if a != b), min(len(then), len(now)) - at
    )
    cut = [(text[max(0, at - around) : len(text) - end + around], len(text)) for text in (then, now)]
    before = "…" if at > around else ""
    return tuple(f"«{before}{text}{'…' if end > around else ''}»" for text, _ in cut)  # type: ignore[return-value]


def _data(run: Run) -> Iterator[Change]:
    inputs = run.inputs
    latency = inputs.get("latency", inputs.get("profile"))
    known: dict[str, tuple[str, Callable[[], str]]] = {
        "pronunciation": ("data/pronunciation.csv", lambda: fingerprint(usual_pronunciation())),
        "catalog": ("data/catalog/products.json", lambda: Catalog.load().hash),
        "answers": ("data/answers/skincare_es.yaml", lambda: AnswerBook.load().hash),
    }
    for name, (file, now) in known.items():
        if isinstance(then := inputs.get(name), str):
            try:
                is_now = now()
            except ClaraError:
                is_now = NOTHING
            if then != is_now:
                yield Change("data", file, then, is_now)
    if isinstance(latency, dict) and latency != (is_there := _shipped(str(latency.get("name")))):
        laws = is_there["laws"] if is_there else {}
        for stage, law in (latency.get("laws") or {}).items():
            if law != laws.get(stage):
                where = f"data/latency/{latency.get('name')}.yaml, {stage}"
                yield Change("data", where, _figures(law), _figures(laws.get(stage)))
    if inputs.get("customer") and not run.of_a_person and persona_of(inputs.get("customer")) is None:
        yield Change("data", "data/customers", str(inputs["customer"]), NOTHING)


def _figures(law: Any) -> str:
    return " ".join(f"{part:g}" if isinstance(part, float | int) else str(part) for part in law or ()) or NOTHING


def _shipped(name: str) -> dict[str, Any]:
    try:
        return LatencyProfile.load(name).to_dict()
    except ClaraError:
        return {}


def _settings(run: Run) -> Iterator[Change]:
    was = run.inputs.get("settings")
    try:
        now = run.settings.model_dump(mode="json")
    except RunLogError as exc:
        yield Change("settings", "all", exc.message, NOTHING)
        return
    before = _flat(was)
    yield from (Change("settings", k, before.get(k, NOTHING), v) for k, v in _flat(now).items() if before.get(k) != v)


def _flat(settings: Any) -> dict[str, str]:
    """Names with those of the flags, and values as text."""
    parts = settings.items() if isinstance(settings, dict) else ()
    return {
        k: v for key, part in parts for k, v in (_flat(part) if isinstance(part, dict) else {key: str(part)}).items()
    }


def _policies(run: Run, policies: Policies) -> Iterator[Change]:
    """One line a rule: its version, or the lists of words that it knows."""
    was = run.inputs.get("policies")
    if not isinstance(was, dict):
        yield Change("policy", "all", "without versions", "with versions")
        return
    words: set[tuple[str, str]] = set()
    for room, rules in policies.to_dict().items():
        then, now = ({str(r).split()[0]: str(r).split()[1:] for r in of or ()} for of in (was.get(room), rules))
        for name in dict.fromkeys((*then, *now)):
            a, b = then.get(name), now.get(name)
            if a is not None and b is not None and a[:1] == b[:1]:
                words |= {(str(x or NOTHING), str(y or NOTHING)) for x, y in zip_longest(a[1:], b[1:]) if x != y}
            elif a != b:
                yield Change("policy", f"{room}.{name}", *(NOTHING if v is None else f"version {v[0]}" for v in (a, b)))
        common = [n for n in then if n in now], [n for n in now if n in then]
        if common[0] != common[1]:
            yield Change("policy", f"{room}: their order", *(", ".join(names) for names in common))
    yield from (Change("data", "data/turns/es-419.yml", a, b) for a, b in sorted(words))


def _made_with(run: Run) -> Iterator[Change]:
    was = run.facts.get("versions")
    if isinstance(was, dict):
        for name, version in versions().items():
            if was.get(name) != version:
                yield Change("package", name, str(was.get(name, NOTHING)), version)
    then, now = (_commit(of) for of in (run.facts, code()))
    if "commit" in run.facts and then != now:
        yield Change("code", "clara_kit", then, now)


def _commit(facts: dict[str, Any]) -> str:
    patch = facts.get("patch")
    edited = f", edited ({fingerprint(patch)[:7]})" if patch else ""
    return f"{str(facts.get('commit') or 'unknown')[:7]}{edited}"
