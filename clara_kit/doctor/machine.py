"""What the doctor says of this machine: Python, the packages beside the lock, and each piece of the offline world.

Used by `checkup.py`. The packages are only looked up in their metadata; the offline pieces are really tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from clara_kit.core.paths import DATA
from clara_kit.doctor.finding import Finding, State
from clara_kit.doctor.keys import ask

GROUP = "Python and packages"
EXTRAS = {
    "": "what everything needs", "audio": "offline voice and VAD", "twins": "the vendors' twins",
    "lab": "JupyterLab and widgets", "test": "the tests", "check": "style and types",
}  # fmt: skip
NEEDED_EXTRAS = ("", "audio", "twins")  # without them nothing works offline


def read_lock(path: Path = DATA.parent / "requirements.lock") -> dict[str, list[str]]:
    """Names and versions (several where they depend on Python's) of the lock; empty where there is none."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    lock: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE):
        lock.setdefault(_plain(name), []).append(version)
    return lock


def installed_packages() -> dict[str, str]:
    """Names and versions of what is installed; of two of a name the one that Python would import."""
    return {_plain(d.name): d.version for d in reversed([*metadata.distributions()]) if d.name}


def check_packages(
    installed: Mapping[str, str], requires: list[str], lock: Mapping[str, list[str]]
) -> tuple[Finding, ...]:
    """Each extra whole or not, and what differs from the lock. requires: lines as in a package's metadata."""
    wanted: dict[str, list[str]] = {}
    with_extra = r"^([\w.-]+)(?:.*extra\s*==\s*['\"]([\w-]+))?"
    for name, extra in re.findall(with_extra, "\n".join(requires), re.MULTILINE):
        if _plain(name) != "clara-kit":  # an extra that holds another
            wanted.setdefault(extra, []).append(_plain(name))
    findings = []
    for extra, what in EXTRAS.items():
        missing = sorted(n for n in wanted.get(extra, ()) if n not in installed)
        install = f"pip install -e '.[{extra}]'" if extra else "pip install -e ."
        todo = f"For {what}: {install} (or make, which installs all)." if missing else ""
        state: State = "ok" if not missing else "problem" if extra in NEEDED_EXTRAS else "absent"
        text = f"{what}: {'missing ' + ', '.join(missing) if missing else 'there'}"
        findings.append(Finding(GROUP, extra or "base", state, text, todo))
    have = {name: installed[name] for name in lock if name in installed}
    other = sorted(f"{n} {v} (lock: {' or '.join(lock[n])})" for n, v in have.items() if v not in lock[n])
    text = f"{len(have) - len(other)} packages are those of requirements.lock"
    if other:
        text += f"; {len(other)} differ: {', '.join(other[:5])}{' …' if len(other) > 5 else ''}"
    todo = "To have the locked versions: make clean, then make." if other else ""
    same_lock = Finding(GROUP, "lock", "note" if other else "ok", text, todo)
    return (*findings, same_lock) if lock else tuple(findings)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the offline world ----------------------------------------------------------------------------------


def check_offline() -> tuple[Finding, ...]:
    """Voice, VAD, twins and simulation, each tried."""
    pieces = {"voice": _voice, "VAD": _vad, "twins": _twins, "simulation": _simulation}
    return tuple(_tried(name, piece) for name, piece in pieces.items())


def _tried(name: str, piece: Callable[[], str]) -> Finding:
    try:
        return Finding("Offline world", name, "ok", piece())
    except Exception as exc:  # whatever it is, it is what the person must hear
        todo = f"{getattr(exc, 'hint', '')} Install the kit anew: make clean, then make.".strip()
        return Finding("Offline world", name, "problem", f"{type(exc).__name__}: {exc}", todo)


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
    if not speech_spans(concat(silence(300, 16_000), speech, silence(500, 16_000))):
        raise RuntimeError("the voice activity detector hears no speech in speech")
    return "tells speech from silence"


def _twins() -> str:
    from clara_kit.runtime.compose import compose

    services = compose("twin", latency="fast")
    services.open()
    try:
        assert services.twins is not None
        answer, _ = ask(f"http://127.0.0.1:{services.twins.port}/", timeout_s=3.0)
        if answer != 200:
            raise RuntimeError(f"the twins' server does not answer as it should ({answer})")
        return f"{', '.join(sorted(services.twins.addresses))} answer on 127.0.0.1"
    finally:
        services.close()


def _simulation() -> str:
    from clara_kit.world.sim import simulate

    one, other = (simulate(["¿Hacen despachos a regiones?"], seed=1) for _ in range(2))
    if one.to_jsonl() != other.to_jsonl():
        raise RuntimeError("equal seeds gave unequal conversations")
    turns = [t for t in one.ledger if t.kind != "greeting"]
    if len(turns) != 1 or turns[0].problem:
        raise RuntimeError(f"the simulated conversation went wrong: {[t.problem for t in turns]}")
    return "one simulated conversation, twice the same"
