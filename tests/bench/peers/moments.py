"""The same ten moments through Clara, LiveKit Agents and Pipecat: `python -m tests.bench.peers.moments`.

Whose turn is it? Each moment is a customer's sound at a given time of Clara's speech. Clara's lanes are simulated (virtual
time, exact, the same on every machine); the other two are real sessions of the packages, in an environment of their own,
in real time, with stand-ins for recogniser, model and voice that take as long as the simulation's. Writes
`data/turns/peers.json` and the page `data/turns/peers.html`. With the word `clara` only Clara's lanes are renewed (seconds),
with `page` only the page.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from clara_kit.audio.pcm import Sound, cough, white_noise
from clara_kit.audio.pronunciation import usual_pronunciation
from clara_kit.audio.voice import OfflineVoice
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.turns import usual_policies
from clara_kit.world import mouths, timelines
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import STAGES, LatencyProfile
from clara_kit.world.scheduler import World
from clara_kit.world.script import Script
from tests.bench import peers
from tests.bench.peers.page import page

ROOT = Path(__file__).parents[3]
STORED = ROOT / "data" / "turns" / "peers.json"
PAGE = STORED.with_suffix(".html")
RATE_HZ = 16_000
GREETING = "Hola, soy Clara, la asesora de la tienda. Cuéntame con calma qué estás buscando hoy."
ASKED = "¿Qué protector solar me recomiendas?"
FIGURES = {  # milliseconds, except the rates: the same for the simulation and for the other packages' stand-ins
    "stt_onset": 90, "stt_interim_every": 300, "stt_results": 200, "llm_first_token": 300, "llm_tokens_per_s": 60,
    "tts_first_chunk": 150, "tts_lead_silence": 0, "tts_realtime_factor": 0.02, "avatar_start": 0, "avatar_interrupt": 0,
    "shop_answer": 0,
}  # fmt: skip
SETTLED_MS = 9_000.0  # how long after its last event a moment is looked at
NOTE = re.compile(r"\([^()]*\)\s*")  # what the kit tells the model between a customer's words
PRESETS = {"clara_plan": "plan", "clara_tuned": "tuned"}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One moment, and what should come of it."""

    name: str
    title: str
    says: str  # what happens, for a reader
    wanted: str  # what should happen, for a reader
    lines: tuple[dict[str, Any], ...]  # of the customer, as a script has them; the last one is the moment's
    stops: bool | None = False  # whether Clara has to fall silent; None: she may, for a while
    answers: tuple[str, ...] = ()  # what has to be answered from the moment on, aloud and once each
    whole: bool = True  # whether what she was saying has to be heard to its end
    kept: bool = False  # whether what was heard of it has to stand in the history, and no more


def during(text: str, after_ms: float = 3000, **more: Any) -> tuple[dict[str, Any], ...]:
    return {"text": ASKED}, {"text": text, "interrupt_after_ms": after_ms, **more}


def sound(kind: str, ms: float) -> tuple[dict[str, Any], ...]:
    return {"text": ASKED}, {"sound": kind, "sound_ms": ms, "interrupt_after_ms": 3000}


@lru_cache(maxsize=1)
def answer() -> str:
    """What Clara answers in every moment."""
    return AnswerBook.load().reply(ASKED).text


def length_ms(text: str) -> float:
    """How long Clara's voice takes for a text."""
    return mouths.spoken_ms(text, pronunciation=usual_pronunciation())


