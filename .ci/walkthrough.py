"""Runs every notebook and writes it as a page under build/walkthrough, with an index. Changes no notebook.

`--notebooks` and `--out`: other folders. Ends with 1 where a notebook broke: that costs its own page only.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pages.assets import Assets
from pages.harvest import keep
from pages.index import index, scored
from pages.measured import Measured, held
from pages.page import page
from pages.running import Ran, run

from clara_kit import ConversationWindow, Run

ROOT = Path(__file__).parents[1]
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

    async def one(path: Path) -> Ran:
        async with room:
            return await run(path, tell)

    with TemporaryDirectory(prefix="clara-pages-") as folder:

        async def talked() -> Run:
            async with room:
                return await talk(Path(folder), tell)

        talking = asyncio.ensure_future(talked())  # first in the queue: it lasts longest
        ran = list(await asyncio.gather(*(one(path) for path in notebooks)))
        twin = await talking
        measured = Measured(twin=twin, **sizes)
        score, heard = await asyncio.to_thread(scored, measured, tell), seen(twin, Path(folder))
    when = datetime.now().astimezone()
    ways = [("index.html", "Overview"), *((f"{r.name}.html", r.title) for r in ran)]
    for number, result in enumerate(ran):
        before, after = ways[number], ways[number + 2] if number + 2 < len(ways) else None
        text = page(result, assets, when=when, before=before, after=after, pages=[r.name for r in ran])
        (out / f"{result.name}.html").write_text(text, encoding="utf-8")
        tell(f"{result.name}: page written")
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
