"""What answers a turn that is over: the model, or the backup where the model is passed by or does not hear the customer."""

from __future__ import annotations

from clara_kit.conversation.policy import Answer, HandOver, Policy, Request
from clara_kit.conversation.talk import Talk


def _passed_by(talk: Talk, answer: Answer) -> HandOver | None:
    if not talk.backup_answers:
        return None
    whom = "the recogniser" if talk.health("stt").target == "backup" else "the model"
    return HandOver(reason=f"{answer.why}; {whom} is passed by: the backup answers")


def _model(talk: Talk, answer: Answer) -> Request:
    return Request(reason=answer.why)


PASSED_BY = Policy("passed_by", _passed_by)
MODEL = Policy("model", _model)
