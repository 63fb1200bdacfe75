"""What of a reply is said, and in which pieces: sentence by sentence, or the whole at once.

Comes after the model's deltas. How a reply is cut is chosen when it is requested; whether a piece is spoken now is
asked of the policies, one piece at a time.
"""

from __future__ import annotations

from clara_kit.conversation.policy import Drop, Piece, Policy, Speak
from clara_kit.conversation.sentences import Chunker, SentenceChunker, WholeReply
from clara_kit.conversation.talk import Talk
from clara_kit.core.settings import Settings


def chunker_for(settings: Settings) -> Chunker:
    """How a reply is cut under these settings."""
    return (
        SentenceChunker(language="es", first_clause=settings.first_clause)
        if settings.flags.enable_chunked_heygen
        else WholeReply()
    )


def _half_sentence(talk: Talk, piece: Piece) -> Drop | None:
    if not piece.cut_off:
        return None
    return Drop(reason=f"the last {len(piece.text)} characters are half a sentence, cut off by max_tokens")


def _speak(talk: Talk, piece: Piece) -> Speak:
    return Speak(reason=piece.why)


HALF_SENTENCE = Policy("half_sentence", _half_sentence)
SPEAK = Policy("speak_at_once", _speak)
