"""The avatar vendor's own assistant: a pure timeline, beside those of our services (`timelines.py`, `mouths.py`).

It repeats what it is given with a voice of its own, answers by its own model, and hears the customer where it may. What it
answers is the scripted brain's answer to the prompt that it was told. Its times are assumed: no vendor publishes any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Settings
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import Fault
from clara_kit.world.mouths import START_STALL_MS, ClassicMouth, Length, Mouth
from clara_kit.world.script import WordTime
from clara_kit.world.timelines import Draw, Unheard, answer_tokens, failed

TURN_END_MS = 700.0  # assumed: the silence after which it takes the customer's turn to be over
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")


class AssistantMouth(Mouth):
    """Its voice and face: each piece is an order to repeat it, and a new piece follows upon the one before."""

    keeps = False

    def speak(self, piece_no: int, text: str, now_ms: float) -> list[ev.Event]:
        """The next piece."""
        who = self.utterance_id
        start_ms = now_ms + self._draw("tts_first_chunk")
        happens: list[ev.Event] = [ev.SpeechSent(at_ms=now_ms, utterance_id=who, piece_no=piece_no)]
        if piece_no == 0:
            late_ms, broken = struck(self.faults, now_ms, utterance_id=who)
            self._start_ms = self._free_ms = start_ms = start_ms + self._draw("avatar_start") + late_ms
            self._audio_ms = 0.0
            happens += [
                *broken,
                ev.FirstAudio(at_ms=start_ms, utterance_id=who, estimated=True),
                ev.SpeakingStarted(at_ms=start_ms, utterance_id=who, playout_ms=self._draw("playout")),
            ]
        length_ms, first_ms = self._length(text), max(start_ms, self._free_ms)
        self._free_ms = first_ms + length_ms
        self._audio_ms += length_ms
        at_ms, so_far_ms = self._free_ms, self._audio_ms
        voiced = ev.SpeechVoiced(
            at_ms=at_ms, utterance_id=who, piece_no=piece_no, audio_ms=so_far_ms, first_ms=first_ms
        )
        return [*happens, voiced]


def struck(
    faults: Iterable[Fault], now_ms: float, *, utterance_id: int, reply_id: int | None = None
) -> tuple[float, list[ev.Event]]:
    """How much later its first sound comes, and what it fails with; the last without ids: its session broke."""
    late_ms = 0.0
    broken: list[ev.Event] = []
    for fault in faults:
        at_ms = now_ms + fault.after_ms
        if fault.kind == "cut":
            broken.append(failed(fault, at_ms, utterance_id=utterance_id, reply_id=reply_id))
            broken.append(failed(fault, at_ms))
        elif fault.kind == "stall" and not 0 < fault.for_ms <= START_STALL_MS:
            at_ms += START_STALL_MS
            broken.append(failed(fault, at_ms, stalled=True, utterance_id=utterance_id, reply_id=reply_id))
            late_ms = max(late_ms, START_STALL_MS * 2)  # by then it is over
        elif fault.kind in ("slow", "stall"):
            late_ms += fault.for_ms
    return late_ms, broken


class Assistant:
    """One session of it. `mouth`: where what it says is going on; of the classic avatar it is the one of always."""

    def __init__(self, settings: Settings, draw: Draw, length: Length, book: AnswerBook, classic: Mouth | None) -> None:
        self.classic = isinstance(classic, ClassicMouth)
        self.mouth = classic if classic is not None and self.classic else AssistantMouth(settings, draw, length)
        self._draw, self._length, self._book = draw, length, book
        self._prompt: Prompt | None = None
        self._hash = ""
        self._asked_before, self._silent_ms = False, 0.0
        self._heard: list[tuple[float, float, Sequence[WordTime], float]] = []
        """Not answered yet: told when, its sound comes when, the words, and when their line began."""
        self._answers: tuple[int, int, float] = -1, -1, 0.0  # utterance, reply, and when all words of that are told

    def told(self, prompt: Prompt | None, messages: Sequence[do.Message], *, hash_: str = "") -> None:
        """What it knows from now on: our prompt (and how a log names it), and what was said so far."""
        self._prompt, self._hash = prompt, hash_
        before = messages[:-1] if messages and messages[-1].role == "user" else messages
        self._asked_before = any(message.role == "user" for message in before)

    def hear(self, words: Sequence[WordTime], start_ms: float, now_ms: float) -> list[ev.Event]:
        """What it makes of a stretch of a line that began at `start_ms`; an answer is then on its way.

        What has been said before `now_ms` is played to it as long as it was: a room takes sound no faster.
        """
        began, ended = start_ms + words[0].start_ms, start_ms + words[-1].end_ms
        taken = ended + max(0.0, now_ms - began)
        final_ms = taken + TURN_END_MS + self._draw("stt_results")
        self._heard.append((final_ms, max(final_ms, taken + self._draw("backup_answer")), words, start_ms))
        onset_ms = max(began, now_ms) + self._draw("stt_onset")
        text = " ".join(word.text for word in words)
        return [
            ev.SpeechStarted(at_ms=onset_ms, source="vendor", sound_at_ms=began),
            ev.TranscriptFinal(at_ms=final_ms, text=text, speech_started_ms=began, speech_ended_ms=ended),
        ]

    def deafened(self, now_ms: float) -> list[Unheard]:
        """It hears no more; what it had not told of is left to whoever hears next."""
        left = [([*words], start_ms) for final_ms, _, words, start_ms in self._heard if final_ms > now_ms]
        self._heard.clear()
        return left

    def ask(self, order: do.AskBackup, now_ms: float, faults: tuple[Fault, ...]) -> list[ev.Event]:
        """Its answer, all of it; void from the moment on at which it is silenced."""
        who, reply_id, question = order.utterance_id, order.reply_id, order.text
        start_ms = now_ms + self._draw("backup_answer")
        coming = [one for one in self._heard if one[0] <= now_ms]
        if order.heard and coming:
            _, ready_ms, words, _ = coming[-1]
            start_ms, question = max(now_ms, ready_ms), " ".join(word.text for word in words)
        self._heard = [one for one in self._heard if one[0] > now_ms]
        start_ms = max(start_ms, self._silent_ms)  # it has one voice
        self.mouth.begin(who, faults)
        late_ms, broken = struck(faults, now_ms, utterance_id=who, reply_id=reply_id)
        if self.classic:  # a task that breaks leaves the session as it is
            broken = [event for event in broken if getattr(event, "utterance_id", None) is not None]
        sentences = self.sentences(question)
        self._asked_before = True
        at_ms = start_ms + late_ms
        first, *more = self._told_as_it_is_said(sentences, at_ms, reply_id)
        self._answers = who, reply_id, more[-1].at_ms if more else at_ms
        end_ms = at_ms + sum(map(self._length, sentences))
        estimated = self.classic
        model = f"{'heygen' if self.classic else 'liveavatar'}: its own"
        return [
            ev.ReplyStarted(at_ms=now_ms, reply_id=reply_id, model=model, prompt_hash=self._hash),
            ev.SpeechSent(at_ms=now_ms, utterance_id=who, piece_no=0),
            *broken,
            first,
            ev.FirstAudio(at_ms=at_ms, utterance_id=who, estimated=True),
            ev.SpeakingStarted(at_ms=at_ms, utterance_id=who, estimated=estimated, playout_ms=self._draw("playout")),
            *more,
            ev.SpeakingEnded(at_ms=end_ms, utterance_id=who, estimated=estimated),
        ]

    def sentences(self, question: str) -> list[str]:
        """What it answers."""
        tokens = answer_tokens(self._book, question, self._prompt, first=not self._asked_before)
        return [sentence for sentence in _SENTENCE.split("".join(tokens)) if sentence]

    def silence(self, now_ms: float) -> list[ev.Event]:
        """It falls silent; its answer is written no further than it was said."""
        who, reply_id, told_ms = self._answers
        breaks_off = who == self.mouth.utterance_id and now_ms < told_ms
        silent = self.mouth.interrupt(now_ms)
        self._silent_ms = silent.at_ms
        completed = ev.ReplyCompleted(at_ms=silent.at_ms, reply_id=reply_id, stop_reason="end_turn")
        return [completed, silent] if breaks_off else [silent]

    def _told_as_it_is_said(self, sentences: list[str], at_ms: float, reply_id: int) -> list[ev.Event]:
        happens: list[ev.Event] = []
        for number, sentence in enumerate(sentences):
            text = sentence if number == 0 else f" {sentence}"
            happens.append(ev.ReplyDelta(at_ms=at_ms, reply_id=reply_id, text=text))
            began_ms, at_ms = at_ms, at_ms + self._length(sentence)
        return [
            *happens,
            ev.ReplyCompleted(at_ms=began_ms if sentences else at_ms, reply_id=reply_id, stop_reason="end_turn"),
        ]
