"""What people say of a recorded conversation: a star, tags and comments, in a file of its own beside it.

What was recorded is not touched, nor is its hash; whoever has the folder has the remarks too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clara_kit.core.errors import RunLogError
from clara_kit.core.text import whole
from clara_kit.runtime.run_log import write_whole
from clara_kit.store import disk

REMARKS_FILE = "remarks.json"
TAG_CHARS, COMMENT_CHARS, MOST = 40, 2000, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """`turn`: which answer it is about; None: all of it. `written`: UTC, to the second, as ISO 8601."""

    text: str
    turn: int | None = None
    written: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarks:
    """`tags`: sorted, without spaces, each once; None: nobody has said, so those that it was recorded with hold."""

    star: bool = False
    tags: tuple[str, ...] | None = None
    comments: tuple[Comment, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Remarks:
        """What is said of the run in this folder; nothing where nobody did, or it cannot be read."""
        try:
            data = whole(json.loads((folder / REMARKS_FILE).read_bytes()))
        except (OSError, ValueError, RecursionError):
            return cls()
        if not isinstance(data, dict):
            return cls()
        tags, told = data.get("tags"), data.get("comments")
        comments = (_comment(one) for one in (told if isinstance(told, list) else ()))
        return cls(
            star=data.get("star") is True,
            tags=tidied(t for t in tags if isinstance(t, str)) if isinstance(tags, list) else None,
            comments=tuple(one for one in comments if one is not None)[:MOST],
        )

    def tagged(self, tags: Iterable[str] | str) -> Remarks:
        """With these tags in place of all others; of a text, its words."""
        return replace(self, tags=tidied(tags.replace(",", " ").split() if isinstance(tags, str) else tags))

    def commented(self, text: str, turn: int | None = None) -> Remarks:
        """With one comment more. Raises `RunLogError` where there is no text, or there are 200 already."""
        text = text.strip()[:COMMENT_CHARS]
        if not text or len(self.comments) >= MOST:
            raise RunLogError("There is nothing to be noted.", hint=f"write something; {MOST} comments are the most.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return replace(self, comments=(*self.comments, Comment(text=text, turn=turn, written=now)))

    def without(self, number: int) -> Remarks:
        """Without the comment of this number, from 0; as it is where there is none."""
        return replace(self, comments=tuple(one for n, one in enumerate(self.comments) if n != number))

    def save(self, folder: Path) -> None:
        """Keep it in that folder. Raises `RunLogError`."""
        hint = "make room on the disk, or ask whoever the folder belongs to."
        with disk(f"The remark cannot be kept in {folder}", hint):
            if self == NONE:
                (folder / REMARKS_FILE).unlink(missing_ok=True)
            else:
                write_whole(folder / REMARKS_FILE, json.dumps(asdict(self), ensure_ascii=False, indent=1))


NONE = Remarks()


def tidied(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are kept: small letters, a hyphen for each space, no «#» before them."""
    found = ("-".join(tag.strip().lstrip("#").casefold().split())[:TAG_CHARS] for tag in tags)
    return tuple(sorted({tag for tag in found if tag}))[:MOST]


def _comment(data: Any) -> Comment | None:
    match data:
        case {"text": str(text), "written": str(written)} if text.strip():
            turn = data.get("turn")
            return Comment(text=text, turn=turn if type(turn) is int and 0 <= turn < 10**6 else None, written=written)
    return None
