"""Timelines as other people's tests have them, driven straight through `Conversation.handle` and judged by commands.

A timeline knows when the agent speaks, what the ears of the user's side tell and when, and a label: the agent
`should_stop`, `should_ignore` the sound, `should_wait` for the rest of a turn, or `should_answer`; with a time bound, which
a lowered sound meets as well as a silenced one. Made with a seed, from what `KINDS` says users of other frameworks
complain of. No service has a latency of its own here: the timeline says when everything comes.

`python -m tests.conversation.others [preset ...]` counts what is right.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random
from typing import Any, Literal

from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.lexicon import plain
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.settings import Settings
from clara_kit.turns import usual_policies

Label = Literal["should_stop", "should_ignore", "should_wait", "should_answer"]
STOP_AT_LAST_S = 1.5  # a bound may be met by lowering the sound; silence must follow within this of the onset
STORY = (
    "Para pieles mixtas te conviene el gel Brisa, que limpia sin resecar. Úsalo mañana y noche con agua tibia. Después aplica el "
    "sérum con la piel todavía húmeda. Si sales al sol no olvides el protector. Lo puedes pedir aquí mismo y llega en tres días."
)
ASKS = "Tenemos dos tamaños, uno grande y otro chico. ¿Quieres el grande?"


@dataclass
class Timeline:
    """One of them. Times in seconds. agent: (from, to, text); user: (at, what, text)."""

    id: str
    label: Label
    within_s: float
    onset_s: float
    agent: list[tuple[float, float, str]] = field(default_factory=list)
    user: list[tuple[float, str, str]] = field(default_factory=list)
    until_s: float = 0.0  # should_wait: nothing is asked before this
    said: str = ""  # what must be asked, if anything


# --- making them -----------------------------------------------------------------------------------------------

BACKCHANNELS = (
    "ajá", "mmm", "mhm", "sí", "ya", "claro", "okey", "ok", "dale", "sí, sí", "ya, ya", "claro, claro", "perfecto", "bueno",
    "ah, ya", "sí, claro", "qué bueno", "Mm-hmm.", "Ajá, sí.", "entiendo", "exacto", "ah, okey", "genial", "ya veo",
)  # fmt: skip
STOPS = (
    "espera", "para", "no", "pero", "oye", "perdón", "un segundo", "alto", "¿qué?", "¿cómo dijiste?", "espera un momento",
    "no, eso no", "disculpa, tengo una pregunta", "¿cuánto cuesta eso?", "eso ya lo sé", "quiero otra cosa", "ya, pero ¿y el precio?",
    "sí, pero tengo la piel seca", "no entiendo", "basta", "¿y el envío?", "detente", "hablemos de otra cosa", "stop",
    "me puedes repetir lo último", "ok, entonces quiero dos", "prefiero la crema", "sí, lo quiero comprar ahora",
)  # fmt: skip
HALVES = (
    ("quiero comprar", "un protector solar"), ("mi número es el nueve ocho siete", "seis cinco cuatro tres dos uno"),
    ("estaba buscando algo para", "las manchas de la cara"), ("tengo la piel sensible y", "se me pone roja"),
    ("me gustaría saber si", "hacen envíos a regiones"), ("eh", "quería preguntar por un pedido"), ("el lunes compré un", "sérum con vitamina C"),
    ("mi dirección es avenida", "Italia mil doscientos"), ("mi correo es ana", "arroba ejemplo punto com"), ("lo necesito antes del", "viernes"),
    ("creo que fue el pedido número cuatro", "cinco nueve dos"), ("o sea", "no me gustó la textura"), ("quiero cambiar la", "dirección de entrega"),
    ("me dijeron que", "tenían descuento"), ("es para mi mamá, que tiene", "setenta años"), ("bueno, mmm", "no sé cuál elegir"),
)  # fmt: skip
COMPLETE = (
    "¿Cuánto cuesta el sérum?", "Quiero comprar dos.", "¿Hacen envíos?", "No, gracias.", "Tengo la piel seca.", "¿Cuál me recomiendas?",
    "Quiero hablar con una persona.", "Sí, por favor.", "Eso es todo.", "¿Abren el domingo?", "Hola.", "Ya lo compré.",
)  # fmt: skip
ECHOES = (
    "te conviene el gel brisa que",
    "después aplica el sérum con la piel",
    "si sales al sol no olvides el",
    "úsalo mañana y noche con agua",
)


def _spoken_s(text: str, rng: Random) -> float:
    return sum(len(w) + 1 for w in text.split()) / rng.uniform(12.0, 17.0) + 0.12


@dataclass
class Ears:
    """How the user's side is told of a stretch of speech: as different frameworks' fixtures do it."""

    onset_s: float
    hang_s: float
    results_s: float
    interims_s: float  # between two; 0: none
    source: str = "vad"
    exact: bool = True  # when a sound was made is known, and not only when it was told

    @classmethod
    def some(cls, rng: Random) -> Ears:
        """Local detectors with 0.06 to 0.55 s of hangover, recognisers with 0.2 to 0.7 s, some without interims."""
        return cls(
            rng.choice((0.0, 0.05, 0.1, 0.2)), rng.choice((0.06, 0.1, 0.2, 0.3, 0.55)), rng.uniform(0.2, 0.7),
            rng.choice((0.0, 0.25, 0.5, 1.0)), rng.choice(("vad", "vad", "vendor", "both")), rng.random() < 0.5,
        )  # fmt: skip

    def hear(self, at_s: float, for_s: float, text: str, *, final: bool = True) -> list[tuple[float, str, str]]:
        """The events of one stretch."""
        end_s = at_s + for_s
        told = []
        for source in ("vad", "vendor") if self.source == "both" else (self.source,) if self.source else ():
            late_s = 0.12 if source == "vendor" else 0.0
            begun_s, over_s = at_s + self.onset_s + late_s, end_s + self.hang_s + late_s
            if begun_s < end_s:
                told.append((begun_s, f"{source} start", f"{at_s if self.exact else begun_s}"))
                told.append((over_s, f"{source} stop", f"{end_s if self.exact else over_s}"))
        words = text.split()
        tick = self.interims_s
        while words and tick and tick < for_s:
            if count := int(len(words) * tick / for_s):
                told.append((at_s + tick + 0.15, "interim", " ".join(words[:count])))
            tick += self.interims_s
        if words and final:
            told.append((end_s + self.results_s, "final", f"{at_s}|{end_s}|{text}"))
        return told


def _over(rng: Random) -> tuple[list[tuple[float, float, str]], float]:
    """The agent tells its story; a moment in it."""
    length = len(STORY) / rng.uniform(14.0, 17.0)
    return [(1.0, 1.0 + length, STORY)], rng.uniform(2.0, length - 3.0)


def _backchannel(rng: Random, n: int) -> Timeline:
    text, (agent, at), ears = BACKCHANNELS[n % len(BACKCHANNELS)], _over(rng), Ears.some(rng)
    long = len(text.split()) > 1
    for_s = min(1.2, max(0.2, rng.lognormvariate(-0.5 if long else -0.92, 0.3)))
    return Timeline("", "should_ignore", 0.0, at, agent, ears.hear(at, for_s, text))


def _english(rng: Random, n: int) -> Timeline:
    """English words, as most of these fixtures have them, and as some say them here too."""
    texts = ("mhmm", "uh-huh", "okay", "yeah", "yes", "right", "ok, cool", "wow")
    like = _backchannel(rng, 0)
    return replace(like, user=Ears.some(rng).hear(like.onset_s, 0.35, texts[n % len(texts)]))


def _english_stop(rng: Random, n: int) -> Timeline:
    texts = (
        "wait",
        "stop",
        "hold on",
        "no no",
        "actually, one question",
        "excuse me",
        "how much is it?",
        "sorry, what?",
    )
    text, (agent, at), ears = texts[n % len(texts)], _over(rng), Ears.some(rng)
    return Timeline(
        "",
        "should_stop",
        max(0.5, ears.onset_s + 0.42),
        at,
        agent,
        ears.hear(at, _spoken_s(text, rng), text),
        said=text,
    )


def _series(rng: Random, n: int) -> Timeline:
    agent, _ = _over(rng)
    ears, user = Ears.some(rng), []
    for at in (2.5, 5.5, 8.5):
        user += ears.hear(at + rng.uniform(0, 1), rng.uniform(0.25, 0.6), rng.choice(BACKCHANNELS))
    return Timeline("", "should_ignore", 0.0, 2.5, agent, user)


def _cough(rng: Random, n: int) -> Timeline:
    (agent, at), ears = _over(rng), Ears.some(rng)
    return Timeline("", "should_ignore", 0.0, at, agent, ears.hear(at, rng.uniform(0.08, 0.5), ""))


def _empty(rng: Random, n: int) -> Timeline:
    (agent, at), ears = _over(rng), Ears.some(rng)
    for_s = rng.uniform(0.2, 0.5)
    user = [*ears.hear(at, for_s, ""), (at + for_s + 0.6, "final", f"{at}|{at + for_s}|")]
    return Timeline("", "should_ignore", 0.0, at, agent, user)


def _echo(rng: Random, n: int) -> Timeline:
    text, ears = ECHOES[n % len(ECHOES)], Ears.some(rng)
    length = len(STORY) / 15.5
    where = " ".join(plain(STORY)).find(" ".join(plain(text)))
    at = 1.0 + where / 15.5 + rng.uniform(0.05, 0.25)
    ears.source = ""  # the canceller takes the energy; words come through all the same
    return Timeline("", "should_ignore", 0.0, at, [(1.0, 1.0 + length, STORY)], ears.hear(at, len(text) / 15.5, text))


def _stop(rng: Random, n: int) -> Timeline:
    text, (agent, at), ears = STOPS[n % len(STOPS)], _over(rng), Ears.some(rng)
    for_s = _spoken_s(text, rng)
    return Timeline("", "should_stop", max(0.5, ears.onset_s + 0.42), at, agent, ears.hear(at, for_s, text), said=text)


def _only_words(rng: Random, n: int) -> Timeline:
    """No detector of its own: only the recogniser tells."""
    text, (agent, at) = STOPS[n % len(STOPS)], _over(rng)
    ears = Ears(0.1, 0.3, rng.uniform(0.2, 0.5), rng.choice((0.0, 0.25, 0.5)), source=rng.choice(("", "vendor")))
    for_s = _spoken_s(text, rng)
    user = [u for u in ears.hear(at, for_s, text) if not u[1].endswith("stop")]
    words_s = min(u[0] for u in user if u[1] in ("interim", "final")) - at
    return Timeline("", "should_stop", words_s + 0.1, at, agent, user, said=text)


def _after_cough(rng: Random, n: int) -> Timeline:
    """A cough, let go, and then somebody who means it."""
    text, (agent, at), ears = STOPS[n % len(STOPS)], _over(rng), Ears.some(rng)
    cough = rng.uniform(0.1, 0.4)
    later, for_s = at + cough + rng.uniform(0.6, 1.2), _spoken_s(text, rng)
    user = [*ears.hear(at, cough, ""), *ears.hear(later, for_s, text)]
    return Timeline("", "should_stop", max(0.5, ears.onset_s + 0.42), later, agent, user, said=text)


def _after_backchannel(rng: Random, n: int) -> Timeline:
    """«Ajá … pero espera»: what began as «go on» and became an interruption."""
    (agent, at), ears = _over(rng), Ears.some(rng)
    ears.interims_s = 0.25
    text = f"{rng.choice(('ajá', 'sí', 'ya', 'claro'))}, pero {rng.choice(('espera', '¿y el precio?', 'yo no quiero eso', '¿cuánto demora?'))}"
    return Timeline("", "should_stop", 0.6, at, agent, ears.hear(at, _spoken_s(text, rng) + 0.2, text), said=text)


def _two_segments(rng: Random, n: int) -> Timeline:
    """The agent speaks twice in one turn, a tool call between: the second half must be as easily stopped."""
    text, ears = STOPS[n % len(STOPS)], Ears.some(rng)
    agent = [(1.0, 3.0, "Déjame ver qué hay en bodega."), (4.5, 12.0, STORY[:110])]
    at = rng.uniform(5.0, 9.0)
    return Timeline(
        "",
        "should_stop",
        max(0.5, ears.onset_s + 0.42),
        at,
        agent,
        ears.hear(at, _spoken_s(text, rng), text),
        said=text,
    )


def _between(rng: Random, n: int) -> Timeline:
    """In the gap of the above: words while nothing sounds, and the second half is not begun."""
    text = COMPLETE[n % len(COMPLETE)]
    agent = [(1.0, 3.0, "Déjame ver qué hay en bodega."), (9.5, 12.0, STORY[:110])]
    ears, at = Ears.some(rng), rng.uniform(3.5, 4.5)
    said_s = _spoken_s(text, rng)
    return Timeline(
        "", "should_answer", said_s + ears.results_s + 0.2, at, agent, ears.hear(at, said_s, text), said=text
    )


def _wait(rng: Random, n: int) -> Timeline:
    first, second = HALVES[n % len(HALVES)]
    ears, pause = Ears.some(rng), rng.choice((0.5, 0.7, 0.9, 1.2))
    ears.results_s = min(ears.results_s, 0.45)
    one, two = _spoken_s(first, rng), _spoken_s(second, rng)
    later = 1.0 + one + pause
    user = [*ears.hear(1.0, one, first), *ears.hear(later, two, second)]
    return Timeline("", "should_wait", 0.0, 1.0, [], user, until_s=later + two, said=f"{first} {second}")


def _answer(rng: Random, n: int) -> Timeline:
    text, ears = COMPLETE[n % len(COMPLETE)], Ears.some(rng)
    said_s = _spoken_s(text, rng)
    return Timeline(
        "", "should_answer", said_s + ears.results_s + 0.15, 1.0, [], ears.hear(1.0, said_s, text), said=text
    )


def _yes(rng: Random, n: int) -> Timeline:
    """A short word after the agent's question is its answer, even if it comes a little early."""
    text, ears = rng.choice(("sí", "no", "ya", "claro", "sí, claro", "ok", "dale", "perfecto")), Ears.some(rng)
    end = 1.0 + len(ASKS) / 15.5
    at = end + rng.choice((-0.2, 0.1, 0.3, 0.6, 1.5))
    return Timeline(
        "", "should_answer", 0.35 + ears.results_s + 0.5, at, [(1.0, end, ASKS)], ears.hear(at, 0.35, text), said=text
    )


