"""The beginning and the end: the greeting, which may wait for the customer's profile, and hanging up."""

from __future__ import annotations

from clara_kit.conversation import speaking
from clara_kit.conversation.pen import Pen
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import SettingsError
from clara_kit.core.states import ConversationState as S


def started(pen: Pen, event: ev.ConversationStarted) -> None:
    """Everything is connected."""
    talk = pen.talk
    if talk.begun:
        return pen.ignore(event, "the conversation has begun already")
    talk.begun = True
    pen.do(do.StartListening, "the conversation begins")
    talk.greeting, talk.customer_key, talk.seed = event.greeting.strip(), event.customer_key, event.seed
    if event.customer_key and talk.settings.flags.enable_personalization:
        load_profile(pen, "the shop may know this customer")
        deadline_ms = talk.settings.profile_deadline_ms
        pen.set_timer("profile", deadline_ms, "the greeting waits for the profile, but no longer")
    else:
        greet(pen, "Clara greets")


def load_profile(pen: Pen, why: str) -> None:
    """The profile is wanted."""
    pen.do(do.LoadProfile, why, customer_key=pen.talk.customer_key)


def profile_loaded(pen: Pen, event: ev.ProfileLoaded) -> None:
    """What the shop knows has come."""
    talk = pen.talk
    if not pen.cancel_timer("profile", "the profile came in time"):
        return pen.ignore(event, "too late for the greeting; replies know the customer from now on")
    if talk.greeting:  # without one Clara waits to be spoken to, whoever it is
        talk.greeting = event.greeting.strip() or talk.greeting
    greet(pen, "Clara greets, and knows the customer")


def no_profile_came(pen: Pen, event: ev.TimerFired) -> None:
    """The greeting has waited long enough."""
    greet(pen, f"no profile came within {pen.talk.settings.profile_deadline_ms:.0f} ms")


def greet(pen: Pen, why: str) -> None:
    """Greet, unless the customer was faster."""
    talk = pen.talk
    if not talk.greeting:
        return
    if talk.state is S.IDLE and talk.utterance is None:
        speaking.say(pen, [talk.greeting], why)
    elif talk.state is S.USER_SPEAKING and not talk.turn.words and not talk.turn.interim:
        talk.left_to_say = [talk.greeting]  # only a sound so far: if it was none, she greets


def stopped(pen: Pen, event: ev.ConversationStopped) -> None:
    """Someone hung up."""
    talk, why = pen.talk, "the conversation ends"
    speaking.silence(pen, why)
    speaking.settle(pen)
    pen.cancel_timers(why, *list(talk.timers))
    if talk.begun:
        pen.do(do.StopListening, why)
    talk.over = True


def settings_changed(pen: Pen, event: ev.SettingsChanged) -> None:
    """A knob was turned."""
    talk = pen.talk
    try:
        talk.settings = talk.settings.with_changes(**dict(event.changes))
    except SettingsError as exc:
        return pen.ignore(event, str(exc))
    talk.history.max_messages = talk.settings.history_max_messages
