"""The avatar vendor's own assistant, from the order to open its session to the moment at which ours speaks again.

Mechanics only: when it is asked, when Clara's voice moves there and back. That something is switched is decided in
`switching.py`. Nothing is asked of it while Clara is heard by another way: two voices never speak at once.
"""

from __future__ import annotations

from clara_kit.conversation import speaking
from clara_kit.conversation.chunking import chunker_for
from clara_kit.conversation.history import GO_ON
from clara_kit.conversation.pen import Pen
from clara_kit.core import commands as do
from clara_kit.core.states import ConversationState as S


def begin(pen: Pen, why: str) -> None:
    """Open its session, unless it is there or on its way; it is told the last turns verbatim."""
    talk = pen.talk
    hears = talk.health("stt").target == "backup"
    if not talk.backup:
        said = talk.history.said[-talk.settings.history_max_messages :]
        pen.do(do.OpenBackup, why, messages=said, hears=hears)
        talk.backup = "opening"
    elif talk.backup in ("leaving", "home"):
        talk.backup = "there"
        pen.do(do.Disconnect, f"{why}: one session is enough", service="avatar")
    if talk.turn.words:
        wait(pen)


def wait(pen: Pen) -> None:
    """Somebody waits for it, but not for ever."""
    if "backup" not in pen.talk.timers:
        pen.set_timer("backup", pen.talk.settings.turn_deadline_ms, "the backup should answer by then")


def will_hear(pen: Pen) -> None:
    """It is sent again what the customer said just now; brings that no words, Clara asks."""
    deadline_ms = pen.talk.settings.turn_deadline_ms
    pen.set_timer("hears_again", deadline_ms, "the backup should have heard it by then")


def ask(pen: Pen, why: str) -> None:
    """Let it answer the customer's words so far; if it is not there yet, `settle` will ask as soon as it is."""
    talk = pen.talk
    wait(pen)
    if talk.backup not in ("there", "leaving", "home") or talk.health("avatar").target != "backup":
        return
    if talk.utterance is not None or talk.customers_floor or talk.replies:
        return
    pen.cancel_timers("it is asked", "backup", "hears_again", "retry")
    pen.change(S.PROCESSING, why)
    reply = pen.begin_reply(chunker_for(talk.settings))
    reply.by_backup = True
    utterance = pen.begin_utterance(talk.turn.turn_id, waiting=False)
    utterance.own = True
    pen.do(
        do.AskBackup, why, turn_id=talk.turn.turn_id, reply_id=reply.reply_id, utterance_id=utterance.utterance_id,
        text=talk.turn.question or GO_ON, heard=talk.health("stt").target == "backup" and not talk.turn.typed,
    )  # fmt: skip
    speaking.watch(pen)


def settle(pen: Pen) -> None:
    """After every event while something is switched: what can be done now, is done. Does nothing twice."""
    talk, avatar = pen.talk, pen.health("avatar")
    if talk.backup == "there" and avatar.target != "backup" and _silent(pen):
        _move_in(pen)
    waits = "backup" in talk.timers or (bool(talk.turn.words) and not talk.replies and "retry" not in talk.timers)
    if (
        waits
        and talk.answering is None
        and talk.backup_answers
        and talk.state in (S.IDLE, S.PROCESSING)
        and "turn_end" not in talk.timers
    ):
        ask(pen, "the backup is asked what waits")
    trusted = talk.health("llm").circuit == talk.health("stt").circuit == "closed"
    if avatar.target == "backup" and trusted and talk.state is S.IDLE and talk.is_quiet and not talk.falls_silent:
        if talk.backup == "there":
            _go_home(pen)
        elif talk.backup == "home":
            home(pen, "the avatar is there again, and Clara is silent")
    if "retry_voice" not in talk.timers:
        speaking.release(pen, "the voice is free")
    if talk.notice and (
        avatar.target == "backup" or speaking.say_aside(pen, talk.settings.fallback_notice, talk.notice)
    ):
        talk.notice = ""


def _move_in(pen: Pen) -> None:
    talk, avatar = pen.talk, pen.health("avatar")
    why = "the backup is there, and Clara is silent"
    avatar.target, avatar.down = "backup", ""
    pen.cancel_timers(why, "connect_avatar", "retry_voice", "probe_avatar")
    pen.do(do.SwitchTo, why, service="avatar", target="backup")
    if talk.settings.avatar_vendor != "heygen":  # there it is the very session
        pen.do(do.Disconnect, f"{why}: one session is enough", service="avatar")
    speaking.release(pen, why)


def _go_home(pen: Pen) -> None:
    talk, why = pen.talk, "recogniser and model are ours again"
    if talk.settings.avatar_vendor == "heygen":
        return home(pen, why)
    talk.backup = "leaving"
    pen.do(do.Connect, why, service="avatar")


def home(pen: Pen, why: str) -> None:
    """Clara's own face and voice again."""
    talk = pen.talk
    pen.health("avatar").target = ""
    pen.do(do.SwitchTo, why, service="avatar", target="")
    pen.do(do.CloseBackup, why)
    talk.backup = ""


def _silent(pen: Pen) -> bool:
    """Nothing of Clara's is heard or has been given to a voice."""
    utterance = pen.talk.utterance
    return not pen.talk.falls_silent and (utterance is None or utterance.phase == "waiting")
