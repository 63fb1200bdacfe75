"""What answers a turn that is over: the backup where the model is passed by or does not hear the customer, an answer that is
kept, or the model; and how far one that was kept is trusted afterwards."""

from __future__ import annotations

from clara_kit.conversation.barge_in import short
from clara_kit.conversation.circumstances import told
from clara_kit.conversation.lexicon import Lexicon
from clara_kit.conversation.policy import Answer, Distrust, HandOver, Ignore, LookUp, Policy, Request, Trust
from clara_kit.conversation.talk import Talk


def _passed_by(talk: Talk, answer: Answer) -> HandOver | None:
    if not talk.backup_answers:
        return None
    whom = "the recogniser" if talk.health("stt").target == "backup" else "the model"
    return HandOver(reason=f"{answer.why}; {whom} is passed by: the backup answers")


def _kept(talk: Talk, answer: Answer) -> LookUp | Request | None:
    open_ = talk.answering
    goes_on = open_ is not None and not open_.closed and not open_.only_opener
    if not talk.settings.flags.enable_response_cache or not talk.turn.words or goes_on:
        return None
    if talk.turn.looked_up == answer.question:
        return None
    if known := told((m.text for m in talk.history.said if m.role == "user"), answer.question):
        return Request(reason=f"{answer.why}; «{known}» was said before, and no kept answer knows of it")
    return LookUp(reason=f"{answer.why}; is an answer kept?")


def _cut(talk: Talk, trust: Trust) -> Distrust | None:
    return Distrust(reason="the customer did not want to hear it to its end") if trust.cut else None


def corrected(lexicon: Lexicon, knows: str) -> Policy:
    """The policy that hears a correction in what the customer says next."""

    def decide(talk: Talk, trust: Trust) -> Distrust | None:
        said = lexicon.corrections_in(trust.words)
        return Distrust(reason=f"{short(trust.words)} corrects it") if said else None

    return Policy("corrected", decide, knows=knows)


def _trusted(talk: Talk, trust: Trust) -> Ignore:
    return Ignore(reason="nothing speaks against it")


def _model(talk: Talk, answer: Answer) -> Request:
    return Request(reason=answer.why)


KEPT = Policy("kept_answer", _kept)
CUT_SHORT = Policy("cut_short", _cut)
TRUSTED = Policy("trusted", _trusted)
PASSED_BY = Policy("passed_by", _passed_by)
MODEL = Policy("model", _model)
