"""The customer's side: sounds, words, typing, the button, and the timers that watch over them.

Mechanics only: whose turn it is and which timers run. Whether a sound or words take the floor, and whether a turn is
over, is asked.
"""

from __future__ import annotations

from clara_kit.conversation import backup, going_on, replying, speaking, switching
from clara_kit.conversation.barge_in import short
from clara_kit.conversation.counted import KEPT, TWICE_MS, New, new_in, new_in_interim
from clara_kit.conversation.pen import Pen
from clara_kit.conversation.policy import Aside, Hold, Ignore, Reassure, Release, Sound, Turn, Wait, Words, Yield
from clara_kit.conversation.talk import SAME_SOUND_MS
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.states import ConversationState as S

ASK_EVERY_MS = 200.0  # no oftener is a recogniser asked for the words so far
LONG_AGO_MS = 2000.0  # what is told of so late is sent again, and not said now
A_WORD_MS = 250.0  # what lasts as long may be a word; a click is shorter
WORDS_MS = 700.0  # and this long is no cough either
NOISE_MS = 10_000.0  # what lasts longer and brings no word is nobody's voice

# --- sounds ----------------------------------------------------------------------------------------------------


def sound_began(pen: Pen, event: ev.SpeechStarted) -> None:
    """A sound: a turn begins, goes on, or Clara may be interrupted."""
    talk = pen.talk
    talk.sound_ms = max(talk.sound_ms, event.sound_at_ms)
    if event.source == "vad":
        talk.sounding, talk.vad_ms = True, event.sound_at_ms
    elif event.source == "vendor":
        talk.vendor_ms = event.sound_at_ms
        pen.cancel_timer("unheard", "the recogniser hears it too")
        if talk.health("stt").target == "backup" and talk.now_ms - event.sound_at_ms > LONG_AGO_MS:
            return pen.ignore(event, "it is heard again: what matters are its words")
    resuming = talk.state is S.INTERRUPTED and talk.utterance is not None and talk.utterance.phase == "asked"
    if talk.state is S.USER_SPEAKING or (talk.state is S.INTERRUPTED and not resuming):
        if pen.cancel_timer("turn_end", "the customer goes on"):
            _expect_words(pen, "a sound began; words should follow")
    elif talk.state is S.IDLE and talk.utterance is None:
        pen.change(S.USER_SPEAKING, "the customer began to speak")
        _expect_words(pen, "a sound began; words should follow")
    else:
        _judge(pen, Sound("began", event))


def sound_ended(pen: Pen, event: ev.SpeechEnded) -> None:
    """The sound stopped."""
    talk, evidence_ms = pen.talk, pen.talk.settings.no_words_after_sound_ms
    if event.source == "vad":
        talk.sounding = False
        alone = talk.vendor_ms < talk.vad_ms - SAME_SOUND_MS and not talk.turn.interim
        talk.lasted_ms = event.sound_at_ms - talk.vad_ms
        if alone and talk.lasted_ms >= A_WORD_MS and (limit_ms := talk.settings.slow_response_ms):
            pen.set_timer("unheard", limit_ms, "the recogniser should tell of it by then")
    if talk.held is not None:
        _judge(pen, Sound("ended", event))
    elif talk.state not in (S.USER_SPEAKING, S.INTERRUPTED) or talk.turn.interim:
        return
    elif "no_words" not in talk.timers:
        return  # no words are awaited: what was said is, or the rest of it
    elif event.source == "vad" and talk.health("stt").target == "backup" and talk.backup == "opening":
        no_words(pen, "nobody hears yet; what was said is heard again")
        if event.sound_at_ms - talk.vad_ms >= WORDS_MS:
            backup.will_hear(pen)
    elif event.source == "vendor":
        no_words(pen, "the recogniser heard a sound without words")
    elif evidence_ms:
        pen.set_timer("no_words", evidence_ms, "the sound ended; its words should follow")


def sound_lasted(pen: Pen, event: ev.TimerFired) -> None:
    """The held sound is still there when its time is over."""
    _judge(pen, Sound("lasted", event))


