"""Runs every notebook and writes it as a page under build/walkthrough, with an index. Changes no notebook.

`--notebooks` and `--out`: other folders. Ends with 1 where a notebook broke: that costs its own page only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pages.assets import Assets
from pages.harvest import keep
from pages.index import Scored, index, scored
from pages.measured import Measured, held
from pages.page import page
from pages.running import Ran, run

from clara_kit import ConversationWindow, Run
from clara_kit.world.pace import VARIABLE

ROOT = Path(__file__).parents[1]
# How fast conversations are lived through. On such a clock (`clara_kit/world/pace.py`) a machine that is busy, as with two
# notebooks at a time, makes them take longer and not different: at 1 it would be seen in the scoreboard's figures.
PACE = 4
PEERS = ROOT / "data" / "turns" / "peers.html"  # made by tests/bench/peers/moments.py, where other packages can be run
TOGETHER = 2  # notebooks that run at a time: most of it is waiting for somebody to finish speaking


async def made(
    notebooks: list[Path], out: Path, *, talk: Callable[..., Awaitable[Run]] = held, **sizes: Any
) -> list[Ran]:
    """Run the notebooks and write the pages; returns what came of each.

    talk: holds the scoreboard's conversation. sizes: of what is `Measured`, where it shall be less.
    """
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {text}", flush=True)

    shutil.rmtree(out, ignore_errors=True)
    assets, room = Assets(out), asyncio.Semaphore(TOGETHER)
    shutil.copy(PEERS, out / PEERS.name)

    ran, when = [Ran.of(path) for path in notebooks], datetime.now().astimezone()
    ways = [("index.html", "Overview"), *((f"{one.name}.html", one.title) for one in ran)]

    def written(number: int) -> None:
        one = ran[number]
        before, after = ways[number], ways[number + 2] if number + 2 < len(ways) else None
        drawn = partial(
            page, one, assets, when=when, before=before, after=after, pages=[*(r.name for r in ran), PEERS.stem]
        )
        try:
            text = drawn()
        except Exception as exc:  # also a page that cannot be drawn costs no other
            one.stopped(f"Its page could not be made: {type(exc).__name__}: {exc}")
            text = drawn()
        (out / f"{one.name}.html").write_text(text, encoding="utf-8")

    async def walked(number: int) -> None:
        async with room:
            if ran[number].broke_at is None:
                await run(ran[number], notebooks[number].parent, tell)
            await asyncio.to_thread(written, number)
            tell(f"{ran[number].name}: page written")

    async def talked(folder: Path) -> tuple[Measured, Scored, Ran]:
        async with room:
            twin = await talk(folder, tell)
            measured = Measured(twin=twin, **sizes)
            return measured, await asyncio.to_thread(scored, measured, tell), seen(twin, folder)

    with TemporaryDirectory(prefix="clara-pages-") as folder:
        talking = asyncio.ensure_future(talked(Path(folder)))  # first in the queue: it lasts longest
        await asyncio.gather(*map(walked, range(len(ran))))
        measured, score, heard = await talking
    text = index(ran, assets, when=when, measured=measured, score=score, heard=heard)
    (out / "index.html").write_text(text, encoding="utf-8")
    return ran


def seen(twin: Run, folder: Path) -> Ran:
    """The window of a run, kept as those of notebooks are."""
    window = ConversationWindow(twin)
    keep(folder / "seen", {"run": twin})
    ran = Ran(name="index", title=window.title, cells=[])
    ran.read(folder / "seen")
    return ran


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "walkthrough")
    chosen = parser.parse_args()
    os.environ.setdefault(VARIABLE, str(PACE))
    notebooks = sorted(chosen.notebooks.glob("[0-9]*.ipynb"))
    if not notebooks:
        print(f"There are no notebooks in {chosen.notebooks}.")
        return 1
    return ended(asyncio.run(made(notebooks, chosen.out)), chosen.out)


def ended(ran: list[Ran], out: Path) -> int:
    """Say where to look and what broke; returns the exit code."""
    print(f"Open {out / 'index.html'}")
    broken = [one for one in ran if one.broke_at is not None]
    for one in broken:
        print(f"✗ {one.name} stopped: {one.why}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
