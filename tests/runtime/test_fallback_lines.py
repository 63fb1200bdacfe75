"""What is ordered of the lines of a conversation: left and opened again, somebody else in a service's place, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderRefused, ProviderUnavailable, SettingsError
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Settings
from clara_kit.providers.avatar.base import AvatarProvider, Backup
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.hearing import Hearing
from clara_kit.runtime.switchboard import Switchboard

LOUD = np.full(320, 4000, dtype="<i2").tobytes()
QUIET = bytes(640)


class Line:
    """A provider of any kind that remembers what it was told; `tell` and `over` come from the other end."""

    def __init__(self, name: str, *, refuses: Exception | None = None) -> None:
        self.name, self.refuses = name, refuses
        self.told: list[Any] = []
        self.entered = self.left = 0
        self.hears = False
        self.rate_hz = 24_000
        self._events: asyncio.Queue[ev.Event | None] = asyncio.Queue()

    async def __aenter__(self) -> Line:
        if self.refuses is not None:
            raise self.refuses
        self.entered += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0.05)  # a farewell
        self.left += 1

    async def events(self) -> AsyncIterator[ev.Event]:
        while (event := await self._events.get()) is not None:
            yield event

    def tell(self, *events: ev.Event | None) -> None:
        for event in events:
            self._events.put_nowait(event)

    async def speak(self, utterance_id: int, piece_no: int, text: str) -> None:
        self.told.append(text)

    async def end_speech(self, utterance_id: int) -> None: ...

    async def interrupt(self, utterance_id: int) -> None:
        self.told.append(f"stop {utterance_id}")

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        self.told.append(captured_ms)

    async def warm(self) -> None:
        self.told.append("warm")
        if self.refuses is not None:
            raise self.refuses

    async def aclose(self) -> None:
        self.left += 1


class Asked(Line):
    async def ask(self, turn_id: int, reply_id: int, utterance_id: int, text: str, *, heard: bool = False) -> None:
        self.told.append((reply_id, text, heard))


class Board:
    """A switchboard over such lines, and what it has told."""

    def __init__(self, **lines: Line) -> None:
        self.lines: dict[str, Line] = {
            "stt": Line("stt"), "avatar": Line("avatar"), "backup": Asked("backup"), "sound": Line("sound"),
            "tts": Line("tts"), "llm": Line("llm"),
        } | lines  # fmt: skip
        self.told: list[ev.Event] = []
        self.clock = MonotonicClock()
        made = self.lines
        services: Any = SimpleNamespace(
            stt=lambda _: made["stt"], avatar=lambda *_: made["avatar"], tts=lambda _: made["tts"],
            sound_only=lambda *_: made["sound"], other_voice=self._other, settings=Settings(),
            prompt=Prompt(static=""),
        )  # fmt: skip
        self.board = Switchboard(
            services, self.clock, self.told.append, SimpleNamespace(probe=made["llm"].warm),  # type: ignore[arg-type]
            open_backup=lambda command, hears: self._backup(command, hears), shown=lambda avatar, ear: None,
        )  # fmt: skip

    def _other(self, clock: Any) -> Any:
        if "other" not in self.lines:
            raise SettingsError("There is no key.")
        return self.lines["other"]

    def _backup(self, command: do.OpenBackup, hears: bool) -> Any:
        self.lines["backup"].hears = hears or command.hears
        return self.lines["backup"]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Board]:
        try:
            async with asyncio.TaskGroup() as tasks:
                await self.board.connect(tasks)
                yield self
                raise _OverError
        except* _OverError:
            pass

    async def do(self, kind: type[do.Command], **fields: Any) -> None:
        command = kind(at_ms=0.0, reason="a test", **fields)
        hand = self.board.switch if kind is do.SwitchTo else self.board.hands[kind]
        hand(command)  # type: ignore[operator]
        await asyncio.sleep(0.3)

    def kinds(self) -> list[str]:
        return [f"{type(e).__name__} {getattr(e, 'service', '')}".strip() for e in self.told]


class _OverError(Exception):
    """Ends the group."""


async def say(board: Board, text: str, utterance_id: int = 1) -> None:
    await board.do(do.Speak, turn_id=1, utterance_id=utterance_id, piece_no=0, text=text)


async def test_a_line_that_was_left_is_opened_again_only_when_it_is_to_be() -> None:
    async with Board().connected() as board:
        avatar = board.lines["avatar"]
        await board.do(do.Disconnect, service="avatar")
        assert (avatar.entered, avatar.left, board.kinds()) == (1, 1, [])  # that it was left is no failure
        await say(board, "Hola")
        assert board.kinds() == ["ProviderFailed avatar"]  # and whoever speaks nevertheless is told
        await board.do(do.Connect, service="avatar")
        assert (avatar.entered, board.kinds()[1:]) == (2, ["ProviderRecovered avatar"])
        await say(board, "Hola")
        assert avatar.told == ["Hola"]


async def test_the_backup_speaks_answers_and_hears_once_it_is_there_and_until_it_is_closed() -> None:
    async with Board().connected() as board:
        stt, avatar, backup = (board.lines[name] for name in ("stt", "avatar", "backup"))
        await board.do(do.OpenBackup, messages=())
        assert board.kinds() == ["ProviderRecovered backup"]
        await board.do(do.SwitchTo, service="llm", target="backup")
        assert not backup.hears
        await board.do(do.SwitchTo, service="avatar", target="backup")
        await say(board, "Un momento")
        await board.do(do.AskBackup, turn_id=1, reply_id=3, utterance_id=2, text="¿Qué hora es?")
        await board.do(do.InterruptAvatar, utterance_id=2)
        assert backup.told == ["Un momento", (3, "¿Qué hora es?", False), "stop 2"]
        await board.do(do.SwitchTo, service="stt", target="backup")
        assert backup.hears and stt.left == 1
        await board.board.hearing.frame(LOUD, 20.0)
        await asyncio.sleep(0.1)
        assert backup.told[-1] == 20.0 and stt.told == []
        await board.do(do.ProbePrimary, service="stt")  # connects anew
        assert stt.entered == 2 and board.kinds()[-1] == "ProviderRecovered stt"
        await board.do(do.SwitchTo, service="stt", target="")
        await board.do(do.SwitchTo, service="avatar", target="")
        await board.do(do.CloseBackup)
        assert not backup.hears and backup.left == 1
        await say(board, "Aquí estoy", 9)
        await board.board.hearing.frame(LOUD, 40.0)
        assert avatar.told == ["Aquí estoy"] and stt.told[-1] == 40.0
        assert "ProviderFailed backup" not in board.kinds()


async def test_what_was_being_said_when_an_avatar_is_left_counts_as_cut() -> None:
    async with Board().connected() as board:
        await say(board, "Sí, despachamos")
        await board.do(do.Disconnect, service="avatar")
        (cut,) = board.told
        assert isinstance(cut, ev.SpeakingInterrupted) and cut.utterance_id == 1 and cut.estimated
        await board.do(do.Connect, service="avatar")
        await say(board, "Sí, despachamos")
        board.lines["avatar"].tell(ev.SpeakingEnded(at_ms=0.0, utterance_id=1))
        await asyncio.sleep(0.1)
        await board.do(do.Disconnect, service="avatar")
        assert not [e for e in board.told[1:] if isinstance(e, ev.SpeakingInterrupted)]


async def test_what_one_avatar_speaks_is_stopped_by_the_same_and_what_she_says_afterwards_is_of_no_interest() -> None:
    async with Board().connected() as board:
        avatar, sound = board.lines["avatar"], board.lines["sound"]
        await say(board, "Sí, despachamos")
        board.board.orders.interrupt(do.InterruptAvatar(at_ms=0.0, reason="a test", utterance_id=1))
        await board.do(do.SwitchTo, service="avatar", target="sound")
        assert avatar.told[1:] == ["stop 1"] and sound.told == []
        assert board.kinds() == ["SpeakingInterrupted"]

        def gone(**ids: int) -> ev.ProviderFailed:
            return ev.ProviderFailed.of(ProviderUnavailable("gone"), "avatar", 0.0, **ids)

        board.told.clear()
        await board.do(do.SwitchTo, service="avatar", target="")
        await board.do(do.Connect, service="avatar")
        told, board.board._feed = board.told.append, lambda _: None

        def at_the_first(event: ev.Event) -> None:
            told(event)
            if isinstance(event, ev.ProviderFailed):
                board.board.switch(do.SwitchTo(at_ms=0.0, reason="a test", service="avatar", target="sound"))

        board.board._lines["avatar"]._feed = at_the_first
        avatar.tell(gone(utterance_id=2), gone())
        await asyncio.sleep(0.3)
        assert board.kinds() == ["ProviderRecovered avatar", "ProviderFailed avatar"]


async def test_who_asks_a_backup_that_is_not_there_is_told() -> None:
    async with Board().connected() as board:
        await board.do(do.AskBackup, turn_id=1, reply_id=3, utterance_id=2, text="¿Qué hora es?")
        (failed,) = board.told
        assert isinstance(failed, ev.ProviderFailed)
        assert (failed.service, failed.reply_id, failed.utterance_id) == ("backup", 3, 2)


@pytest.mark.parametrize(
    ("wrong", "retryable"),
    [(ProviderUnavailable("overloaded"), True), (SettingsError("no package"), False), (TypeError("ours"), False)],
)
async def test_a_backup_that_cannot_be_opened_ends_nothing(wrong: Exception, retryable: bool) -> None:
    async with Board(backup=Asked("backup", refuses=wrong)).connected() as board:
        await board.do(do.OpenBackup, messages=())
        (failed,) = board.told
        assert isinstance(failed, ev.ProviderFailed) and failed.service == "backup" and failed.retryable is retryable
        board.lines["backup"].refuses = None
        await board.do(do.OpenBackup, messages=())
        assert board.kinds()[-1] == "ProviderRecovered backup"


async def test_a_backup_is_opened_once_however_often_it_is_ordered() -> None:
    async with Board().connected() as board:
        for _ in range(3):
            await board.do(do.OpenBackup, messages=())
        assert board.lines["backup"].entered == 1
        await board.do(do.CloseBackup)
        await board.do(do.OpenBackup, messages=())
        assert (board.lines["backup"].entered, board.lines["backup"].left) == (2, 1)


async def test_the_classic_avatar_is_its_own_backup_and_stays_one_session() -> None:
    async with Board(avatar=Asked("avatar")).connected() as board:
        avatar = board.lines["avatar"]
        await board.do(do.OpenBackup, messages=())
        await board.do(do.SwitchTo, service="avatar", target="backup")
        await board.do(do.Disconnect, service="avatar")
        await board.do(do.AskBackup, turn_id=1, reply_id=3, utterance_id=2, text="¿Qué hora es?")
        await board.do(do.SwitchTo, service="avatar", target="")
        await board.do(do.CloseBackup)
        await say(board, "Aquí estoy", 9)
        assert avatar.told == [(3, "¿Qué hora es?", False), "Aquí estoy"]
        assert (avatar.entered, avatar.left, board.kinds()) == (1, 0, ["ProviderRecovered backup"])
        await board.do(do.OpenBackup, messages=())
        avatar.tell(None)  # its session ends, and with it the backup
        await asyncio.sleep(0.3)
        assert sorted(board.kinds()[-2:]) == ["ProviderFailed avatar", "ProviderFailed backup"]


async def test_another_voice_speaks_from_the_next_utterance_on_or_it_is_told_that_there_is_none() -> None:
    async with Board().connected() as board:
        await board.do(do.SwitchTo, service="tts", target="other")
        (failed,) = board.told
        assert isinstance(failed, ev.ProviderFailed) and (failed.service, failed.kind) == ("tts", "refused")
        assert not failed.retryable
        board.lines["other"] = Line("other")
        await board.do(do.SwitchTo, service="tts", target="other")
        assert board.board.voice._now is board.lines["other"]
        await board.do(do.ProbePrimary, service="tts")
        assert board.lines["tts"].told == ["warm"] and board.kinds()[-1] == "ProviderRecovered tts"
        await board.do(do.SwitchTo, service="tts", target="")
        assert board.board.voice._now is board.lines["tts"]


async def test_the_bare_voice_takes_the_orders_that_came_before_it() -> None:
    async with Board().connected() as board:
        await board.do(do.Disconnect, service="avatar")
        switch = do.SwitchTo(at_ms=0.0, reason="a test", service="avatar", target="sound")
        board.board.switch(switch)
        await say(board, "Sigo aquí")  # ordered in the same breath
        assert board.lines["sound"].told == ["Sigo aquí"] and board.told == []
        await board.do(do.Connect, service="avatar")
        await board.do(do.SwitchTo, service="avatar", target="")
        await say(board, "Ya me ves", 2)
        assert board.lines["avatar"].told == ["Ya me ves"]
        assert board.kinds() == ["ProviderRecovered avatar"]


@pytest.mark.parametrize("service", ["llm", "tts", "stt", "avatar"])
async def test_a_trial_tells_what_came_of_it(service: str) -> None:
    async with Board(other=Line("other")).connected() as board:
        await board.do(do.SwitchTo, service="tts", target="other")
        await board.do(do.Disconnect, service="stt")
        await board.do(do.Disconnect, service="avatar")
        board.lines[service].refuses = ProviderRefused("The key is refused.")
        await board.do(do.ProbePrimary, service=service)
        assert board.kinds() == [f"ProviderFailed {service}"]
        board.lines[service].refuses = None
        await board.do(do.ProbePrimary, service=service)
        assert board.kinds()[1:] == [f"ProviderRecovered {service}"]


async def test_a_trial_without_an_answer_is_a_failure_in_time() -> None:
    async with Board().connected() as board:
        board.board._models.probe = asyncio.Event().wait  # type: ignore[assignment, method-assign]
        await board.do(do.ProbePrimary, service="llm")
        await board.do(do.ProbePrimary, service="llm")  # one at a time
        await asyncio.sleep(3.5)
        (failed,) = board.told
        assert isinstance(failed, ev.ProviderFailed) and (failed.service, failed.kind) == ("llm", "stalled")


ORDERS: dict[str, Callable[[Board], Any]] = {
    "opening": lambda board: board.board.hands[do.OpenBackup](do.OpenBackup(at_ms=0, reason="", messages=())),
    "open": lambda board: board.do(do.OpenBackup, messages=()),
    "bare voice": lambda board: board.do(do.SwitchTo, service="avatar", target="sound"),
    "left": lambda board: board.do(do.Disconnect, service="avatar"),
    "trial": lambda board: board.board.hands[do.ProbePrimary](do.ProbePrimary(at_ms=0, reason="", service="llm")),
}


@pytest.mark.parametrize("state", ORDERS)
async def test_hanging_up_then_leaves_no_task_and_nothing_open(state: str) -> None:
    before = asyncio.all_tasks()
    async with Board().connected() as board:
        if (waiting := ORDERS[state](board)) is not None:
            await waiting
    assert asyncio.all_tasks() == before
    for line in board.lines.values():
        assert line.entered == line.left, line.name


# --- who hears ---------------------------------------------------------------------------------------------------


class Ear:
    def __init__(self, *, slow_s: float = 0.0) -> None:
        self.heard: list[float] = []
        self._slow_s = slow_s

    async def send(self, pcm: bytes, captured_ms: float) -> None:
        if self._slow_s:
            await asyncio.sleep(self._slow_s)
        self.heard.append(captured_ms)


async def frames(hearing: Hearing, *frames: tuple[int, bytes]) -> None:
    for captured_ms, pcm in frames:
        await hearing.frame(pcm, float(captured_ms))


@pytest.fixture
async def hearing() -> AsyncIterator[Hearing]:
    hearing = Hearing()
    work = asyncio.create_task(hearing.catch_up())
    yield hearing
    work.cancel()
    await asyncio.wait({work})


async def test_the_next_ear_hears_first_what_the_last_had_no_words_for(hearing: Hearing) -> None:
    deaf, other = Ear(), Ear()
    hearing.use(deaf)
    await frames(hearing, *((ms, LOUD) for ms in range(0, 2000, 20)))
    hearing.words(1000)  # words for the first second, or nearly
    hearing.use(None)
    await frames(hearing, *((ms, LOUD) for ms in range(2000, 3000, 20)))
    hearing.use(other)
    await frames(hearing, (3000, LOUD))
    await asyncio.sleep(0.1)
    assert other.heard == [float(ms) for ms in range(700, 3001, 20)]
    assert deaf.heard == [float(ms) for ms in range(0, 2000, 20)]


async def test_long_quiet_is_not_heard_again(hearing: Hearing) -> None:
    loud = {*range(3000, 3200, 20), *range(9000, 9200, 20)}
    await frames(hearing, *((ms, LOUD if ms in loud else QUIET) for ms in range(0, 12_000, 20)))
    other = Ear()
    hearing.use(other)
    await asyncio.sleep(0.1)
    assert other.heard == [float(ms) for ms in (*range(2400, 3800, 20), *range(8400, 9800, 20))]


async def test_an_ear_that_takes_its_time_holds_up_no_microphone_and_gets_everything(hearing: Hearing) -> None:
    slow = Ear(slow_s=0.02)
    hearing.use(slow, waits=True)
    await frames(hearing, *((ms, LOUD) for ms in range(0, 1000, 20)))
    assert len(slow.heard) < 2
    await asyncio.sleep(2)
    assert slow.heard == [float(ms) for ms in range(0, 1000, 20)]


async def test_what_is_kept_is_bounded(hearing: Hearing) -> None:
    await frames(hearing, *((ms, LOUD) for ms in range(0, 90_000, 20)))
    other = Ear()
    hearing.use(other)
    await asyncio.sleep(0.2)
    assert other.heard[0] == pytest.approx(60_000, abs=50)


def test_these_lines_keep_the_protocols() -> None:
    asked: Backup = Asked("backup")
    avatar: AvatarProvider = Line("avatar")
    assert asked is not avatar