@lru_cache(maxsize=1)
def moments() -> tuple[Moment, ...]:
    """All ten."""
    echo = " ".join(answer().split()[:6])
    return (
        Moment(
            name="backchannel", title="«Ajá» in the middle of her answer", lines=during("ajá"),
            says="Three seconds into the answer the customer says «ajá».",
            wanted="She goes on as if nothing had been; nobody answers «ajá».",
        ),
        Moment(
            name="long_backchannel", title="A backchannel that lasts", lines=during("sí, sí, claro", words_per_min=150),
            says="The customer says «sí, sí, claro», for over a second.",
            wanted="She goes on (at most more quietly); nobody answers it.",
        ),
        Moment(
            name="cough", title="A cough", lines=sound("cough", 300),
            says="The customer coughs, for 0.3 s; no words come.",
            wanted="She goes on.",
        ),
        Moment(
            name="echo", title="Her own echo", lines=during(echo, 250),
            says=f"0.25 s late the customer’s microphone brings back her own words: «{echo}».",
            wanted="She goes on; nobody answers her own words.",
        ),
        Moment(
            name="wait", title="«Espera», one word", lines=during("espera"), stops=True, answers=("espera",), whole=False, kept=True,
            says="The customer says «espera» and means it.",
            wanted="She stops, and answers «espera»; what was heard of her answer stays in the history.",
        ),
        Moment(
            name="question", title="A question cuts in", lines=during("¿y cuánto cuesta el envío?"), stops=True,
            answers=("¿y cuánto cuesta el envío?",), whole=False, kept=True,
            says="The customer asks «¿y cuánto cuesta el envío?».",
            wanted="She stops, and answers the question once; what was heard of her answer stays in the history.",
        ),
        Moment(
            name="unfinished", title="A clause that is not finished", answers=("Busco una crema para la piel seca",), whole=False,
            lines=({"text": "Busco una crema para la piel seca", "pauses": [{"after_word": 4, "ms": 850}]},), stops=None,
            says="«Busco una crema para», a pause of 0.85 s, «la piel seca».",
            wanted="She waits, and answers the whole sentence once.",
        ),
        Moment(
            name="noise", title="Two seconds of noise without words", lines=sound("noise", 2000), stops=None,
            says="A vacuum cleaner, a bus: 2 s of sound, no words.",
            wanted="She may pause; afterwards everything is said to its end, and nothing is asked of the model.",
        ),
        Moment(
            name="last_half_second", title="An answer in her last half second", answers=("Un protector solar",),
            lines=({"text": "Un protector solar", "interrupt_after_ms": round(length_ms(GREETING)) - 450},), stops=None,
            says="0.45 s before the end of her greeting, which asks, the customer answers «Un protector solar».",
            wanted="That is an answer and no interruption: her greeting counts as heard, the answer is answered once.",
        ),
        Moment(
            name="second_thought", title="A second thought, just after she has begun", stops=True, whole=False,
            lines=during("y que no tenga perfume", 300), answers=(f"{ASKED} y que no tenga perfume",),
            says="0.3 s after she has begun to answer the customer goes on: «y que no tenga perfume».",
            wanted="Her answer is taken back; both halves are answered together, once.",
        ),
    )  # fmt: skip


# --- Clara ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def figures() -> LatencyProfile:
    """The stand-ins' speeds as a latency profile."""
    stages = {
        stage: {"fixed": FIGURES.get(stage, 0), "source": "chosen for the comparison; stands for no vendor"}
        for stage in STAGES
    }
    return LatencyProfile.from_dict({"stages": stages}, name="moments")


def clara(moment: Moment, preset: str) -> dict[str, Any]:
    """One moment in the simulation: a lane."""
    settings = Settings.preset(preset).with_changes(greeting=GREETING)
    script = Script.of({"lines": list(moment.lines)}, name=moment.name)
    world = World(
        script,
        settings,
        seed=0,
        latency=figures(),
        faults=(),
        pronunciation=usual_pronunciation(),
        policies=usual_policies(),
    )
    world.play()
    trace = world.conversation.trace
    begun = sorted({r.sound_at_ms for r in trace if isinstance(r, ev.SpeechStarted) and r.source == "vad"})
    onset_ms = begun[0] if len(moment.lines) == 1 else begun[1]
    pieces: dict[int, str] = {}
    written: dict[int, str] = {}
    asked: list[do.RequestReply] = []
    number: dict[int, int] = {}  # which request an utterance answers; 0: the greeting
    for record in trace:
        if isinstance(record, do.RequestReply):
            asked.append(record)
            written[len(asked)] = ""
        elif isinstance(record, ev.ReplyDelta):
            which = next(n for n, r in enumerate(asked, 1) if r.reply_id == record.reply_id)
            written[which] += record.text
        elif isinstance(record, do.Speak) and record.utterance_id not in number:
            pieces[record.utterance_id] = record.text
            wrote = [n for n in reversed(written) if record.text.rstrip(".…") in written[n]]
            number[record.utterance_id] = 0 if record.text in GREETING else wrote[0] if wrote else len(asked)
    played: list[list[float]] = []
    ducked: list[list[float]] = []
    now: list[float] | None = None
    for record in trace:
        match record:
            case ev.SpeakingStarted():
                now = [record.at_ms, 0.0, number[record.utterance_id]]
            case do.Duck(on=True):
                ducked.append([record.at_ms, record.at_ms])
            case do.Duck() if ducked and ducked[-1][0] == ducked[-1][1]:
                ducked[-1][1] = record.at_ms
            case ev.SpeakingEnded() | ev.SpeakingInterrupted() if now is not None:
                now[1] = record.at_ms
                played.append(now)
                now = None
    history = [[m.role, m.text] for m in world.conversation.history.said]
    requests = [[r.at_ms, NOTE.sub("", r.messages[-1].text).strip()] for r in asked]
    return lane(onset_ms, played, requests, history, ducked=ducked)


