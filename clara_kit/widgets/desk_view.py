"""The page's half of the desk (`desk.js`), and what it is given to draw of a conversation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from clara_kit.conversation.heard import estimate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Record
from clara_kit.measure.ledger import Turn
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


class Voice:
    """What the page's player must know at once, and her sound. silent: another page plays it."""

    def __init__(self, view: DeskView, clara: ConversationManager) -> None:
        self._view, self._loop = view, asyncio.get_event_loop()
        self.silent = False
        clara.subscribe(self._saw)
        clara.subscribe_sound(self._sounds)

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


def lines(story: Story, now_ms: float) -> list[dict[str, str]]:
    """Who said what by now, with the words that are still being recognised at the end."""
    said = [_said(one, now_ms) for one in story.said]
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


def _said(one: Words | Utterance, now_ms: float) -> dict[str, str]:
    """Who said what; `later`: not spoken yet; `lost`: never heard."""
    if isinstance(one, Words):
        return {"who": "customer" if one.kind == "spoken" else "typed", "text": one.text, "later": "", "lost": ""}
    if one.heard is not None:
        return {"who": "clara", "text": one.heard.heard, "later": "", "lost": one.heard.unheard}
    if one.stopped_ms is not None:
        return {"who": "clara", "text": one.text, "later": "", "lost": ""}
    played_ms = now_ms - one.started_ms if one.started_ms is not None else 0.0
    by_now = estimate(one.pieces, played_ms)
    return {"who": "clara", "text": by_now.heard, "later": by_now.unheard, "lost": ""}
