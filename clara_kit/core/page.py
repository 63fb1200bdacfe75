"""Text for a notebook's page: nothing in it is markup, and a dollar sign is money.

JupyterLab sets whatever stands between two dollar signs of an HTML output as mathematics: «cuesta $3.990, gratis desde
$30.000». A sign in an element of its own is never paired.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as _escape
from typing import Any

from clara_kit.core.outside import printable

_WORDS = "text-align:left;vertical-align:top;white-space:normal;max-width:52ch"


class Html(str):
    """Text that is markup already."""


class Figure(str):
    """A number with its unit."""


def escape(text: str) -> str:
    """The text as HTML that shows it word by word."""
    return _escape(printable(text)).replace("$", "<span>$</span>")


def table(rows: Iterable[Sequence[Any]], head: Sequence[str] = (), caption: str = "") -> str:
    """A table with every word: words stand to the left, figures to the right. Only `Html` is taken for markup.

    Without a head, the first cell of each row names it.
    """
    names = f"<thead>{_row(head, 'th', 'th')}</thead>" if head else ""
    body = "".join(_row(row, "td" if head else "th", "td") for row in rows)
    above = f"<caption style='text-align:left'>{escape(caption)}</caption>" if caption else ""
    return f"<table>{above}{names}<tbody>{body}</tbody></table>"


def plain(rows: Iterable[Sequence[Any]], head: Sequence[str] = (), caption: str = "") -> str:
    """The same table as lines of text: each cell after its name, or, without a head, after the row's."""
    lines = []
    for row in rows:
        said = [printable(shown(cell)) for cell in row]
        lines.append(" | ".join(f"{n}: {c}" for n, c in zip(head, said, strict=True)) if head else ": ".join(said))
    return "\n".join([*lines, caption] if caption else lines)


def shown(value: Any) -> str:
    """A cell as a person reads it: whole figures, three digits of small ones, no dates' fractions, no code's words."""
    if value is None or isinstance(value, bool):
        return "—" if value is None else "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _row(cells: Sequence[Any], first: str, others: str) -> str:
    return f"<tr>{''.join(_cell(cell, others if n else first) for n, cell in enumerate(cells))}</tr>"


def _cell(value: Any, tag: str) -> str:
    figure = isinstance(value, Figure | int | float | None) and not isinstance(value, bool)
    style = "" if figure else f" style='{_WORDS}'"
    return f"<{tag}{style}>{value if isinstance(value, Html) else escape(shown(value))}</{tag}>"
