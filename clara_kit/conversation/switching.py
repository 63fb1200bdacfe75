"""Switching: a service that failed too often, or is too slow, is passed by; and tried, and trusted again.

Mechanics only; when is told by `FallbackManager` (`fallback.py`). What stands in a service's place: for recogniser and
model the avatar vendor's own assistant (`backup.py`), for the voice another vendor's, then text, for the avatar the bare
voice. Only with `ENABLE_AUTO_FALLBACK`; without it nothing is switched.
"""

from __future__ import annotations

from typing import Literal

from clara_kit.conversation import backup, speaking
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.talk import Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.commands import Target
from clara_kit.core.events import Service

SHOWN = "Cambiando a modo de respaldo…"


def target_for(pen: Pen, service: Service) -> Target:
    """What may stand in the place of a service that is passed by now; empty: nothing."""
    talk, settings = pen.talk, pen.talk.settings
    if not settings.flags.enable_auto_fallback:
        return ""
    classic = settings.avatar_vendor == "heygen"  # which hears only those who are in its room, and has no voice of ours
    match service:
        case "llm" | "stt" if talk.health("backup").down != "given up" and not (classic and service == "stt"):
            return "backup"
        case "tts":
            return "other" if talk.health("tts").target == "" else "text"
        case "avatar" if not classic:
            return "sound"
        case _:
            return ""


def switch(pen: Pen, service: Service, why: str, *, told: bool = False) -> bool:
    """Pass a service by; False where nothing can stand in its place. told: by other conversations, at no cost to this one."""
    talk, health = pen.talk, pen.health(service)
    target = target_for(pen, service)
    if not target or health.target == target:
        return False
    pen.fallback.trigger_fallback(service, talk.now_ms)
    health.target, talk.switched = target, True
    pen.do(do.SwitchTo, why, service=service, target=target)
    if service != "llm":
        health.down = ""
        pen.cancel_timer(f"connect_{service}", why)
    if service in ("tts", "avatar"):
        pen.cancel_timer("retry_voice", why)
    _probe_later(pen, service)
    pen.do(do.Notify, why, message=SHOWN)
    if not told:
        pen.do(do.RaiseAlert, why, name=f"{service}_down", message=f"The {service} is passed by: {why}.")
        if target != "text":
            said = speaking.say_aside(pen, talk.settings.fallback_notice, why)
            talk.notice = "" if said else why
    if target == "backup":
        backup.begin(pen, why)
    return True


def told(pen: Pen, event: ev.HealthTold) -> None:
    """Other conversations have found out something about a service."""
    talk, health = pen.talk, pen.health(event.service)
    if event.circuit == health.circuit or not talk.settings.flags.enable_auto_fallback:
        return pen.ignore(event, "nothing changes here")
    service, why = event.service, f"other conversations say so: {event.why}"
    if event.circuit == "open":
        if service == "avatar" and health.target == "backup":
            return pen.ignore(event, "the avatar is not used now")
        switch(pen, service, why, told=True)
    elif service == "stt" or (service == "avatar" and health.target == "sound"):  # it was left, and is connected first
        if health.circuit == "open":
            pen.cancel_timer(f"probe_{service}", why)
            pen.do(do.ProbePrimary, why, service=service)
    else:
        works(pen, service, why)


def works(pen: Pen, service: Service, why: str) -> bool:
    """It answered a trial: the next turn may be its own. False where that moves nothing."""
    health = pen.health(service)
    if health.circuit != "open" or not health.target:
        return False
    pen.fallback.probed(service)
    pen.cancel_timer(f"probe_{service}", why)
    if service == "avatar" and health.target == "backup":
        return False  # the way home is another: when the backup is not needed any more
    health.target, health.down, health.failures, health.attempt = "", "", 0, 0
    pen.do(do.SwitchTo, f"{why}: it is given a trial", service=service, target="")
    return True


def probe(service: Service, pen: Pen, event: ev.TimerFired) -> None:
    """It has been passed by for long enough."""
    pen.do(do.ProbePrimary, "does it work again?", service=service)


def probe_failed(pen: Pen, event: ev.ProviderFailed) -> None:
    """The trial brought nothing: once more, after twice as long."""
    health = pen.health(event.service)
    health.openings, health.opened_ms = health.openings + 1, pen.talk.now_ms
    _probe_later(pen, event.service)


def _probe_later(pen: Pen, service: Service) -> None:
    pen.set_timer_at(f"probe_{service}", pen.fallback.probe_at_ms(service), "it is tried again then")


def deaf(pen: Pen, why: str) -> None:
    """The recogniser is too slow with words that are over: somebody is told, and it is passed by for the time being."""
    limit_ms = pen.talk.settings.slow_response_ms
    pen.do(do.RaiseAlert, why, name="slow_stt", message=f"{why}; the limit is {limit_ms:.0f} ms.")
    if switch(pen, "stt", why):
        pen.do(do.Disconnect, f"{why}; something else stands in its place", service="stt")
        backup.will_hear(pen)


# --- who is late -----------------------------------------------------------------------------------------------


def late(talk: Talk) -> tuple[Service | Literal[""], float]:
    """Whom Clara waits for, and since when; nobody where she is heard."""
    utterance, reply = talk.utterance, talk.reply
    if utterance is not None and utterance.phase == "sounding":
        return "", 0.0
    if utterance is not None and utterance.phase == "asked" and utterance.given and not utterance.own:
        since_ms = utterance.handed_ms[0] if utterance.handed_ms else utterance.asked_ms
        if talk.health("avatar").target == "backup":
            return "backup", since_ms
        return ("tts", since_ms) if utterance.first_ms is None else ("avatar", utterance.first_ms)
    if reply is not None:
        return ("backup" if reply.by_backup else "llm"), max(reply.asked_ms, talk.since_sound_ms)
    return ("llm", talk.since_sound_ms) if "retry" in talk.timers else ("", 0.0)


def for_the_time_being(pen: Pen, service: Service, why: str) -> bool:
    """Pass by whoever is too slow, but never a slow avatar; says whether that was done."""
    reply, utterance = pen.talk.reply, pen.talk.utterance
    if service not in ("llm", "tts") or not target_for(pen, service):
        return False
    if service == "llm":
        if reply is not None and (reply.said_something or reply.chunker.chars):
            return False
        if reply is not None:  # the request is dropped first: nothing is ever asked twice at once
            pen.end_reply(reply.reply_id)
            pen.do(do.CancelReply, why, reply_id=reply.reply_id)
        pen.cancel_timer("retry", why)
        if not switch(pen, "llm", why):
            return False
        speaking.close(pen, why)  # what is open of an answer: its rest will not come from ours
        backup.ask(pen, why)
        return True
    if utterance is not None:
        speaking.stop(pen, utterance, why)
        speaking.hold_back(pen, utterance)
    switch(pen, "tts", why)
    speaking.release(pen, why)
    return True
