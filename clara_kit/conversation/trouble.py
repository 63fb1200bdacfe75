"""What goes wrong, and coming back from it: every service's failures, in one place.

Mechanics only: what a failure ends, which timers run, what is told to whom. Whether something is tried again, and
after how long, is asked; so that recogniser, model, voice, avatar and shop are retried and given up by one rule. What
is given up does not end the conversation: what remains goes on, and it is said.
"""

from __future__ import annotations

from collections.abc import Callable

from clara_kit.conversation import going_on, listening, opening, replying, speaking
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Decision, Failure, Retry, Say
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.events import Service
from clara_kit.core.states import ConversationState as S

_NOTICED_MS = 10_000.0  # a connection on which nothing comes had stopped working so long before that is told
_REMAINS = {
    "stt": "Clara does not hear any more; what is typed still reaches her.",
    "avatar": "The avatar is gone; what Clara says can still be read.",
}


def failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """A service failed: a reply, an utterance, the shop's answer, or a whole connection."""
    _FAILED.get(event.service, _voice_failed)(pen, event)


def recovered(pen: Pen, event: ev.ProviderRecovered) -> None:
    """A service works again."""
    if (health := pen.talk.services.get(event.service)) is not None:
        health.failures, health.down, health.since_ms = 0, "", pen.talk.now_ms
        pen.cancel_timer(f"connect_{event.service}", "it works again")
    if event.service == "avatar":
        speaking.release(pen, "the avatar is there again")


def connect_again(service: Service, pen: Pen, event: ev.TimerFired) -> None:
    """The wait before connecting is over."""
    pen.do(do.Connect, f"trying again, attempt {pen.health(service).attempt}", service=service)


def request_again(pen: Pen, event: ev.TimerFired) -> None:
    """The wait before asking the model again is over."""
    replying.request(pen, f"trying again, attempt {pen.health('llm').attempt + 1}")


def speak_again(pen: Pen, event: ev.TimerFired) -> None:
    """The wait before trying the voice again is over."""
    speaking.release(pen, "trying again")


def ask_shop_again(pen: Pen, event: ev.TimerFired) -> None:
    """The wait before asking the shop again is over."""
    opening.load_profile(pen, f"trying again, attempt {pen.health('shop').attempt + 1}")


# --- one service after the other -------------------------------------------------------------------------------


def _reply_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    talk = pen.talk
    reply = talk.replies.get(event.reply_id) if event.reply_id is not None else None
    if reply is None:
        return pen.ignore(event, "no reply is awaited from it")
    why = f"the model failed ({event.kind})"
    decision = _ask(pen, event, spoken=reply.said_something)
    pen.end_reply(reply.reply_id)
    if reply.said_something:
        speaking.close(pen, "the reply broke off")
    elif isinstance(decision, Retry):
        pen.set_timer("retry", decision.after_ms, f"{why}; {decision.reason}")
    elif isinstance(decision, Say):
        speaking.say(pen, [decision.text], why)
    else:
        replying.nothing_to_say(pen, why)


def _shop_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """The customer must not notice: Clara greets as she greets everyone, at the latest when the deadline is over."""
    decision, greeting = _ask(pen, event), pen.talk.timers.get("profile")
    if isinstance(decision, Retry):
        pen.set_timer("retry_shop", decision.after_ms, f"the shop failed ({event.kind}); {decision.reason}")
        if greeting is not None and pen.talk.timers["retry_shop"].due_ms < greeting.due_ms:
            return
    if pen.cancel_timer("profile", "the shop will not tell"):
        opening.greet(pen, f"Clara greets without a profile: the shop failed ({event.kind})")


def _voice_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """An utterance broke, or the avatar itself. What was not heard yet is said again; what was, stays as heard."""
    talk, why = pen.talk, f"{event.service} failed ({event.kind})"
    utterance = talk.utterance
    connection = event.utterance_id is None and event.service == "avatar"
    if event.utterance_id is not None and speaking.current(pen, event) is None:
        return
    spoken = utterance is not None and utterance.started_ms is not None
    decision = _ask(pen, event, spoken=spoken and not connection, connection=connection)
    if utterance is not None:
        if isinstance(decision, Retry) and not spoken:
            if utterance.phase != "waiting":
                speaking.hold_back(pen, utterance)
            if not connection:
                pen.set_timer("retry_voice", decision.after_ms, f"{why}; {decision.reason}")
        else:
            again = event.retryable and (isinstance(decision, Retry) if connection else spoken)
            going_on.broke_off(pen, utterance, why, again=again)
    if connection:
        _connect_or_not(pen, "avatar", decision, why)


def _recogniser_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """While it is being connected again, its words are still awaited: it is sent what it has not confirmed."""
    talk, why = pen.talk, "the recogniser failed"
    decision = _ask(pen, event, connection=True)
    _connect_or_not(pen, "stt", decision, f"{why} ({event.kind})")
    if isinstance(decision, Retry):
        return
    pen.cancel_timers(why, "no_words", "final_wait")
    if talk.state is S.USER_SPEAKING and talk.turn.interim:
        talk.turn.ended_ms = talk.turn.interim_at_ms
        listening.take_words(pen, talk.turn.interim)
    elif talk.state in (S.USER_SPEAKING, S.INTERRUPTED) and "turn_end" not in talk.timers:
        listening.no_words(pen, why)


def _connect_or_not(pen: Pen, service: Service, decision: Decision, why: str) -> None:
    health = pen.health(service)
    if isinstance(decision, Retry):
        health.down = "broken"
        if decision.after_ms > 0:
            pen.set_timer(f"connect_{service}", decision.after_ms, f"{why}; {decision.reason}")
        else:
            pen.do(do.Connect, f"{why}; {decision.reason}", service=service)
    elif health.down != "given up":
        health.down = "given up"
        pen.cancel_timer(f"connect_{service}", decision.reason)
        pen.do(do.Disconnect, f"{why}; {decision.reason}", service=service)
        pen.do(do.Notify, f"{why}; {decision.reason}", message=_REMAINS[service])


# --- what all have in common -----------------------------------------------------------------------------------


def _ask(pen: Pen, event: ev.ProviderFailed, *, spoken: bool = False, connection: bool = False) -> Decision:
    """Tell the people, count, raise an alert where it is time, and ask what next."""
    talk, health, why = pen.talk, pen.health(event.service), f"{event.service} failed ({event.kind})"
    message = f"{event.message} What to do: {event.hint}" if event.hint else event.message
    pen.do(do.Notify, why, message=message)
    health.failures += 1
    worked_ms = talk.now_ms - health.since_ms - (_NOTICED_MS if event.kind == "stalled" else 0.0)
    if connection and worked_ms > talk.settings.max_retry_delay_ms and not health.down:
        health.attempt = 0  # it worked for a while: this is a new trouble
    if not spoken:
        health.attempt += 1
    asked_ms, known = event.retry_after_ms, (event.service, event.kind, event.retryable, health.attempt)
    decision = pen.ask(Failure(*known, spoken=spoken, connection=connection, asked_ms=asked_ms))
    given_up = connection and not isinstance(decision, Retry)
    if event.service != "shop" and (given_up or health.failures >= talk.settings.failure_threshold):
        pen.do(do.RaiseAlert, why, name=f"{event.service}_down", message=event.message)
    return decision


_FAILED: dict[Service, Callable[[Pen, ev.ProviderFailed], None]] = {
    "llm": _reply_failed,
    "shop": _shop_failed,
    "stt": _recogniser_failed,
}
