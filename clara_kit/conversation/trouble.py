"""What goes wrong, and coming back from it: every service's failures, in one place.

Mechanics only: what a failure ends, which timers run, what is told to whom. Whether something is tried again, and
after how long, is asked; so that recogniser, model, voice, avatar, shop and backup are retried and given up by one rule.
What is given up does not end the conversation: something else stands in (`switching.py`), or what remains goes on, and
it is said. Nothing that the customer said stays without an answer, a word of apology, a text to read or an alert.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from clara_kit.conversation import backup, going_on, listening, opening, replying, speaking, switching
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Decision, Failure, HandOver, Retry
from clara_kit.conversation.talk import Utterance
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import FailureKind
from clara_kit.core.events import Service
from clara_kit.core.states import ConversationState as S

_NOTICED_MS = 10_000.0  # a connection on which nothing comes had stopped working so long before that is told
_REMAINS = {
    "stt": "Clara does not hear any more; what is typed still reaches her.",
    "avatar": "The avatar is gone; what Clara says can still be read.",
}


def failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """A service failed: a reply, an utterance, the shop's answer, or a whole connection."""
    target, alone = pen.health(event.service).target, event.reply_id is None and event.utterance_id is None
    if alone and target and not (event.service == "tts" and target == "other"):  # it is of what stood there first
        return _passed_by_failed(pen, event)
    _FAILED.get(event.service, voice_failed)(pen, event)


def recovered(pen: Pen, event: ev.ProviderRecovered) -> None:
    """A service works again, or for the first time."""
    talk, service = pen.talk, event.service
    if service == "backup" and talk.backup != "opening":
        return pen.ignore(event, "it is not wanted any more")
    if (health := talk.services.get(service)) is not None and not switching.works(pen, service, "it answers"):
        health.down, health.since_ms = "", talk.now_ms
        if service not in ("stt", "avatar"):  # to be connected is no success: words are, and sound
            health.failures = 0
        pen.cancel_timer(f"connect_{service}", "it works again")
    if service == "stt" and talk.missed:
        pen.set_timer("heard_again", talk.settings.final_timeout_ms, "it is sent again what nobody gave words for")
    if service == "backup":
        talk.backup = "there"
    elif service == "avatar":
        if talk.backup == "leaving":
            talk.backup = "home"
        speaking.release(pen, "the avatar is there again")


def completed(pen: Pen, event: ev.ReplyCompleted) -> None:
    """A reply is done; one without a word is a failure like another."""
    reply = pen.talk.replies.get(event.reply_id)
    replying.completed(pen, event)
    if reply is None or reply.said_something or reply.by_backup or event.stop_reason == "refusal":
        return
    answer_failed(pen, ours(pen, "llm", "protocol", "The model answered with nothing."), "the reply is empty")


def connect_again(service: Service, pen: Pen, event: ev.TimerFired) -> None:
    """The wait before connecting is over."""
    pen.do(do.Connect, f"trying again, attempt {pen.health(service).attempt}", service=service)


def request_again(pen: Pen, event: ev.TimerFired) -> None:
    """The wait before asking the model again is over."""
    replying.request(pen, f"trying again, attempt {pen.health('llm').attempt + 1}")


def speak_again(pen: Pen, event: ev.TimerFired) -> None:
    """The wait before trying the voice again is over."""
    speaking.release(pen, "trying again")


def not_heard_again(pen: Pen, event: ev.TimerFired) -> None:
    """The recogniser is back, and what was said meanwhile is not known even now: it was too long ago."""
    talk, why = pen.talk, "nobody knows what the customer said meanwhile"
    talk.missed = False
    if talk.state is S.IDLE and talk.utterance is None and not talk.coming:
        pen.change(S.PROCESSING, why)
        replying.apologise(pen, why)


def ask_shop_again(pen: Pen, event: ev.TimerFired) -> None:
    """The wait before asking the shop again is over."""
    opening.load_profile(pen, f"trying again, attempt {pen.health('shop').attempt + 1}")


# --- one service after the other -------------------------------------------------------------------------------


def _reply_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    reply = pen.talk.replies.get(event.reply_id) if event.reply_id is not None else None
    if reply is None:
        return pen.ignore(event, "no reply is awaited from it")
    pen.end_reply(reply.reply_id)
    answer_failed(pen, event, f"the model failed ({event.kind})", spoken=reply.said_something)