def _before_sound(rng: Random, n: int) -> Timeline:
    """Speech between the request and the first sound: the answer that was being made is not given."""
    text, ears = (
        rng.choice(("pero que sea sin perfume", "y que no sea caro", "mejor el de niños", "no, mejor una crema")),
        Ears.some(rng),
    )
    said_s = _spoken_s(text, rng)
    agent = [(0.4 + said_s + 3.0, 18.0, STORY)]
    return Timeline(
        "",
        "should_answer",
        said_s + ears.results_s + 0.2,
        0.4,
        agent,
        ears.hear(0.4, said_s, text),
        said=f"Hola, cuéntame. {text}",
    )


KINDS: dict[str, tuple[Callable[[Random, int], Timeline], int]] = {
    "backchannel stops the agent (livekit #4039, the same home-made filter again and again)": (_backchannel, 48),
    "a series of them": (_series, 6),
    "the same in English": (_english, 8),
    "and who means it in English": (_english_stop, 8),
    "cough, door, key (false interruption)": (_cough, 16),
    "a sound whose transcript is empty": (_empty, 8),
    "its own echo": (_echo, 8),
    "interruption comes late or is ignored (pipecat #3191, #4151)": (_stop, 56),
    "no detector, words only": (_only_words, 14),
    "a cough, then one who means it": (_after_cough, 12),
    "«ajá, pero …»": (_after_backchannel, 8),
    "the second segment cannot be interrupted (livekit #6548)": (_two_segments, 10),
    "between two segments": (_between, 6),
    "answers in the middle of a thought": (_wait, 32),
    "waits though all is said": (_answer, 24),
    "a yes to its question is taken for a backchannel": (_yes, 12),
    "speech before the first frame (livekit #5038)": (_before_sound, 8),
}


