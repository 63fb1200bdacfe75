"""What the doctor says of Python and the packages: new enough, whole, and those of the lock?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from clara_kit.core.paths import DATA
from clara_kit.doctor.finding import Finding

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


_AGAIN = "Install the kit anew: make clean, then make."
_SCRIPT = ("¿Hacen despachos a regiones?",)


def check_offline() -> tuple[tuple[str, str, str], ...]:
    """(name, what was found, what to do) of each piece; nothing to do means that it works."""
    tries: tuple[tuple[str, Callable[[], str]], ...] = (
        ("voice", _voice),
        ("VAD", _vad),
        ("twins", _twins),
        ("simulation", _simulation),
    )
    return tuple((name, *_tried(piece)) for name, piece in tries)


def _tried(piece: Callable[[], str]) -> tuple[str, str]:
    try:
        return piece(), ""
    except Exception as exc:  # whatever it is, it is what the person must hear
        hint = getattr(exc, "hint", "")
        return f"{type(exc).__name__}: {exc}", f"{hint} {_AGAIN}".strip()


def _voice() -> str:
    from clara_kit.audio.voice import OfflineVoice

    speech = OfflineVoice().synthesize("Hola, soy Clara.")
    if speech.sound.rms_dbfs < -60 or not speech.words:
        raise RuntimeError("the offline voice made no sound")
    return f"speaks ({speech.sound.duration_ms:.0f} ms for «Hola, soy Clara.»)"


def _vad() -> str:
    from clara_kit.audio.pcm import concat, silence
    from clara_kit.audio.vad import speech_spans
    from clara_kit.audio.voice import OfflineVoice

    speech = OfflineVoice().synthesize("Hola, buenas tardes.").sound.at_rate(16_000)
    spans = speech_spans(concat(silence(300, 16_000), speech, silence(500, 16_000)))
    if not spans:
        raise RuntimeError("the voice activity detector hears no speech in speech")
    return "tells speech from silence"


def _twins() -> str:
    import httpx

    from clara_kit.runtime.compose import compose

    services = compose("twin", profile="fast")
    services.open()
    try:
        assert services.twins is not None
        with httpx.Client(trust_env=False, timeout=3.0) as client:
            answer = client.get(f"http://127.0.0.1:{services.twins.port}/")
        if answer.status_code != 200:
            raise RuntimeError(f"the twins' server answers HTTP {answer.status_code}")
        return f"{', '.join(sorted(services.twins.addresses))} answer on 127.0.0.1"
    finally:
        services.close()


def _simulation() -> str:
    from clara_kit.world.sim import simulate

    run = simulate(list(_SCRIPT), seed=1)
    if run.to_jsonl() != simulate(list(_SCRIPT), seed=1).to_jsonl():
        raise RuntimeError("equal seeds gave unequal conversations")
    turns = [t for t in run.ledger if t.kind != "greeting"]
    if len(turns) != 1 or turns[0].problem:
        raise RuntimeError(
            f"the simulated conversation went wrong: {turns[0].problem if turns else 'no turn'}"
        )
    return "one simulated conversation, twice the same"
