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
from clara_kit.core.outside import printable
from clara_kit.core.records import HeardEstimated, Ignored, Record, StateChanged
from clara_kit.lab.sentences import happened
from clara_kit.measure.ledger import LABELS, STAGE_LABELS, STAGES
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story

FIGURES_WIDTH = 74  # columns of a terminal that the ledger's figures need beside the customer's words


class Display:
    """Prints records as they come. `show` may be called from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._story = Story()
        self._words_ended: float | None = None
        self._interim = False

    def show(self, record: Record) -> None:
        """Print what a person wants to know of this record."""
        self._story.read(record)
        match record:
            case StateChanged():
                self._line(record, "dim", "", f"{record.source} → {record.target}: {record.reason}")
            case ev.TranscriptInterim():
                self._line(record, "dim", "customer …", record.text, interim=True)
            case ev.TranscriptFinal() if record.text.strip():
                self._words_ended = record.speech_ended_ms
                self._line(record, "bold cyan", "customer", record.text)
            case ev.TextTyped():
                self._words_ended = record.at_ms
                self._line(record, "bold cyan", "typed", record.text)
            case do.Speak() if self._story.utterances[record.utterance_id].started_ms is not None:
                self._line(record, "bold magenta", "Clara", record.text)
            case ev.SpeakingStarted():
                self._begin(record)
            case ev.ReplyCompleted() if (reply := self._story.replies.get(record.reply_id)) and reply.backup:
                self._line(record, "bold magenta", "the backup", reply.text or "(its words are not known)")
            case do.ShowText():
                self._line(record, "bold magenta", "to be read", record.text)
            case do.SwitchTo():
                self._line(record, "yellow", "", happened(record))
            case HeardEstimated():
                unheard = " ".join(escape(record.unheard).splitlines()) or "(nothing)"
                after = f" [dim]never heard:[/dim] [strike dim]{unheard}[/strike dim]"
                error = f"  [dim](±{record.plus_minus_words} words, by {record.method})[/dim]"
                self._line(record, "magenta", "heard", record.heard or "(nothing)", after + error)
            case Ignored() if record.event == "SpeechEnded":
                self._line(record, "yellow", "", f"not an interruption: {record.reason}")
            case do.Notify() | do.RaiseAlert():
                self._line(record, "red", "", f"{type(record).__name__}: {record.message}")

    def finish(self) -> None:
        """End a line that is still open."""
        if self._interim:
            self._console.print()
            self._interim = False

    def _begin(self, event: ev.SpeakingStarted) -> None:
        after = ""
        if self._words_ended is not None:
            after = (
                f"  [dim](first sound {event.at_ms - self._words_ended:.0f} ms after the customer's last word)[/dim]"
            )
            self._words_ended = None
        utterance = self._story.utterances.get(event.utterance_id)
        backup = any(
            reply.backup is utterance for reply in self._story.replies.values()
        )  # its words come in one, when it is done
        for text in ("…",) if backup else utterance.pieces if utterance else ():
            self._line(event, "bold magenta", "Clara", text, after)
            after = ""

    def _line(self, record: Record, style: str, who: str, text: str, after: str = "", *, interim: bool = False) -> None:
        if self._interim and self._console.is_terminal:
            self._console.file.write("\r\x1b[2K")  # the interim line is overwritten by what follows it
        stamp = f"[dim]{record.at_ms / 1000:7.2f} s[/dim]  "
        said = " ".join(escape(text).splitlines())  # a line of their own would look like one of ours
        line = Text.from_markup(printable(f"{stamp}[{style}]{who:12}{said}[/{style}]{after}"))
        if interim and self._console.is_terminal:
            line.truncate(max(20, self._console.width - 1), overflow="ellipsis")
            self._console.print(line, end="")
        else:
            self._console.print(line, soft_wrap=True)
        self._interim = interim and self._console.is_terminal


def ledger_table(run: Run, *, width: int = 110) -> RenderableType:
    """Where the milliseconds of each turn went, on a terminal of `width` columns."""
    table = Table(
        title=f"\nMilliseconds of each turn ({run.mix})",
        caption="total: from the customer's last word to Clara's first sound at the ear. hear: recogniser and end of turn; think: to the "
        "first token; first sentence: to the first speakable piece; voice: to the first sound; avatar: until it speaks; "
        "ear: until that is heard.",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("turn", justify="right", min_width=4)
    # Figures first: on a narrow terminal the customer's words give way, never a number.
    words = min(40, max(6, width - FIGURES_WIDTH))
    table.add_column("customer", width=words, no_wrap=True, overflow="ellipsis")
    for label in (*STAGE_LABELS, "total"):
        head = label.replace(" ", "\n")
        width = max(5, *map(len, head.split("\n")))
        table.add_column(head, justify="right", vertical="bottom", no_wrap=True, min_width=width)
    for turn in run.ledger:
        if turn.kind != "greeting":
            figures = (*(turn.stages.get(stage) for stage in STAGES), turn.total_ms)
            shown = ("—" if ms is None else f"{ms:.0f}" for ms in figures)
            table.add_row(str(turn.turn_id), escape(" ".join(printable(turn.customer).split())), *shown)
    problems = [f"Turn {t.turn_id}: {what}." for t in run.ledger for what in (*t.notes, t.problem) if what]
    return Group(table, *(Text(printable(p), style="yellow") for p in problems))


def where_time_went(run: Run) -> RenderableType:
    """The medians of the stages as bars."""
    turns = [t for t in run.ledger if t.kind != "greeting" and not t.problem and STAGES[-2] in t.stages]
    if not turns:
        return Text("No turn has a whole ledger.", style="yellow")
    table = Table.grid(padding=(0, 2))
    known = {label: [t.stages[s] for t in turns if s in t.stages] for s, label in LABELS.items()}
    medians = {label: median(times) for label, times in known.items() if times}
    longest = max(*medians.values(), 1.0)
    for label, ms in medians.items():
        table.add_row(label, f"{ms:6.0f} ms", Text("█" * round(40 * ms / longest), style="cyan"))
    whole = median(t.total_ms or 0.0 for t in turns)
    head = Text(f"\nWhere the time went (median of {len(turns)} turns, {run.mix}; whole: {whole:.0f} ms)", style="bold")
    slow = max(turns, key=lambda t: t.total_ms or 0.0)
    label, ms = max(((LABELS[stage], ms) for stage, ms in slow.stages.items()), key=lambda pair: pair[1])
    why = f"The slowest was turn {slow.turn_id}: {slow.total_ms:.0f} ms, of which {ms:.0f} ms in «{label}».\n"
    return Group(head, table, Text(why))
