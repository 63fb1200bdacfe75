"""`clara export`: one folder with what the shop's application needs of the kit, whatever it is written in.

After everything else: it reads settings, words, prompts and answers as they are now, and plays the vectors. Equal builds
give equal bytes; there is no date in it and no path.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from clara_kit import data_files
from clara_kit.cache.faq import read_faq
from clara_kit.cache.responses import Hit, Scope, usual_cache
from clara_kit.core.errors import ClaraError
from clara_kit.core.paths import DATA
from clara_kit.core.settings import PRESETS, FeatureFlags, Preset, Settings
from clara_kit.lab.export.conversations import KINDS
from clara_kit.lab.export.shapes import COMMANDS, EVENTS, schema, typescript
from clara_kit.lab.export.vectors import vectors
from clara_kit.measure import codec
from clara_kit.prompts import file as template_file
from clara_kit.prompts.briefing import brief
from clara_kit.prompts.template import PromptTemplate
from clara_kit.turns import usual_lexicon
from clara_kit.world.personas import Persona

HERE = Path(__file__).parent
AS_THEY_ARE = ("check.ts", "example_port.ts")
CONVERSATIONS, MOST = 1000, 100_000
EXAMPLE = "camila"  # the invented customer of whom the prompts' personal part is shown
_WRITER = "clara export"


class Exported(Struct, frozen=True, kw_only=True):
    """What was written: how many conversations and steps, and which events and commands none of them has.

    changed: so many of the conversations that a former export had too are played or decided otherwise now; None: there was none.
    """

    folder: Path
    conversations: int
    steps: int
    size_bytes: int
    untried: tuple[str, ...]
    changed: int | None


def export(folder: str | Path, conversations: int = CONVERSATIONS) -> Exported:
    """Write the folder, in place of a former export; files of yours in it stay. Raises `ClaraError`."""
    folder = Path(folder)
    if not 1 <= conversations <= MOST:
        raise ClaraError(f"{conversations} conversations cannot be written.", hint=f"ask for 1 to {MOST:,}.")
    _check(folder)
    written: dict[str, str] = {}
    size = 0

    def write(name: str, data: bytes) -> None:
        nonlocal size
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written[name] = sha256(data).hexdigest()
        size += len(data)

    seen: Counter[str] = Counter()
    try:
        before = _lines(folder / "vectors.jsonl")
        write("manifest.json", _json({"written_by": _WRITER, "conversations": 0}))  # until all is there
        for name, make in _PARTS.items():
            write(name, _json(make()))
        for name, text in _sources():
            write(name, text)
        write("questions.jsonl", b"".join(msgspec.json.encode(one) + b"\n" for one in questions()))
        write("types.ts", typescript().encode())
        write("vectors.jsonl", b"".join(line + b"\n" for line in _counted(vectors(conversations), seen)))
        del written["manifest.json"]
        manifest = {
            "written_by": _WRITER, "kit": version("clara-kit"), "schema": codec.SCHEMA, "conversations": conversations,
            "steps": seen["steps"], "files": written,
        }  # fmt: skip
        write("manifest.json", _json(manifest))
    except OSError as exc:
        hint = "choose a folder that you may write to, on a disk with 20 MB to spare."
        raise ClaraError(f"{folder} cannot be written: {exc.strerror}.", hint=hint) from exc
    untried = tuple(cls.__name__ for cls in (*EVENTS, *COMMANDS) if not seen[cls.__name__])
    now = _lines(folder / "vectors.jsonl")
    return Exported(
        folder=folder, conversations=conversations, steps=seen["steps"], size_bytes=size, untried=untried,
        changed=sum(was != line for was, line in zip(before, now)) if before else None,
    )  # fmt: skip


def _check(folder: Path) -> None:
    """Nobody's folder is filled by mistake."""
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return
        said = json.loads((folder / "manifest.json").read_bytes())
    except NotADirectoryError as exc:
        raise ClaraError(f"{folder} is a file.", hint="name a folder.") from exc
    except (OSError, ValueError):
        said = None
    if not isinstance(said, dict) or said.get("written_by") != _WRITER:
        hint = "name a new folder, or one of a former export."
        raise ClaraError(f"{folder} holds something else.", hint=hint)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def _counted(lines: Iterator[bytes], seen: Counter[str]) -> Iterator[bytes]:
    for line in lines:
        for step in msgspec.json.decode(line)["steps"]:
            seen["steps"] += 1
            seen.update(record["type"] for record in (step["in"], *step.get("out", ())))
        yield line