def lane(
    onset_ms: float, played: Iterable[list[float]], requests: Iterable[list[Any]], history: list[list[str]],
    *, ducked: Iterable[list[float]] = (),
) -> dict[str, Any]:  # fmt: skip
    """What there is to see of one moment, in milliseconds from its sound's beginning.

    played: from, to, and which request it answers (0: the greeting). requests: when, and the customer's words in it that
    were not answered yet.
    """

    def since(ms: float) -> int:
        return round(ms - onset_ms)

    return {
        "played": [[since(a), since(b), int(n)] for a, b, n in played],
        "ducked": [[since(a), since(b)] for a, b in ducked if b > a],
        "requests": [[since(at), text] for at, text in requests],
        "history": history,
    }


# --- what the other packages are given -----------------------------------------------------------------------------


def given() -> list[dict[str, Any]]:
    """Each moment as the drivers take it: sounds, and what the recogniser tells of them, in milliseconds of their line."""
    return [
        {"name": moment.name, "lines": [_given(dict(line), n) for n, line in enumerate(moment.lines)]}
        for moment in moments()
    ]  # fmt: skip


def _given(data: dict[str, Any], number: int) -> dict[str, Any]:
    (line,) = Script.of({"lines": [data]}).lines
    after = {"greeting_ended": 700} if number == 0 else {"answer_began": line.interrupt_after_ms}
    if number == 0 and line.interrupt_after_ms is not None:
        after = {"greeting_began": line.interrupt_after_ms}
    if line.sound is not None:
        make = cough(line.sound_ms, RATE_HZ) if line.sound == "cough" else white_noise(line.sound_ms, RATE_HZ, dbfs=-22)
        return {"after": after, "sounds": [_sound(0.0, make)], "heard": [], "ends_ms": line.sound_ms}
    ear = timelines.Ear(Settings(), timelines.Drawn(figures(), 0))
    sounds, heard, ends_ms = [], [], 0.0
    for words in ear.line(line, ()):
        began_ms, ends_ms = words[0].start_ms, words[-1].end_ms
        sounds.append(_sound(began_ms, _said(" ".join(w.text for w in words), ends_ms - began_ms)))
        for event in ear.hear(words, 0.0):
            if isinstance(event, ev.TranscriptInterim | ev.TranscriptFinal):
                final = isinstance(event, ev.TranscriptFinal)
                heard.append(
                    {
                        "at_ms": event.at_ms,
                        "text": event.text,
                        "final": final,
                        "began_ms": began_ms,
                        "ended_ms": ends_ms,
                    }
                )
    return {"after": after, "sounds": sounds, "heard": heard, "ends_ms": ends_ms}


def _said(text: str, ms: float) -> Sound:
    """A text in the offline voice, stretched to last so long."""
    spoken = OfflineVoice(voice_variant="m3").synthesize(text)
    whole = spoken.sound.between(spoken.words[0].start_ms, spoken.words[-1].end_ms).at_rate(RATE_HZ)
    samples = np.asarray(whole.samples, dtype=np.float64)
    wanted = int(ms / 1000 * RATE_HZ)
    stretched = np.interp(np.linspace(0, len(samples) - 1, wanted), np.arange(len(samples)), samples)
    return Sound(stretched.astype(np.int16), RATE_HZ)


def _sound(at_ms: float, made: Sound) -> dict[str, Any]:
    return {"at_ms": at_ms, "pcm": base64.b64encode(made.to_bytes()).decode()}


def script() -> dict[str, Any]:
    """Everything a driver needs."""
    return {
        "moments": given(), "greeting": GREETING, "answer": answer(), "figures": FIGURES, "settled_ms": SETTLED_MS,
        "ms_per_char": {text: length_ms(text) / len(text) for text in (GREETING, answer())},
        "endpointing_ms": Settings().stt_endpointing_ms,
    }  # fmt: skip


# --- measuring -----------------------------------------------------------------------------------------------------

DRIVERS = {  # lane: the package, what is run, with which word behind it
    "livekit_pause": ("LiveKit Agents", "livekit_moments.py", "pause"),
    "livekit_avatar": ("LiveKit Agents", "livekit_moments.py", "avatar"),
    "pipecat": ("Pipecat", "pipecat_moments.py", "default"),
    "livekit_silence": ("LiveKit Agents", "livekit_moments.py", "silence"),
    "pipecat_silence": ("Pipecat", "pipecat_moments.py", "silence"),
}
GAP_MS = 450.0  # silences below are pieces of sound handed on, not decisions
RUNS, TOGETHER = 2, 3


