"""Runs every notebook and writes it as a page under build/walkthrough, with an index. Changes no notebook.

`--notebooks` and `--out`: other folders. Ends with 1 where a notebook broke: that costs its own page only.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path

from pages.assets import Assets
from pages.index import index
from pages.page import page
from pages.running import Ran, run

ROOT = Path(__file__).parents[1]
TOGETHER = 2  # notebooks that run at a time: most of it is waiting for somebody to finish speaking


async def made(notebooks: list[Path], out: Path, *, score: bool = True) -> list[Ran]:
    """Run the notebooks and write the pages; returns what came of each."""
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {text}", flush=True)

    shutil.rmtree(out, ignore_errors=True)
    assets, room = Assets(out), asyncio.Semaphore(TOGETHER)

    async def one(path: Path) -> Ran:
        async with room:
            return await run(path, tell)

    ran = await asyncio.gather(*(one(path) for path in notebooks))
    when = datetime.now().astimezone()
    ways = [("index.html", "Overview"), *((f"{r.name}.html", r.title) for r in ran)]
    for number, result in enumerate(ran):
        before, after = ways[number], ways[number + 2] if number + 2 < len(ways) else None
        text = page(result, assets, when=when, before=before, after=after, pages=[r.name for r in ran])
        (out / f"{result.name}.html").write_text(text, encoding="utf-8")
        tell(f"{result.name}: page written")
    (out / "index.html").write_text(index(ran, assets, when=when), encoding="utf-8")
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
    ran = asyncio.run(made(notebooks, chosen.out))
    print(f"Open {chosen.out / 'index.html'}")
    broken = [one for one in ran if one.broke_at is not None]
    for one in broken:
        print(f"✗ {one.name} stopped: {one.why}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
