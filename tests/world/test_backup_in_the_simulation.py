"""What is passed by, and what stands in its place, in virtual time: who speaks, who hears, and when it is there."""

from __future__ import annotations

from typing import Any

import pytest

from clara_kit import Fault, Run, Settings, replay, simulate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.commands import Message
from clara_kit.core.errors import ScriptError, SettingsError
from clara_kit.core.prompt import Prompt
from clara_kit.world.answers import AnswerBook
from clara_kit.world.assistant import TURN_END_MS, Assistant
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.script import Line, word_times
from clara_kit.world.timelines import Ear, how_asked, unsaid

ON = Settings.of(enable_auto_fallback=True)
LINES = ["¿Qué protector solar me recomiendas?", "¿Y cuánto cuesta?", "¿Hacen despachos?", "Gracias"]
NO_MODEL = [Fault(service="llm", kind="refuse", status=529, on=n) for n in range(1, 5)]
DEAF = [Fault(service="stt", kind="cut"), *(Fault(service="stt", kind="refuse", on=n) for n in range(2, 6))]


def of(run: Run, kind: Any) -> list[Any]:
    return [record for record in run.trace if isinstance(record, kind)]


def at_once(stage: str) -> float:
    return 100.0


def test_the_backup_answers_by_its_own_name_and_is_heard_after_its_session_is_there() -> None:
    run = simulate(LINES, ON, seed=3, faults=NO_MODEL)
    asked = of(run, do.AskBackup)[0]
    there = next(e for e in of(run, ev.ProviderRecovered) if e.service == "backup")
    opened = of(run, do.OpenBackup)[0]
    laws = LatencyProfile.load("published").laws
    assert there.at_ms - opened.at_ms > laws["avatar_open"].low / 3 and asked.at_ms >= there.at_ms
    told = [e for e in of(run, ev.ReplyStarted | ev.ReplyDelta | ev.ReplyCompleted) if e.reply_id == asked.reply_id]
    assert told[0].model == "liveavatar: its own" and isinstance(told[-1], ev.ReplyCompleted)
    assert "".join(e.text for e in told[1:-1]) == AnswerBook.load().reply(LINES[0]).text
    ends = next(e for e in of(run, ev.SpeakingEnded) if e.utterance_id == asked.utterance_id)
    assert told[-1].at_ms <= ends.at_ms  # all words come before the end
    assert run.modes["backup"] == "sim" and replay(run).same


def test_the_classic_avatar_answers_in_the_session_that_is_there() -> None:
    run = simulate(LINES, ON.with_changes(avatar_vendor="heygen"), seed=3, faults=NO_MODEL)
    opened, there = of(run, do.OpenBackup)[0], next(e for e in of(run, ev.ProviderRecovered) if e.service == "backup")
    assert there.at_ms == opened.at_ms
    assert any(e.model == "heygen: its own" for e in of(run, ev.ReplyStarted))
    assert not any(d.service == "avatar" for d in of(run, do.Disconnect))


def test_a_customer_whom_no_recogniser_hears_is_heard_by_the_backup_and_answered() -> None:
    run = simulate(LINES, ON, seed=3, faults=DEAF)
    assert [e.text for e in of(run, ev.TranscriptFinal)] == LINES  # nothing is lost, nothing comes twice
    heard = [a for a in of(run, do.AskBackup) if a.heard]
    assert heard
    for asked in heard:  # it began to answer when it heard, not when it was asked
        final = max((e for e in of(run, ev.TranscriptFinal) if e.at_ms <= asked.at_ms), key=lambda e: e.at_ms)
        first = next(e for e in of(run, ev.SpeakingStarted) if e.utterance_id == asked.utterance_id)
        assert first.at_ms - final.speech_ended_ms < 8000


def test_the_voice_alone_is_heard_without_an_avatar_in_the_way() -> None:
    faults = [
        Fault(service="avatar", kind="cut", on=2),
        *(Fault(service="avatar", kind="refuse", on=n) for n in range(3, 30)),
    ]
    run = simulate(LINES, ON, seed=3, faults=faults)
    switched = next(s for s in of(run, do.SwitchTo) if s.target == "sound")
    sounds = {e.utterance_id: e.at_ms for e in of(run, ev.FirstAudio)}
    after = [e for e in of(run, ev.SpeakingStarted) if e.at_ms > switched.at_ms]
    assert after and all(e.at_ms == sounds[e.utterance_id] for e in after)


