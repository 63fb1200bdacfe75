"""`clara demo`: an invented customer talks to Clara; the terminal shows it as it happens, then where the time went."""

from __future__ import annotations

import asyncio
import signal
import sys
from shutil import which
from statistics import median

from rich.console import Console
from rich.markup import escape

from clara_kit.cli.show import Display, ledger_table, where_time_went
from clara_kit.core.outside import printable
from clara_kit.core.settings import Keys, Settings
from clara_kit.measure.run import Run
from clara_kit.providers.vendors import TTS_USD_A_CHARACTER
from clara_kit.runtime.compose import compose
from clara_kit.runtime.config import load_keys, load_settings
from clara_kit.runtime.manager import ConversationManager
from clara_kit.world.script import Script
from clara_kit.world.sim import simulate

PLAYERS = ("afplay", "aplay", "paplay", "ffplay", "play")  # of macOS and Linux; elsewhere a click on the file plays it
COST = (
    "A live run of about one minute sends your customer's sound to Deepgram (billed by the minute of audio), "
    f"about 800 characters to Aura-2 (about {800 * TTS_USD_A_CHARACTER:.2f} USD), four requests to Claude (less than 0.01 USD), "
    "and uses LiveAvatar's {avatar}. Who hears what, and what is kept: data/money_and_privacy.md."
)


def demo(
    *, live: bool, yes: bool, script: str | None, latency: str, seed: int, customer: str | None, template: str
) -> int:
    """Play the conversation and print it. Returns the exit code."""
    console = Console(highlight=False)
    if customer is None:
        customer = "" if live else "camila"
    elif customer == "none":
        customer = ""
    chosen = Script.load(script or ("demo_live" if live else "demo"))
    settings, keys = load_settings(preset="fast"), load_keys() if live else Keys()
    services = compose(
        "live" if live else "twin",
        settings=settings,
        keys=keys,
        latency=latency,
        seed=seed,
        faults=chosen.faults,
        customer=customer,
        template=template,
    )
    if live and not _agreed(console, sandbox=settings.avatar_sandbox, yes=yes):
        return 1
    twins = f"offline twins of the vendors, at the pace of the latency profile «{latency}»"
    mix = "live vendors" if live else twins
    console.print(
        f"[bold]{_safe(chosen.title)}[/bold]. {_safe(chosen.description)}\nBehind Clara: {mix}. "
        f"Her prompt: data/prompts/{_safe(template)}.md. She talks to {_safe(_whom(customer, live=live))}. Her settings: the preset "
        "«fast»; whose turn it is, it knows from generated Spanish overlaps, never yet from customers. Ctrl-C hangs up.\n"
    )
    console.print("Connecting …")
    manager = ConversationManager(
        services, title=chosen.title, tags=("demo",), extra_inputs={"script": chosen.model_dump(mode="json")}
    )
    display = Display(console)
    manager.subscribe(lambda record: display.show(manager.revealed([record])[0]))
    try:
        asyncio.run(_play(manager, chosen))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        display.finish()
        if manager.run is not None:
            _afterwards(console, manager.run.revealed())
            if not live:
                console.print(_beside_the_plan(manager.run, chosen, latency=latency, seed=seed))
    return 0


def _safe(text: str) -> str:
    return escape(printable(text))


def _whom(customer: str, *, live: bool) -> str:
    if not customer:
        return "somebody of whom nothing is known"
    return "a customer of the shop" if live else f"{customer}, an invented customer whom the shop knows"


async def _play(manager: ConversationManager, script: Script) -> None:
    task = asyncio.current_task()
    assert task is not None
    if sys.platform != "win32":
        # Once: a second Ctrl-C must not break the hanging up.
        hang_up = iter([task.cancel])
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, lambda: next(hang_up, lambda: None)())
    async with manager:
        await manager.play_script(script)


def _agreed(console: Console, *, sandbox: bool, yes: bool) -> bool:
    avatar = "sandbox avatar (free, ends after a minute)" if sandbox else "credits: 1 a minute"
    console.print(COST.format(avatar=avatar))
    if yes:
        return True
    if not sys.stdin.isatty():
        console.print("Nothing was spent. Say --yes to go on without being asked.")
        return False
    return input("Go on? [y/N] ").strip().lower() in {"y", "yes"}


def _beside_the_plan(run: Run, script: Script, *, latency: str, seed: int) -> str:
    """What the customer would have waited under the plan's serial design, simulated with the same figures."""
    waits = [turn.total_ms for turn in run.ledger if turn.kind != "greeting" and turn.total_ms is not None]
    serial = simulate(script, Settings.of(enable_chunked_heygen=False), seed=seed, latency=latency).ledger
    before = [turn.total_ms for turn in serial if turn.kind != "greeting" and turn.total_ms is not None]
    if not waits or not before:
        return ""
    return (
        f"\nFrom the last word to the first sound at the ear, at the median: {median(before) / 1000:.1f} s by the plan's serial "
        f"design (the whole reply, then its voice; simulated), {median(waits) / 1000:.1f} s now ({run.mix}). Notebook 04_latency "
        "tells where the rest goes."
    )


def _afterwards(console: Console, run: Run) -> None:
    if not run.ledger:
        console.print("\nThe conversation ended before anybody spoke.")
        return
    console.print(ledger_table(run, width=console.width))
    console.print(where_time_went(run))
    if run.folder is not None:
        console.print(f"Run log:    {run.folder}", soft_wrap=True)
        sound = run.folder / "conversation.wav"
        if sound.exists():
            console.print(f"Recording:  {sound}  (left: the customer, right: Clara)", soft_wrap=True)
            if player := next(filter(which, PLAYERS), None):
                console.print(f"Hear it:    {player} {sound}", soft_wrap=True)
    console.print(
        "Next:       make lab  (the desk: call Clara and talk to her yourself, in the browser)", soft_wrap=True
    )