def measured(folder: Path) -> dict[str, Any]:
    """The other packages' lanes: each moment twice, and of the two the one with the calmer machine."""
    told = folder / "script.json"
    told.write_text(json.dumps(script()), encoding="utf-8")
    with ThreadPoolExecutor(TOGETHER) as pool:
        ran = list(pool.map(lambda one: _run(told, *one), product(range(RUNS), DRIVERS)))
    runs = {name: [found for which, found in ran if which == name] for name in DRIVERS}
    return {name: _lanes(found, DRIVERS[name][0]) for name, found in runs.items()}


def _run(told: Path, number: int, name: str) -> tuple[str, dict[str, Any]]:
    _, driver, word = DRIVERS[name]
    out = told.with_name(f"{name}_{number}.json")
    with out.open("w", encoding="utf-8") as file:
        command = [str(peers.python()), str(peers.HERE / driver), str(told), word]
        subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, timeout=1200, check=True)
    return name, json.loads(out.read_text(encoding="utf-8").splitlines()[-1])


def _lanes(runs: list[dict[str, Any]], package: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for both in zip(*(run["moments"] for run in runs), strict=True):
        made = [
            {**lane(m["onset_ms"], _joined(m["played"]), m["requests"], m["history"]), "late_ms": m["late_ms"]}
            for m in both
        ]
        best, *others = sorted(made, key=lambda m: m["late_ms"])
        found[both[0]["name"]] = {**best, "again": others}
    return {
        "package": package,
        "version": runs[0]["version"],
        "config": runs[0]["moments"][0]["config"],
        "moments": found,
    }


def _joined(played: list[list[float]]) -> list[list[float]]:
    out: list[list[float]] = []
    for begun, ended, number in played:
        if out and out[-1][2] == number and begun - out[-1][1] < GAP_MS:
            out[-1][1] = ended
        else:
            out.append([begun, ended, number])
    return out


def claras() -> dict[str, Any]:
    """Clara's lanes, the same on every machine."""
    return {
        name: {"package": "Clara kit", "config": changed(preset), "moments": {m.name: clara(m, preset) for m in moments()}}
        for name, preset in PRESETS.items()
    }  # fmt: skip


def changed(preset: str) -> dict[str, Any]:
    """What a preset changes of the settings."""
    mine, usual = Settings.preset(preset), Settings()  # type: ignore[arg-type]
    return {name: getattr(mine, name) for name in mine.__struct_fields__ if getattr(mine, name) != getattr(usual, name)}


def about() -> list[dict[str, Any]]:
    """The moments as the page tells them."""
    told = [asdict(m) for m in moments()]
    for one, with_sounds in zip(told, given(), strict=True):
        last = with_sounds["lines"][-1]
        one["sounds"] = [
            [round(s["at_ms"]), round(s["at_ms"] + len(s["pcm"]) * 3 / 4 / 2 / RATE_HZ * 1000)] for s in last["sounds"]
        ]
        one["words"] = [[round(h["at_ms"]), h["text"], h["final"]] for h in last["heard"]]
        one["ends_ms"] = round(last["ends_ms"])
    return told


def store(lanes: dict[str, Any], day: str) -> None:
    """Write what was found."""
    found = {"measured_on": day, "figures": FIGURES, "moments": about(), "lanes": lanes}
    found |= {
        "greeting": GREETING,
        "greeting_ms": round(length_ms(GREETING)),
        "answer": answer(),
        "answer_ms": round(length_ms(answer())),
    }
    STORED.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main(what: str = "") -> int:
    """Returns the exit code."""
    if what not in ("", "clara", "page"):
        print("say nothing (measure everything), «clara» (only her lanes) or «page» (only the page)")
        return 2
    if not what:
        if missing := peers.prepare():
            print(f"LiveKit Agents and Pipecat {missing}")
            return 1
        folder = ROOT / "build" / "moments"
        folder.mkdir(parents=True, exist_ok=True)
        store({**claras(), **measured(folder)}, date.today().isoformat())
    elif what == "clara":
        old = json.loads(STORED.read_text(encoding="utf-8"))
        store({**old["lanes"], **claras()}, old["measured_on"])
    PAGE.write_text(page(json.loads(STORED.read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
