"""Customers who do anything at any time, over services of any speed: what must hold of every conversation whatsoever.

`python -m tests.conversation.random_customers 2000 [first seed]` plays so many and names the seeds that break something.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any
from zlib import crc32

from clara_kit.conversation.lexicon import plain
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated, StateChanged
from clara_kit.core.settings import Settings
from clara_kit.core.states import TRANSITIONS
from clara_kit.core.states import ConversationState as S
from clara_kit.world.faults import Fault
from clara_kit.world.latency import LatencyProfile
from tests.conversation import stage
from tests.conversation.stage import Act, Stage

THINGS = [
    "crema",
    "gel",
    "sérum",
    "bálsamo",
    "tónico",
    "jabón",
    "champú",
    "perfume",
    "labial",
    "brocha",
    "espejo",
    "toalla",
    "loción",
    "mascarilla",
    "delineador",
    "rubor",
    "esmalte",
    "aceite",
    "talco",
    "peine",
]
ASKS = (
    "Quiero {}.",
    "¿Cuánto cuesta {}?",
    "Mejor muéstrame {}.",
    "Necesito saber de {}.",
    "{}",
    "No, espera, busco {}.",
)
OPEN = ("Y también quería |{s}| {}.", "Busco algo para |{s}| {}.", "Me gustaría un |{s}| {}.")
DOES = ("ask", "ask", "open", "nod", "cough", "noise", "ear", "withdrawn", "late", "typed", "both", "button")
BREAKS = (
    ("avatar", "cut"), ("tts", "cut"), ("llm", "cut"), ("llm", "stall"), ("llm", "refuse"), ("avatar", "slow"), ("avatar", "no_end"),
    ("stt", "cut"), ("stt", "no_end"), ("stt", "slow"),
)  # fmt: skip
NODS = ("ajá", "mmm", "sí", "claro", "ya", "ok", "dale")
ENDS = [
    "Avellana",
    "Bergamota",
    "Canela",
    "Damasco",
    "Espino",
    "Frambuesa",
    "Guinda",
    "Higuera",
    "Jazmín",
    "Lavanda",
    "Manzanilla",
    "Naranja",
    "Olivo",
    "Pomelo",
    "Romero",
    "Sándalo",
]


class Answers:
    """Every question has an answer of its own, in one to four sentences."""

    hash = "random customers"

    def reply(self, text: str, *_: Any) -> stage._Text:
        return stage._Text(answer(text))


def answer(question: str) -> str:
    """The answer to a question: always the same, and another than to any other."""
    n = crc32(" ".join(plain(question)).encode())
    names = [ENDS[(n >> shift) % len(ENDS)] for shift in (0, 4, 8, 12, 16)]
    sentences = (
        f"Para eso está la línea {names[0]} {names[1]}.", f"Viene de la zona de {names[2]} y dura harto tiempo.",
        f"La gente la combina con {names[3]}, que le queda bien.", f"Queda una caja de {names[4]}.",
    )  # fmt: skip
    return " ".join(sentences[: 1 + n % 4])


@dataclass
class Played:
    """One conversation, and what its customer said."""

    seed: int
    preset: str
    settings: Settings
    stage: Stage
    wanted: list[str]  # words that must be answered exactly once
    faults: tuple[Fault, ...]

    @property
    def trace(self) -> list[Any]:
        return self.stage.conversation.trace


def _latency(rng: Random) -> LatencyProfile:
    """Anything between a machine in the next room and a bad day."""
    base = stage.worlds()[rng.choice(("published", "0.8 s"))]
    laws: dict[str, float] = {}
    if rng.random() < 0.4:
        laws["llm_tokens_per_s"] = rng.choice((3.0, 6.0, 12.0, 60.0))
    if rng.random() < 0.3:
        laws["llm_first_token"] = rng.uniform(20, 3000)
    if rng.random() < 0.3:
        laws["stt_results"] = rng.uniform(10, 900)
    if rng.random() < 0.3:
        laws["avatar_start"] = rng.uniform(10, 2500)
    if rng.random() < 0.3:
        laws["avatar_interrupt"] = rng.uniform(5, 800)
    if rng.random() < 0.5:
        laws["stt_interim_every"] = rng.choice((150.0, 300.0, 500.0))
    return stage.changed(base, laws)


def _settings(rng: Random) -> tuple[str, Settings]:
    which = rng.choice(("plan", "tuned", "tuned", "any"))
    if which != "any":
        return which, Settings.preset(which)  # type: ignore[arg-type]
    changes: dict[str, Any] = {
        "sustained_ms": rng.choice((0, 300, 500, 700)), "duck": rng.random() < 0.6, "taken_back_ms": rng.choice((0, 600, 1000)),
        "finalize_short_sounds": rng.random() < 0.6, "ignore_backchannels": rng.random() < 0.7, "ignore_echo": rng.random() < 0.5,
        "unfinished_hold_ms": rng.choice((0, 1000, 1500)), "turn_hold_ms": rng.choice((0, 0, 400)),
        "no_words_after_sound_ms": rng.choice((0, 600, 800)), "protected_opening_ms": rng.choice((0, 0, 500)),
        "enable_chunked_heygen": rng.random() < 0.8, "local_vad": rng.random() < 0.85,
        "barge_in_debounce_ms": rng.choice((50, 100, 300)),
    }  # fmt: skip
    return which, Settings.of(**changes)


def _faults(rng: Random) -> tuple[Fault, ...]:
    """Mostly nothing; else one service breaks once, and comes back."""
    if rng.random() < 0.7:
        return ()
    service, kind = rng.choice(BREAKS)
    for_ms = rng.uniform(200, 3000) if kind in ("slow", "stall") else 0.0
    return (Fault(service=service, kind=kind, on=rng.randint(1, 3), after_ms=rng.uniform(0, 4000), for_ms=for_ms),)  # type: ignore[arg-type]


def _acts(rng: Random) -> tuple[list[Act], list[str]]:
    things = rng.sample(THINGS, 14)
    at_ms, acts, wanted = 500.0, [], []
    for number in range(rng.randint(1, 6)):
        kind = rng.choice(DOES) if number else "ask"
        act, thing = Act("start", at_ms), things[number]
        length_ms = 300.0
        match kind:
            case "ask":
                said = rng.choice(ASKS).format(thing)
                act.line = stage.line(said, wpm=rng.choice((120, 165, 220)))
            case "open":
                act.line = stage.line(rng.choice(OPEN).format(thing, s=rng.choice((0.4, 0.7, 1.0))))
            case "nod":
                act.line = stage.line(rng.choice(NODS), s=rng.uniform(0.2, 0.9))
            case "cough":
                act.sound_ms = length_ms = rng.uniform(80, 500)
            case "noise":
                act.sound_ms = length_ms = rng.uniform(700, 6000)
            case "ear":
                act.ears = {rng.choice(("vad", "vendor")): [0, rng.uniform(0.2, 2.0)]}
                length_ms = 2000.0
            case "withdrawn":
                act.ears = {
                    "vad": [0, 0.6],
                    "vendor": [0.05, None],
                    "interim": [[rng.uniform(0.4, 0.8), "es que"]],
                    "final": [1.4, ""],
                    "said": [0, 0.6],
                }
                length_ms = 1500.0
            case "late":
                wait_s = rng.uniform(0.3, 3.0)
                act.ears = {
                    "vad": [0, 1.0],
                    "vendor": [0.05, None],
                    "interim": [[0.7, "quiero"]],
                    "final": [1.0 + wait_s, f"quiero {thing}"],
                    "said": [0, 1.0],
                }
                length_ms = 1100.0 + wait_s * 1000
            case "both":  # another thing is typed while the first is said
                other = things[-1]
                act.ears = {
                    "vad": [0, 1.0], "vendor": [0.05, None], "interim": [[0.7, f"quiero {thing}"]],
                    "typed": [0.9, f"y {other}"], "final": [1.5, f"quiero {thing}"], "said": [0, 1.0],
                }  # fmt: skip
                wanted.append(_bare(other))
                things.remove(other)
                length_ms = 1600.0
            case "button":
                act.ears = {"button": 0.0}
                length_ms = 50.0
            case _:
                act.typed = f"quiero {thing}"
        if act.line is not None:
            length_ms = stage.word_times(act.line)[-1].end_ms
        if kind in ("ask", "open", "late", "typed", "both"):
            wanted.append(_bare(thing))
        acts.append(act)
        # «Late» words are over before the next begin: whose words they are would not be known otherwise.
        at_ms += length_ms + rng.choice((rng.uniform(250, 1500), rng.uniform(1500, 9000), rng.uniform(300, 700)))
    return acts, wanted


def _bare(thing: str) -> str:
    return plain(thing)[0]


def play(seed: int) -> Played:
    """One conversation."""
    rng = Random(f"random customers {seed}")
    preset, settings = _settings(rng)
    latency = _latency(rng)
    acts, wanted = _acts(rng)
    greeting = rng.choice(("", "Hola, soy Clara, de Beta Skincare. Cuéntame qué necesitas."))
    faults = _faults(rng)
    if any(
        act.ears for act in acts
    ):  # raw words keep their times: a recogniser that is late would tell them out of order
        faults = tuple(fault for fault in faults if fault.service != "stt")
    played = Stage(settings, latency, acts=acts, seed=seed, clara=greeting, faults=faults)
    played.writer.book = Answers()  # type: ignore[assignment]
    played.play(at_most_ms=300_000)
    return Played(seed, preset, settings, played, wanted, faults)


def broken(played: Played) -> list[str]:
    """What does not hold of it."""
    trace, conversation = played.trace, played.stage.conversation
    wrong = stage.mistakes(trace)
    wrong += _orders(trace)
    result = stage.outcome(trace, conversation.history)
    roles = [m.role for m in conversation.history.said]
    if any(a == b for a, b in zip(roles, roles[1:])):
        wrong.append(f"the history does not alternate: {roles}")
    states = [r for r in trace if isinstance(r, StateChanged)]
    wrong += [f"invalid transition {r.source}->{r.target}" for r in states if r.target not in TRANSITIONS[r.source]]
    if states and states[-1].target is not S.IDLE:
        wrong.append(f"it ended in {states[-1].target}")
    asked = Counter(word for text in result.asked for word in plain(text))
    for word in played.wanted:
        if asked[word] != 1:
            wrong.append(f"«{word}» is in {asked[word]} answered turns: {result.asked}")
    requests = [r for r in trace if isinstance(r, do.RequestReply)]
    gave_out = any(f.service == "llm" for f in played.faults)  # the model broke off: what it had written is said
    pressed = [r.at_ms for r in trace if isinstance(r, ev.InterruptRequested)]
    if requests and not gave_out and all(at_ms < requests[-1].at_ms for at_ms in pressed):
        later = stage.outcome([r for r in trace if r.at_ms >= requests[-1].at_ms], conversation.history).spoken
        if not stage.said_whole(answer(requests[-1].text), later):
            wrong.append(f"the answer to «{requests[-1].text}» was not said whole: {later}")
    return wrong


def _orders(trace: list[Any]) -> list[str]:
    """No sound and no order for what is over, one utterance at a time, what is lowered comes back, heard is a prefix."""
    wrong: list[str] = []
    alive: dict[int, bool] = {}
    texts: dict[int, list[str]] = {}
    cut: set[int] = set()
    sounding: set[int] = set()
    down = False
    for r in trace:
        match r:
            case do.Speak():
                if r.utterance_id in cut:
                    wrong.append(f"{r.at_ms:.0f}: spoke in utterance {r.utterance_id} after it was cut")
                alive[r.utterance_id] = True
                texts.setdefault(r.utterance_id, []).append(r.text)
                if len(alive) > 1:
                    wrong.append(f"{r.at_ms:.0f}: two utterances at once: {sorted(alive)}")
            case do.InterruptAvatar():
                cut.add(r.utterance_id)
                alive.pop(r.utterance_id, None)
            case ev.SpeakingStarted():
                if r.utterance_id in cut:
                    wrong.append(f"{r.at_ms:.0f}: utterance {r.utterance_id} sounds after it was cut")
                sounding.add(r.utterance_id)
            case ev.SpeakingEnded() | ev.SpeakingInterrupted():
                sounding.discard(r.utterance_id)
                alive.pop(r.utterance_id, None)
            case ev.ProviderFailed() if r.service in ("avatar", "tts"):
                sounding.discard(r.utterance_id or 0)
                alive.pop(r.utterance_id or 0, None)
                if r.utterance_id is None:  # the connection, and with it whatever was given to it
                    alive.clear()
            case HeardEstimated():
                whole = " ".join(texts.get(r.utterance_id, ()))
                known = plain(whole)  # what was written after the cut is unheard too
                if not whole.startswith(r.heard) or plain(f"{r.heard} {r.unheard}")[: len(known)] != known:
                    wrong.append(f"{r.at_ms:.0f}: heard «{r.heard}» is no beginning of «{whole}»")
            case do.Duck():
                if r.on == down:
                    wrong.append(f"{r.at_ms:.0f}: Duck({r.on}) twice")
                down = r.on
            case _:
                pass
    if down:
        wrong.append("her sound stays lowered")
    return wrong


def main(argv: list[str]) -> None:
    """Print the seeds that break something."""
    count, first = int(argv[0]) if argv else 500, int(argv[1]) if len(argv) > 1 else 0
    kinds: Counter[str] = Counter()
    for seed in range(first, first + count):
        played = play(seed)
        if wrong := broken(played):
            kind = re.sub("«.*?»|: \\[.*|[0-9]+", "", wrong[0])[:70]
            kinds[f"{played.preset}{' with a fault' * bool(played.faults)}: {kind}"] += 1
            if kinds.total() < 25 or count == 1:
                print(seed, played.preset, wrong)
        if count == 1:
            print(played.faults)
            from tests.conversation.judge import Case, Verdict, why

            print(played.settings)
            print(why(Verdict(Case("", "", "", "", "", (), {}, {}, {}, {}), "", trace=played.trace), 400))
    print(f"{kinds.total()} of {count} broken")
    for kind, times in kinds.most_common():
        print(f"  {times:4d} {kind}")


if __name__ == "__main__":
    main(sys.argv[1:])
