"""A conversation in the terminal: as it happens, and as a table afterwards."""

from __future__ import annotations

from statistics import median

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.records import HeardEstimated, Ignored, Record, StateChanged
from clara_kit.measure.ledger import STAGE_LABELS, STAGES
from clara_kit.measure.run import Run

FIGURES_WIDTH = 68  # columns of a terminal that the ledger's figures need beside the customer's words


class Display:
    """Prints records as they come. `show` may be called from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._turn: dict[int, list[str]] = {}
        self._speaking: int | None = None
        self._words_ended: float | None = None
        self._interim = False

    def show(self, record: Record) -> None:
        """Print what a person wants to know of this record."""
        match record:
            case StateChanged():
                self._line(record.at_ms, "dim", f"{record.source} → {record.target}", escape(record.reason))
            case ev.TranscriptInterim():
                self._words(f"[dim]customer …  {escape(record.text)}[/dim]", record.at_ms, interim=True)
            case ev.TranscriptFinal() if record.text.strip():
                self._words_ended = record.speech_ended_ms
                self._words(f"[bold cyan]customer    {escape(record.text)}[/bold cyan]", record.at_ms)
            case ev.TextTyped():
                self._words_ended = record.at_ms
                self._words(f"[bold cyan]typed       {escape(record.text)}[/bold cyan]", record.at_ms)
            case do.Speak():
                self._speak(record)
            case ev.SpeakingStarted():
                self._begin(record)
            case HeardEstimated():
                self._heard(record)
            case Ignored() if record.event in {"SpeechEnded"}:
                self._line(record.at_ms, "yellow", "not an interruption", escape(record.reason))
            case do.Notify() | do.RaiseAlert():
                self._line(record.at_ms, "red", type(record).__name__, escape(record.message))
            case _:
                pass

    def finish(self) -> None:
        """End a line that is still open."""
        if self._interim:
            self._console.print()
            self._interim = False

    def _speak(self, command: do.Speak) -> None:
        self._turn.setdefault(command.utterance_id, []).append(command.text)
        if self._speaking == command.utterance_id:
            self._words(f"[bold magenta]Clara       {escape(command.text)}[/bold magenta]", command.at_ms)

    def _begin(self, event: ev.SpeakingStarted) -> None:
        self._speaking = event.utterance_id
        after = ""
        if self._words_ended is not None:
            after = (
                f"  [dim](first sound {event.at_ms - self._words_ended:.0f} ms after the customer's last word)[/dim]"
            )
            self._words_ended = None
        for n, text in enumerate(self._turn.get(event.utterance_id, [])):
            words = f"[bold magenta]Clara       {escape(text)}[/bold magenta]{after if n == 0 else ''}"
            self._words(words, event.at_ms)

    def _heard(self, record: HeardEstimated) -> None:
        error = f"±{record.plus_minus_words} words, by {record.method}"
        self._words(
            f"[magenta]heard       {escape(record.heard) or '(nothing)'}[/magenta] [dim]never heard:[/dim] [strike dim]{escape(record.unheard) or '(nothing)'}[/strike dim]"
            f"  [dim]({error})[/dim]",
            record.at_ms,
        )

    def _line(self, at_ms: float, style: str, what: str, why: str) -> None:
        self._words(f"[{style}]            {what}: {why}[/{style}]", at_ms)

    def _words(self, markup: str, at_ms: float, *, interim: bool = False) -> None:
        stamp = f"[dim]{at_ms / 1000:7.2f} s[/dim]  "
        if self._interim and self._console.is_terminal:
            self._console.file.write("\r\x1b[2K")  # the interim line is overwritten by what follows it
        text = Text.from_markup(stamp + markup)
        if interim and self._console.is_terminal:
            text.truncate(max(20, self._console.width - 1), overflow="ellipsis")
            self._console.print(text, end="")
        else:
            self._console.print(text, soft_wrap=True)
        self._interim = interim and self._console.is_terminal


def ledger_table(run: Run, *, width: int = 110) -> RenderableType:
    """Where the milliseconds of each turn went, on a terminal of `width` columns."""
    title = f"\nMilliseconds of each turn ({run.mix})"
    table = Table(title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.caption = (
        "total: from the customer's last word to Clara's first sound. hear: recogniser and end of turn; think: to the first "
        "token; first sentence: to the first speakable piece; voice: to the first sound; avatar: until it speaks."
    )
    table.add_column("turn", justify="right", min_width=4)
    # Figures first: on a narrow terminal the customer's words give way, never a number.
    words = min(40, max(8, width - FIGURES_WIDTH))
    table.add_column("customer", width=words, no_wrap=True, overflow="ellipsis")
    for label in (*STAGE_LABELS, "total"):
        head = label.replace(" ", "\n")
        width = max(5, *map(len, head.split("\n")))
        table.add_column(head, justify="right", vertical="bottom", no_wrap=True, min_width=width)
    for turn in run.ledger:
        if turn.kind == "greeting":
            continue
        stages = [turn.stages.get(stage) for stage in STAGES]
        total = "—" if turn.total_ms is None else f"{turn.total_ms:.0f}"
        table.add_row(
            str(turn.turn_id), escape(turn.customer), *("—" if s is None else f"{s:.0f}" for s in stages), total
        )
    problems = [f"Turn {t.turn_id}: {t.problem}." for t in run.ledger if t.problem]
    return Group(table, *(Text(p, style="yellow") for p in problems))


def where_time_went(run: Run) -> RenderableType:
    """The medians of the stages as bars."""
    turns = [t for t in run.ledger if t.kind != "greeting" and not t.problem]
    if not turns:
        return Text("No turn has a whole ledger.", style="yellow")
    table = Table.grid(padding=(0, 2))
    medians = [median(t.stages[s] for t in turns) for s in STAGES]
    longest = max(max(medians), 1.0)
    for label, ms in zip(STAGE_LABELS, medians, strict=True):
        table.add_row(label, f"{ms:6.0f} ms", Text("█" * round(40 * ms / longest), style="cyan"))
    whole = median(t.total_ms or 0.0 for t in turns)
    head = Text(f"\nWhere the time went (median of {len(turns)} turns, {run.mix}; whole: {whole:.0f} ms)", style="bold")
    return Group(head, table, Text(""))
