"""«Ajá», «sí, claro»: words that only say «go on» while Clara speaks, or prepares to, take no floor and ask for nothing."""

from __future__ import annotations

from clara_kit.conversation.barge_in import short
from clara_kit.conversation.lexicon import Lexicon
from clara_kit.conversation.policy import Aside, Policy, Words
from clara_kit.conversation.talk import Talk, Utterance
from clara_kit.core.states import ConversationState

ANSWERS_MS = 500.0  # what begins so shortly before Clara's end answers her (a turn's usual overlap is shorter)


def backchannel(lexicon: Lexicon, knows: str) -> Policy:
    """The policy that knows these words; `knows`: their hash."""

    def decide(talk: Talk, words: Words) -> Aside | None:
        if not talk.settings.ignore_backchannels:
            return None
        if not (lexicon.is_backchannel if words.final else lexicon.may_become_backchannel)(words.text):
            return None
        said = short(words.text)
        turn = talk.turn
        # Held back for this very sound:
        coming = bool(turn.words) and (bool(talk.replies) or talk.utterance is not None)
        since_asked = turn.over_ms <= words.said_ms and (coming or words.said_ms < turn.answered_ms)
        # Her avatar is being connected again, and the rest of what she was saying waits for it:
        waits = talk.health("avatar").down == "broken" and talk.answering is not None
        if talk.state is ConversationState.PROCESSING or since_asked or waits:
            return Aside(reason=f"{said} asks for nothing, and the answer is on its way")
        if not over_clara(talk, words.said_ms) or had_asked(talk, words.said_ms):
            return None  # she had asked, or was done: it is an answer
        return Aside(reason=f"{said} only says «go on»: it is in the list of backchannels, and Clara had asked nothing")

    return Policy("backchannel", decide, version=4, knows=knows)


def audible(talk: Talk, at_ms: float) -> Utterance | None:
    """What is heard of her, or was cut off and is not in the history yet, if it had begun by then."""
    now = talk.utterance
    utterance = now if now is not None and now.started_ms is not None else talk.cut
    return utterance if utterance is not None and (utterance.started_ms or 0.0) <= at_ms else None


def over_clara(talk: Talk, said_ms: float) -> bool:
    """Whether these words began while she was heard, and not so late that they answer her."""
    return audible(talk, said_ms) is not None or talk.spoke_from_ms <= said_ms < talk.spoke_until_ms - ANSWERS_MS


def had_asked(talk: Talk, said_ms: float) -> bool:
    """Whether what was heard of her, when these words began, ended with a question."""
    utterance = audible(talk, said_ms)
    if utterance is None or "?" not in utterance.text:
        return False
    until_ms = min(said_ms, utterance.cut_ms) if utterance.phase == "cut" else said_ms
    return utterance.heard_until(until_ms).heard.rstrip().endswith("?")
