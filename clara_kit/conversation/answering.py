"""What answers a turn that is over. Today the model does, always; kept answers, openers and other routes come before it."""

from __future__ import annotations

from clara_kit.conversation.policy import Answer, Policy, Request
from clara_kit.conversation.talk import Talk


def _model(talk: Talk, answer: Answer) -> Request:
    return Request(reason=answer.why)


MODEL = Policy("model", _model)
