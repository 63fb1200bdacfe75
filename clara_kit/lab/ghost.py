"""The rest of a recorded conversation, played anew from a moment on: what its services would have answered.

Between `what_if.py`, which finds that moment, and the simulation's clockwork (`world/scheduler.py`), which plays what
follows. The customer's side stays as it was recorded; a reply is the recorded one where the same is asked, and every
service takes the median of what it took in this run. What was never recorded is assumed, and said in `assumed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from clara_kit.conversation.conversation import Conversation
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.lab.recorded import ENDS, Answer, Recorded, Reply, Said
from clara_kit.world import timelines
from clara_kit.world.answers import tokenize
from clara_kit.world.mouths import Mouth
from clara_kit.world.scheduler import World
from clara_kit.world.script import Line, Script

NOBODY = Script(lines=(Line(text="…"),))  # the customer is a record here
LONGER_MS = 120_000.0  # than the recorded conversation a ghost's is not


class _Voice(Mouth):
    """A mouth that goes on with what was recorded."""

    def take_over(self, who: int, said: Said, step: int, fed: int, ghost: Ghost) -> list[ev.Event]:
        """Utterance `who` as it was ordered before `step`: what will still happen to it from event `fed` on."""
        self.begin(who, ())
        pieces = [command for n, command in said.pieces if n < step]
        told = [
            (n, e) for n, e in said.events if not isinstance(e, ENDS) and getattr(e, "piece_no", 0) < len(pieces)
        ]  # fmt: skip
        coming: list[ev.Event] = [e for n, e in told if n >= fed]
        voiced = max((e.piece_no for _, e in told if type(e) is ev.SpeechVoiced), default=-1)
        self._audio_ms = max((e.audio_ms for _, e in told if type(e) is ev.SpeechVoiced), default=0.0)
        begun, now_ms = pieces[0].at_ms, ghost.now_ms
        sound, started = said.first(ev.FirstAudio), said.first(ev.SpeakingStarted)
        if started is None:
            if sound is None:
                sound = ev.FirstAudio(at_ms=max(now_ms, begun + self._draw("tts_first_chunk")), utterance_id=who)
                coming.append(sound)
            started = ev.SpeakingStarted(at_ms=max(now_ms, sound.at_ms + self._draw("avatar_start")), utterance_id=who)
            coming.append(started)
        self._start_ms, self._last_piece = started.at_ms, len(pieces) - 1
        if voiced < len(pieces) - 1:  # given, and its sound is not told of in the record
            self._audio_ms += sum(self._length(command.text) for command in pieces[voiced + 1 :])
            at_ms, last = max(now_ms, *(e.at_ms for e in coming), now_ms), self._last_piece
            coming.append(ev.SpeechVoiced(at_ms=at_ms, utterance_id=who, piece_no=last, audio_ms=self._audio_ms))
        self._free_ms = max(now_ms, self._start_ms + self._audio_ms)
        self._flushes.sound(self._audio_ms, sound.at_ms if sound else self._start_ms)
        self._made_ms = now_ms
        if said.closed_step is not None and said.closed_step < step:
            ended = said.first(ev.SpeakingEnded)
            coming.append(ended or ev.SpeakingEnded(at_ms=self._free_ms, utterance_id=who))
        return coming


class Ghost(World):
    """Plays on from where `conversation` stands. The events before number `fed` and the orders before `step` are shared."""

    def __init__(self, recorded: Recorded, conversation: Conversation, step: int, fed: int) -> None:
        settings = conversation.settings
        super().__init__(
            NOBODY, settings, seed=0, latency=recorded.latency, faults=(), policies=conversation.policies
        )  # fmt: skip
        self.conversation = self.door.conversation = conversation
        self.assumed: list[str] = []
        self._recorded, self._now_ms = recorded, conversation.talk.now_ms
        faster = settings.tts_speed / recorded.run.settings.tts_speed
        self._voice = self.speakers.ours = _Voice(settings, self._draw, lambda text: recorded.length(text, faster))
        self._used: set[int] = set()  # recorded replies that have been given
        self._finals: list[tuple[int, ev.TranscriptFinal, float]] = []  # to come: step, itself, when it is due
        self._untold: set[int] = set()  # steps that do not come any more, for their words have come already
        self.door.carry[do.FinalizeWords] = self._finalize
        self.door.carry[do.LoadProfile] = lambda _: None
        self.door.carry[do.AskBackup] = self._ask_backup
        self.speakers.go_on_from(conversation.talk)
        if conversation.talk.health("stt").target == "backup":
            self._disconnect_ear()
        self._customer_goes_on(step, fed)
        self._go_on_with(step, fed)
        for timer in conversation.talk.timers.values():
            due_ms = max(timer.due_ms, self._now_ms)
            self.at(due_ms, ev.TimerFired(at_ms=due_ms, timer_id=timer.timer_id))

    def play_on(self, orders: Sequence[do.Command]) -> None:
        """Carry out `orders`, and all that follows from them to the end."""
        for command in orders:
            if not isinstance(command, do.SetTimer):  # all that are set are in the queue already
                self.door.carry_out(command)
        stops_ms, in_the_middle = self._recorded.stops_ms
        self.at(stops_ms, lambda _: None)  # nobody hangs up earlier than it was recorded
        self.play(at_most_ms=stops_ms if in_the_middle else stops_ms + LONGER_MS)

    def _feed(self, event: ev.Event) -> None:
        if type(event) is not ev.ConversationStarted:  # it has long begun
            super()._feed(event)

    def _wish(self, wish: Any) -> None:
        """What the customer does is recorded."""

    # --- the customer -------------------------------------------------------------------------------------

    def _customer_goes_on(self, step: int, fed: int) -> None:
        recorded = self._recorded
        anew = {("reply_id", r) for r, one in recorded.replies.items() if one.step >= step}
        anew |= {("utterance_id", u) for u, one in recorded.said.items() if one.pieces[0][0] >= step}
        if (reply := recorded.writing(step)) is not None:
            anew.add(("reply_id", reply.asked.reply_id))
        anew.add(("utterance_id", recorded.sounding(step) or 0))
        under_way = recorded.answering(step)
        anew |= {one for answer in recorded.answers if answer.step >= step or answer is under_way for one in answer.ids}
        for n, (event, _) in enumerate(recorded.steps[fed:], fed):
            at_ms = max(event.at_ms, self._now_ms)
            if isinstance(event, ev.TimerFired | ev.ConversationStopped):
                continue
            if isinstance(event, ev.ProviderRecovered | ev.ProviderFailed) and event.service == "backup":
                continue
            if any((name, getattr(event, name, None)) in anew for name in ("reply_id", "utterance_id")):
                continue  # Clara's side is drawn anew
            if type(event) is ev.TranscriptFinal:
                if recorded.hurried(event, step):
                    waits_ms = recorded.run.settings.stt_endpointing_ms + recorded.results_ms
                    at_ms = max(at_ms, event.speech_ended_ms + waits_ms)
                self._finals.append((n, event, at_ms))
            self.at(at_ms, lambda now_ms, n=n, event=event: self._told(n, event, now_ms))  # type: ignore[misc]

    def _told(self, n: int, event: ev.Event, now_ms: float) -> None:
        if n not in self._untold:
            self._finals = [one for one in self._finals if one[0] != n]
            self._feed(replace(event, at_ms=now_ms))

    def _finalize(self, command: do.FinalizeWords) -> None:
        """The words whose sound is over come at once; of a sound that lasts, those so far."""
        results_ms = self._recorded.results_ms
        if not command.over:
            lasting = (e for _, e, _ in self._finals if e.speech_started_ms <= self._now_ms < e.speech_ended_ms)
            if (final := next(lasting, None)) and (said := timelines.words_until(final.words, self._now_ms)):
                at_ms = self._now_ms + results_ms
                self.at(at_ms, ev.TranscriptInterim(at_ms=at_ms, text=said))
            return
        for one in self._finals:
            n, event, due_ms = one
            if event.speech_ended_ms <= self._now_ms < due_ms - results_ms:
                self._finals.remove(one)
                self._untold |= {
                    m for m, (e, _) in enumerate(self._recorded.steps[: n + 1])
                    if e is event or (type(e) is ev.TranscriptInterim and self._now_ms + results_ms < e.at_ms <= due_ms)
                }  # fmt: skip
                at_ms = self._now_ms + results_ms
                return self.at(at_ms, replace(event, at_ms=at_ms))

    # --- what was under way -------------------------------------------------------------------------------

    def _go_on_with(self, step: int, fed: int) -> None:
        recorded = self._recorded
        if (reply := recorded.writing(step)) is not None:
            self._number += 1
            self._asked, self._next_at = reply.asked, (self._now_ms, self._number)
            told = sum(n < fed for n, _ in reply.events)
            self._writing = self._written(reply.asked, reply, reply.asked.at_ms, skip=told)
            self._write_on()
        if (who := recorded.sounding(step)) is not None:
            self.speakers.happen(self._voice, self._voice.take_over(who, recorded.said[who], step, fed, self))

        if (answer := recorded.answering(step)) is not None:
            self._answer_on(answer, fed)

    def _ask_backup(self, command: do.AskBackup) -> None:
        self.assumed.append(f"the scripted brain answers «{command.text}» for the avatar vendor's own assistant")
        self.speakers.hands[do.AskBackup](command)

    def _answer_on(self, answer: Answer, fed: int) -> None:
        """The backup answers on as it did; where it was stopped or broke, it comes to its end by itself."""
        assistant, who = self.speakers.assistant, answer.asked.utterance_id
        assistant.mouth.begin(who, ())
        started = next((e for _, e in answer.events if type(e) is ev.SpeakingStarted), None)
        if started is None:
            anew = assistant.ask(answer.asked, self._now_ms, ())
            return self.speakers.happen(assistant.mouth, anew)
        coming = [(n, e) for n, e in answer.events if type(e) is ev.SpeakingEnded or not isinstance(e, ENDS)]
        if type(coming[-1][1]) is not ev.SpeakingEnded:
            said = "".join(e.text for _, e in coming if type(e) is ev.ReplyDelta)
            end_ms = max(self._now_ms, started.at_ms + self._recorded.length(said))
            coming.append((fed, ev.SpeakingEnded(at_ms=end_ms, utterance_id=who, estimated=True)))
        self.speakers.happen(
            assistant.mouth, [replace(e, at_ms=max(e.at_ms, self._now_ms)) for n, e in coming if n >= fed]
        )

    # --- the model ----------------------------------------------------------------------------------------

    def _request_reply(self, command: do.RequestReply) -> None:
        self._number += 1
        self._asked, self._next_at = command, (self._now_ms, self._number)
        asked = command.text, timelines.how_asked(command.messages)[1]
        replies = self._recorded.replies.values()
        same = [r for r in replies if (r.asked.text, timelines.how_asked(r.asked.messages)[1]) == asked]
        same.sort(key=lambda r: (r.asked.reply_id in self._used, type(r.end) is not ev.ReplyCompleted))
        self._writing = self._written(command, same[0] if same else None, self._now_ms)
        self._write_on()

    def _written(
        self, command: do.RequestReply, reply: Reply | None, asked_ms: float, skip: int = 0
    ) -> Iterator[ev.Event]:
        """A reply as it was recorded, moved to when it is asked now; the rest of it where it was dropped then."""
        draw, who, at_ms = self._draw, command.reply_id, asked_ms
        if reply is not None:
            self._used.add(reply.asked.reply_id)
            moved_ms = asked_ms - reply.asked.at_ms
            kinds: tuple[type, ...] = (ev.ReplyStarted, ev.ReplyDelta)
            told = [e for _, e in reply.events if type(e) in kinds or (e is reply.end and (skip or type(e) is ev.ReplyCompleted))]  # fmt: skip
            for n, event in enumerate(told):
                at_ms = event.at_ms + moved_ms
                if n >= skip:
                    at_ms = max(at_ms, self._now_ms)
                    yield replace(event, at_ms=at_ms, reply_id=who)
            if told and told[-1] is reply.end:
                return
        _, said = timelines.how_asked(command.messages)
        written = reply.text if reply is not None else said
        tokens = self._tokens(command, written)
        if reply is None:
            prompt = next((e.prompt_hash for r in self._recorded.replies.values() for _, e in r.events if type(e) is ev.ReplyStarted), "")  # fmt: skip
            yield ev.ReplyStarted(at_ms=at_ms, reply_id=who, model=self.settings.llm_model, prompt_hash=prompt)
        if reply is None or not written:
            at_ms = asked_ms + draw("llm_first_token")
        for token in tokens:
            at_ms = max(round(at_ms + 1000 / draw("llm_tokens_per_s"), 3), self._now_ms)
            yield ev.ReplyDelta(at_ms=at_ms, reply_id=who, text=token)
        yield ev.ReplyCompleted(at_ms=max(at_ms, self._now_ms), reply_id=who, stop_reason="end_turn")

    def _tokens(self, command: do.RequestReply, written: str) -> tuple[str, ...]:
        """What follows upon what was written: from another recorded reply, or from the scripted brain."""
        replies = self._recorded.replies.values()
        for reply in replies:
            if reply.asked.text == command.text and reply.text.startswith(written) and len(reply.text) > len(written):
                return (reply.text[len(written) :],)
        if self._recorded.run.modes.get("llm", "sim") in ("sim", "twin"):
            tokens = timelines.answer_tokens(self.writer.book, command.text, None)
            text = "".join(tokens)
            if text.startswith(written):
                if not written:
                    self.assumed.append(f"the scripted brain answers «{command.text}»")
                return tuple(tokenize(text[len(written) :])) if written else tokens
        if written:
            self.assumed.append(f"the answer to «{command.text}» ends where it was dropped; its rest was never written")
            return ()
        asked = set(command.text.casefold().split())
        nearest = max(replies, key=lambda r: len(asked & set(r.asked.text.casefold().split())), default=None)
        self.assumed.append(f"«{command.text}» was never asked: the answer to «{nearest.asked.text if nearest else ''}» stands for it")  # fmt: skip
        return (nearest.text,) if nearest is not None else ()
