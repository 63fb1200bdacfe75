"""The page's half of the desk (`desk.js`), and what it is given to draw of a conversation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anywidget
import traitlets

from clara_kit.audio.pcm import Sound
from clara_kit.conversation.heard import estimate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.core.states import ConversationState
from clara_kit.lab.spending import rate, spent
from clara_kit.measure.ledger import Turn, turns
from clara_kit.measure.run import mix_of
from clara_kit.measure.story import Story, Utterance, Words
from clara_kit.runtime.ending import ABSENT
from clara_kit.runtime.manager import ConversationManager
from clara_kit.widgets.telling import tell
from clara_kit.widgets.view import HERE, view
from clara_kit.widgets.words import Language


class DeskView(anywidget.AnyWidget):
    """The page's half of a desk."""

    _esm = view("desk")
    _css = HERE / "desk.css"

    words = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    offers = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    phase = traitlets.Unicode("ready").tag(sync=True)
    state = traitlets.Unicode("").tag(sync=True)
    said: Any = traitlets.List().tag(sync=True)
    turns: Any = traitlets.List().tag(sync=True)
    mix = traitlets.Unicode("").tag(sync=True)
    is_live = traitlets.Bool(False).tag(sync=True)
    spent_usd = traitlets.Float(0.0).tag(sync=True)
    rate = traitlets.Dict().tag(sync=True)
    unpriced: Any = traitlets.List().tag(sync=True)
    gives_sound = traitlets.Bool(True).tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)
    running: Any = traitlets.List().tag(sync=True)
    here = traitlets.Unicode("").tag(sync=True)
    is_new = traitlets.Bool(True).tag(sync=True)
    cut_ins_open = traitlets.Bool(False).tag(sync=True)
    armed: Any = traitlets.List().tag(sync=True)
    did = traitlets.Dict().tag(sync=True)
    stand_ins: Any = traitlets.List().tag(sync=True)

    def draw(self, clara: ConversationManager, story: Story) -> None:
        """Show how a conversation stands. story: as far as it was read."""
        modes, began_with = clara.services.modes, clara.began_with
        real = {service for service, mode in modes.items() if mode == "live"}
        cost = spent(clara.conversation.trace if real or story.exchanged else (), began_with, clara.settings)
        self.mix, self.is_live = mix_of(modes), bool(real)
        self.rate = rate(real, clara.settings)._asdict()
        self.spent_usd, self.unpriced = round(cost.usd, 5), list(cost.unknown)
        soon = clara.state is ConversationState.IDLE and not clara.conversation.is_quiet
        self.state, self.said = "soon" if soon else str(clara.state), lines(story, clara.clock.now_ms())
        self.turns = [row(turn, began_with) for turn in turns(story)]
        services = [*clara.conversation.talk.services.items()]
        self.stand_ins = [[service, health.target] for service, health in services if health.target]


class Voice:
    """What the page's player must know at once, and her sound. silent: another page plays it."""

    def __init__(self, view: DeskView, clara: ConversationManager) -> None:
        self._view, self._loop = view, asyncio.get_event_loop()
        self.silent = False
        clara.subscribe(self._saw)
        clara.subscribe_sound(self._sounds)

    def customer(self, sound: Sound | None) -> None:
        """The customer makes this sound now; None: it breaks off."""
        self._tell("customer", -1, rate_hz=sound.rate_hz if sound else 0, pcm=sound.to_bytes() if sound else b"")

    def _saw(self, record: Record) -> None:
        match record:
            case ev.SpeakingStarted():
                self._tell("begin", record.utterance_id)
            case do.InterruptAvatar() | ev.SpeakingInterrupted():
                self._tell("silence", record.utterance_id)
            case do.Duck():
                self._tell("duck", on=record.on)

    def _sounds(self, utterance_id: int, pcm: bytes, rate_hz: int) -> None:
        self._tell("sound", utterance_id, rate_hz=rate_hz, pcm=pcm)

    def _tell(self, kind: str, utterance_id: int = 0, *, pcm: bytes = b"", **more: int) -> None:
        """Called in the conversation's thread."""
        content = {"kind": kind, "utterance": utterance_id, **more}
        with contextlib.suppress(RuntimeError):  # the notebook's loop may be closed by now
            if not self.silent:
                self._loop.call_soon_threadsafe(lambda: self._view.send(content, [pcm] if pcm else None))


def asked(content: Any, desk: Any) -> Callable[[], Awaitable[Any]] | None:
    """What a message of the view wants the desk to do for the conversation; None where it wants something else."""
    kind, text = (content.get("kind"), content.get("text")) if isinstance(content, dict) else (None, None)
    acts: dict[Any, Callable[[], Awaitable[Any]]] = {
        "call": desk.call, "hang_up": desk.hang_up, "interrupt": desk.interrupt,
    }  # fmt: skip
    if isinstance(text, str) and text.strip():
        acts |= {name: partial(getattr(desk, name), text.strip()) for name in ("say", "type", "cut_in")}
    return acts.get(kind) if isinstance(kind, str) else None


def lines(story: Story, now_ms: float) -> list[dict[str, str]]:
    """Who said what by now, with the words that are still being recognised at the end."""
    by_backup = {reply.backup.utterance_id for reply in story.replies.values() if reply.backup is not None}
    said = [_said(one, now_ms, by_backup) for one in story.said]
    if story.interim:
        said.append({"who": "customer", "text": "", "later": story.interim, "lost": ""})
    return said


def row(turn: Turn, modes: dict[str, Any]) -> dict[str, Any]:
    """One turn's latency and cost. modes: those that the conversation began with."""
    real = {**modes, **turn.exchanged}.get("llm") == "live"
    usd = turn.usage.cost_usd if turn.usage else None
    return {"turn": turn.turn_id, "ms": turn.total_ms, "usd": usd, "real": real}


def why_over(clara: ConversationManager, words: Mapping[str, str], language: Language) -> str:
    """Why it ended where nobody hung up here; empty otherwise."""
    if clara.why_over.startswith(ABSENT):
        return words["absent"].replace("{minutes}", f"{clara.settings.absence_ms / 60_000:.3g}")
    why = clara.why_over or clara.error
    return f"{words['ended']} {tell(why, language)}" if why else ""


def _said(one: Words | Utterance, now_ms: float, by_backup: set[int]) -> dict[str, str]:
    """Who said what; `later`: not spoken yet; `lost`: never heard; `read`: shown, and not spoken; `by`: who answered for Clara."""
    if isinstance(one, Words):
        return {"who": "customer" if one.kind == "spoken" else "typed", "text": one.text, "later": "", "lost": ""}
    by = "backup" if one.utterance_id in by_backup else ""
    told = {"who": "clara", "later": "", "lost": "", "read": " ".join(one.shown), "by": by}
    if one.heard is not None:
        return {**told, "text": one.heard.heard, "lost": one.heard.unheard}
    if one.stopped_ms is not None or not one.pieces:
        return {**told, "text": " ".join(one.pieces)}
    played_ms = now_ms - one.started_ms if one.started_ms is not None else 0.0
    by_now = estimate(one.pieces, played_ms)
    return {**told, "text": by_now.heard, "later": by_now.unheard}
