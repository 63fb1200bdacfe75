"""What was said so far, as a model wants it: roles alternate, the first is the user's, nothing unheard."""

from __future__ import annotations

import re
from typing import Literal

from clara_kit.core.commands import Message

# The API wants the user first; when Clara greets first, this stands for the customer's arrival.
ARRIVAL = "(La persona se acaba de conectar.)"
GO_ON = "(No dijo nada: sigue donde quedaste.)"
REST = "(Se cortó: sigue justo donde quedaste, sin repetir.)"  # the connection broke, not the customer
# What the backup said where its vendor does not tell the words:
UNKNOWN = "(Aquí respondió el asistente de respaldo; no se sabe con qué palabras.)"
# Before what the customer says next, not behind what she said: a model imitates what stands in its own messages.
CUT = "(Ahí te interrumpieron; el resto no se oyó.)"
ASIDE = "(Mientras tanto dijo: «{}».)"  # what asked for nothing; the model must not take it for a question


_ASIDES = re.compile(re.escape(ASIDE).replace(r"\{\}", ".*?"))


def without_notes(text: str, *, asides: bool = True) -> str:
    """A message of the customer's without what the kit tells the model in it. asides: but with what asked for nothing."""
    for note in (ARRIVAL, GO_ON, CUT, REST):
        text = text.replace(note, "")
    return (text if asides else _ASIDES.sub("", text)).strip()


class History:
    """The heard words of both sides. Consecutive words of one side are joined."""

    __slots__ = ("_cut", "_messages", "max_messages")

    def __init__(self, *, max_messages: int = 40) -> None:
        self.max_messages = max_messages
        self._messages: list[Message] = []
        self._cut = False  # Clara's last words were not heard to their end

    def add_user(self, text: str) -> None:
        """The customer said this."""
        self._add("user", text)

    def add_aside(self, text: str) -> None:
        """The customer said this while Clara spoke or was about to, and wanted nothing."""
        self.add_user(ASIDE.format(text))

    def add_assistant(self, text: str, *, cut: bool = False) -> None:
        """Clara said this, and it was heard; `cut`: it is not all that she had to say. Empty text is dropped."""
        self._add("assistant", text)
        self._cut = cut if text.strip() else self._cut

    def take_back(self, text: str) -> bool:
        """The customer's last words were not all: they are no history yet. False where they are not found."""
        last = self._messages[-1] if self._messages else None
        if last is None or last.role != "user" or not text or not last.text.endswith(text):
            return False
        self._messages.pop()
        self.add_user(last.text[: -len(text)])
        return True

    def is_like(self, other: History) -> bool:
        """The same is remembered, however long a request may be."""
        return self._cut == other._cut and self._messages == other._messages

    @property
    def said(self) -> tuple[Message, ...]:
        """Everything that is remembered, in order."""
        return tuple(self._messages)

    def messages(self, question: str) -> tuple[Message, ...]:
        """The messages for the next request: what was said, then `question` (joined to a user turn without reply)."""
        kept = self._messages[-self.max_messages :]
        if kept and kept[0].role == "assistant" and len(kept) < len(self._messages):
            kept = kept[1:]  # the window must not begin in the middle of an exchange
        if kept and kept[-1].role == "user":
            return (*kept[:-1], Message(role="user", text=f"{kept[-1].text} {question}".strip()))
        return (*kept, Message(role="user", text=self._after_cut(question) if kept else question))

    def messages_after(self, question: str, said: str) -> tuple[Message, ...]:
        """The messages for the rest of an answer of which `said` is being spoken: the model goes on behind that."""
        return (*self.messages(question), Message(role="assistant", text=said), Message(role="user", text=REST))

    def _add(self, role: Literal["user", "assistant"], text: str) -> None:
        text = text.strip()
        if not text:
            return
        if not self._messages and role == "assistant":
            self._messages.append(Message(role="user", text=ARRIVAL))
        if self._messages and self._messages[-1].role == role:
            text = f"{self._messages.pop().text} {text}"
        elif role == "user":
            text, self._cut = self._after_cut(text), False
        self._messages.append(Message(role=role, text=text))
        if len(self._messages) > 4 * self.max_messages:
            del self._messages[: 2 * self.max_messages]

    def _after_cut(self, text: str) -> str:
        return f"{CUT} {text}" if self._cut else text
