"""When the backup fails too, or does not come: then ours must do, whatever it is worth, and that is said.

Mechanics only, above `trouble.py`, which knows what all services have in common.
"""

from __future__ import annotations

from clara_kit.conversation import backup, going_on, replying, speaking, switching, trouble
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Decision, Retry
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S


def failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """A service failed, ours or the backup."""
    if event.service in ("avatar", "backup", "tts") and (event.utterance_id is not None or event.service != "tts"):
        speaking.is_silent(pen, event.utterance_id)
    _backup_failed(pen, event) if event.service == "backup" else trouble.failed(pen, event)


def open_backup_again(pen: Pen, event: ev.TimerFired) -> None:
    """The wait before opening the backup's session again is over."""
    backup.begin(pen, f"trying again, attempt {pen.health('backup').attempt + 1}")


def settle(pen: Pen) -> None:
    """After every event while something is switched: what waits is asked of whoever may be asked now."""
    backup.settle(pen)
    talk = pen.talk
    if "backup" not in talk.timers or talk.backup_answers or not talk.turn.words:
        return
    if talk.replies or "turn_end" in talk.timers or "retry" in talk.timers or talk.answering is not None or talk.state not in (S.IDLE, S.PROCESSING):
        return
    pen.cancel_timer("backup", "ours may be asked again")
    pen.change(S.PROCESSING, "ours may be asked again")
    replying.request(pen, "ours may be asked again, before the backup came")


def backup_is_late(pen: Pen, event: ev.TimerFired) -> None:
    """Nobody has come to answer the customer."""
    talk, why = pen.talk, f"the backup did not answer within {pen.talk.settings.turn_deadline_ms:.0f} ms"
    if talk.replies or talk.answering is not None or talk.customers_floor:
        return
    pen.do(do.RaiseAlert, why, name="backup_down", message=f"{why}.")
    pen.change(S.PROCESSING, why, S.IDLE)
    replying.apologise(pen, why)


def _backup_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """An answer of the backup, or its session: then ours must do, whatever it is worth."""
    talk, why = pen.talk, f"the backup failed ({event.kind})"
    alone = event.reply_id is None and event.utterance_id is None
    reply = talk.replies.get(event.reply_id) if event.reply_id is not None else None
    utterance = talk.utterances.get(event.utterance_id) if event.utterance_id is not None else talk.utterance
    if not alone and reply is None and utterance is None:
        return pen.ignore(event, "no answer is awaited from it")
    heard = utterance is not None and utterance.started_ms is not None and (utterance.own or not alone)
    if utterance is not None and not utterance.own and not alone:  # our text, which it was to repeat
        decision = trouble.ask(pen, event, spoken=heard)
        if utterance.aside:
            return speaking.aside_over(pen, utterance, why)
        return trouble.broken(pen, event, utterance, why, decision, connection=False)
    asked = bool(talk.turn.words) or any(r.by_backup for r in talk.replies.values())
    decision = trouble.ask(pen, event, spoken=heard, connection=alone)
    for one in [r for r in talk.replies.values() if r.by_backup]:
        pen.end_reply(one.reply_id)
        if alone:
            pen.do(do.CancelReply, why, reply_id=one.reply_id)
    through_it = talk.health("avatar").target == "backup"  # else what sounds is not its
    if utterance is not None and (utterance.own or (alone and through_it)) and utterance.phase != "waiting":
        if heard:
            going_on.broke_off(pen, utterance, why, again=not utterance.own)
        elif utterance.own:
            pen.end_utterance(utterance)
        else:
            speaking.hold_back(pen, utterance)
    if alone:
        _without_backup(pen, decision, why)
    answering = talk.answering
    if not asked or talk.reply is not None or (answering is not None and answering.by == "apology"):
        return  # nobody waits for it, or ours answers already, or it is said already that nobody will
    if heard and not talk.turn.words:
        replying.broke(pen, why)
    elif isinstance(decision, Retry) and not alone:
        pen.set_timer("retry", decision.after_ms, f"{why}; {decision.reason}")
    elif isinstance(decision, Retry):
        backup.wait(pen)
    else:
        pen.cancel_timer("backup", why)
        replying.request(pen, why) if alone else replying.apologise(pen, why)


def _without_backup(pen: Pen, decision: Decision, why: str) -> None:
    talk, avatar = pen.talk, pen.health("avatar")
    talk.backup = ""
    if avatar.target == "backup":
        avatar.target, avatar.down = "", "broken"
        pen.do(do.SwitchTo, why, service="avatar", target="")
        pen.do(do.Connect, why, service="avatar")
    if isinstance(decision, Retry):
        pen.health("backup").down = "broken"
        return pen.set_timer("reopen_backup", decision.after_ms, f"{why}; {decision.reason}")
    pen.health("backup").down = "given up"
    for service in ("llm", "stt"):
        if talk.health(service).circuit == "open":
            switching.works(pen, service, f"{why}, and ours is all that is left")
            if service == "stt":
                pen.do(do.Connect, why, service="stt")
