"""Tries the offline world piece by piece: voice, ear, twins, and a conversation in virtual time.

Used by `checkup.py`. A piece that fails says which and what to do; the pieces after it are tried all the same.
"""

from __future__ import annotations

from collections.abc import Callable

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
