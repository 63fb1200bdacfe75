"""A table of texts to be read in a notebook: nothing is cut off, and it still is a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clara_kit.core.outside import printable
from clara_kit.core.page import table

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Sheet:
    """`frame`: the data. Shows itself with every word; for figures a data frame shows itself well enough."""

    frame: pl.DataFrame

    @classmethod
    def of(cls, data: Sequence[dict[str, Any]] | dict[str, list[str]]) -> Sheet:
        """A sheet of rows, or of columns."""
        import polars as pl

        return cls(pl.DataFrame(data))

    def __len__(self) -> int:
        return len(self.frame)

    def _repr_html_(self) -> str:
        return table(self.frame.iter_rows(), self.frame.columns)

    def __repr__(self) -> str:
        rows = self.frame.iter_rows(named=True)
        return printable("\n".join(" | ".join(f"{name}: {value}" for name, value in row.items()) for row in rows))