def _judge(pen: Pen, sound: Sound) -> None:
    decision = pen.ask(sound)
    match decision:
        case Hold():
            if isinstance(sound.event, ev.SpeechStarted):
                pen.talk.held = sound.event
            pen.set_timer_at("barge_in", decision.until_ms, decision.reason)
            if decision.words:
                pen.do(do.FinalizeWords, decision.reason, over=False)
        case Release():
            _let_go(pen, sound.event)
            pen.forget_sound(decision.reason)
            pen.ignore(sound.event, decision.reason)
        case Ignore():
            pen.ignore(sound.event, decision.reason)
        case Yield():
            _interrupted_by_sound(pen, decision)


def _let_go(pen: Pen, event: ev.Event) -> None:
    talk = pen.talk
    if talk.held is not None and isinstance(event, ev.SpeechEnded):
        talk.let_go = talk.held.sound_at_ms, event.sound_at_ms
        if talk.settings.finalize_short_sounds and event.source == "vad":
            pen.do(do.FinalizeWords, "a short sound ended: were there words in it?")


def _interrupted_by_sound(pen: Pen, decision: Yield) -> None:
    why = decision.reason
    pen.forget_sound(why)
    if decision.sure:
        pen.cancel_timer("retry", why)
    pen.change(S.INTERRUPTED, why, S.AVATAR_SPEAKING)
    speaking.silence(pen, why, sure=decision.sure)
    pen.change(S.USER_SPEAKING, f"the customer speaks before Clara does: {why}", S.PROCESSING, S.IDLE)
    _expect_words(pen, "words should follow the sound")


def no_words(pen: Pen, why: str) -> None:
    """The sound was none: go back to where things stood."""
    talk = pen.talk
    pen.cancel_timer("no_words", why)
    begun = talk.cut is not None and talk.cut.only_opener  # she had not begun to answer
    if talk.state is S.INTERRUPTED and talk.turn.words and (talk.cut is None or begun) and talk.utterance is None:
        speaking.settle(pen)
        if talk.coming:  # only what was said beside it was cut
            pen.change(S.PROCESSING, f"{why}; the answer is on its way")
        else:
            replying.answer(pen, f"{why}; answering what was said before")
    elif talk.state is S.INTERRUPTED:
        if talk.utterance is None or talk.utterance.phase == "waiting":  # else she is resuming already
            going_on.go_on(pen, why)
    elif talk.state is not S.USER_SPEAKING:
        return
    elif talk.turn.words and (talk.coming or talk.utterance is not None):
        pen.change(S.PROCESSING, f"{why}; the answer is on its way")
        speaking.release(pen, f"{why}; saying what has waited")
    elif talk.turn.words:
        replying.answer(pen, f"{why}; answering what was said before")
    elif talk.cut is not None or talk.unfinished or talk.replies:
        going_on.go_on(pen, why)
    else:
        pen.change(S.IDLE, why)
        if talk.utterance is not None:
            speaking.release(pen, f"{why}; saying what has waited")
        elif talk.left_to_say:
            speaking.say(pen, talk.left_to_say, f"{why}; saying what was not heard")


# --- words -----------------------------------------------------------------------------------------------------


def interim(pen: Pen, event: ev.TranscriptInterim) -> None:
    """The words so far."""
    talk, turn = pen.talk, pen.talk.turn
    if not event.text.strip():
        return pen.ignore(event, "no words in it")
    lately = turn.taken or (turn.counted and talk.now_ms < turn.counted[-1].speech_ended_ms + TWICE_MS)
    if lately and not _new_in_interim(pen, event.text, talk.now_ms).text:
        return pen.ignore(event, "these words count already")
    decision = pen.ask(Words(event.text, final=False, said_ms=talk.began_ms))
    if not isinstance(decision, Yield):
        pen.ignore(event, decision.reason)
        nod = event.text if isinstance(decision, Aside) else ""
        if not nod or talk.held is None or talk.nod != nod or talk.aside_ms < talk.held.sound_at_ms:
            talk.nod, talk.aside_ms = nod, talk.now_ms
        if talk.held is not None and talk.settings.words_so_far_ms and talk.now_ms >= talk.asked_ms + ASK_EVERY_MS:
            talk.asked_ms = talk.now_ms
            pen.do(do.FinalizeWords, "it goes on: what are its words by now?", over=False)
        return None
    if not turn.interim:
        pen.cancel_timer("no_words", "words came")
        pen.cancel_timer("turn_end", "the customer goes on")
        pen.set_timer("final_wait", talk.settings.final_timeout_ms, "words came; their final should follow")
    turn.interim, turn.interim_at_ms = event.text, talk.now_ms
    _words_came(pen, decision.reason)


