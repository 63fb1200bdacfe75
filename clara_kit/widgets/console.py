"""`Console`: talk to a running Clara from a notebook, and see what is said as it is said.

A line to type into, two ways to send it (spoken by the offline voice, or typed), a button that interrupts, and
the conversation above: interim words in italics, what the customer never heard struck through.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Coroutine, Iterable
from typing import Any

import ipywidgets as widgets

from clara_kit.core.errors import ClaraError
from clara_kit.core.page import escape
from clara_kit.core.records import Record
from clara_kit.measure.story import Story, Utterance, Words
from clara_kit.runtime.manager import ConversationManager
from clara_kit.widgets.following import follow

SETTLE_S = 0.15  # within which the text of a line has surely come


class Console(widgets.VBox):  # type: ignore[misc]
    """Shows and talks to a started `ConversationManager`. `say`, `type` and `interrupt` do what the buttons do."""

    def __init__(self, clara: ConversationManager) -> None:
        self._clara = clara
        self._loop = asyncio.get_event_loop()
        self._problem = ""
        self._story, self._read = Story(), 0  # what has been said, up to so many records
        self._tasks: set[asyncio.Task[None]] = set()
        self._view = widgets.HTML()
        self._line = widgets.Text(
            placeholder="Escríbele o háblale a Clara… (Enter: type)", layout=widgets.Layout(flex="1 1 16em")
        )
        self._say = _button("Say", "microphone", "Speak it with the offline voice")
        self._type = _button("Type", "keyboard-o", "Send it as typed text")
        self._stop = _button("Interrupt", "hand-paper-o", "Stop Clara now", button_style="warning")
        self._say.on_click(lambda _: self._send(self.say))
        self._type.on_click(lambda _: self._send(self.type))
        with warnings.catch_warnings():
            # the advised way, a late update of the value, also fires on leaving the line
            warnings.simplefilter("ignore", DeprecationWarning)
            self._line.on_submit(lambda _: self._send(self.type))
        self._stop.on_click(lambda _: self._loop.call_soon_threadsafe(lambda: self._start(self.interrupt())))
        self._line.add_class("clara-console-line")
        self._view.add_class("clara-console-view")
        row = widgets.HBox([self._line, self._say, self._type, self._stop], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([self._view, row])
        follow(clara, self.refresh)

    async def say(self, text: str) -> None:
        """The customer says this aloud."""
        await self._clara.say(text)

    async def type(self, text: str) -> None:
        """The customer types this."""
        await self._clara.type(text)

    async def interrupt(self) -> None:
        """Press the button that stops Clara."""
        await self._clara.interrupt()

    def refresh(self) -> None:
        """Draw what has been said by now."""
        over = self._clara.run is not None
        for control in (self._line, self._say, self._type, self._stop):
            control.disabled = over
        state = "the conversation is over" if over else f"state: {self._clara.state}"
        trace = self._clara.conversation.trace
        fresh, self._read = trace[self._read :], len(trace)
        for record in self._clara.revealed(fresh):
            self._story.read(record)
        self._view.value = transcript_html(self._story, state) + self._problem

    def _send(self, how: Any) -> None:
        """Send the line, a moment later and in the notebook's loop.

        JupyterLab may hand keys and clicks to a thread of their own, so that they can overtake the text.
        """
        self._loop.call_soon_threadsafe(self._loop.call_later, SETTLE_S, self._send_now, how)

    def _send_now(self, how: Any) -> None:
        text = self._line.value.strip()
        if text:
            self._line.value = self._problem = ""
            self._start(how(text))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        async def do_it() -> None:
            try:
                await work
            except ClaraError as exc:
                self._problem = f"<p role='alert'><b>{escape(str(exc))}</b></p>"
                self.refresh()

        task = self._loop.create_task(do_it())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _button(name: str, icon: str, tooltip: str, **look: Any) -> widgets.Button:
    made = widgets.Button(description=name, icon=icon, tooltip=tooltip, **look)
    return made.add_class(f"clara-console-{name.lower()}")


def transcript_html(trace: Iterable[Record] | Story, state: str) -> str:
    """What was said so far, as a page part. Pieces that wait to be spoken are grey."""
    story = trace if isinstance(trace, Story) else Story(trace)
    body = [f"<div><b>{who}:</b> {text}</div>" for who, text in map(_line, story.said)]
    if story.interim:
        body.append(f"<div><b>customer:</b> <i>{escape(story.interim)}…</i></div>")
    # Turned upside down, so that what is too much is scrolled out above: the newest line stays in sight.
    box = "max-height:260px;overflow:auto;display:flex;flex-direction:column-reverse"
    return f"<div style='{box}'><div>{''.join(body)}</div></div><small>{escape(state)}</small>"


def _line(said: Words | Utterance) -> tuple[str, str]:
    if isinstance(said, Words):
        return "customer" if said.kind == "spoken" else "customer (typed)", escape(said.text)
    if said.heard is not None:
        return "Clara", f"{escape(said.heard.heard)} <s style='opacity:.7'>{escape(said.heard.unheard)}</s>"
    text = escape(said.text)
    return "Clara", text if said.started_ms is not None else f"<span style='opacity:.5'>{text}</span>"