def timelines(seed: int = 7) -> Iterator[Timeline]:
    """All of them."""
    for make, count in KINDS.values():
        for n in range(count):
            timeline = make(Random(f"{seed} {make.__name__} {n}"), n)
            timeline.id = f"{make.__name__.strip('_')}-{n}"
            yield timeline


# --- driving and judging ---------------------------------------------------------------------------------------


class Driver:
    """Feeds one timeline, fires the timers, lets the agent speak as the timeline says, and writes down the commands."""

    def __init__(self, timeline: Timeline, settings: Settings) -> None:
        self.timeline = timeline
        self.conversation = Conversation(settings, policies=usual_policies())
        self.commands: list[do.Command] = []
        self._heap: list[tuple[float, int, ev.Event | Callable[[float], object]]] = []
        self._number = 0
        self._void: set[str] = set()
        self._segments = list(timeline.agent)
        self._reply: int | None = None
        self._utterance: tuple[int, float] | None = None  # which sounds, until when
        self._first = bool(timeline.agent)

    def play(self) -> list[do.Command]:
        self._feed(ev.ConversationStarted(at_ms=-1000.0))
        if self._first:  # somebody asked, and this is the answer
            self._feed(
                ev.TranscriptFinal(at_ms=0.0, text="Hola, cuéntame.", speech_started_ms=-900, speech_ended_ms=-400)
            )
        for at_s, what, text in self.timeline.user:
            self.at(at_s * 1000, _event(at_s * 1000, what, text))
        while self._heap and self._heap[0][0] < 60_000:
            now_ms, _, what = heappop(self._heap)
            if callable(what):
                what(now_ms)
            elif not (isinstance(what, ev.TimerFired) and what.timer_id in self._void):
                self._feed(what)
        return self.commands

    def at(self, at_ms: float, what: ev.Event | Callable[[float], object]) -> None:
        self._number += 1
        heappush(self._heap, (at_ms, self._number, what))

    def _feed(self, event: ev.Event) -> None:
        for command in self.conversation.handle(event):
            self.commands.append(command)
            self._carry_out(command)

    def _carry_out(self, command: do.Command) -> None:
        match command:
            case do.SetTimer():
                self.at(command.due_ms, ev.TimerFired(at_ms=command.due_ms, timer_id=command.timer_id))
            case do.CancelTimer():
                self._void.add(command.timer_id)
            case do.RequestReply():
                self._reply = command.reply_id
                for number, (from_s, to_s, text) in enumerate(self._segments):
                    last = number == len(self._segments) - 1
                    self.at(from_s * 1000 - 300, lambda t, i=command.reply_id, x=text, e=last: self._write(t, i, x, e))  # type: ignore[misc]
                    self.at(from_s * 1000, lambda t, u=to_s * 1000: self._sound(t, u))  # type: ignore[misc]
                self._segments = []  # what is asked later is not answered here
            case do.Speak() if command.piece_no == 0:
                self._utterance = (command.utterance_id, 0.0)
                if not any(callable(w) for _, _, w in self._heap):  # said again: it sounds at once
                    until = command.at_ms + 200 + len(command.text) / 15.5 * 1000
                    self.at(command.at_ms + 200, lambda t, u=until: self._sound(t, u))  # type: ignore[misc]
            case do.InterruptAvatar() if self._utterance and self._utterance[0] == command.utterance_id:
                who, self._utterance = self._utterance[0], None
                self.at(command.at_ms + 150, ev.SpeakingInterrupted(at_ms=command.at_ms + 150, utterance_id=who))
            case _:
                pass

    def _write(self, now_ms: float, reply_id: int, text: str, last: bool) -> None:
        self._feed(ev.ReplyDelta(at_ms=now_ms, reply_id=reply_id, text=f"{text} "))
        if last:
            self._feed(ev.ReplyCompleted(at_ms=now_ms, reply_id=reply_id, stop_reason="end_turn"))
        else:  # a sentence is known to be one when another letter follows
            self._feed(ev.ReplyDelta(at_ms=now_ms, reply_id=reply_id, text="Y "))

    def _sound(self, now_ms: float, until_ms: float) -> None:
        if self._utterance is not None:
            who = self._utterance[0]
            self._feed(ev.SpeakingStarted(at_ms=now_ms, utterance_id=who))
            self.at(until_ms, lambda t: self._over(t, who))

    def _over(self, now_ms: float, who: int) -> None:
        if self._utterance is not None and self._utterance[0] == who:
            self._utterance = None
            self._feed(ev.SpeakingEnded(at_ms=now_ms, utterance_id=who))


