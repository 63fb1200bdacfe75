"""Whatever becomes of a run's folder: it opens with what is whole and says what is not, or says why not and what to do.

Folders as a crash, a full disk, an editor, a copy or another version leave them. A sample in `make test`, thousands in
`make soak`.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from clara_kit import Run, replay, simulate
from clara_kit.audio.pcm import silence
from clara_kit.audio.wav import read_wav, write_wav
from clara_kit.core.commands import RequestReply
from clara_kit.core.errors import AudioError, RunLogError
from clara_kit.lab.again import changes
from clara_kit.lab.keeping import parts_of
from clara_kit.lab.stepping import Stepper
from clara_kit.lab.timeline import timeline
from clara_kit.measure.run import WORDS_FILE
from clara_kit.measure.story import Story
from clara_kit.runtime.run_log import RunLog
from clara_kit.widgets.picture import svg

SIZES = [
    pytest.param(120, id="quick"),
    pytest.param(4_000, id="soak", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
]
MANIFEST, EVENTS = "manifest.json", "events.jsonl"
ODD: list[Any] = [
    None, True, -1, 0, 7, 2**53, 2**70, -(2**63) - 1, 10**400, 1e308, float("nan"), float("inf"), "", "\0", "x" * 3000, "12",
    "\ud83d", "a\u2028b\u2029c\x85d\x0be", [], {}, [[[]]], {"a": {"a": None}}, [1, "a", None], {"flags": {"x": 1}}, "live",
]  # fmt: skip
SAID = "Hola. \u2028¿Cuánto\u2029 cuesta\x85 el\x0b protector\x1c solar? 🙂"


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A conversation with a known customer, an interruption, and a sentence of every separator, as a log has it."""
    interruption = {"text": "Espera, ¿hacen despachos?", "interrupt_after_ms": 900}
    run = simulate([{"text": SAID, "typed": True}, interruption], customer="camila", seed=3)
    log = RunLog(run.inputs, root=tmp_path_factory.mktemp("runs"), title="whole")
    write_wav(log.sound_path, silence(300, 16_000))
    for end in range(0, len(run.trace), 7):
        log.append(list(run.trace[:end]))
    return log.close(list(run.trace), words=run.words)


# --- damage ---------------------------------------------------------------------------------------------

Damage = Callable[[Path, random.Random], None]


def _edit(name: str, change: Callable[[bytes, random.Random], bytes]) -> Damage:
    def damage(folder: Path, rng: random.Random) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes(), rng))

    return damage


def cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def cut_in_a_letter(raw: bytes, rng: random.Random) -> bytes:
    places = [n for n, byte in enumerate(raw) if 0x80 <= byte < 0xC0]
    return raw[: rng.choice(places)] if places else cut(raw, rng)


def nul_bytes(raw: bytes, rng: random.Random) -> bytes:
    tail = b"\0" * rng.choice([1, 4096])
    return rng.choice([raw + tail, cut(raw, rng) + tail, tail, raw[:100] + tail + raw[100:]])


def blank_lines(raw: bytes, rng: random.Random) -> bytes:
    return rng.choice([raw + b"\n\n", b"\n" + raw, raw.replace(b"\n", b"\n \t\n"), b"", b"\n"])


def as_windows_has_it(raw: bytes, rng: random.Random) -> bytes:
    text = raw.decode()
    return rng.choice(
        [raw.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + raw, text.encode("utf-16"), text.encode("cp1252", "replace")]
    )


def doubled_lines(raw: bytes, rng: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    part = lines[at][: rng.randrange(1, len(lines[at]) + 1)]  # as a disk that was full for a moment left them once
    return b"".join([*lines[:at], rng.choice([part, lines[at], b"".join(lines[:at])]), *lines[at:]])


def lost_lines(raw: bytes, rng: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    rng.shuffle(lines) if rng.random() < 0.3 else None
    return b"".join(line for line in lines if rng.random() < 0.8)


def flipped_bytes(raw: bytes, rng: random.Random) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.choice([1, 3, 50])):
        out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out)


