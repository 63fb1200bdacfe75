"""What the doctor says of Python and the packages: new enough, whole, and those of the lock?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from clara_kit.core.paths import DATA
from clara_kit.runtime.finding import Finding

GROUP = "Python and packages"
EXTRAS = {
    "audio": "offline voice and VAD",
    "twins": "the vendors' twins",
    "lab": "JupyterLab and widgets",
    "test": "the tests",
    "check": "style and types",
}
NEEDED_EXTRAS = ("audio", "twins")  # without them nothing works offline


def check_python(version: tuple[int, ...]) -> Finding:
    """Is this Python new enough?"""
    said = ".".join(map(str, version))
    fine = version >= (3, 11)
    return Finding(
        group=GROUP,
        name="Python",
        state="ok" if fine else "problem",
        text=said if fine else f"{said} is too old",
        todo="" if fine else "Install Python 3.11 or newer, delete .venv, and run make again.",
    )


def read_lock(path: Path | None = None) -> dict[str, tuple[str, ...]]:
    """Names and versions (several where they depend on Python's) of the lock; empty where there is none."""
    path = path or DATA.parent / "requirements.lock"
    if not path.is_file():
        return {}
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    lock: dict[str, tuple[str, ...]] = {}
    for name, version in pins:
        lock[_plain(name)] = (*lock.get(_plain(name), ()), version)
    return lock


def check_packages(
    installed: Callable[[str], str | None], requires: list[str], lock: Mapping[str, tuple[str, ...]]
) -> tuple[Finding, ...]:
    """Each extra whole or not, and what differs from the lock."""
    wanted: dict[str, list[str]] = {}
    for line in requires:
        name = re.match(r"[A-Za-z0-9_.-]+", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if name and _plain(name[0]) != "clara-kit":
            wanted.setdefault(extra[1] if extra else "", []).append(_plain(name[0]))
    findings = [_extra(extra, wanted.get(extra, []), installed) for extra in ("", *EXTRAS)]
    have = {name: installed(name) for name in lock}
    other = sorted(
        f"{n} {v} (lock: {' or '.join(lock[n])})" for n, v in have.items() if v and v not in lock[n]
    )
    same = sum(v in lock[n] for n, v in have.items())
    if lock:
        text = f"{same} packages are those of requirements.lock"
        more = f"; {len(other)} differ: {', '.join(other[:5])}{' …' if len(other) > 5 else ''}"
        findings.append(
            Finding(
                group=GROUP,
                name="lock",
                state="note" if other else "ok",
                text=text + (more if other else ""),
                todo="To have the locked versions: make clean, then make." if other else "",
            )
        )
    return tuple(findings)


def _extra(extra: str, names: list[str], installed: Callable[[str], str | None]) -> Finding:
    missing = sorted(n for n in names if installed(n) is None)
    needed = not extra or extra in NEEDED_EXTRAS
    what = EXTRAS.get(extra, "what everything needs")
    install = f"pip install -e '.[{extra}]'" if extra else "pip install -e ."
    return Finding(
        group=GROUP,
        name=extra or "base",
        state="ok" if not missing else "problem" if needed else "absent",
        text=f"{what}: {'missing ' + ', '.join(missing) if missing else 'there'}",
        todo=f"For {what}: {install} (or make, which installs all)." if missing else "",
    )


def installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
