"""Streamed Spanish to whole sentences that a voice can speak.

Comes after the model's deltas, before `Speak`. A cut is decided from the text before it and from what
follows, up to the first letter that shows how the next sentence begins; until that has come, the sentence
waits. So the way a text is split into feeds can never change where it is cut, and no cut is ever made by time.

What ends a sentence: `.`, `?`, `!`, `…` (and runs of them, with the quotes and brackets that close behind),
followed by white space and something that is not a lower-case letter; `?¿` and `!¡` without white space; a
blank line; a line break before a list item. What does not: abbreviations, initials, list numbers, numbers
with points (`$12.990`), addresses, and any stop behind which the text goes on in lower case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from copy import copy
from typing import Protocol, Self, runtime_checkable

from clara_kit.conversation.abbreviations import BEFORE_INITIAL, BEFORE_LETTER, BEFORE_NUMBER, NEVER_ENDS

_CANDIDATE = re.compile(r"[.?!…\n]")
_SIGNIFICANT = re.compile(r"[^\s.?!…]")
_STOPS = frozenset(".?!…")
_CLOSERS = frozenset("\"'”’»›)]}*_`~")
_OPENERS = frozenset("\"'“‘«‹([{*_`~—–-")
_LIST_ITEM = re.compile(r"(?:\d{1,2}[.)]|[-*•·–—])\s")
_MAYBE_LIST_ITEM = re.compile(r"(?:\d{0,2}|\d{1,2}[.)]|[-*•·–—])\Z")
_CLAUSE_END = re.compile(r"[,;:](?=\s)|\s[—–]\s")
_CONTEXT_CHARS = 64  # how far back a word before a stop may reach; longer ones are no abbreviations

FIRST_CLAUSE_WORDS = 4  # an early first clause has at least so many words; shorter ones sound chopped

_WAIT = -1
_NO = -2


@runtime_checkable
class Chunker(Protocol):
    """Text in, pieces out; joined they are the text."""

    def feed(self, text: str) -> list[str]: ...
    def flush(self) -> list[str]: ...
    def copy(self) -> Self: ...


class WholeReply:
    """No piece before the reply is complete, then all of it."""

    __slots__ = ("_texts",)

    def __init__(self) -> None:
        self._texts: list[str] = []

    def feed(self, text: str) -> list[str]:
        """Keeps the text."""
        self._texts.append(text)
        return []

    def flush(self) -> list[str]:
        """The whole text."""
        whole = "".join(self._texts).strip()
        return [whole] if whole else []

    def copy(self) -> WholeReply:
        """The same, apart."""
        twin = WholeReply()
        twin._texts = [*self._texts]
        return twin


class SentenceChunker:
    """Feed it pieces of text; it gives whole sentences as soon as nothing that follows can change them.

    The pieces joined are the text, apart from white space at the joints. `flush` says that no more comes and
    makes the chunker ready for another text. first_clause: cut the first piece at a comma, semicolon, colon or
    dash once it has four words, so that the voice can begin early (off unless asked for).
    """

    __slots__ = ("_alnum", "_context", "_first", "_first_clause", "_head", "_tail", "_waiting")

    def __init__(self, language: str = "es", *, first_clause: bool = False) -> None:
        if language.split("-")[0] != "es":
            raise ValueError(f"Sentences are cut for Spanish (es), not for {language!r}.")
        self._first_clause = first_clause
        self._reset()

    def _reset(self) -> None:
        self._head: list[str] = []  # settled text since the last cut
        self._context = ""  # its last characters
        self._alnum = False  # whether it has a letter or digit: a piece needs something to say
        self._tail: list[str] = []  # text from the first stop on that is not decided
        self._waiting = False
        self._first = self._first_clause

    def feed(self, text: str) -> list[str]:
        """The sentences that `text` completes, in order."""
        if not self._waiting and not self._first and _CANDIDATE.search(text) is None:
            self._settle(text)
            return []
        self._tail.append(text)
        if self._waiting and _SIGNIFICANT.search(text) is None:
            return []  # still only stops and white space
        return self._cut(final=False)

    def flush(self) -> list[str]:
        """The rest, now that no more will come."""
        pieces = self._cut(final=True)
        rest = "".join((*self._head, *self._tail)).strip()
        self._reset()
        return [*pieces, rest] if rest else pieces

    def copy(self) -> SentenceChunker:
        """The same, apart: each goes on from here by itself."""
        twin = copy(self)
        twin._head, twin._tail = [*self._head], [*self._tail]
        return twin

    def _settle(self, text: str) -> None:
        if text:
            self._head.append(text)
            self._context = (self._context + text)[-_CONTEXT_CHARS:]
            self._alnum = self._alnum or any(map(str.isalnum, text))

    def _cut(self, *, final: bool) -> list[str]:
        """Decide every stop in the tail that can be decided."""
        pieces: list[str] = []
        tail = "".join(self._tail)
        self._waiting = False
        while True:
            at = 0
            if self._first:
                end = self._clause(tail, final)
                if end == _NO:
                    self._first = False  # a sentence ends before the first clause does
                    continue
            else:
                found = _CANDIDATE.search(tail)
                if found is None:
                    break
                at = found.start()
                end = self._line_break(tail, at, final) if tail[at] == "\n" else self._stop(tail, at, final)
            if end == _WAIT:
                self._waiting = not self._first
                break
            if end == _NO:  # the whole run was decided
                past = _past(tail, at, _STOPS.__contains__ if tail[at] in _STOPS else str.isspace)
                self._settle(tail[:past])
                tail = tail[past:]
                continue
            self._first = False
            self._settle(tail[:end])
            if self._alnum:
                pieces.append("".join(self._head).strip())
                self._head, self._context, self._alnum = [], "", False
            tail = tail[end:]
        if self._waiting or self._first:
            self._tail = [tail]
        else:
            self._settle(tail)
            self._tail = []
        return pieces

    # --- one stop: where the piece ends, or _WAIT, or _NO ----------------------------------------------

    def _stop(self, tail: str, at: int, final: bool) -> int:
        run = tail[at : _past(tail, at, _STOPS.__contains__)]
        end = _past(tail, at + len(run), _CLOSERS.__contains__)
        if end == len(tail):
            return _NO if final else _WAIT
        if tail[end].isspace() or _is_emoji(tail[end]):
            return self._behind(tail, at, end, run, final)
        return end if tail[end] in "¿¡" and (run[-1] in "?!…" or len(run) > 1) else _NO

    def _behind(self, tail: str, at: int, end: int, run: str, final: bool) -> int:
        """Behind the stop there is white space (or an emoji, which belongs to the sentence before it)."""
        nxt = _past(tail, end, str.isspace)
        while nxt < len(tail) and _is_emoji(tail[nxt]):
            end = _past(tail, nxt, _is_emoji)
            nxt = _past(tail, end, str.isspace)
        if nxt == len(tail):
            return _NO if final else _WAIT
        if tail.count("\n", end, nxt) >= 2:
            return end
        if tail[nxt] in "-*•·–—" or tail[nxt].isdigit():
            item = _list_item(tail, nxt, final)
            if item is None:
                return _WAIT
            if item and "\n" in tail[end:nxt]:
                return end
        significant = _past(tail, nxt, _OPENERS.__contains__)
        if significant == len(tail):
            return end if final else _WAIT
        following = tail[significant]  # what decides now is how the following text begins
        if following.islower():
            return _NO
        if run == "." and self._is_abbreviation((self._context + tail[:at])[-_CONTEXT_CHARS:], following):
            return _NO
        return end

    def _is_abbreviation(self, before: str, following: str) -> bool:
        """Whether a single full stop behind `before` belongs to its last word rather than to the sentence."""
        words = unicodedata.normalize("NFC", before).split()
        if not words or before[-1].isspace():
            return False
        word = words[-1].lstrip("".join(_OPENERS) + "¿¡")
        previous = words[-2] if len(words) > 1 else ""
        at_start = not previous and len(before) < _CONTEXT_CHARS
        lower = word.casefold()
        if (word.isdigit() and len(word) <= 2) or (len(word) == 1 and word.islower() and word.isalpha()):
            line = before.rpartition("\n")[2].strip()
            after_mark = previous.endswith((":", ";")) or (word.isdigit() and _is_mark(previous))
            return at_start or line == words[-1] or after_mark
        if lower in NEVER_ENDS:
            return following.isalpha() or following in "¿¡" or following.isdigit()
        if lower in BEFORE_NUMBER and following.isdigit():
            return True
        if len(word) == 1 and word.isalpha() and word.isupper():
            return following.isalpha() and _is_initial(word, previous, at_start)
        return False

    # --- line breaks and clauses -----------------------------------------------------------------------

    def _line_break(self, tail: str, at: int, final: bool) -> int:
        nxt = _past(tail, at, str.isspace)
        if nxt == len(tail):
            return _NO if final else _WAIT
        begins = tail.count("\n", at, nxt) >= 2 or _list_item(tail, nxt, final)
        if begins is None:
            return _WAIT
        return at if begins and (self._alnum or any(map(str.isalnum, tail[:at]))) else _NO

    def _clause(self, tail: str, final: bool) -> int:
        """Where the first clause ends; _NO when a sentence (or what may be its end) comes first."""
        stop = _CANDIDATE.search(tail)
        for found in _CLAUSE_END.finditer(tail):
            if stop is not None and found.start() >= stop.start():
                break
            if len(tail[: found.start()].split()) >= FIRST_CLAUSE_WORDS:
                return found.start() + 1 if tail[found.start()] in ",;:" else found.start()
        return _WAIT if stop is None and not final else _NO


def _past(tail: str, at: int, belongs: Callable[[str], bool]) -> int:
    """Where the run of characters that belong together, from `at` on, is over."""
    while at < len(tail) and belongs(tail[at]):
        at += 1
    return at


def _list_item(tail: str, at: int, final: bool) -> bool | None:
    """Whether a list item begins at `at`; None: not to be told yet."""
    rest = tail[at : at + 4]
    if _LIST_ITEM.match(rest):
        return True
    return None if not final and _MAYBE_LIST_ITEM.fullmatch(rest) else False


def _is_mark(word: str) -> bool:
    """Whether a word ends a sentence, so that a number behind it begins a list item."""
    return word.rstrip("".join(_CLOSERS)).endswith(tuple(_STOPS))


def _is_initial(letter: str, previous: str, at_start: bool) -> bool:
    """Whether a single capital with a stop is a name's initial."""
    if at_start:
        return True
    plain = previous.strip("".join(_OPENERS | _CLOSERS) + "¿¡,;:").casefold()
    if plain in BEFORE_LETTER:
        return False
    if plain in BEFORE_INITIAL or plain.rstrip(".") in NEVER_ENDS:
        return True
    if previous.endswith(".") and len(previous) == 2:
        return not (previous == "S." and letter == "A")  # «Beta S. A.» may end a sentence
    return previous[:1].isupper() and not previous.endswith((",", ";", ":"))


def _is_emoji(char: str) -> bool:
    """Pictures, their joiners and modifiers; not the signs that text uses (©, °, ™, arrows)."""
    code = ord(char)
    return 0x1F000 <= code <= 0x1FAFF or 0x2600 <= code <= 0x27BF or code in (0x200D, 0xFE0F, 0x2B50, 0x2B55, 0xE0020)
