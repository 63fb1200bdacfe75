"""After Clara was cut off: by a sound that was none, or because her voice or her avatar broke off.

Mechanics only: what of the rest there is, and where it goes. Whether it is said, asked for anew or left is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from clara_kit.conversation import giving, replying, speaking
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Quiet, Restate, Resume
from clara_kit.conversation.resuming import rest_of
from clara_kit.conversation.talk import Utterance
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S


def go_on(pen: Pen, why: str, *, broken: bool = False) -> None:
    """Nobody wanted her to stop: the rest is said, as far as it is written, or asked for once more, or left."""
    talk, cut, ready = pen.talk, pen.talk.cut, pen.talk.utterance
    again, tries, unheard = 0, 0, (*talk.left_to_say, *(ready.pieces if ready is not None else ()))
    if cut is not None:
        again, rest = rest_of(cut.pieces, len(cut.heard_until(cut.cut_ms).heard))
        unheard, tries = rest + unheard, 0 if again else cut.tries + 1
    unfinished = talk.unfinished and bool(talk.turn.answered)
    decision = pen.ask(Quiet(unheard, unfinished=unfinished, coming=bool(talk.replies), broken=broken, tries=tries))
    why, talk.left_to_say, talk.unfinished = f"{why}; {decision.reason}", [], False
    if cut is not None:
        giving.remember(pen, cut, again if isinstance(decision, Resume) else None)
    if broken and unheard and not isinstance(decision, Resume | Restate):
        _show(pen, unheard, why)
    if not isinstance(decision, Resume):
        pen.cancel_reply(why)
        if ready is not None:
            pen.end_utterance(ready)
        if isinstance(decision, Restate):
            pen.change(S.PROCESSING, why)
            return replying.request(pen, why)
        return pen.change(S.IDLE, why)
    if talk.replies:
        pen.change(S.PROCESSING, why)
    elif talk.state is S.USER_SPEAKING or talk.health("avatar").down:
        pen.change(S.IDLE, why)
    if decision.pieces:
        utterance = ready or speaking.begin(pen)
        utterance.pieces, utterance.closed, utterance.tries = list(decision.pieces), not talk.replies, tries
        speaking.release(pen, why)
        giving.give(pen, utterance, why)


def broke_off(pen: Pen, utterance: Utterance, why: str, *, again: bool = True) -> None:
    """The utterance ended in the middle, and nobody wanted it. Not `again`: it would break off once more."""
    talk = pen.talk
    pen.turn_is_heard()
    if (older := talk.cut) is not None:
        pen.end_utterance(older)  # two cuts without a word in between: only the newer one is remembered
    pen.cut_utterance(utterance)
    pen.change(S.INTERRUPTED, why, S.AVATAR_SPEAKING)
    pen.cancel_timer("no_words", why)
    if again:
        go_on(pen, why, broken=True)
    else:
        pen.cancel_reply(why)
        _, rest = rest_of(utterance.pieces, len(utterance.heard_until(utterance.cut_ms).heard))
        speaking.settle(pen)
        _show(pen, rest, why)
        pen.change(S.IDLE, why, S.INTERRUPTED, S.PROCESSING)
    speaking.floor_is_free(pen)


def _heard_by_backup(pen: Pen, utterance: Utterance, why: str) -> None:
    """It has ears of its own, and gives the customer the floor by itself."""
    pen.forget_sound(why)
    pen.cancel_reply(why)
    if utterance.started_ms is None:
        pen.end_utterance(utterance)
        pen.change(S.USER_SPEAKING, why, S.PROCESSING, S.IDLE)
    else:
        pen.change(S.INTERRUPTED, why, S.AVATAR_SPEAKING)
        speaking.settle(pen)
        pen.cut_utterance(utterance)
    pen.set_timer("no_words", pen.talk.settings.no_words_timeout_ms, "words should follow the sound")


def _show(pen: Pen, rest: Sequence[str], why: str) -> None:
    """What will not be said any more can be read, and somebody is told."""
    talk = pen.talk
    pen.do(
        do.RaiseAlert, why, name="unspoken", message=f"Clara could not say it to its end, so the rest is shown: {why}."
    )
    for text in rest:
        pen.do(do.ShowText, why, turn_id=talk.turn.turn_id, utterance_id=talk.utterances_begun, text=text)
    talk.history.add_assistant(" ".join(rest))


def stopped(pen: Pen, event: ev.SpeakingInterrupted) -> None:
    """The avatar fell silent: as ordered, or by itself."""
    cut = pen.talk.cut
    speaking.is_silent(pen, event.utterance_id)
    if cut is not None and cut.utterance_id == event.utterance_id:
        pen.cut_utterance(cut)
    elif (utterance := speaking.current(pen, event)) is None:
        return
    elif utterance.own and pen.talk.health("stt").target == "backup":
        _heard_by_backup(pen, utterance, "the backup heard the customer and fell silent")
    elif utterance.aside:
        speaking.aside_over(pen, utterance, "the avatar stopped without being asked")
    else:
        broke_off(pen, utterance, "the avatar stopped without being asked")
