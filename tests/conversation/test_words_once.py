"""Every word of the customer counts once: taken from interim results, typed, said in two finals, in any mixture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Ignored
from clara_kit.core.settings import Settings
from clara_kit.core.states import ConversationState as S

WORD_MS = 400.0


def final(at_ms: float, text: str, from_ms: float, *, timed: bool = True) -> ev.TranscriptFinal:
    """Words of 400 ms each, from `from_ms` on."""
    times = [(from_ms + n * WORD_MS, from_ms + (n + 1) * WORD_MS) for n in range(len(text.split()))]
    words = tuple(ev.Word(text=w, start_ms=a, end_ms=b) for w, (a, b) in zip(text.split(), times, strict=True))
    until_ms = times[-1][1] if times else from_ms
    return ev.TranscriptFinal(
        at_ms=at_ms, text=text, speech_started_ms=from_ms, speech_ended_ms=until_ms, words=words if timed else ()
    )


class Heard:
    """A conversation, and what it was asked."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.talk = Conversation(settings)
        self.due: dict[str, float] = {}

    def hear(self, *events: ev.Event) -> None:
        for event in events:
            for command in self.talk.handle(event):
                if isinstance(command, do.SetTimer):
                    self.due[command.timer_id] = command.due_ms
                elif isinstance(command, do.CancelTimer):
                    self.due.pop(command.timer_id, None)

    def wait_until(self, at_ms: float) -> None:
        """Let the timers ring that are due until then."""
        while due := min(((at, name) for name, at in self.due.items() if at <= at_ms), default=None):
            del self.due[due[1]]
            self.hear(ev.TimerFired(at_ms=due[0], timer_id=due[1]))

    def sound(self, at_ms: float) -> None:
        self.hear(ev.SpeechStarted(at_ms=at_ms + 90, source="vendor", sound_at_ms=at_ms))

    def interim(self, at_ms: float, text: str) -> None:
        self.hear(ev.TranscriptInterim(at_ms=at_ms, text=text))

    def answer(self, at_ms: float) -> None:
        """Clara begins to answer aloud."""
        reply = next(reversed(self.talk.talk.replies))
        self.hear(ev.ReplyDelta(at_ms=at_ms, reply_id=reply, text="Te cuento algo bueno. Y después algo más."))
        self.hear(ev.ReplyCompleted(at_ms=at_ms, reply_id=reply, stop_reason="end_turn"))
        self.hear(ev.SpeakingStarted(at_ms=at_ms + 1, utterance_id=next(reversed(self.talk.talk.utterances))))

    @property
    def asked(self) -> list[str]:
        return [r.text for r in self.talk.trace if isinstance(r, do.RequestReply)]

    @property
    def customers(self) -> str:
        """All that the model knows of the customer's words."""
        said = [m.text for m in self.talk.history.said if m.role == "user"]
        return " ".join((*said, self.talk.talk.turn.question))


def taken(text: str = "quiero una crema") -> Heard:
    """Interim words whose final never came: they were taken, and Clara answers them aloud."""
    heard = Heard()
    heard.sound(1000)
    heard.interim(1000 + len(text.split()) * WORD_MS + 300, text)
    heard.wait_until(8000)
    assert heard.asked == [text]
    heard.answer(9000)
    return heard


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("text", ["Quiero una crema.", "Quiero una prima.", "quiero una", "Yo quiero una crema."])
def test_a_final_that_comes_after_its_words_were_taken_asks_nothing(text: str, timed: bool) -> None:
    heard = taken()
    heard.hear(final(9500, text, 1000, timed=timed))
    assert heard.asked == ["quiero una crema"] and heard.talk.state is S.AVATAR_SPEAKING


@pytest.mark.parametrize("timed", [True, False])
def test_of_a_final_with_taken_and_new_words_only_the_new_ones_count(timed: bool) -> None:
    heard = taken()
    heard.hear(final(9500, "Quiero una crema para las manos.", 1000, timed=timed))
    assert heard.asked == ["quiero una crema", "para las manos."]


def test_words_that_were_said_before_what_was_taken_and_were_not_in_it_are_not_lost() -> None:
    heard = taken("quiero una")  # the interim came when «crema» had just begun
    heard.hear(final(9500, "Quiero una crema.", 1000))
    assert heard.asked == ["quiero una", "crema."]


def test_a_number_that_is_written_otherwise_in_its_final_is_the_same_number() -> None:
    heard = taken("cuesta doce mil pesos")
    heard.hear(final(9500, "¿Cuesta $12.000? Gracias.", 1000))
    assert heard.asked[1:] in ([], ["Gracias."])
    other = taken("el de doce mil")
    other.hear(final(9500, "El de $12.000.", 1000))
    assert other.asked == ["el de doce mil"]


def test_two_finals_for_what_was_taken_are_each_held_against_their_part_of_it() -> None:
    heard = taken("quiero una crema para")
    heard.hear(final(9500, "Quiero una", 1000), final(9700, "crema para manos secas.", 1800))
    assert heard.asked == ["quiero una crema para", "manos secas."]


@pytest.mark.parametrize("timed", [True, False])
def test_typing_takes_the_open_interim_along_and_its_final_is_not_asked_again(timed: bool) -> None:
    heard = Heard()
    heard.sound(1000)
    heard.interim(2300, "quiero una crema")
    heard.hear(ev.TextTyped(at_ms=2400, text="la Brisa"))
    assert heard.asked == ["quiero una crema la Brisa"]
    heard.interim(2600, "quiero una crema")
    heard.hear(final(2900, "Quiero una crema.", 1000, timed=timed))
    assert heard.asked == ["quiero una crema la Brisa"] and heard.talk.state is S.PROCESSING
    heard.answer(4000)
    heard.hear(final(4300, "Quiero una crema. Por favor.", 1000, timed=timed))
    assert heard.asked[1:] == ["Por favor."]