def answer_failed(pen: Pen, event: ev.ProviderFailed, why: str, *, spoken: bool = False) -> None:
    """spoken: a part of it has been said, or is about to be; the rest is wanted."""
    decision = ask(pen, event, spoken=spoken)
    if isinstance(decision, Retry):
        pen.set_timer("retry", decision.after_ms, f"{why}; {decision.reason}")
    elif isinstance(decision, HandOver):
        speaking.close(pen, why)
        backup.ask(pen, why)
    elif spoken:
        replying.broke(pen, why)
    else:
        replying.apologise(pen, why)


def _shop_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """The customer must not notice: Clara greets as she greets everyone, at the latest when the deadline is over."""
    decision, greeting = ask(pen, event), pen.talk.timers.get("profile")
    if isinstance(decision, Retry):
        pen.set_timer("retry_shop", decision.after_ms, f"the shop failed ({event.kind}); {decision.reason}")
        if greeting is not None and pen.talk.timers["retry_shop"].due_ms < greeting.due_ms:
            return
    if pen.cancel_timer("profile", "the shop will not tell"):
        opening.greet(pen, f"Clara greets without a profile: the shop failed ({event.kind})")


def voice_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """An utterance broke, or the avatar itself. What was not heard yet is said again; what was, stays as heard."""
    talk, why = pen.talk, f"{event.service} failed ({event.kind})"
    connection = event.utterance_id is None and event.service == "avatar"
    if event.utterance_id is not None and speaking.current(pen, event) is None:
        return
    utterance = talk.utterance if event.utterance_id is None else talk.utterances[event.utterance_id]
    spoken = utterance is not None and utterance.started_ms is not None
    decision = ask(pen, event, spoken=spoken and not connection, connection=connection)
    if event.service == "tts" and event.utterance_id is None and talk.health("tts").target:  # there is no other voice
        return speaking.release(pen, why)
    if utterance is not None and utterance.aside:
        speaking.aside_over(pen, utterance, why)
    elif utterance is not None:
        broken(pen, event, utterance, why, decision, connection)
    if connection and not isinstance(decision, HandOver):
        _connect_or_not(pen, "avatar", decision, why)
        speaking.release(pen, why)


def broken(
    pen: Pen, event: ev.ProviderFailed, utterance: Utterance, why: str, decision: Decision, connection: bool
) -> None:
    """This utterance is not spoken any more; by whom, how and when is its rest?"""
    spoken, goes_on = utterance.started_ms is not None, isinstance(decision, Retry | HandOver)
    if spoken:
        again = (event.retryable and (goes_on or not connection)) or isinstance(decision, HandOver)
        return going_on.broke_off(pen, utterance, why, again=again)
    if not goes_on and not connection:
        pen.do(do.RaiseAlert, why, name="unspoken", message=f"Clara could not say it, so it is shown: {why}.")
        return speaking.show(pen, utterance, why)
    if utterance.phase != "waiting":
        speaking.hold_back(pen, utterance)
    if event.service == "avatar" and event.kind == "stalled" and isinstance(decision, Retry) and not connection:
        pen.health(
            "avatar"
        ).down = "broken"  # a session that takes sound and never speaks will not by being asked again
        return pen.do(do.Connect, f"{why}: a new session; {decision.reason}", service="avatar")
    if isinstance(decision, HandOver):
        speaking.release(pen, why)
    elif not connection and isinstance(decision, Retry):
        pen.set_timer("retry_voice", decision.after_ms, f"{why}; {decision.reason}")


def _recogniser_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """While it is being connected again, its words are still awaited: it is sent what it has not confirmed."""
    talk, why = pen.talk, "the recogniser failed"
    decision = ask(pen, event, connection=True)
    if isinstance(decision, HandOver):
        pen.do(do.Disconnect, f"{why}; {decision.reason}", service="stt")
    else:
        _connect_or_not(pen, "stt", decision, f"{why} ({event.kind})")
    if isinstance(decision, Retry):
        return
    pen.cancel_timers(why, "no_words", "final_wait")
    if talk.state is S.USER_SPEAKING and talk.turn.interim:
        talk.turn.ended_ms = talk.turn.interim_at_ms
        listening.take_words(pen, talk.turn.interim)
    elif talk.state in (S.USER_SPEAKING, S.INTERRUPTED) and "turn_end" not in talk.timers:
        listening.no_words(pen, why)
        if isinstance(decision, HandOver):  # it will hear what was said, or else Clara asks again
            backup.will_hear(pen)