def _event(at_ms: float, what: str, text: str) -> ev.Event:
    source, _, edge = what.partition(" ")
    if edge:
        kind = ev.SpeechStarted if edge == "start" else ev.SpeechEnded
        return kind(at_ms=at_ms, source=source, sound_at_ms=float(text) * 1000)  # type: ignore[arg-type]
    if what == "interim":
        return ev.TranscriptInterim(at_ms=at_ms, text=text)
    since, until, words = text.split("|", 2)
    return ev.TranscriptFinal(
        at_ms=at_ms, text=words, speech_started_ms=float(since) * 1000, speech_ended_ms=float(until) * 1000
    )


def wrong(timeline: Timeline, commands: list[do.Command]) -> str:
    """Why the commands do not fit the label; empty where they do."""
    onset_ms, within_ms = timeline.onset_s * 1000, timeline.within_s * 1000
    begun_ms = min((u[0] for u in timeline.user), default=0.0) * 1000
    stops = [
        max(0.0, c.at_ms - onset_ms) for c in commands if isinstance(c, do.InterruptAvatar) and c.at_ms >= begun_ms
    ]
    ducks = [c for c in commands if isinstance(c, do.Duck)]
    asked = [c for c in commands if isinstance(c, do.RequestReply) and c.at_ms > 0]
    said = " ".join(plain(timeline.said))
    if ducks and ducks[-1].on:
        return "the sound was left lowered"
    if timeline.label == "should_ignore":
        return f"stopped after {stops[0]:.0f} ms" if stops else f"asked «{asked[0].text}»" if asked else ""
    if timeline.label == "should_stop":
        first = min([*stops, *(d.at_ms - onset_ms for d in ducks if d.on and d.at_ms >= onset_ms)], default=None)
        if not stops or first is None:
            return "never stopped"
        if first > within_ms or stops[0] > max(STOP_AT_LAST_S * 1000, within_ms):
            return f"lowered or stopped after {first:.0f} ms, silenced after {stops[0]:.0f} ms; the bound is {within_ms:.0f}"
    if timeline.label == "should_wait" and (early := [a for a in asked if a.at_ms < timeline.until_s * 1000]):
        return f"asked «{early[0].text}» {timeline.until_s * 1000 - early[0].at_ms:.0f} ms before the turn was over"
    if not asked or " ".join(plain(asked[-1].text)) != said:
        return f"asked {[a.text for a in asked]}, not «{timeline.said}»"
    if timeline.label == "should_answer" and asked[0].at_ms - onset_ms > within_ms:
        return f"asked after {asked[0].at_ms - onset_ms:.0f} ms; the bound is {within_ms:.0f}"
    if timeline.label in ("should_stop", "should_answer") and len(asked) > 1:
        return f"asked {len(asked)} times: {[a.text for a in asked]}"
    return ""


def judge(preset: Any) -> dict[str, str]:
    """Every timeline's id, and why it is wrong (empty: it is right)."""
    settings = Settings.preset(preset)
    return {t.id: wrong(t, Driver(t, settings).play()) for t in timelines()}


def main(argv: list[str]) -> None:
    """Print it."""
    for preset in [p for p in ("plan", "tuned") if p in argv] or ("plan", "tuned"):
        verdicts = judge(preset)
        rows: dict[str, list[str]] = defaultdict(list)
        for name, reason in verdicts.items():
            rows[name.rpartition("-")[0]].append(reason)
        print(f"{preset}: {sum(not r for r in verdicts.values())}/{len(verdicts)} right")
        for kind, reasons in rows.items():
            print(f"  {kind:18s} {sum(not r for r in reasons):3d}/{len(reasons)}")
        texts = {t.id: t for t in timelines()}
        for name, reason in verdicts.items():
            if reason and "--quiet" not in argv:
                words = [text.rpartition("|")[2] for _, what, text in texts[name].user if what == "final"]
                print(f"    {name} {words}: {reason}")


if __name__ == "__main__":
    main(sys.argv[1:])
