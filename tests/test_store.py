"""The store keeps what it was given, between processes and kills, and never fails for what a disk does."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clara_kit.store import SCHEMA_VERSION, Store, own_salt


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return Store(tmp_path / "cache" / "s.sqlite3", clock=clock)


def value(store: Store, key: str) -> bytes | None:
    entry = store.get(key)
    return None if entry is None else entry.value


def aside(store: Store) -> list[str]:
    return sorted(p.name for p in store.path.parent.iterdir() if "damaged" in p.name)


def test_a_value_lives_until_its_end_and_survives_a_restart(store: Store, clock: Clock) -> None:
    assert store.put("a", {"x": [1, "ñ"]}, ttl_s=10) and store.put("b", b"\x00\xff", ttl_s=100, tag="t")
    again = Store(store.path, clock=clock)
    entry = again.get("a")
    assert entry is not None and entry.json() == {"x": [1, "ñ"]} and entry.stored_at == clock.now_s
    clock.now_s += 10
    assert again.get("a") is None and value(again, "b") == b"\x00\xff"
    assert again.stats().entries == 1 and not again.warnings


def test_what_has_expired_leaves_the_file_with_the_next_write(store: Store, clock: Clock) -> None:
    store.put("a", b"Camila-of-yesterday", ttl_s=10)
    clock.now_s += 11
    store.put("b", b"x", ttl_s=10)
    assert b"Camila" not in store.path.read_bytes()


def test_what_was_deleted_is_not_left_on_the_disk(store: Store) -> None:
    for n in range(20):
        store.put(f"k{n}", b"Camila" * 300, ttl_s=10, tag="c" if n % 2 else "d")
    assert store.delete(tag="c") == 10 and store.delete(prefix="k1") == 5 and store.delete("k0") == 1
    assert store.clear() == 4
    assert b"Camila" not in b"".join(p.read_bytes() for p in store.path.parent.iterdir())


def test_an_entry_from_the_future_was_stored_by_a_wrong_clock(store: Store, clock: Clock) -> None:
    clock.now_s += 1e6
    store.put("a", b"x", ttl_s=10)
    clock.now_s -= 1e6
    assert store.get("a") is None


def test_renewed_entries_live_longer_but_never_shorter(store: Store, clock: Clock) -> None:
    store.put("link:1", b"", ttl_s=10, tag="t")
    store.put("link:2", b"", ttl_s=99, tag="t")
    store.put("other", b"", ttl_s=10, tag="t")
    assert store.renew("t", "link:", ttl_s=50) == 2
    clock.now_s += 49
    assert value(store, "link:1") == b"" and store.get("other") is None
    clock.now_s += 30
    assert store.get("link:1") is None and value(store, "link:2") == b""


def test_only_the_owner_may_read_it(store: Store) -> None:
    old = os.umask(0)
    try:
        store.put("a", b"x", ttl_s=10)
    finally:
        os.umask(old)
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in store.path.parent.iterdir())
    store.path.chmod(0o644)
    assert value(Store(store.path, clock=store._clock), "a") == b"x"
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def damage_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def damage_garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(9000))


def damage_foreign_text(path: Path) -> None:
    path.write_text('{"this": "was localStorage"}')


def damage_foreign_database(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE notes (text)")
    db.commit()
    db.close()


def damage_other_version(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.commit()
    db.close()


def damage_other_tables(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("DROP TABLE entries")
    db.commit()
    db.close()


def damage_a_letter_of_a_value(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"the value", b"the vague"))


DAMAGES = [f for name, f in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("restarted", [True, False])
def test_a_damaged_file_is_set_aside_with_a_warning(
    store: Store, damage: object, restarted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(60):
        store.put(f"k{n}", b"the value" * 50, ttl_s=10)
    damage(store.path)  # type: ignore[operator]
    left = store.path.read_bytes()
    if restarted:
        store = Store(store.path, clock=store._clock)
    for n in range(60):
        assert value(store, f"k{n}") is None or not restarted
    assert store.put("k1", b"new", ttl_s=10) and value(store, "k1") == b"new"
    assert aside(store) == ["s.sqlite3.damaged-1"]
    assert store.path.with_name("s.sqlite3.damaged-1").read_bytes() == left
    assert len(store.warnings) == 1 and "s.sqlite3.damaged-1" in store.warnings[0]
    assert store.warnings[0] in caplog.text
    damage_garbage(store.path)
    assert store.get("k1") is None and aside(store)[-1] == "s.sqlite3.damaged-2"


def test_an_emptied_file_is_a_new_store(store: Store) -> None:
    store.put("a", b"x", ttl_s=10)
    store.path.write_bytes(b"")
    store.path.with_name("s.sqlite3-journal").write_bytes(b"rubbish")
    assert store.get("a") is None and store.put("b", b"y", ttl_s=10) and value(store, "b") == b"y"


@pytest.mark.parametrize("seed", range(12))
def test_bytes_changed_anywhere_never_raise_and_never_give_a_wrong_value(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    for n in range(30):
        store.put(f"k{n}", b"%d:" % n + bytes(200), ttl_s=10)
    raw = bytearray(store.path.read_bytes())
    for _ in range(rng.choice([1, 5, 200])):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    store.path.write_bytes(raw)
    store = Store(store.path, clock=store._clock)
    for n in range(30):
        assert value(store, f"k{n}") in (None, b"%d:" % n + bytes(200))
        store.stats(), store.tags("k"), store.renew("", "k", ttl_s=1)
    store.clear()
    assert store.put("a", b"x", ttl_s=10) and value(store, "a") == b"x"


@pytest.mark.parametrize("where", ["/proc/nowhere/s.sqlite3", "file/s.sqlite3", "folder"])
def test_where_nothing_can_be_kept_everything_works_without(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder" / "x").mkdir(parents=True)
    store = Store(tmp_path / where)
    assert store.put("a", b"x", ttl_s=10) is False and store.get("a") is None
    assert (store.delete("a"), store.clear(), store.stats().entries, store.tags("a")) == (0, 0, 0, frozenset())
    assert len(store.warnings) == 1 and "nothing is kept" in store.warnings[0]


def test_a_read_only_file_is_still_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", b"x", ttl_s=10)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **kw: connect(path.replace("mode=rw", "mode=ro"), **kw))
    assert value(store, "a") == b"x" and store.put("b", b"y", ttl_s=10) is False
    assert value(store, "a") == b"x" and not aside(store)
    assert len(store.warnings) == 1 and "readonly" in store.warnings[0]


def test_a_full_disk_keeps_what_was_there(store: Store) -> None:
    store.put("a", b"x", ttl_s=10)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (store.path.stat().st_size + 1000, limits[1]))
    try:
        assert store.put("b", bytes(300_000), ttl_s=10) is False
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert value(store, "a") == b"x" and store.get("b") is None and not aside(store)
    assert len(store.warnings) == 1


WRITER = """
import sys
from clara_kit.store import Store
store, name = Store(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
n = 0
while n < int(sys.argv[3]):
    store.put(f"{name}{n % 50}", (f"{name}{n}:" + "x" * 3000).encode(), ttl_s=1000)
    n += 1
print(store.warnings, flush=True)
"""


def writer(store: Store, name: str, count: int) -> subprocess.Popen[str]:
    args = [sys.executable, "-c", WRITER, str(store.path), name, str(count)]
    return subprocess.Popen(args, stdout=subprocess.PIPE, text=True)


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.sqlite3")
    writers = [writer(store, name, 50) for name in "ab"]
    for process in writers:
        assert process.communicate(timeout=60)[0].splitlines() == ["ready", "()"]
    assert store.stats().entries == 100 and not store.warnings and not aside(store)


def test_a_writer_killed_at_any_moment_leaves_it_readable(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.sqlite3")
    store.put("kept", b"x", ttl_s=1000)
    rng = random.Random(2)
    for _ in range(8):
        process = writer(store, "a", 1_000_000)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert value(store, "kept") == b"x" and store.put("after", b"y", ttl_s=1000)
        for n in range(50):
            found = value(store, f"a{n}")
            assert found is None or (found.startswith(b"a") and found.endswith(b"x" * 3000))
    assert not store.warnings and not aside(store)


def test_threads_that_find_damage_at_the_same_moment_set_aside_once(store: Store) -> None:
    store.put("a", b"x", ttl_s=10)
    damage_garbage(store.path)
    stores = [Store(store.path, clock=store._clock) for _ in range(8)]
    threads = [threading.Thread(target=s.put, args=(f"k{n}", b"v"), kwargs={"ttl_s": 10}) for n, s in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert aside(store) == ["s.sqlite3.damaged-1"] and store.stats().entries == 8


def test_the_salt_is_made_once_is_its_owners_alone_and_never_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "salt"
    with ThreadPoolExecutor(8) as many:
        salts = set(many.map(own_salt, [path] * 16))
    assert len(salts) == 1 and len(salts.pop()) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    assert own_salt(path) == path.read_text() and path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "file").touch()
    assert len(own_salt(tmp_path / "file" / "salt")) == 32  # no such disk: this process has its own
