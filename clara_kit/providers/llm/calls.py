"""A kept call of Claude: what was asked, without a word of a customer's, and what came, event by event, and when. Pure.

Made by `recorded.py`, which stands in the wire; kept by `lab/calls/store.py`. The request is the JSON that the SDK sends,
with placeholders where words of a customer stand: by its hash the answer is found again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, Literal

from clara_kit.core.errors import ProviderRefused
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.profile import fill, placeholders_in

Who = Literal["anthropic", "twin"]
"""Who answered: the vendor, or what listens on this machine in its place, which is never taken for the vendor."""
Json = dict[str, Any]
Came = tuple[float, str | Json]
"""Milliseconds since the request, and a piece of the answer's text or any other event of the stream."""

UNKNOWN = "No answer is kept for request"
"""How the message of `unknown` begins."""
_QUOTED_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One answered request. made: on which day (ISO). customer: the invented customer's name; empty: a stranger."""

    who: Who
    body: Json
    came: tuple[Came, ...]
    made: str = ""
    customer: str = ""

    @property
    def key(self) -> str:
        """What it is found by."""
        return key_of(self.body, self.who)


def key_of(body: Json, who: Who) -> str:
    """The first 24 hex digits of the SHA-256 of the whole request."""
    text = json.dumps([who, body], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def personal(block: Json) -> bool:
    """Whether a block of the system prompt is of one customer: the others are marked for the cache all share."""
    return "cache_control" not in block


def filled(body: Json, words: Mapping[str, str]) -> Json:
    """The request as the vendor must get it."""
    if not words:
        return body
    system = [{**b, "text": fill(b["text"], words)} if personal(b) else b for b in body.get("system", ())]
    messages = [{**m, "content": fill(m["content"], words)} for m in body["messages"]]
    return {**body, "messages": messages, **({"system": system} if system else {})}


def hidden(came: Iterable[Came], body: Json, words: Mapping[str, str]) -> tuple[Came, ...]:
    """The answer with a placeholder for each word of the customer's that the request told; in their usual spelling."""
    texts = [m["content"] for m in body["messages"]] + [b["text"] for b in body.get("system", ()) if personal(b)]
    told = {re.sub(r"~\d+", "", found.group()) for text in texts for found in placeholders_in(text)}
    hides = Placeholders(words={name: value for name, value in words.items() if name in told})
    return tuple(_hidden(came, hides))


def _hidden(came: Iterable[Came], hides: Placeholders) -> Iterator[Came]:
    stream = hides.stream()
    for at_ms, piece in came:
        end = not isinstance(piece, str)
        text = stream.feed("" if end else str(piece), last=end)
        if text:
            yield at_ms, re.sub(r"~\d+\}", "}", text) if not hides.is_empty else text
        if not isinstance(piece, str):
            stream = hides.stream()
            yield at_ms, piece


def events_of(call: Call, words: Mapping[str, str]) -> Iterator[tuple[float, Json]]:
    """The events of the stream again, with the customer's words."""
    block = 0
    for at_ms, piece in call.came:
        if not isinstance(piece, str):
            block = piece.get("index", block)
            yield at_ms, piece
        else:
            delta = {"type": "text_delta", "text": fill(piece, words)}
            yield at_ms, {"type": "content_block_delta", "index": block, "delta": delta}


def as_object(event: Any) -> Any:
    """An event as the SDK would have it, for what reads its attributes."""
    if isinstance(event, dict):
        return SimpleNamespace(**{name: as_object(value) for name, value in event.items()})
    return event


def unknown(body: Json, who: Who) -> ProviderRefused:
    """Nobody was asked, for there is no key, and nothing is kept."""
    last = str(body["messages"][-1]["content"]) if body.get("messages") else ""
    last = last if len(last) <= _QUOTED_CHARS else last[:_QUOTED_CHARS].rstrip() + "…"
    return ProviderRefused(
        f"No answer is kept for request {key_of(body, who)} (model {body.get('model')}, message {len(body.get('messages', ()))}: «{last}»), "
        "and nobody may be asked.",
        hint="put ANTHROPIC_API_KEY into the file .env and run it once with llm='recorded': what is missing is asked and kept.",
    )


class Frames:
    """Server-sent events as they come in pieces. `broken`: something was none."""

    def __init__(self) -> None:
        self._rest = b""
        self.broken = False

    def feed(self, chunk: bytes) -> Iterator[str | Json]:
        """What is whole by now: pieces of text, and other events but pings."""
        *whole, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        for frame in whole:
            lines = [line[5:].strip() for line in frame.split(b"\n") if line.startswith(b"data:")]
            try:
                event = json.loads(b"\n".join(lines)) if lines else {"type": "ping"}
            except ValueError:
                event = None
            if not isinstance(event, dict) or not isinstance(event.get("type"), str):
                self.broken = True
            elif event.get("type") == "content_block_delta" and (text := _text(event)) is not None:
                yield text
            elif event.get("type") != "ping":
                yield event


def _text(event: Json) -> str | None:
    delta = event.get("delta")
    if not isinstance(delta, dict) or delta.keys() != {"type", "text"} or delta["type"] != "text_delta":
        return None
    return delta["text"] if isinstance(delta["text"], str) else None