def test_who_reads_what_cannot_be_said_goes_on_with_the_conversation() -> None:
    faults = [Fault(service="tts", kind="cut", on=n) for n in range(2, 40)]
    run = simulate(LINES, ON, seed=3, faults=faults)
    shown = of(run, do.ShowText)
    assert shown and [e.text for e in of(run, ev.TranscriptFinal)] == LINES
    begins = next(e.sound_at_ms for e in of(run, ev.SpeechStarted) if e.at_ms > shown[0].at_ms)
    read_ms = sum(len(s.text) for s in shown if s.at_ms < begins) / 25 * 1000
    assert shown[0].at_ms + read_ms <= begins < shown[0].at_ms + read_ms + 3000  # and not before she has read it


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize("service", ["stt", "llm", "tts", "avatar"])
def test_a_service_that_is_busy_is_tried_again_and_one_that_refuses_is_not(service: Any, status: int) -> None:
    def told(status: int) -> ev.ProviderFailed:
        fault = Fault(service=service, kind="refuse", status=status, for_ms=700)
        return next(
            e for e in of(simulate(LINES[:1], seed=2, faults=[fault]), ev.ProviderFailed) if e.service == service
        )

    busy, refused = told(status), told(401)
    assert (
        busy.retryable
        and busy.kind == ("rate_limited" if status == 429 else "overloaded")
        and busy.retry_after_ms == 700
    )
    assert not refused.retryable and refused.kind == "refused"


def test_what_others_found_out_is_known_before_the_first_word() -> None:
    run = simulate(LINES, ON, seed=1, health={"llm": "open"})
    assert not any(r.at_ms < 20_000 for r in of(run, do.RequestReply)) and of(run, do.AskBackup)
    assert (
        run.inputs["health"] == {"llm": "open"}
        and run.to_jsonl() == simulate(LINES, ON, seed=1, health={"llm": "open"}).to_jsonl()
    )
    for wrong in ({"llm": "ajar"}, {"fax": "open"}):
        with pytest.raises(SettingsError, match="health"):
            simulate(LINES, ON, health=wrong)  # type: ignore[arg-type]


def test_a_fault_of_a_backup_that_nobody_asks_is_refused() -> None:
    with pytest.raises(SettingsError, match="backup"):
        simulate(LINES, faults=[Fault(service="backup", kind="cut")])
    with pytest.raises(ScriptError):
        Fault(service="backup", kind="decline")


def test_a_conversation_is_over_though_something_is_still_passed_by() -> None:
    run = simulate(LINES[:1], ON.with_changes(fallback_open_ms=600_000), seed=3, faults=NO_MODEL)
    last = max(e.at_ms for e in of(run, ev.SpeakingEnded))
    assert run.events[-1].at_ms >= last
    assert not of(run, do.ProbePrimary)  # nobody waits ten minutes on the line for it


# --- the pure parts --------------------------------------------------------------------------------------------


def test_an_assistant_that_is_silenced_writes_no_further_and_one_that_was_told_more_knows_it() -> None:
    one = Assistant(Settings(), at_once, lambda text: 1000.0, AnswerBook.load(), None)
    one.told(Prompt(static=""), [Message(role="user", text="Hola")])
    asked = do.AskBackup(at_ms=0.0, reason="", turn_id=1, reply_id=5, utterance_id=7, text=LINES[0])
    told = one.ask(asked, 0.0, ())
    assert [type(e) for e in told[:2]] == [ev.ReplyStarted, ev.SpeechSent] and isinstance(told[-1], ev.SpeakingEnded)
    completed, silent = one.silence(150.0)
    assert isinstance(completed, ev.ReplyCompleted) and completed.reply_id == 5
    assert isinstance(silent, ev.SpeakingInterrupted) and silent.utterance_id == 7 and one.mouth.utterance_id < 0


