"""A table to be read in a notebook: nothing is cut off, figures are whole, and it still is a data frame.

A frame that ends a cell is shown the same way (`show_frames`); `print(frame)` shows it as polars does, with its types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clara_kit.core.page import plain, table

if TYPE_CHECKING:
    import polars as pl

FRAME = ("polars.dataframe.frame", "DataFrame")
COLUMNS, LAST, ROWS = 15, 2, 60  # of a frame that can be read on a page: its first columns, its last, its first rows


@dataclass(frozen=True)
class Sheet:
    """`frame`: the data. `caption`: what is said above it."""

    frame: pl.DataFrame
    caption: str = ""

    @classmethod
    def of(cls, data: Sequence[dict[str, Any]] | dict[str, list[str]], caption: str = "") -> Sheet:
        """A sheet of rows, or of columns."""
        import polars as pl

        return cls(pl.DataFrame(data), caption)

    def __len__(self) -> int:
        return len(self.frame)

    def _repr_html_(self) -> str:
        return table(*self._readable())

    def __repr__(self) -> str:
        return plain(*self._readable())

    def _readable(self) -> tuple[list[tuple[Any, ...]], list[str], str]:
        """Rows, head and caption of as much as can be read."""
        frame, names = self.frame, self.frame.columns
        if len(names) > COLUMNS + LAST:
            names = [*names[:COLUMNS], *names[-LAST:]]
        more = {"columns": len(frame.columns) - len(names), "rows": len(frame) - ROWS}
        left = [f"{n:,} more {what}" for what, n in more.items() if n > 0]
        said = " ".join(filter(None, [self.caption, f"Not shown: {', '.join(left)}." if left else ""]))
        return _whole(frame.select(names).head(ROWS)).rows(), names, said


def _whole(frame: pl.DataFrame) -> pl.DataFrame:
    """A table that names its mix is the kit's own: its times are milliseconds, and read as whole ones."""
    import polars as pl

    times = [n for n, kind in frame.schema.items() if kind.is_float() and not n.endswith("_usd")]
    return (
        frame.with_columns(pl.col(times).round(0).cast(pl.Int64, strict=False))
        if "mix" in frame.columns and times
        else frame
    )


def show_frames(kernel: Any) -> None:
    """Let a kernel show every data frame as a sheet."""
    formatters = kernel.display_formatter.formatters
    formatters["text/html"].for_type_by_name(*FRAME, lambda frame: Sheet(frame)._repr_html_())
    formatters["text/plain"].for_type_by_name(*FRAME, lambda frame, page, _: page.text(repr(Sheet(frame))))
