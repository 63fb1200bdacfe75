"""Where the project's data lies: `data/` beside the package, or wherever `CLARA_DATA_DIR` says.

The only module of `core` that knows a file system; it opens nothing.
"""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "data"