def _passed_by_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """It is not used now: a trial that brought nothing, an avatar to which there is no way home yet, or nothing new."""
    talk, service = pen.talk, event.service
    if service == "avatar" and talk.health("avatar").target == "backup":
        if talk.backup not in ("leaving", "home"):
            return pen.ignore(event, "the avatar is not used now")
        talk.backup = "leaving"
        tell(pen, event)
        after_ms = talk.settings.fallback_open_ms
        return pen.set_timer("connect_avatar", after_ms, f"the avatar failed ({event.kind}); the backup goes on")
    if f"probe_{service}" in talk.timers:
        return pen.ignore(event, f"the {service} is passed by")
    switching.probe_failed(pen, event)


def _connect_or_not(pen: Pen, service: Service, decision: Decision, why: str) -> None:
    health = pen.health(service)
    if isinstance(decision, Retry):
        health.down = "broken"
        if decision.after_ms > 0:
            pen.set_timer(f"connect_{service}", decision.after_ms, f"{why}; {decision.reason}")
        else:
            pen.do(do.Connect, f"{why}; {decision.reason}", service=service)
    elif health.down != "given up":
        health.down, pen.talk.switched = "given up", True
        pen.cancel_timer(f"connect_{service}", decision.reason)
        pen.do(do.Disconnect, f"{why}; {decision.reason}", service=service)
        pen.do(do.Notify, f"{why}; {decision.reason}", message=_REMAINS[service])


# --- what all have in common -----------------------------------------------------------------------------------


def ask(pen: Pen, event: ev.ProviderFailed, *, spoken: bool = False, connection: bool = False) -> Decision:
    """Tell the people, count, switch or raise an alert where it is time, and ask what next. `HandOver`: it is switched."""
    talk, health, service = pen.talk, pen.health(event.service), event.service
    why = tell(pen, event)
    switches = switching.target_for(pen, service)
    if switches:
        opened = pen.fallback.record_failure(service, talk.now_ms)
        opened |= health.target == "other" and health.failures >= talk.settings.failure_threshold
    else:
        health.failures, opened = health.failures + 1, False
    worked_ms = talk.now_ms - health.since_ms - (_NOTICED_MS if event.kind == "stalled" else 0.0)
    if connection and worked_ms > talk.settings.max_retry_delay_ms and not health.down:
        health.attempt = 0  # it worked for a while: this is a new trouble
    if not spoken or service == "llm":
        health.attempt += 1
    asked_ms, known = event.retry_after_ms, (service, event.kind, event.retryable, health.attempt)
    left_ms = talk.since_sound_ms + talk.settings.turn_deadline_ms - talk.now_ms if talk.turn.turn_id else inf
    decision = pen.ask(Failure(*known, spoken=spoken, connection=connection, asked_ms=asked_ms, left_ms=left_ms))
    lasting = not isinstance(decision, Retry) and (not spoken or service == "llm")
    if switches and (opened or lasting) and switching.switch(pen, service, f"{why}, {health.failures} in a row"):
        return HandOver(reason="something else stands in its place")
    given_up = connection and not isinstance(decision, Retry)
    if service != "shop" and (given_up or health.failures >= talk.settings.failure_threshold):
        pen.do(do.RaiseAlert, why, name=f"{service}_down", message=event.message)
    return decision


def tell(pen: Pen, event: ev.ProviderFailed) -> str:
    why = f"{event.service} failed ({event.kind})"
    pen.do(do.Notify, why, message=f"{event.message} What to do: {event.hint}" if event.hint else event.message)
    return why


def ours(pen: Pen, service: Service, kind: FailureKind, message: str) -> ev.ProviderFailed:
    """A failure that nobody told: it is seen by what does not come."""
    return ev.ProviderFailed(at_ms=pen.talk.now_ms, service=service, kind=kind, message=message, retryable=True)


_FAILED: dict[Service, Callable[[Pen, ev.ProviderFailed], None]] = {
    "llm": _reply_failed,
    "shop": _shop_failed,
    "stt": _recogniser_failed,
}
