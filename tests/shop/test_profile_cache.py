"""The cache of profiles: a day long, shared by processes, and able to forget one person whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit.shop.cache import ProfileCache

SHOP = "beta.myshopify.com"
GID = "gid://shopify/Customer/1001"
NODE = {"id": GID, "firstName": "Camila", "metafields": {"nodes": []}}


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(tmp_path: Path, clock: Clock) -> ProfileCache:
    return ProfileCache(tmp_path / "c" / "p.sqlite3", clock=clock)


async def test_an_answer_is_kept_for_a_day_with_its_age(cache: ProfileCache, clock: Clock, tmp_path: Path) -> None:
    assert await cache.get(SHOP, GID) is None
    assert await cache.put(SHOP, GID, NODE, warnings=("w",))
    clock.now_s += 3600
    again = ProfileCache(tmp_path / "c" / "p.sqlite3", clock=clock)
    found = await again.get(SHOP.upper(), 1001)
    assert found is not None and (found.node, found.age_s, found.warnings) == (NODE, 3600, ("w",))
    clock.now_s += 23 * 3600
    assert await again.get(SHOP, GID) is None


async def test_another_shop_customer_or_query_does_not_get_it(cache: ProfileCache) -> None:
    await cache.put(SHOP, GID, NODE)
    assert await cache.get("other.myshopify.com", GID) is None
    assert await cache.get(SHOP, 1002) is None
    assert await cache.get(SHOP, GID, "another version") is None
    stats = await cache.stats()
    assert (stats.answers, stats.hits, stats.misses) == (1, 0, 3)


@pytest.mark.parametrize("by", [1001, "1001", GID, "Camila@Example.com "])
async def test_forgetting_by_any_key_removes_every_answer(cache: ProfileCache, by: int | str, tmp_path: Path) -> None:
    await cache.put(SHOP, GID, NODE)
    await cache.put(SHOP, "camila@example.com", NODE)
    await cache.put(SHOP, GID, NODE, version="old")
    await cache.put(SHOP, 2, {"id": "gid://shopify/Customer/2"})
    assert await cache.forget(by) == 3
    assert [await cache.get(SHOP, who) for who in (GID, "camila@example.com")] == [None, None]
    assert await cache.get(SHOP, 2) is not None
    assert b"Camila" not in b"".join(p.read_bytes() for p in (tmp_path / "c").iterdir())


async def test_the_e_mail_still_forgets_when_its_own_answer_has_expired(cache: ProfileCache, clock: Clock) -> None:
    await cache.put(SHOP, "camila@example.com", NODE)
    clock.now_s += 23 * 3600
    await cache.put(SHOP, GID, NODE)
    clock.now_s += 2 * 3600
    assert await cache.get(SHOP, "camila@example.com") is None and await cache.get(SHOP, GID) is not None
    assert await cache.forget("camila@example.com") >= 1
    assert await cache.get(SHOP, GID) is None


async def test_an_incomplete_answer_lives_for_an_hour(cache: ProfileCache, clock: Clock) -> None:
    await cache.put(SHOP, GID, NODE, complete=False)
    clock.now_s += 3599
    assert await cache.get(SHOP, GID) is not None
    clock.now_s += 1
    assert await cache.get(SHOP, GID) is None


async def test_no_address_stands_in_keys_or_file_names(cache: ProfileCache, tmp_path: Path) -> None:
    await cache.put(SHOP, "camila@example.com", NODE)
    files = list((tmp_path / "c").iterdir())
    assert b"camila@" not in b"".join(p.read_bytes() for p in files)
    assert not any("camila" in p.name for p in files)


async def test_the_statistics_show_themselves_and_clearing_empties(cache: ProfileCache, clock: Clock) -> None:
    await cache.put(SHOP, GID, NODE)
    clock.now_s += 90
    await cache.get(SHOP, GID)
    stats = await cache.stats()
    assert (stats.answers, stats.hits, stats.oldest_s) == (1, 1, 90) and stats.file_bytes > 0
    assert "100 %" in stats._repr_html_() and "90 s" in stats._repr_html_() and "Camila" not in repr(stats)
    assert await cache.clear() == 1 and (await cache.stats()).answers == 0


async def test_a_value_that_is_no_answer_is_a_miss(cache: ProfileCache, tmp_path: Path) -> None:
    await cache.put(SHOP, GID, NODE)
    for broken in (b"[", b"[]", b'{"customer": 3}'):
        key = next(iter(_keys(tmp_path / "c" / "p.sqlite3")))
        cache._store.put(key, broken, ttl_s=100)
        assert await cache.get(SHOP, GID) is None


async def test_with_no_hours_nothing_is_kept(tmp_path: Path) -> None:
    cache = ProfileCache(tmp_path / "p.sqlite3", hours=0)
    assert not await cache.put(SHOP, GID, NODE) and await cache.get(SHOP, GID) is None
    assert not (tmp_path / "p.sqlite3").exists()


def _keys(path: Path) -> list[str]:
    import sqlite3

    db = sqlite3.connect(path)
    keys = [key for (key,) in db.execute("SELECT key FROM entries WHERE key LIKE 'answer:%'")]
    db.close()
    return keys
