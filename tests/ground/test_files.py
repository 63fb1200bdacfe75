"""The project's own files: lock, layout, nothing that must not be committed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

import clara_kit

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_two_files_of_tests_have_one_name() -> None:
    names = [path.name for path in tracked() if path.match("tests/**/test_*.py")]
    assert sorted(names) == sorted(set(names))  # a run from elsewhere would take one for the other


def test_the_lock_has_every_dependency_with_hashes_and_names_no_index() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(d for name, extra in project["optional-dependencies"].items() if name not in ("room", "otel") for d in extra),
    ]
    names = {re.split(r"[<>=\[ ]", d)[0].lower() for d in wanted} - {"clara-kit"}
    locked = {m.lower() for m in re.findall(r"^([A-Za-z0-9_.-]+)==", LOCK, re.MULTILINE)}
    assert names <= locked
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK and "index" not in LOCK.split("==")[0]


def test_conda_users_get_the_same_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, _, pip = environment["dependencies"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert python == f"python{project['requires-python']}"
    assert pip == {"pip": ["--require-hashes -r requirements.lock"]}


def test_nothing_is_tracked_that_must_not_be() -> None:
    # Written so that this file does not match itself.
    banned = re.compile(
        "|".join(
            [
                "pypi" + r"\.org",
                "python" + "hosted",
                "registry" + r"\.npmjs",
                "/wo" + "rk/",
                "sk-" + "ant-",
                "eyJ" + "hbGci",
            ]
        )
    )
    for path in tracked():
        if path.suffix in {".py", ".md", ".toml", ".lock", ".yml", ".yaml", ".ipynb", ".sh", ".txt", ""}:
            assert not banned.search(path.read_text(encoding="utf-8", errors="ignore")), path


def test_the_top_level_is_as_agreed() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {
        "notebooks",
        "clara_kit",
        "data",
        "tests",
        "environment.yml",
        "README.md",
        "pyproject.toml",
        "requirements.lock",
        "Makefile",
        ".ci",
    } <= top
    assert not top & {"uv.lock", ".env"}


def test_every_make_target_is_in_its_help() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("lab", "demo", "test", "check", "bench", "soak", "walkthrough", "lock"):
        assert re.search(rf"^{target}\b", done.stdout, re.MULTILINE)


def test_every_public_name_loads() -> None:
    for name in clara_kit.__all__:
        assert getattr(clara_kit, name) is not None


def test_importing_the_package_loads_no_vendor() -> None:
    code = "import sys, clara_kit; from clara_kit import Settings; print([m for m in ('anthropic','deepgram','polars','numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
