"""Whatever happens in fallback can be told: in sentences, lanes, the ledger, the window."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clara_kit import Fault, Run, Settings, simulate
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import Ignored, Record, StateChanged
from clara_kit.core.states import ConversationState as S
from clara_kit.lab.lanes import SERVICE_LANES, Span, Timeline
from clara_kit.lab.sentences import Language, followed, happened, in_plain
from clara_kit.lab.stepping import Stepper
from clara_kit.lab.survival.chaos import chaos
from clara_kit.lab.timeline import timeline
from clara_kit.measure import codec
from clara_kit.widgets.picture import svg
from clara_kit.widgets.sharing import _said
from clara_kit.widgets.words import mixed
from tests.lab.unlucky import unlucky

RAW = re.compile(r"internal error|not an event of this kit|its time is no time|^A setting is wrong")  # for engineers
LANGUAGES: tuple[Language, Language] = ("en", "es")
TWINS = dict.fromkeys(("stt", "llm", "tts", "avatar", "backup"), "twin")


@cache
def traces() -> tuple[tuple[Record, ...], ...]:
    return tuple(unlucky(seed, luck=(0.3, 0.6, 0.85)[seed % 3]) for seed in range(60))


def test_every_reason_of_fallback_is_told_in_both_languages() -> None:
    reasons = {r.reason for trace in traces() for r in trace if isinstance(r, do.Command | Ignored)}
    assert len(reasons) > 100
    unknown = sorted(r for r in reasons if not RAW.search(r) and not (in_plain(r) and in_plain(r, "es")))
    assert not unknown, "in clara_kit/lab/sentences.yml lack:\n" + "\n".join(unknown)


def test_every_order_of_fallback_is_told_as_a_sentence_of_its_own() -> None:
    told = {language: set[str]() for language in LANGUAGES}
    for record in (r for trace in traces()[:12] for r in trace if isinstance(r, do.Command | ev.Event)):
        for language in LANGUAGES:
            event = isinstance(record, ev.Event)
            sentences = (happened(record, language),) if event else followed((record,), language)
            assert all(one[-1] in ".?!" and "{" not in one and not one[0].islower() for one in sentences)
            told[language].update(sentences)
    english = " ".join(told["en"])
    for part in ("another vendor's voice takes its place", "only be read from here on", "heard without her face"):
        assert part in english
    assert "was asked to answer" in english and "has heard" in english and "was shown to be read" in english


def test_a_run_of_fallback_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    for trace in traces():
        log = tmp_path / "events.jsonl"
        log.write_text(codec.to_log(trace), "utf-8")
        (tmp_path / "manifest.json").write_text('{"inputs": {"modes": {}}, "facts": {"ended": ""}}', "utf-8")
        assert (
            Run.load(tmp_path).trace == trace
        )  # a session that is told the last turns says nothing of the next request
    assert any(isinstance(r, do.OpenBackup) and r.messages for trace in traces() for r in trace)


def test_a_ledger_of_fallback_adds_up_or_says_why_not_and_every_answer_of_the_backup_is_named() -> None:
    backup = held_on = shown = asked_again = 0
    for trace in traces():
        run = Run(inputs={"modes": TWINS}, trace=trace)
        assert len(run.turns) == len(run.ledger)
        asked = {r.turn_id for r in trace if isinstance(r, do.AskBackup)}
        for turn in run.ledger:
            adds_up = not turn.problem and turn.kind != "greeting"
            assert not adds_up or sum(turn.stages.values()) == pytest.approx(turn.total_ms, abs=1)
            assert "negative" not in turn.problem
            assert turn.backup <= (turn.turn_id in asked)
            backup, shown = backup + turn.backup, shown + turn.shown
            held_on, asked_again = held_on + (turn.held_on_ms is not None), asked_again + turn.asked_again
        answers = any(turn.backup for turn in run.ledger)
        assert ("llm twin then backup" in run.mix) >= answers
    assert min(backup, held_on, shown, asked_again) > 5


def test_the_lanes_of_services_lie_inside_and_never_overlap() -> None:
    for trace in traces()[:20]:
        line = timeline(trace)
        for lane in SERVICE_LANES:
            spans = [span for span in line.spans if span.lane == lane]
            assert all(line.begin_ms <= s.from_ms <= s.to_ms <= line.end_ms for s in spans)
            assert all(a.to_ms <= b.from_ms for a, b in pairwise(spans))
    told = timeline(trace, "es")
    assert [(s.lane, s.kind, s.from_ms) for s in told.spans] == [(s.lane, s.kind, s.from_ms) for s in line.spans]
    ElementTree.fromstring(svg(told, title="x", mix="offline twins", language="es"))


def test_at_each_step_it_is_told_how_services_fare() -> None:
    told: set[str] = set()
    for trace in traces()[:12]:
        stepper = Stepper(trace, Settings.of(enable_auto_fallback=True), "es")
        for step in range(0, len(stepper), 7):
            moment = stepper.moment(step)
            told.update(moment.services)
            assert all(sentence in moment.why for sentence in moment.services)
    assert any("y se deja de lado, en su lugar: el respaldo" in one for one in told)
    assert any(one.startswith("La voz: ") and "texto para leer" in one for one in told)
    assert any("fallas seguidas: 2" in one for one in told)


@pytest.mark.parametrize("fallback", [True, False])
def test_of_simulated_conversations_in_trouble_all_is_told_and_every_ledger_that_is_whole_adds_up(
    fallback: bool,
) -> None:
    whole = backup = 0
    for seed in range(40):
        trouble = chaos(seed, fallback=fallback)
        if not fallback and any(fault.service == "backup" for fault in trouble.script.faults):
            continue
        run = trouble.play()
        reasons = {r.reason for r in run.trace if isinstance(r, do.Command | Ignored)}
        assert {r for r in reasons if not RAW.search(r) and not in_plain(r, "es")} == set(), seed
        for turn in run.ledger:
            assert "add up" not in turn.problem and "negative" not in turn.problem, (seed, turn.turn_id)
            whole, backup = whole + (not turn.problem), backup + turn.backup
        timeline(run.trace)
    assert whole > 60 and (backup > 5) is fallback


# --- one of them, by hand -----------------------------------------------------------------------------------


def _did(kind: type[do.Command], at_ms: float, **fields: object) -> Record:
    return kind(at_ms=at_ms, reason="because", **fields)  # type: ignore[arg-type]


def _state(at_ms: float, source: S, target: S, turn_id: int) -> Record:
    return StateChanged(at_ms=at_ms, by="", turn_id=turn_id, source=source, target=target, reason="because")


def lost_and_found() -> Run:
    """The model fails twice, the backup answers; then it is tried again, answers, and its words can only be read."""
    asked, read = "¿Cuánto cuesta?", "¿Y el envío?"
    trace = (
        ev.ConversationStarted(at_ms=0),
        ev.TranscriptFinal(at_ms=1000, text=asked, speech_started_ms=500, speech_ended_ms=900),
        _state(1000, S.IDLE, S.PROCESSING, 1),
        _did(do.RequestReply, 1000, turn_id=1, reply_id=1, text=asked, messages=()),
        ev.ReplyStarted(at_ms=1010, reply_id=1, model="claude"),
        ev.ProviderFailed(
            at_ms=1500, service="llm", kind="overloaded", message="It is too busy.", retryable=True, reply_id=1
        ),
        _did(do.SetTimer, 1500, timer_id="retry#1", due_ms=2500),
        ev.TimerFired(at_ms=2500, timer_id="retry#1"),
        _did(do.RequestReply, 2500, turn_id=1, reply_id=2, text=asked, messages=()),
        ev.ProviderFailed(
            at_ms=2510, service="llm", kind="overloaded", message="It is too busy.", retryable=True, reply_id=2
        ),
        _did(do.SwitchTo, 2510, service="llm", target="backup"),
        do.Speak(at_ms=2510, reason="because", by="aside", turn_id=1, utterance_id=1, piece_no=0, text="Un momento."),
        _did(do.OpenBackup, 2510, messages=()),
        ev.SpeakingStarted(at_ms=3000, utterance_id=1),
        _state(3000, S.PROCESSING, S.AVATAR_SPEAKING, 1),
        ev.SpeakingEnded(at_ms=3900, utterance_id=1),
        _state(3900, S.AVATAR_SPEAKING, S.PROCESSING, 1),
        ev.ProviderRecovered(at_ms=4000, service="backup"),
        _did(do.SwitchTo, 4000, service="avatar", target="backup"),
        _did(do.Disconnect, 4000, service="avatar"),
        _did(do.AskBackup, 4000, turn_id=1, reply_id=3, utterance_id=2, text=asked),
        ev.ReplyStarted(at_ms=4001, reply_id=3, model="liveavatar: its own"),
        ev.SpeechSent(at_ms=4300, utterance_id=2, piece_no=0),
        ev.FirstAudio(at_ms=4800, utterance_id=2, estimated=True),
        ev.SpeakingStarted(at_ms=4800, utterance_id=2),
        _state(4800, S.PROCESSING, S.AVATAR_SPEAKING, 1),
        ev.ReplyDelta(at_ms=4900, reply_id=3, text="Cuesta "),  # its words come after its voice
        ev.ReplyDelta(at_ms=5200, reply_id=3, text="cinco mil."),
        ev.ReplyCompleted(at_ms=5200, reply_id=3, stop_reason="end_turn"),
        ev.SpeakingEnded(at_ms=6500, utterance_id=2),
        _state(6500, S.AVATAR_SPEAKING, S.IDLE, 1),
        _did(do.ProbePrimary, 20_000, service="llm"),
        ev.ProviderRecovered(at_ms=20_100, service="llm"),
        _did(do.SwitchTo, 20_100, service="llm", target=""),
        ev.TextTyped(at_ms=21_000, text=read),
        _state(21_000, S.IDLE, S.PROCESSING, 2),
        _did(do.RequestReply, 21_000, turn_id=2, reply_id=4, text=read, messages=()),
        ev.ReplyStarted(at_ms=21_010, reply_id=4, model="claude"),
        ev.ReplyDelta(at_ms=21_500, reply_id=4, text="Es gratis."),
        _did(do.SwitchTo, 21_500, service="tts", target="text"),
        _did(do.ShowText, 21_500, turn_id=2, utterance_id=3, text="Es gratis."),
        ev.ReplyCompleted(at_ms=21_600, reply_id=4, stop_reason="end_turn"),
        do.Notify(at_ms=21_600, reason="because", message="The llm is trusted again."),
        _state(21_600, S.PROCESSING, S.IDLE, 2),
        _did(do.Connect, 22_000, service="avatar"),
        ev.ProviderRecovered(at_ms=22_500, service="avatar"),
        _did(do.SwitchTo, 22_500, service="avatar", target=""),
        _did(do.CloseBackup, 22_500),
        ev.ConversationStopped(at_ms=23_000),
    )
    return Run(inputs={"modes": TWINS}, trace=trace)


def test_a_turn_of_the_backup_has_one_stage_for_all_that_it_does_by_itself() -> None:
    turn, read = lost_and_found().ledger
    assert turn.backup and turn.model == "liveavatar: its own" and turn.problem == ""
    assert turn.stages["request_sent → speaking_started"] == 799
    assert turn.total_ms == sum(turn.stages.values()) == 3900  # not up to «un momento», which answers nothing
    assert turn.held_on_ms == 2100 and turn.clara == "Cuesta cinco mil."
    assert turn.notes[0] == "Clara asked to hold on after 2100 ms"
    assert read.shown and not read.backup and read.problem == ""
    assert (read.total_ms, read.clara, list(read.stages.values())) == (500, "Es gratis.", [0, 10, 490, 0])


def test_the_mix_names_the_backup_where_it_answered_and_nowhere_else() -> None:
    run = lost_and_found()
    assert run.mix == "stt twin, llm twin then backup, tts twin then text, avatar twin then backup"
    assert mixed(run.mix, "es").startswith("pensamiento, avatar: gemelo sin conexión → respaldo")
    first, second = run.turns["mix"].to_list()
    assert "llm backup" in first and "llm twin" in second and "tts text" in second
    table = run._repr_html_()
    assert "answered by the avatar vendor" in table and "to be read only" in table
    unused = Run(inputs={"modes": TWINS}, trace=run.trace[:13])  # switched, but it never answered
    assert unused.mix == "offline twins"


def _spans(line: Timeline, lane: str) -> list[tuple[str, float, float]]:
    spans: list[Span] = [span for span in line.spans if span.lane == lane]
    return [(span.kind, span.from_ms, span.to_ms) for span in spans]


def test_the_lanes_show_failing_passed_by_tried_again_and_trusted() -> None:
    line = timeline(lost_and_found().trace)
    assert _spans(line, "llm") == [
        ("failing", 1500, 2510), ("passed by", 2510, 20_100), ("half open", 20_100, 21_600),
    ]  # fmt: skip
    assert _spans(line, "backup") == [("opening", 2510, 4000), ("speaks for Clara", 4000, 22_500)]
    assert _spans(line, "avatar") == []  # nothing is wrong with it: its session is closed for the backup's
    marks = [(mark.lane, mark.kind, mark.at_ms) for mark in line.marks if mark.lane in SERVICE_LANES]
    assert ("llm", "retry", 2500) in marks and ("llm", "probe", 20_000) in marks
    assert [at_ms for lane, kind, at_ms in marks if (lane, kind) == ("llm", "switch")] == [2510, 20_100]
    passed_by = next(span for span in line.spans if span.kind == "passed by")
    assert passed_by.label == "in its place: the backup"


def test_a_conversation_without_trouble_has_no_lane_of_a_service() -> None:
    trace = tuple(r for r in lost_and_found().trace[:4])
    assert not {entry.lane for entry in (*timeline(trace).spans, *timeline(trace).marks)} & set(SERVICE_LANES)


def test_a_page_to_share_has_what_the_backup_said_and_what_could_be_read() -> None:
    rows = [row for row in _said(lost_and_found()) if row["who"] == "Clara"]
    assert [(row["text"], row["unheard"], row["from"]) for row in rows] == [
        ("Un momento.", "", 3000), ("Cuesta cinco mil.", "", 4800), ("Es gratis.", "", 21_500),
    ]  # fmt: skip


def test_what_the_backup_is_told_of_a_customer_and_says_to_her_stands_in_the_trace_as_placeholders() -> None:
    faults = [Fault(service="llm", kind="refuse", status=529, on=n) for n in (1, 2, 3)]
    lines = ["¿Qué protector solar me recomiendas?", "Me llamo Camila, ¿cuánto cuesta?", "Gracias."]
    run = simulate(lines, Settings.of(enable_auto_fallback=True), seed=3, customer="camila", faults=faults)
    assert any(isinstance(r, do.OpenBackup) for r in run.trace) and any(turn.backup for turn in run.ledger)
    name = run.words["{first_name}"]
    kept = "\n".join(codec.to_jsonl([r]) for r in run.trace)
    assert name == "Camila" and name not in kept and "{first_name}" in kept
    assert any(name in turn.customer + turn.clara for turn in run.revealed().ledger)
