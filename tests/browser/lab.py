"""A real JupyterLab with a real browser in front of it, for the tests in this folder.

The browser is Chromium from the system's packages: installed by apt where that is allowed, otherwise the tests
are skipped with a word. The notebooks are copied first, so that running them changes nothing here.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import ConsoleMessage, Page, async_playwright

from clara_kit.world.pace import VARIABLE

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
HARMLESS = ("favicon", "ERR_BLOCKED_BY_CLIENT", "was preloaded using link preload")
STARTS_WITHIN_S = 60
DARK = "() => window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })"
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def chromium() -> str:
    """The path of a Chromium; skips the test where there is none and none may be installed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = shutil.which("chromium")
        if found is None:
            pytest.skip(f"apt could not install chromium: {done.stderr.strip()[-200:]}")
    if found is None:
        pytest.skip("there is no Chromium, and no right to install one: sudo apt-get install chromium")
    return found


class Lab:
    """JupyterLab at one notebook, in one page."""

    def __init__(self, page: Page, url: str, *, dark: bool = False) -> None:
        self.page, self._url, self._dark = page, url, dark
        self.errors: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        if message.type == "error" and not any(word in message.text + where for word in HARMLESS):
            self.errors.append(f"{message.text} ({where})")

    async def open(self, notebook: str) -> None:
        """Show a notebook and wait for its kernel."""
        await self.page.goto(self._url.format(path=f"/lab/tree/{notebook}"))
        await self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=STARTS_WITHIN_S * 1000)
        await self.page.evaluate(
            """async () => {
                const app = window.jupyterapp; await app.restored;
                const widget = app.shell.currentWidget; await widget.context.ready;
                await widget.sessionContext.ready; await widget.sessionContext.session.kernel.info;
            }"""
        )
        if self._dark:  # JupyterLab's own theme, which does not follow the browser's
            await self.page.evaluate(DARK)

    async def run_all(self, timeout_s: float = 150) -> None:
        """Run every cell; fails with the traceback of the first that fails."""
        async with asyncio.timeout(timeout_s):
            await self.page.evaluate("async () => await window.jupyterapp.commands.execute('notebook:run-all-cells')")
        failed = self.page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"] pre')
        tracebacks = [text for text in await failed.all_inner_texts() if "Traceback (most recent call last)" in text]
        assert not tracebacks, tracebacks[0]

    async def run_first_code_cells(self, count: int) -> None:
        """Run the notebook only as far as its `count`-th code cell."""
        await self.page.evaluate(
            """async (count) => {
                const app = window.jupyterapp, notebook = app.shell.currentWidget.content;
                const code = notebook.widgets.map((w, n) => [w.model.type, n]).filter(([t]) => t === "code");
                for (const [, n] of code.slice(0, count)) {
                    notebook.activeCellIndex = n;
                    await app.commands.execute("notebook:run-cell");
                }
            }""",
            count,
        )

    async def show(self, number: int) -> None:
        """Scroll to the `number`-th code cell, from 1: JupyterLab keeps only what is near in the page."""
        await self.page.evaluate(
            """async (number) => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                const code = notebook.widgets.filter((w) => w.model.type === "code");
                notebook.activeCellIndex = notebook.widgets.indexOf(code[number - 1]);
                await notebook.scrollToCell(code[number - 1], "start");
            }""",
            number,
        )

    def outputs(self) -> Any:
        """Everything that cells printed or drew (never their source)."""
        return self.page.locator(".jp-OutputArea-output")

    async def screenshot(self, name: str, *, whole: bool = False) -> Path:
        """Keep what can be seen now under build/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        if whole:  # every cell at once: JupyterLab scrolls inside the page
            await self.page.set_viewport_size({"width": 1280, "height": 6000})
            await self.page.evaluate(DRAWN)
        await self.page.screenshot(path=path)
        if whole:
            await self.page.set_viewport_size({"width": 1280, "height": 900})
        return path


@asynccontextmanager
async def lab(folder: Path, *, dark: bool = False, pace: float = 30) -> AsyncIterator[Lab]:
    """JupyterLab on a copy of the notebooks in `folder`, open in a headless browser; `pace` is its kernels'."""
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns("mine", ".*"))
    token, port = secrets.token_hex(8), _free_port()
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    async with _served(folder, command, {VARIABLE: str(pace)}) as server:
        await _serves(f"http://127.0.0.1:{port}/api?token={token}", server)
        async with _browser(dark=dark) as page:
            yield Lab(page, f"http://127.0.0.1:{port}{{path}}?token={token}", dark=dark)


@asynccontextmanager
async def kit(folder: Path, *, pace: float = 30) -> AsyncIterator[tuple[Lab, str, Path]]:
    """What `make lab` starts, in a fresh clone under `folder`: the lab, the address that it prints, and the clone."""
    clone = folder / "kit"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", ROOT, clone], check=True)
    changed = subprocess.run(
        ["git", "stash", "create"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    if changed:  # what is not committed yet
        subprocess.run(["git", "pull", "-q", "--no-rebase", ROOT, changed], cwd=clone, check=False)
    command = [sys.executable, "-m", "clara_kit", "lab", "--no-browser", f"--port={_free_port()}"]
    async with _served(folder, command, {VARIABLE: str(pace), "PYTHONPATH": str(clone)}, cwd=clone) as server:
        address = await _said(folder / "lab.log", "http", server)
        async with _browser() as page:
            before, token = address.split("/lab/tree/")[0], address.rpartition("?")[2]
            yield Lab(page, f"{before}{{path}}?{token}"), address, clone


@asynccontextmanager
async def _served(
    folder: Path, command: list[str], more: dict[str, str], cwd: Path | None = None
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A server that runs meanwhile, with a configuration of its own under `folder`."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "jupyter_lab_config.json").write_text('{"LabApp": {"expose_app_in_browser": true}}')
    here = {"JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_DATA_DIR": str(folder / "share")}
    log = (folder / "lab.log").open("w")
    server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **here, **more}, cwd=cwd or folder)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


@asynccontextmanager
async def _browser(*, dark: bool = False) -> AsyncIterator[Page]:
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, headless=True, args=["--no-sandbox"])
        yield await browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark" if dark else "light")
        await browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _serves(url: str, server: subprocess.Popen[bytes]) -> None:
    async with httpx.AsyncClient(timeout=2) as client, asyncio.timeout(STARTS_WITHIN_S):
        while True:
            assert server.poll() is None, "JupyterLab ended at once"
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)


async def _said(log: Path, word: str, server: subprocess.Popen[bytes]) -> str:
    """The word that begins so, once the server has printed it and what follows it."""
    async with asyncio.timeout(STARTS_WITHIN_S):
        while not (found := re.search(rf"{word}\S*\n", await asyncio.to_thread(log.read_text))):
            assert server.poll() is None, "JupyterLab ended at once"
            await asyncio.sleep(0.2)
    return found[0].strip()