def final(pen: Pen, event: ev.TranscriptFinal) -> None:
    """The recogniser is sure of an utterance."""
    talk, turn = pen.talk, pen.talk.turn
    if not event.text.strip():
        turn.taken = ()
        return _nothing_new(pen, event, "the recogniser heard a sound without words")
    new = new_in(event, turn.counted, turn.taken, turn.taken_until_ms)
    turn.taken = new.taken
    if not new.text:
        turn.counted = [*turn.counted[-KEPT:], event]
        if turn.interim and talk.sound_ms > event.speech_ended_ms:
            return pen.ignore(event, "these words count already, and others are being said")
        return _nothing_new(pen, event, "these words count already")
    pen.cancel_timer("unheard", "words came")
    decision = pen.ask(Words(new.text, final=True, said_ms=new.began_ms))
    if isinstance(decision, Yield | Aside):
        turn.counted = [*turn.counted[-KEPT:], event]
    if not isinstance(decision, Yield):
        turn.interim = ""
        pen.cancel_timer("final_wait", "the words are ignored")
        pen.forget_sound(decision.reason)
        pen.ignore(event, decision.reason)
        if isinstance(decision, Aside):
            talk.history.add_aside(new.text)
        if talk.state in (S.USER_SPEAKING, S.INTERRUPTED):
            no_words(pen, decision.reason)
        if isinstance(decision, Reassure):
            speaking.hold_on(pen, decision.reason)
        return None
    turn.ended_ms, turn.typed = event.speech_ended_ms, False
    health = talk.services.get("stt")
    if health is not None and not health.target and pen.fallback.reset_failure_count("stt"):
        pen.do(do.Notify, "the recogniser works again", message="The stt is trusted again.")
    take_words(pen, new.text, joins=decision.joins)


def _nothing_new(pen: Pen, event: ev.Event, why: str) -> None:
    """What was thought to be words was none, or counts already."""
    talk = pen.talk
    talk.turn.interim = ""
    pen.cancel_timer("final_wait", why)
    if talk.state in (S.USER_SPEAKING, S.INTERRUPTED) and "turn_end" not in talk.timers:
        return no_words(pen, why)
    pen.ignore(event, why)


def take_interim(pen: Pen) -> str:
    """The interim words count from now on; returns what of them is new."""
    turn = pen.talk.turn
    new = _new_in_interim(pen, turn.interim, turn.interim_at_ms)
    turn.interim, turn.taken, turn.taken_until_ms = "", new.taken, turn.interim_at_ms
    return new.text


def _new_in_interim(pen: Pen, text: str, at_ms: float) -> New:
    talk, turn = pen.talk, pen.talk.turn
    return new_in_interim(text, at_ms, talk.sound_ms, turn.counted, turn.taken, turn.taken_until_ms)


def take_words(pen: Pen, text: str, *, joins: bool = False) -> None:
    """Words are final: add them to the turn and ask whether it is over. `joins`: she had just begun to answer that turn."""
    pen.talk.missed = False
    pen.cancel_timers("the words are final", "no_words", "final_wait", "turn_end", "hears_again", "heard_again")
    _words_came(pen, f"words are final: {short(text)}", final=True, joins=joins)
    pen.add_words(text)
    decision = pen.ask(Turn("final", text))
    if isinstance(decision, Wait):
        pen.change(S.USER_SPEAKING, "words came", S.INTERRUPTED)
        pen.talk.turn.hold_ms = decision.hold_ms
        pen.set_timer("turn_end", decision.hold_ms, decision.reason)
    else:
        replying.answer(pen, decision.reason)


