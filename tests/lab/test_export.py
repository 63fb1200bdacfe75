"""What is exported is whole, decides as the kit does, and lets no port pass that does not."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from clara_kit.cli import main
from clara_kit.conversation import conversation as deciding
from clara_kit.conversation.policies import Policies
from clara_kit.core.errors import ClaraError
from clara_kit.core.settings import PRESETS, FeatureFlags, Settings
from clara_kit.lab.export.conversations import KINDS, MANNERS, TURNED, Conversation, chosen, conversation
from clara_kit.lab.export.export import HERE, export
from clara_kit.lab.export.shapes import COMMANDS, EVENTS, LEFT_OUT, schema
from clara_kit.lab.export.vectors import short, steps
from clara_kit.measure import codec
from clara_kit.turns import usual_policies

FEW = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "shop" / "clara"
    path.parent.mkdir()
    (path.parent / "package.json").write_text('{"type": "commonjs"}', "utf-8")  # as an older application has it
    export(path, FEW)
    return path


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "vectors.jsonl").read_bytes().splitlines()]


# --- what is in it -----------------------------------------------------------------------------------------------


def test_two_exports_are_the_same_to_the_byte(folder: Path, tmp_path: Path) -> None:
    export(tmp_path, FEW)
    names = [p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file()]
    assert {*map(str, names)} == {*read(folder, "manifest.json")["files"], "manifest.json"}
    assert all((folder / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


def test_every_setting_has_its_value_in_each_preset_and_a_reason(folder: Path) -> None:
    told = read(folder, "settings.json")
    assert [*told["presets"]] == [*PRESETS]
    assert all(Settings.model_validate(values) == Settings.preset(name) for name, values in told["presets"].items())
    names = {*Settings.__struct_fields__, *FeatureFlags.__struct_fields__} - {"flags"}
    assert {*told["fields"]} == names
    assert all(field["why"].endswith(".") for field in told["fields"].values())
    for preset, changes in PRESETS.items():
        turned = {name for name, field in told["fields"].items() if preset in field}
        assert turned == {*changes} and all(told["fields"][name][preset]["why"] for name in turned)


def test_no_reason_is_kept_for_a_setting_that_is_gone() -> None:
    named = {
        line.split(":")[0] for line in (HERE / "reasons.yml").read_text("utf-8").splitlines() if line[:1].isalpha()
    }
    assert named == {*Settings.__struct_fields__, *FeatureFlags.__struct_fields__} - {"flags"}


def test_the_prompts_tell_nothing_of_a_person_but_placeholders(folder: Path) -> None:
    prompts = {one["id"]: one for one in read(folder, "prompts.json")}
    assert {"warm", "brief", "expert", "baseline"} <= {*prompts}
    warm = prompts["warm"]
    assert "Clara" in warm["static"] and "{first_name}" in warm["example"]["greeting"]
    assert "Camila" not in json.dumps(prompts, ensure_ascii=False)


# --- the vectors -------------------------------------------------------------------------------------------------


def test_a_vector_holds_what_the_kit_decides_and_nothing_else(folder: Path) -> None:
    for line in lines(folder):
        settings = Settings.preset(line["preset"]).with_changes(**line["settings"])
        decides = deciding.Conversation(settings, policies=usual_policies())
        for step in line["steps"]:
            event = codec.from_dict(step["in"])
            out = [short(command) for command in decides.handle(event)]  # type: ignore[arg-type]
            assert json.loads(json.dumps(out)) == step.get("out", [])
            assert step.get("state") in (None, decides.state)


def test_every_kind_and_every_preset_comes_and_each_setting_under_each_preset() -> None:
    every = [chosen(n) for n in range(1000)]
    assert {kind for kind, _, _ in every[:10]} == {*KINDS}
    seen = {(kind, preset, *one) for kind, preset, changes in every for one in changes.items()}
    for kind, several in (("overlap", MANNERS), *TURNED.items()):
        turned = {one for changes in several for one in changes.items() if one[0] != "enable_response_cache"}
        assert {(kind, preset, *one) for preset in PRESETS for one in turned} <= seen
    assert all(changes["retry_jitter"] == 0 for _, _, changes in every)


def test_a_conversation_is_short_so_that_a_thousand_are_no_burden(folder: Path) -> None:
    sizes = [len(line) for line in (folder / "vectors.jsonl").read_bytes().splitlines()]
    assert max(sizes) < 100_000 and sum(sizes) / len(sizes) < 20_000


def test_the_schema_knows_every_event_and_command_of_the_vectors(folder: Path) -> None:
    shapes = schema()["$defs"]
    for line in lines(folder):
        for step in line["steps"]:
            for record in (step["in"], *step.get("out", ())):
                assert record.keys() <= shapes[record["type"]]["properties"].keys()
                assert {*shapes[record["type"]]["required"]} <= record.keys()
    assert not {cls.__name__ for cls in LEFT_OUT} & {*shapes} and len(EVENTS) + len(COMMANDS) < len(shapes)


# --- where it is written ------------------------------------------------------------------------------------------


def test_a_folder_of_yours_is_not_filled_and_a_former_export_is_renewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "port.ts").write_text("mine", "utf-8")
    assert main(["export", str(mine), "--conversations", "2"]) == 1
    assert "holds something else" in capsys.readouterr().err and [p.name for p in mine.iterdir()] == ["port.ts"]
    fresh = tmp_path / "fresh"
    assert main(["export", str(fresh), "--conversations", "2"]) == 0
    (fresh / "port.ts").write_text("mine", "utf-8")
    assert main(["export", str(fresh), "--conversations", "3"]) == 0
    assert len(lines(fresh)) == 3 and (fresh / "port.ts").read_text("utf-8") == "mine"
    said = capsys.readouterr().out
    assert "3 conversations" in said and "former export 0 conversations go otherwise" in said


def test_a_folder_whose_export_was_cut_short_passes_nobody_and_can_be_written_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = shutil.copytree(folder, tmp_path / "cut")

    def stopped(count: int) -> Iterator[bytes]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("clara_kit.lab.export.export.vectors", stopped)
        export(cut, FEW)
    done = run(cut, "example_port.ts", "--only", "first")
    assert done.returncode == 2 and "Export the folder again" in done.stderr
    assert export(cut, FEW).changed == 0 and read(cut, "manifest.json") == read(folder, "manifest.json")


@pytest.mark.parametrize("count", [0, -1, 1_000_000])
def test_a_number_that_makes_no_sense_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(ClaraError, match="cannot be written"):
        export(tmp_path / "x", count)


# --- the runner, under Node ---------------------------------------------------------------------------------------


def _node() -> str:
    """A Node that runs TypeScript as it stands: this machine's, or the one that comes with the browser's driver."""
    found = [shutil.which("node")]
    try:
        from playwright._impl._driver import compute_driver_executable

        found += [str(part) for part in compute_driver_executable()[:1]]
    except ImportError:
        pass
    for node in filter(None, found):
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
        if said.startswith("v") and tuple(map(int, said[1:].strip().split(".")[:2])) >= (22, 18):
            return node
    pytest.skip("there is no Node of 22.18 or newer, so that the runner in TypeScript was not tried")


def run(folder: Path, port: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [_node(), "check.ts", port, *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def with_port(folder: Path, name: str, was: str, becomes: str) -> str:
    text = (HERE / "example_port.ts").read_text("utf-8")
    assert text.count(was) == 1
    (folder / name).write_text(text.replace(was, becomes), "utf-8")
    return name


def test_the_example_is_right_for_the_first_conversations_and_the_runner_says_for_which_it_is_not(folder: Path) -> None:
    done = run(folder, "example_port.ts", "--only", "first")
    assert done.returncode == 0 and "3 of 3 conversations alike" in done.stdout, done.stdout + done.stderr
    done = run(folder, "example_port.ts", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["tried"] == FEW
    assert len(told["alike"]) + len(told["differences"]) == FEW and len(told["alike"]) >= 3
    by_id = {line["id"]: line for line in lines(folder)}
    for one in told["differences"]:
        assert by_id[one["id"]]["steps"][one["step"]]["in"] == one["event"]


@pytest.mark.parametrize(
    ("was", "becomes", "wanted"),
    [
        ("#settings.slow_response_ms;", "#settings.slow_response_ms + 1;", "SetTimer"),
        ("this.#reply.trim()", "this.#reply.trim().slice(0, -1)", "Speak"),
        ('[{ type: "StopListening" }]', "[]", "StopListening"),
        ('this.state = "IDLE"; return', "return", "IDLE"),
        ('text: this.#said });', 'text: this.#said.toLowerCase() });', "RequestReply"),
        ("[...this.#history] }", "[...this.#history], model: 1 } as Command", "RequestReply"),
    ],
)  # fmt: skip
def test_a_port_that_is_wrong_in_one_thing_does_not_pass(folder: Path, was: str, becomes: str, wanted: str) -> None:
    port = with_port(folder, "wrong_port.ts", was, becomes)
    done = run(folder, port, "--only", "first", "--json")
    assert done.returncode == 1, done.stderr
    seen = [one["wanted"] for one in json.loads(done.stdout)["differences"]]
    assert seen and all(wanted in (one if isinstance(one, str) else one["type"]) for one in seen)


def test_a_port_may_name_its_timers_as_it_likes(folder: Path) -> None:
    port = with_port(folder, "other_names.ts", "`slow#${++this.#timers}`", "`late-${100 + ++this.#timers}`")
    assert run(folder, port, "--only", "first").returncode == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("export default () => ({ handle() { throw new Error('boom'); } });", "boom"),
        ("export default () => ({ async handle() { return []; } });", "at once"),
        ("export default () => ({ handle() { return [null]; } });", "nothing more"),
    ],
)
def test_a_port_that_breaks_is_told_where(folder: Path, text: str, says: str) -> None:
    (folder / "broken.ts").write_text(text, "utf-8")
    done = run(folder, "broken.ts", "--first", "3")
    assert done.returncode == 1 and says in done.stdout, done.stdout + done.stderr


def test_a_port_that_answers_a_near_miss_does_not_pass_and_one_that_leaves_it_to_the_model_does(folder: Path) -> None:
    tried = [json.loads(line) for line in (folder / "questions.jsonl").read_bytes().splitlines()]
    ids = {entry["id"] for file in read(folder, "faq.json") for entry in file["answers"]}
    assert {one["entry"] for one in tried} - {None} <= ids and sum(one["entry"] is None for one in tried) > 100
    timid = "export default () => ({ handle: () => [] });\nexport const lookUp = (q, scope, faq) => "
    for rule, code, says in (
        (
            "faq.flatMap((f) => f.answers).find((a) => a.question === q && !a.skin && !a.from && !a.until)?.id ?? null;",
            0,
            " 0 wrong",
        ),
        ("faq.flatMap((f) => f.answers).find((a) => a.unlike.some((u) => u.text === q))?.id ?? null;", 1, "wrong: «"),
    ):
        (folder / "questions.ts").write_text(timid + rule, "utf-8")
        done = run(folder, "questions.ts", "--only", "questions")
        assert done.returncode == code and says in done.stdout, done.stdout + done.stderr
    assert run(folder, "example_port.ts", "--only", "questions").returncode == 2


def test_nothing_passes_where_nothing_was_tried(folder: Path, tmp_path: Path) -> None:
    for args in (["example_port.ts", "--only", "nonsense"], ["missing.ts"], ["README.md"]):
        done = run(folder, *args)
        assert done.returncode == 2 and done.stderr.strip() and not done.stdout, args
    cut = shutil.copytree(folder, tmp_path / "cut")
    vectors_file = cut / "vectors.jsonl"
    vectors_file.write_bytes(b"".join(vectors_file.read_bytes().splitlines(keepends=True)[:-1]))
    done = run(cut, "example_port.ts")
    assert done.returncode == 2 and f"{FEW - 1} conversations of {FEW}" in done.stderr


# --- whether they notice ------------------------------------------------------------------------------------------

SAME_WITHOUT = {"no_speculation", "broke_off", "apology"}
"""Rules whose absence changes nothing: what would be done then is the same."""
NO_MATTER = {"tts_speed", "llm_max_tokens", "greeting"}
"""Settings that are turned for what comes of them, and that decisions read seldom or never."""


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_port_that_lacks_one_rule_or_overlooks_one_setting_does_not_pass() -> None:
    policies = usual_policies()
    rules = {rule.name for several in vars(policies).values() for rule in several[:-1]} - SAME_WITHOUT
    several = [MANNERS, *TURNED.values()]
    settings = {name for turned in several for changes in turned for name in changes} - NO_MATTER
    for one in map(conversation, range(1000)):
        before = _decided(one, policies)
        for name in sorted(rules):
            if _decided(one, policies.without(name)) != before:
                rules.discard(name)
        for name in sorted(settings):
            if _value(one.settings, name) != (plans := _value(Settings(), name)):
                overlooked = replace(one, changes={**one.changes, name: plans})
                settings -= {name} if _decided(overlooked, policies) != before else set()
    assert not rules and not settings


def _value(settings: Settings, name: str) -> Any:
    return getattr(settings.flags if name in FeatureFlags.__struct_fields__ else settings, name)


def _decided(one: Conversation, policies: Policies) -> list[list[dict[str, Any]]]:
    outs = [step.get("out", []) for step in steps(one, policies)]
    return [[{k: v for k, v in command.items() if k not in ("reason", "by")} for command in out] for out in outs]
