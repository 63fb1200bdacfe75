"""What the kit logs while a conversation runs: beside its run, small however much there is, and nobody else's."""

from __future__ import annotations

import logging
import stat
import threading
from pathlib import Path

import pytest

from clara_kit import ConversationManager, Settings, compose
from clara_kit.core.records import Record
from clara_kit.runtime.kit_log import LOG_FILE, MOST_BYTES, KitLog

LOG = logging.getLogger("clara_kit.runtime")


def test_it_stays_small_and_keeps_the_newest_lines(tmp_path: Path) -> None:
    kit_log = KitLog(tmp_path)
    assert not list(tmp_path.iterdir())
    for number in range(12_000):
        LOG.warning("the socket broke for the %d. time", number)
    kit_log.close()
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == [LOG_FILE, f"{LOG_FILE}.1"]
    assert all(f.stat().st_size <= MOST_BYTES and stat.S_IMODE(f.stat().st_mode) == 0o600 for f in files)
    assert "11999. time" in files[0].read_text().splitlines()[-1]


def test_a_disk_that_takes_no_line_of_it_is_nobodys_trouble(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kit_log = KitLog(tmp_path / "not there")
    LOG.warning("said to nobody")
    kit_log.close()
    assert "Traceback" not in capfd.readouterr().err


async def test_each_conversation_has_its_own_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = list(logging.getLogger("clara_kit").handlers)

    def speaks(record: Record) -> None:
        raise ValueError("a mistake of whoever listens")

    for broken in (True, False):
        services = compose("sim", latency="fast", settings=Settings.of(local_vad=False, greeting=""))
        async with ConversationManager(services, log_root=tmp_path / str(broken)) as clara:
            if broken:
                clara.subscribe(speaks)
            await clara.type("Hola")
            LOG.warning("in another thread, %d", threading.get_ident())
        assert clara.run is not None and clara.run.folder is not None
        file = clara.run.folder / LOG_FILE
        assert file.exists() == broken
        assert not broken or ("a listener failed" in file.read_text() and "another thread" not in file.read_text())
    assert logging.getLogger("clara_kit").handlers == before