def test_what_an_assistant_has_not_told_when_it_is_deafened_is_left_to_the_next_ear() -> None:
    one, line = Assistant(Settings(), at_once, lambda text: 1000.0, AnswerBook.load(), None), Line(text=LINES[0])
    words = word_times(line)
    final = one.hear(words, 1000.0, 1000.0)[-1]
    assert one.deafened(final.at_ms - 1) == [([*words], 1000.0)] and one.deafened(0.0) == []
    again = one.hear(words, 1000.0, 5000.0)[-1]  # heard late: a room takes sound no faster than it was spoken
    assert again.at_ms == pytest.approx(final.at_ms + 4000.0 - words[0].start_ms) and again.at_ms > TURN_END_MS


def test_a_recogniser_tells_what_it_understood_before_it_broke_and_the_rest_once_it_is_back() -> None:
    line = Line(text="Busco un protector solar que no deje grasa", pauses=({"after_word": 4, "ms": 3000},))  # type: ignore[arg-type]
    ear = Ear(Settings(), at_once)
    events = [
        e for words in ear.line(line, (Fault(service="stt", kind="cut", after_ms=4500),)) for e in ear.hear(words, 0.0)
    ]
    finals = [e for e in events if isinstance(e, ev.TranscriptFinal)]
    (broke,) = (e for e in events if isinstance(e, ev.ProviderFailed))
    assert [e.text for e in finals] == ["Busco un protector solar"] and finals[0].at_ms < broke.at_ms
    assert [e.text for e in ear.connected(broke.at_ms + 10)] == ["que no deje grasa"]  # type: ignore[attr-defined]


def test_what_is_closed_tells_no_more_and_leaves_it_to_whoever_hears_next() -> None:
    ear, line = Ear(Settings(), at_once), Line(text=LINES[0])
    (words,) = ear.line(line, (Fault(service="stt", kind="slow", for_ms=9000),))
    *_, final = ear.hear(words, 0.0)
    ear.disconnected(3000.0)
    assert not ear.tells(final) and ear.leaves(3000.0, 30_000) == [(words, 0.0)] and ear.connected(4000.0) == []


def test_the_rest_of_an_answer_is_what_has_not_been_said() -> None:
    whole = AnswerBook.load().reply(LINES[0]).text
    first = whole[: whole.index("Si la tuya")].strip()
    assert unsaid(whole, first).startswith("Si la tuya") and unsaid(whole, "Otra cosa.") == whole
    run = simulate(LINES[:1], Settings.of(greeting=""), seed=4, faults=[Fault(service="llm", kind="cut", after_ms=300)])
    assert how_asked(of(run, do.RequestReply)[-1].messages) == (True, first)
    assert " ".join(s.text for s in of(run, do.Speak)) == whole


def test_a_refusal_of_the_backup_counts_its_doors_and_all_else_what_it_says() -> None:
    box = FaultBox([Fault(service="backup", kind="refuse", on=2), Fault(service="backup", kind="cut", on=2)])
    assert not box.next_occasion("backup", "token") and not box.next_occasion("backup")
    assert [f.kind for f in box.next_occasion("backup")] == ["cut"]
    assert [f.kind for f in box.next_occasion("backup", "token")] == ["refuse"]


def test_a_latency_file_from_before_there_was_a_backup_is_read_as_published() -> None:
    laws = LatencyProfile.load("fast").to_dict()["laws"]
    stages = {stage: {"fixed": law[1], "source": "mine"} for stage, law in laws.items()}
    older = {stage: law for stage, law in stages.items() if stage not in ("avatar_open", "backup_answer")}
    read, published = LatencyProfile.from_dict({"stages": older}, name="mine"), LatencyProfile.load("published")
    assert read.laws["avatar_open"] == published.laws["avatar_open"] and read.laws["avatar_start"].low == 5
    assert all("assumed" in published.laws[stage].source for stage in ("avatar_open", "backup_answer"))  # type: ignore[index]
    with pytest.raises(ScriptError, match="missing stages"):
        LatencyProfile.from_dict({"stages": {"avatar_open": stages["avatar_open"]}}, name="mine")