def nested(raw: bytes, rng: random.Random) -> bytes:
    depth = rng.choice([70, 900])
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    place = raw.index(b"{", rng.randrange(len(raw) // 2)) + 1
    return raw[:place] + b'"deep":' + deep + b"," + raw[place:]


def _odd(value: Any, rng: random.Random) -> Any:
    """Something is wrong somewhere in it."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key, changed, roll = rng.choice(list(value)), dict(value), rng.random()
        if roll < 0.2:
            del changed[key]
        elif roll < 0.3:
            changed[key + "_of_a_newer_version"] = changed.pop(key)
        else:
            changed[key] = _odd(changed[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], _odd(value[at], rng), *value[at + 1 :]]
    if isinstance(value, int | float) and rng.random() < 0.3:
        return str(value)
    return rng.choice(ODD)


def wrong_fields(raw: bytes, rng: random.Random) -> bytes:
    lines = raw.decode().split("\n")
    for _ in range(rng.choice([1, 1, 5])):
        at = rng.randrange(len(lines) - 1)
        lines[at] = json.dumps(_odd(json.loads(lines[at]), rng), separators=(",", ":"))
    return "\n".join(lines).encode()


def another_version(raw: bytes, rng: random.Random) -> bytes:
    data = json.loads(raw)
    for _ in range(rng.choice([1, 1, 3])):
        part = rng.choice([data, data.get("inputs"), data.get("facts"), (data.get("inputs") or {}).get("settings")])
        if isinstance(part, dict) and part:
            key = rng.choice(list(part))
            part[key] = _odd(part[key], rng)
        elif not isinstance(data, dict):
            break
    return json.dumps(rng.choice([data, data, data, [data], {"schema": rng.choice([2, "1", 0, 2.5]), **data}])).encode()


def another_schema(raw: bytes, rng: random.Random) -> bytes:
    return json.dumps({**json.loads(raw), "schema": rng.choice([2, 99, "2", None, -1, [1], 1e300])}).encode()


def gone(folder: Path, rng: random.Random) -> None:
    for name in rng.sample([p.name for p in folder.iterdir()], rng.choice([1, 1, 2, 4])):
        (folder / name).unlink()


def a_folder_in_its_place(folder: Path, rng: random.Random) -> None:
    path = rng.choice(list(folder.iterdir()))
    path.unlink()
    path.mkdir()


def nothing_to_follow(folder: Path, rng: random.Random) -> None:
    path = rng.choice(list(folder.iterdir()))
    path.unlink()
    path.symlink_to(rng.choice([path.name, "nowhere", "/dev/null"]))


def rubbish(raw: bytes, rng: random.Random) -> bytes:
    return rng.choice([b"", b"null", b"[]", b"7", b'"x"', b"NaN", b"{}", b"{" * 50, rng.randbytes(300), b'{"a":1e999}'])


ON_EVENTS = [cut, cut, cut_in_a_letter, nul_bytes, blank_lines, as_windows_has_it, doubled_lines, lost_lines, flipped_bytes,
             nested, wrong_fields, wrong_fields, wrong_fields, rubbish]  # fmt: skip
ON_OTHERS = [cut, cut_in_a_letter, nul_bytes, as_windows_has_it, flipped_bytes, nested, rubbish]
DAMAGES: list[Damage] = [
    *(_edit(EVENTS, change) for change in ON_EVENTS),
    *(_edit(MANIFEST, change) for change in (*ON_OTHERS, *[another_version] * 5, another_schema)),
    *(_edit(WORDS_FILE, change) for change in (*ON_OTHERS, another_version)),
    *(_edit("conversation.wav", change) for change in (cut, flipped_bytes, rubbish)),
    gone, a_folder_in_its_place, nothing_to_follow,
]  # fmt: skip


def test_a_run_whose_name_was_damaged_has_that_of_its_experiment() -> None:
    run = Run(inputs={"modes": {}}, trace=(), facts={"run_id": ""})
    assert run.run_id == run.experiment_id


# --- what people do with a run ----------------------------------------------------------------------------


def use(run: Run) -> None:
    """Everything that works without its settings must work."""
    assert run.run_id and run.experiment_id and run.mix and repr(run) and run._repr_html_()
    assert len(run.turns) == len(run.ledger) and len(run.event_table) == len(run.trace)
    assert all(turn.problem is not None and turn.metrics for turn in run.ledger)
    run.to_jsonl().encode()
    again = Run.from_jsonl(run.to_jsonl())
    assert again.trace == run.trace and again.inputs.keys() == run.inputs.keys()
    shown = run.revealed()
    assert len(shown.trace) == len(run.trace) and shown._repr_html_()
    Story(shown.trace)
    line = timeline(shown.trace)
    json.dumps(line.to_dict(), allow_nan=False)
    assert all(str(change) for change in changes(run)) and dict(parts_of(run))
    assert svg(line, title=str(run.facts.get("title")), mix=run.mix).encode()
    assert 0 <= abs(run.sound_from_ms) < 1e12


def use_with_settings(run: Run) -> None:
    """What decides anew needs settings that this version has."""
    settings = run.settings
    assert replay(run).run is run
    stepper = Stepper(run.trace, settings)
    if len(stepper):
        stepper.moment(len(stepper) - 1).to_dict()


def refused(act: Callable[[], Any]) -> RunLogError | None:
    """What it was refused with, in words that say what to do."""
    try:
        act()
    except RunLogError as exc:
        return exc if exc.hint and "What to do" in str(exc) else RunLogError("there is no remedy")
    return None


def opened(read: Callable[[Any], Run], source: Any) -> Run | None:
    """The run, or nothing where it was refused in words."""
    runs: list[Run] = []
    error = refused(lambda: runs.append(read(source)))
    assert error is None or error.hint
    return runs[0] if runs else None


def check(folder: Path, original: Run) -> bool:
    """Whether it opened."""
    run = opened(Run.load, folder)
    if run is None:
        return False
    use(run)
    if error := refused(lambda: use_with_settings(run)):
        assert error.hint and error.message in run.problems
    with suppress(AudioError):
        read_wav(folder / "conversation.wav", allow_truncated=True)
    if len(run.trace) != len(original.trace) and run.facts == original.facts:
        assert run.problems
    return True


@pytest.mark.parametrize("count", SIZES)
def test_a_damaged_run_opens_with_what_is_whole_or_says_what_to_do(count: int, tmp_path: Path, whole_run: Run) -> None:
    assert whole_run.folder is not None
    opened = 0
    for number in range(count):
        rng, folder = random.Random(number), tmp_path / "run"
        shutil.copytree(whole_run.folder, folder)
        damages = [DAMAGES[number % len(DAMAGES)], *(rng.choices(DAMAGES, k=1) if rng.random() < 0.2 else ())]
        try:
            for damage in damages:
                damage(folder, rng)
        except (OSError, ValueError, TypeError, AttributeError, IndexError):
            pass  # the second found nothing left to damage
        try:
            opened += check(folder, whole_run)
        except Exception as exc:
            names = [getattr(d, "__qualname__", d) for d in damages]
            raise AssertionError(f"folder {number}, {names}: {type(exc).__name__}: {exc}") from exc
        shutil.rmtree(folder)
    assert opened > 0.7 * count


@pytest.mark.parametrize("count", SIZES)
def test_a_damaged_text_of_a_run_opens_where_its_end_was_cut_or_names_the_line(
    count: int, tmp_path: Path, whole_run: Run
) -> None:
    text, file = whole_run.to_jsonl(), tmp_path / "run.jsonl"
    assert Run.from_jsonl(text).trace == whole_run.trace
    for number in range(count):
        rng = random.Random(number)
        file.write_bytes(raw := ON_EVENTS[number % len(ON_EVENTS)](text.encode(), rng))
        texts = [raw.decode(errors=errors) for errors in ("replace", "surrogateescape")]
        for run in (opened(Run.load, file), *(opened(Run.from_jsonl, text) for text in texts)):
            if run is not None:
                assert repr(run) and run._repr_html_() and run.to_jsonl().encode() and len(run.turns) == len(run.ledger)
    whole_lines = text[: text.rindex("\n", 0, -1) + 1].encode()
    file.write_bytes(whole_lines + b'{"type":"TextTyped","at_ms":1.0,"text":"a\xc3')
    run = Run.load(file)
    assert run.trace == whole_run.trace[:-1] and "cut inside a letter" in run.problems[0] and "not whole" in repr(run)


def test_a_line_lost_in_the_middle_costs_only_itself_and_what_builds_on_it(tmp_path: Path, whole_run: Run) -> None:
    assert whole_run.folder is not None
    folder = tmp_path / "run"
    shutil.copytree(whole_run.folder, folder)
    lines = (folder / EVENTS).read_text(encoding="utf-8").split("\n")
    deltas = [n for n, line in enumerate(lines) if '"ReplyDelta"' in line]
    requests = [n for n, line in enumerate(lines) if '"RequestReply"' in line]
    for lost, records in ((deltas[-1], None), (requests[0], len(requests))):
        damaged = [line[: len(line) // 2] if n == lost else line for n, line in enumerate(lines)]
        (folder / EVENTS).write_text("\n".join(damaged), encoding="utf-8")
        run = Run.load(folder)
        assert f"Line {lost + 1}:" in run.problems[0]
        kept = iter(whole_run.trace)
        assert all(record in kept for record in run.trace)  # in order, and nothing that was not written
        asked = sum(type(record) is RequestReply for record in run.trace)
        assert asked == len(requests) if records is None else asked < records
