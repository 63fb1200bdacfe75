"""A table of texts to be read in a notebook: nothing is cut off, and it still is a data frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clara_kit.core.page import escape

if TYPE_CHECKING:
    import polars as pl

_STYLE = (
    "<style>.clara-sheet th,.clara-sheet td{text-align:left!important;vertical-align:top;white-space:normal;"
    "max-width:52ch}.clara-sheet td.n{text-align:right!important}</style>"
)


@dataclass(frozen=True)
class Sheet:
    """`frame`: the data. Shows itself with every word; for figures a data frame shows itself well enough."""

    frame: pl.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.frame.columns)
        rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.frame.iter_rows())
        return f"{_STYLE}<table class='clara-sheet'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def __repr__(self) -> str:
        return "\n".join(
            " | ".join(f"{name}: {value}" for name, value in row.items()) for row in self.frame.iter_rows(named=True)
        )


def _cell(value: Any) -> str:
    figure = isinstance(value, int | float)
    return f"<td class='n'>{value:,}</td>" if figure else f"<td>{escape(str(value))}</td>"