def _json(value: Any) -> bytes:
    return (json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=1) + "\n").encode()


# --- the parts --------------------------------------------------------------------------------------------------


def settings() -> dict[str, Any]:
    """Each preset whole, and of each setting its environment variable, its usual value and why it is there."""
    presets = {name: Settings.preset(cast(Preset, name)).model_dump() for name in PRESETS}
    reasons = data_files.data(HERE / "reasons.yml")
    fields = {}
    for name in (*FeatureFlags.__struct_fields__, *(n for n in Settings.__struct_fields__ if n != "flags")):
        told = reasons[name]
        told = told if isinstance(told, dict) else {"why": told}
        usual, *others = (_value(presets[preset], name) for preset in presets)
        fields[name] = {
            "env": name.upper(), "usual": usual, "why": told["why"],
            **{preset: {"value": value, "why": told.get(preset) or told.get("tuned", "")}
               for preset, value in zip([*presets][1:], others) if value != usual},
        }  # fmt: skip
    return {"presets": presets, "fields": fields}


def _value(preset: dict[str, Any], name: str) -> Any:
    return preset["flags"][name] if name in preset["flags"] else preset[name]


def lexicon() -> dict[str, list[str]]:
    """The words of `data/turns/`, as decisions hold them: without accents and capitals."""
    known = usual_lexicon()
    return {name: sorted(getattr(known, name)) for name in known.__struct_fields__ if name != "openers"}


def openers() -> list[str]:
    """The prepared phrases as they are said, in their order: which one is taken goes by it."""
    return [*usual_lexicon().openers]


def faq() -> list[Any]:
    """The curated questions and answers, file by file."""
    return [{"file": path.name, **data_files.data(path)} for path in sorted((DATA / "faq").glob("*.yml"))]


def questions() -> Iterator[dict[str, Any]]:
    """Ways of asking and near misses, for whom and when, each with the entry that the kit answers with (null: it asks the
    model), and why."""
    kept = usual_cache()
    for entry in read_faq():
        fits = {"skin": (*entry.skin, "")[0], "date": entry.days[0] or entry.days[1]}
        scopes: list[dict[str, str]] = [{}, {name: value for name, value in fits.items() if value}]
        for question in (entry.question, *entry.asked, *(near.text for near in entry.unlike)):
            for scope in scopes if scopes[1] else scopes[:1]:
                found = kept.look_up(question, Scope(**scope))
                answer = found.entry.id if isinstance(found, Hit) else None
                yield {"question": question, "scope": scope, "entry": answer, "why": found.why}


def pronunciation() -> list[list[str]]:
    """How names are said: as written, as said."""
    rows = data_files.text(DATA / "pronunciation.csv").splitlines()[1:]
    return [row.split(",", 1) for row in rows if row.strip()]


def prompts() -> list[dict[str, Any]]:
    """The shipped templates as a stranger's prompt and, with placeholders, as that of an invented customer."""
    known = Persona.load(EXAMPLE).profile
    return [_prompt(PromptTemplate.load(path), known) for path in sorted(template_file.SHIPPED.glob("*.md"))]


def _prompt(template: PromptTemplate, known: Any) -> dict[str, Any]:
    stranger, customer = brief(template), brief(template, known)
    return {
        **template.about, "description": template.description, "variables": list(template.variables),
        "static": stranger.prompt.static, "greeting": stranger.greeting,
        "example": {"personal": customer.hidden_prompt.personal, "greeting": customer.hidden_greeting},
    }  # fmt: skip


_PARTS: dict[str, Callable[[], Any]] = {
    "settings.json": settings, "lexicon.json": lexicon, "openers.json": openers, "faq.json": faq,
    "pronunciation.json": pronunciation, "prompts.json": prompts, "schema.json": schema, "package.json": lambda: {"private": True, "type": "module"},
}  # fmt: skip


def _sources() -> Iterator[tuple[str, bytes]]:
    """Files that go over as they are: the prompts' own text, the runner and what explains it."""
    for path in sorted(template_file.SHIPPED.glob("*.md")) + sorted(template_file.PARTS.glob("*.md")):
        yield f"prompts/{path.relative_to(template_file.SHIPPED).as_posix()}", data_files.raw(path)
    for name in AS_THEY_ARE:
        yield name, data_files.raw(HERE / name)
    kinds = "\n".join(f"| `{kind}` | {told} |" for kind, told in KINDS.items())
    yield "README.md", data_files.text(HERE / "README.md").replace("KINDS", kinds).encode()