def nothing_more_came(pen: Pen, event: ev.TimerFired) -> None:
    """The hold after final words is over."""
    replying.answer(pen, f"nothing more came within {pen.talk.turn.hold_ms:.0f} ms")


def no_words_came(pen: Pen, event: ev.TimerFired) -> None:
    """A sound, and nothing after it."""
    talk, settings = pen.talk, pen.talk.settings
    waited_ms = settings.no_words_after_sound_ms or settings.no_words_timeout_ms
    if settings.no_words_after_sound_ms and talk.sounding:
        if talk.now_ms < talk.sound_ms + NOISE_MS:
            return _expect_words(pen, "the customer is still heard")
        waited_ms = NOISE_MS
    why = f"no words came within {waited_ms:.0f} ms"
    ended = talk.vad_ms >= talk.sound_ms and not talk.sounding
    if talk.state is S.USER_SPEAKING and ended and talk.lasted_ms >= WORDS_MS and "unheard" not in talk.timers:
        _alert_unheard(pen, why)  # the recogniser began to hear it, and has said nothing of it since
    no_words(pen, why)


def _alert_unheard(pen: Pen, why: str) -> None:
    pen.talk.missed = True
    pen.do(do.RaiseAlert, why, name="unheard", message=f"What the customer may have said is not known: {why}.")


def unheard(pen: Pen, event: ev.TimerFired) -> None:
    """The local ear heard something like words, and the recogniser has told nothing of it."""
    why = f"the recogniser told nothing of a sound within {pen.talk.settings.slow_response_ms:.0f} ms"
    _alert_unheard(pen, why)
    words = pen.talk.lasted_ms >= WORDS_MS and switching.target_for(pen, "stt")
    if words and pen.fallback.record_failure("stt", pen.talk.now_ms):  # one may be a lorry
        switching.deaf(pen, f"{why}, {pen.talk.health('stt').failures} in a row")


def final_never_came(pen: Pen, event: ev.TimerFired) -> None:
    """Interim words have stood still for long: they count as final."""
    talk, turn = pen.talk, pen.talk.turn
    due_ms = turn.interim_at_ms + talk.settings.final_timeout_ms  # a sum, for a difference may not reach it
    if due_ms > talk.now_ms:
        return pen.set_timer_at("final_wait", due_ms, "the words are still growing")
    if not (text := take_interim(pen)):
        return _nothing_new(pen, event, "these words count already")
    turn.ended_ms = turn.interim_at_ms
    switching.deaf(pen, f"the final of {short(text)} did not come within {talk.settings.final_timeout_ms:.0f} ms")
    take_words(pen, text)


def expected(pen: Pen, event: ev.TurnEndExpected | ev.TurnResumed) -> None:
    """A recogniser that knows of turns thinks that one is about to end, or takes it back."""
    turn = Turn("expected", event.text) if isinstance(event, ev.TurnEndExpected) else Turn("resumed")
    decision = pen.ask(turn)
    if isinstance(decision, Ignore):
        pen.ignore(event, decision.reason)


def _words_came(pen: Pen, why: str, *, final: bool = False, joins: bool = False) -> None:
    """The sound was speech: give the customer the floor, whatever Clara was about."""
    talk = pen.talk
    pen.forget_sound(why)
    pen.change(S.INTERRUPTED, why, S.AVATAR_SPEAKING)
    speaking.silence(pen, why)
    if joins:
        speaking.take_back(pen)
    elif final:  # words that are withdrawn were none: what was cut may still go on
        speaking.settle(pen)
    if talk.state is S.PROCESSING:
        pen.change(S.USER_SPEAKING, f"the customer went on; {why}")
    elif talk.state is S.IDLE or (talk.state is S.INTERRUPTED and not final):
        pen.change(S.USER_SPEAKING, why)


def _expect_words(pen: Pen, why: str) -> None:
    pen.set_timer("no_words", pen.talk.settings.no_words_timeout_ms, why)
