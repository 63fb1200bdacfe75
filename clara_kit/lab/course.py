"""What the course's notebooks call, so that a reader may change anything in them: they tell what they find.

A conversation that is played in a cell says how far it is. Whatever stops it (a service, an interrupted kernel) is told
in a sentence; what there is of it comes back, and the cells below show that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate
from typing import Any

from clara_kit.core.commands import ShowText, Speak
from clara_kit.core.errors import ClaraError
from clara_kit.core.events import Event, TextTyped, TranscriptFinal
from clara_kit.core.records import Record
from clara_kit.core.states import ConversationState
from clara_kit.lab.progress import Progress, say
from clara_kit.lab.sheet import Sheet
from clara_kit.lab.stepping import Stepper
from clara_kit.measure.run import Run
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.manager import ConversationManager
from clara_kit.runtime.thread import notebook
from clara_kit.world.personas import Persona

Lines = str | Sequence[str | dict[str, Any]]


async def play(clara: ConversationManager, lines: Lines | Callable[[ConversationManager], Awaitable[Any]]) -> Run:
    """Let a customer say these lines (as in a script) to Clara, or do what a function does after her greeting.

    Blank lines are left out. Never raises for what goes wrong in the conversation: the line below the cell tells it.
    """
    told = "Clara and the customer are done"
    with Progress("Connecting") as progress:
        clara.subscribe(lambda record: _tell(progress, clara, record))
        try:
            async with clara:
                await _talk(clara, lines)
        except ClaraError as exc:
            told = f"✗ {exc}"
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if notebook() is None or task is None:
                raise
            task.uncancel()  # the reader pressed ■: Clara has hung up, and the notebook goes on with what there is
            told = "Stopped by hand"
        run = clara.run or Run(inputs={"modes": clara.services.modes}, trace=())
        turns, cuts = len(run.ledger), sum(turn.interrupted for turn in run.ledger)
        progress.end(f"{told}: {turns} turn{'s' * (turns != 1)} in {progress.seconds} s, {cuts} cut off ({run.mix}).")
    return run


async def _talk(clara: ConversationManager, lines: Lines | Callable[[ConversationManager], Awaitable[Any]]) -> None:
    said = () if callable(lines) else asked(lines)
    if said:
        return await clara.play_script(said)
    await clara.until(ConversationState.AVATAR_SPEAKING)  # the greeting
    await clara.until(ConversationState.IDLE)
    if callable(lines):
        await lines(clara)


def asked(lines: Lines, *, otherwise: str = "") -> list[str | dict[str, Any]]:
    """The lines in which something stands; one text is one line. Where there is none: `otherwise`, and it says so."""
    said = [line for line in ([lines] if isinstance(lines, str) else lines) if _words(line).strip()]
    if otherwise and not said:
        say(f"✗ Nothing is asked: «{otherwise}» is taken.")
        said = [otherwise]
    return said


def _words(line: str | dict[str, Any]) -> str:
    return str(line.get("text", "a sound")) if isinstance(line, dict) else line


def _tell(progress: Progress, clara: ConversationManager, record: Record) -> None:
    """In the conversation's thread."""
    (shown,) = clara.revealed([record])
    match shown:
        case Speak():
            progress.tell(f"Clara: «{shown.text}»")
        case ShowText():
            progress.tell(f"Clara (to be read): «{shown.text}»")
        case TranscriptFinal() | TextTyped() if shown.text.strip():
            progress.tell(f"customer: «{shown.text}»")


def recording(run: Run) -> Any:
    """A player for what was recorded, left the customer and right Clara; where nothing was, it says so."""
    from IPython.display import Audio

    sound = run.folder / "conversation.wav" if run.folder is not None else None
    if sound is not None and sound.is_file():
        return Audio(filename=str(sound))  # type: ignore[no-untyped-call]
    say("This conversation has no recording.")
    return None


def pick(customer: str, template: str) -> tuple[str, str]:
    """The two names; in the place of one that nobody has, the shipped one. Says what was taken, and what there is."""
    customers, templates = [p.name for p in Persona.all()], [t.name for t in PromptTemplate.all()]
    for kind, name, usual, names in (
        ("customer", customer, "camila", customers), ("template", template, "warm", templates),
    ):  # fmt: skip
        found = name in names
        taken = f"The {kind} is {name}." if found else f"✗ There is no {kind} «{name}»: {usual} is taken."
        say(f"{taken} There are {', '.join(names)}.")
    return (customer if customer in customers else "camila"), (template if template in templates else "warm")


def moment(run: Run, *kinds: type[Record], memory: bool = False) -> Sheet | None:
    """Where the first of `kinds` came, from there on the next, and so on: what followed, and why.

    memory: what Clara remembered then, instead. Says so where there is no such moment.
    """
    steps = zip(accumulate(isinstance(record, Event) for record in run.trace), run.trace)  # each with its events so far
    found = [next((n - 1 for n, record in steps if isinstance(record, kind)), None) for kind in kinds][-1]
    if found is None:
        say("There is no such moment in this conversation.")
        return None
    here = Stepper(run.trace, run.settings).moment(found)
    at = f"At {here.at_ms / 1000:.1f} s ({run.mix})"
    if memory:
        who = {"user": "the customer", "assistant": "Clara"}
        return Sheet.of([{"who": who[one.role], "what": one.text} for one in here.said], f"{at} Clara remembers:")
    return Sheet.of([{"what followed": one} for one in here.plain[1:]], f"{at}: {here.title.rstrip('.')}.")
