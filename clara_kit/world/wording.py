"""A model gives a customer who reacts other words. What she wants, whether she has it, and when she leaves stays hers.

So her account means the same whoever words her lines, and an answer that fails or rambles costs nothing but variety: she
says her own line then. The requests are kept and played again like Clara's (`lab/calls/`); pure but for the brain.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from clara_kit.conversation.door import Door
from clara_kit.core.commands import Message
from clara_kit.core.profile import fill
from clara_kit.core.prompt import Prompt
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.world.brain import Brain

MOST_WORDS = 45  # said aloud in a quarter of a minute; nobody asks longer
_TOLD = """Haces el papel de una persona inventada que llama por video a una tienda chilena de cuidado de la piel.
Su meta: {goal}. Su manera de hablar: {manner}.
Te digo qué oyó hasta ahora y qué quiere decir. Escribe solo lo que ella dice, en español de Chile, en una o dos frases que
se digan en voz alta, sin comillas. Pide o cuenta exactamente lo mismo, con sus propias palabras, y nada más."""


class Wording:
    """Words one line after the other. `own`: how many stayed as they were. `written`: a hash of all that was written."""

    def __init__(self, brain: Brain, door: Door, *, goal: str, manner: str) -> None:
        self._brain, self._door = brain, door
        self._prompt = Prompt(static=_TOLD.format(goal=goal, manner=manner))
        self.own, self._all = 0, sha256()

    @property
    def written(self) -> str:
        """Twelve letters that stand for what was written."""
        return self._all.hexdigest()[:12]

    def __call__(self, line: str, heard: Sequence[str]) -> str:
        """The line in other words; itself where the model gave none that can be said."""
        hides = self._door.placeholders
        asked = "\n".join((*(f"Clara: {text}" for text in heard[-2:]), f"Ella quiere decir: {line}"))
        message = Message(role="user", text=hides.hide(asked))
        request = ReplyRequest(reply_id=0, prompt=self._prompt, messages=(message,))
        written = self._brain.write(request, words=hides.map)
        text = fill(" ".join("".join(text for _, text in written.chunks).split()), hides.map)
        if written.failed is not None or not 0 < len(text.split()) <= MOST_WORDS:
            self.own, text = self.own + 1, line
        self._all.update(f"{hides.hide(text)}\0".encode())
        return text