def test_words_said_before_typing_that_no_interim_told_count_when_their_final_comes() -> None:
    heard = Heard()
    heard.hear(ev.TextTyped(at_ms=2000, text="Hola"), final(2500, "Quiero una crema.", 800))
    assert heard.asked == ["Hola", "Hola Quiero una crema."]


@pytest.mark.parametrize("timed", [True, False])
def test_a_message_that_comes_twice_neither_asks_nor_stops_her(timed: bool) -> None:
    heard = Heard()
    one = final(2400, "Quiero una crema.", 1000, timed=timed)
    heard.sound(1000)
    heard.interim(2000, "Quiero una")
    heard.hear(one)
    heard.interim(2420, "Quiero una crema.")
    heard.hear(one)
    heard.answer(3500)
    heard.hear(one)
    heard.wait_until(20_000)
    assert heard.asked == ["Quiero una crema."] and heard.talk.state is S.AVATAR_SPEAKING


@pytest.mark.parametrize("timed", [True, False])
def test_a_segment_that_repeats_the_end_of_the_one_before_brings_only_what_follows(timed: bool) -> None:
    heard = Heard(Settings.of(turn_hold_ms=2000))
    heard.hear(final(2400, "Quiero una crema", 1000, timed=timed))
    heard.hear(final(3400, "una crema para manos", 1400, timed=timed))
    heard.wait_until(9000)
    assert heard.asked == ["Quiero una crema para manos"]


@pytest.mark.parametrize("timed", [True, False])
def test_who_says_a_word_twice_has_said_it_twice(timed: bool) -> None:
    heard = Heard(Settings.of(turn_hold_ms=2000))
    heard.hear(final(1600, "no", 1000, timed=timed), final(2500, "no", 1900, timed=timed))
    heard.wait_until(9000)
    assert heard.asked == ["no no"]


def test_a_repeated_final_does_not_cut_the_wait_for_more_words_short() -> None:
    heard = Heard(Settings.of(turn_hold_ms=2000))
    one = final(2400, "Quiero una crema", 1000)
    heard.hear(one, one)
    assert heard.asked == []
    heard.wait_until(9000)
    assert heard.asked == ["Quiero una crema"]


def test_interim_words_that_are_withdrawn_were_none() -> None:
    heard = Heard()
    heard.sound(1000)
    heard.interim(1500, "eh")
    heard.hear(final(2000, "", 1000))
    assert heard.talk.state is S.IDLE
    heard.wait_until(20_000)
    assert heard.asked == []
    heard.hear(final(30_000, "Quiero una crema.", 28_000))
    assert heard.asked == ["Quiero una crema."]


def test_words_that_stop_her_and_are_withdrawn_do_not_keep_her_silent() -> None:
    heard = Heard()
    heard.hear(final(1000, "Hola", 100))
    heard.answer(2000)
    heard.interim(2500, "eh")
    assert heard.talk.state is not S.AVATAR_SPEAKING
    heard.hear(final(2900, "", 2300))
    spoken = [r for r in heard.talk.trace if isinstance(r, do.Speak)]
    assert len(spoken) > 2 and heard.asked == ["Hola"]


def test_an_ignored_final_says_why() -> None:
    heard = taken()
    heard.hear(final(9500, "Quiero una crema.", 1000))
    assert [r.reason for r in heard.talk.trace if isinstance(r, Ignored)] == ["these words count already"]


@given(st.data())
def test_every_word_counts_once_however_it_comes(data: st.DataObject) -> None:
    """Words told late in interims, in finals (of every cut, some twice or overlapping) and by typing, in any mixture."""
    count = data.draw(st.integers(2, 9), label="words")
    timed = data.draw(st.booleans(), label="timed")
    texts = [f"palabra{chr(97 + n)}" for n in range(count)]
    if timed:  # without times nobody could tell words that are alike from one that is told twice
        texts = data.draw(st.lists(st.sampled_from(["si", "no", "ya", *texts]), min_size=count, max_size=count))
    heard, from_ms, told, begin, typed = Heard(), 1000.0, 0, 0, 0
    heard.sound(from_ms)
    while told < count:
        end = data.draw(st.integers(told + 1, count), label="said until")
        at_ms = from_ms + end * WORD_MS + data.draw(st.sampled_from([0, 200, 900]), label="late")
        how = data.draw(st.sampled_from(["interim", "interim", "final", "twice", "overlap", "typed", "timeout"]))
        if how in ("interim", "typed", "timeout"):
            heard.interim(at_ms, " ".join(texts[begin:end]))
            if how == "typed":
                heard.hear(ev.TextTyped(at_ms=at_ms + 50, text=f"escrita{typed}"))
                typed += 1
            elif how == "timeout":
                heard.wait_until(at_ms + 4000)
        else:
            first = max(0, begin - 1) if how == "overlap" else begin
            one = final(at_ms, " ".join(texts[first:end]), from_ms + first * WORD_MS, timed=timed)
            heard.hear(*[one] * (2 if how == "twice" else 1))
            begin = end
        told = end
    at_ms = from_ms + count * WORD_MS + 900
    if begin < count:
        heard.hear(final(at_ms, " ".join(texts[begin:]), from_ms + begin * WORD_MS, timed=timed))
    heard.wait_until(at_ms + 60_000)
    assert sorted(heard.customers.split()) == sorted([*texts, *(f"escrita{n}" for n in range(typed))])
    assert heard.asked[-1].split()[-1] in heard.customers
    roles = [m.role for m in heard.talk.history.messages("¿y?")]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
