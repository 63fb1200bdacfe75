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
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{above}{names}<tbody>{body}</tbody></table>"


def _row(cells: Sequence[Any], first: str, others: str) -> str:
    return f"<tr>{''.join(_cell(cell, others if n else first) for n, cell in enumerate(cells))}</tr>"


def _cell(value: Any, tag: str) -> str:
    if isinstance(value, int | float):
        value = Figure(f"{value:,}")
    style = "" if isinstance(value, Figure) else f" style='{_WORDS}'"
    return f"<{tag}{style}>{value if isinstance(value, Html) else escape(str(value))}</{tag}>"
