"""Streamed Spanish to whole sentences that a voice can speak.

Comes after the model's deltas, before `Speak`. A cut is decided from the text before it and from what
follows, up to the first letter that shows how the next sentence begins (behind some abbreviations, and where
the blank is missing, up to the end of that word); until that has come, the sentence waits. So the way a text is
split into feeds can never change where it is cut, and no cut is ever made by time.

What ends a sentence: `.`, `?`, `!`, `…` (and runs of them, with the quotes and brackets that close behind),
followed by white space and something that is not a lower-case letter; the same without white space before a
capital letter or `¿¡` («¡Listo!Te llega»); a blank line; a line break before a list item. What does not:
abbreviations, initials, list marks, numbers with points (`$12.990`), names and addresses (`La.Roche`, `tienda.cl`),
and any stop behind which the text goes on in lower case.
"""

from __future__ import annotations

import re
from copy import copy
from typing import Protocol, Self, runtime_checkable

from clara_kit.conversation.abbreviations import NEVER_LAST, belongs_to_word

_CANDIDATE = re.compile(r"[.?!…\n]")
_STOP = re.compile(r"([.?!…]+)[\"'”’»›)\]}*_`~]*")  # with what closes behind it
_ALNUM = re.compile(r"[^\W_]")
_UNDECIDED = re.compile(r"[.?!…]*\s*")  # a stop and this much behind it never decides
_SPACE = re.compile(r"\s*")
_OPENING = "\"'“‘«‹([{*_`~"
_BRACKETS = re.compile(f"[{re.escape(_OPENING)}]*")
_OPENERS = re.compile(f"[{re.escape(_OPENING)}—–-]*")
_BOTH_WAYS = frozenset("\"'*_`~")  # these open and close
# Pictures, their joiners and modifiers; not the signs that text uses (©, °, ™, arrows).
_EMOJI = "\U0001f000-\U0001faff\u2600-\u27bf\u200d\ufe0f\u2b50\u2b55\U000e0020"
_EMOJI_RUN = re.compile(f"[{_EMOJI}]*")
_LIST_ITEM = re.compile(
    r"[-*•·–—▪◦‣]\s"
    r"|[*_]{0,2}(?:\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{2,4})\)|\d{1,2}(?:\.\d{1,2})*\.[-–]?)[*_]{0,2}\s"  # «a)», «1.-», «**2.1.**»
    r"|(?:[a-z]|[ivx]{2,4})\.[^\S\n][A-ZÁÉÍÓÚÜÑ¿¡]"  # «a. Limpia», not «a. m.», «p. ej.»
    rf"|[{_EMOJI}]+[^\S\n]*[^\s{_EMOJI}]|\d\ufe0f?\u20e3"  # «✅ Limpia», «1️⃣»
)
_LIST_ITEM_CHARS = 12
_LIST_ITEM_ENDS = (" ", ". ", ") ", "1) ", "X", " X", ". X", "\u20e3")  # one completes whatever may become an item
_ADDRESS = re.compile(r"@|//|\bwww\.|\.\w{2,}/")
_DOMAIN = re.compile(r"\.[a-z0-9]")
_ENDS_WORD = re.compile(
    r"(?:[^\W\d_][a-záéíóúüñ]|[A-ZÁÉÍÓÚÜÑ]{3}|[\d%+]|\b[ap]\.m)[\"'”’»›)\]}*_`~]*\Z"  # no initial, no «S.A»
)
_CAPITALISED = re.compile(r"[A-ZÁÉÍÓÚÜÑ](?:[a-záéíóúüñ]|\Z)")
_JOINS = r"\s(?=(?:y|e|o|pero|porque|aunque|mientras|cuando|si|así que|ya que|para que)\s)"
_CLAUSE_END = re.compile(rf"[,;:](?=\s)|\s[—–]\s|{_JOINS}")
_CONTEXT_CHARS = 64  # how far back a word before a stop may reach; longer ones are no abbreviations

FIRST_CLAUSE_WORDS = 4  # an early first clause has at least so many words; shorter ones sound chopped
JOINED_CLAUSE_WORDS = 7  # and more where nothing is written that a voice would pause at

_WAIT = -1
_NO = -2


@runtime_checkable
class Chunker(Protocol):
    """Text in, pieces out; joined they are the text."""

    @property
    def chars(self) -> int: ...

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

    @property
    def chars(self) -> int:
        """How many wait."""
        return sum(map(len, self._texts))

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
    dash once it has four words, or before a conjunction once it has seven, so that the voice can begin early (off unless
    asked for).
    """

    __slots__ = ("_alnum", "_first", "_first_clause", "_head", "_idle", "_tail", "_waiting")

    def __init__(self, language: str = "es", *, first_clause: bool = False) -> None:
        if language.split("-")[0] != "es":
            raise ValueError(f"Sentences are cut for Spanish (es), not for {language!r}.")
        self._first_clause = first_clause
        self._reset()

    def _reset(self) -> None:
        self._head: list[str] = []  # settled text since the last cut
        self._alnum = False  # whether it has a letter or digit: a piece needs something to say
        self._tail: list[str] = []  # text from the first stop on that is not decided
        self._waiting = self._idle = False
        self._first = self._first_clause

    def feed(self, text: str) -> list[str]:
        """The sentences that `text` completes, in order."""
        if not self._waiting and not self._first and _CANDIDATE.search(text) is None:
            self._settle(text)
            return []
        idle = self._idle and text and _UNDECIDED.fullmatch(self._tail[-1][-1] + text)
        self._tail += [text] if text else []
        if idle or not text:
            return []
        return self._cut(final=False)

    @property
    def chars(self) -> int:
        """How many wait for the end of their sentence."""
        return sum(map(len, (*self._head, *self._tail)))

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
            self._alnum = self._alnum or _ALNUM.search(text) is not None

    def _before(self, tail: str) -> str:
        """The last characters up to the end of `tail`, of what was not cut yet."""
        self._head = [head := "".join(self._head)]
        return (head + tail)[-_CONTEXT_CHARS:]

    def _cut(self, *, final: bool) -> list[str]:
        """Decide every stop in the tail that can be decided."""
        pieces: list[str] = []
        tail = "".join(self._tail)
        self._waiting = self._idle = False
        while True:
            at, stop = 0, None
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
                stop = _STOP.match(tail, at)
                end = self._line_break(tail, at, final) if stop is None else self._stop(tail, stop, final)
            if end == _WAIT:
                self._waiting = not self._first
                self._idle = self._waiting and _UNDECIDED.fullmatch(tail, at) is not None
                break
            if end == _NO:  # the whole run was decided
                past = _past(tail, at, _SPACE) if stop is None else stop.end(1)
                self._settle(tail[:past])
                tail = tail[past:]
                continue
            self._first = False
            self._settle(tail[:end])
            if self._alnum:
                pieces.append("".join(self._head).strip())
                self._head, self._alnum = [], False
            tail = tail[end:]
        if self._waiting or self._first:
            self._tail = [tail]
        else:
            self._settle(tail)
            self._tail = []
        return pieces

    # --- one stop: where the piece ends, or _WAIT, or _NO ----------------------------------------------

    def _stop(self, tail: str, found: re.Match[str], final: bool) -> int:
        run, past, end = found[1], found.end(1), found.end()
        if end == len(tail):
            return _NO if final else _WAIT
        before = self._before(tail[: found.start()])
        if tail[end].isspace() or _past(tail, end, _EMOJI_RUN) > end:
            return self._behind(tail, end, run, before, final)
        if end > past and tail[past] in _BOTH_WAYS and not _is_open(tail[past], before):
            end = past  # «¡Listo!"Te llega"»: it opens what follows
        return self._joined(tail, end, run, before, final)

    def _behind(self, tail: str, end: int, run: str, before: str, final: bool) -> int:
        """Behind the stop there is white space (or an emoji, which belongs to the sentence before it)."""
        nxt = _past(tail, end, _SPACE)
        while (past := _past(tail, nxt, _EMOJI_RUN)) > nxt:
            more = _past(tail, past, _SPACE)
            if "\n" in tail[end:nxt] and more < len(tail) and "\n" not in tail[past:more]:
                break  # on the next line, before its text: a list's mark
            end, nxt = past, more
        if nxt == len(tail):
            return _NO if final else _WAIT
        if tail.count("\n", end, nxt) >= 2:
            return end
        item = "\n" in tail[end:nxt] and _list_item(tail, nxt, final)
        if item or item is None:
            return _WAIT if item is None else end
        opened = _past(tail, nxt, _OPENERS)
        significant = _past(tail, opened, _SPACE)  # behind a dash
        ahead = tail[significant : significant + _CONTEXT_CHARS]
        final = final or len(ahead) == _CONTEXT_CHARS
        if not ahead:
            return end if final else _WAIT
        if ahead[0].islower() and significant == opened:  # what decides now is how the following text begins
            if len(ahead) < 2 and not final:
                return _WAIT
            return end if ahead[1:2] == ")" else _NO  # «Limpia. b) Hidrata»
        return self._unless_abbreviated(end, run, before, ahead, final)

    def _joined(self, tail: str, end: int, run: str, before: str, final: bool) -> int:
        """Behind the stop the text goes on without a blank: a slip of the model's, or no end of a sentence at all."""
        begin = _past(tail, end, _BRACKETS)
        ahead = tail[begin : begin + _CONTEXT_CHARS]
        final = final or len(ahead) == _CONTEXT_CHARS
        word = "".join(before.split()[-1:]).lstrip(_OPENING + "—–-¿¡")
        if not ahead:
            return _NO if final else _WAIT
        if _ADDRESS.search(word) or len(word) == _CONTEXT_CHARS:
            return _NO
        if ahead[0] in "¿¡":
            return self._unless_abbreviated(end, run, before, ahead, final)
        if run[-1] in "?!":
            return end if ahead[0].isupper() or ahead[0].isdigit() else _NO
        # A point between words is a name's, an address's or a version's as well. It ends a sentence where a word or
        # number that can end one is before it, and a capitalised word that is no address follows.
        if not ahead[0].isupper() or not _ENDS_WORD.search(before) or word.casefold() in NEVER_LAST:
            return _NO
        if word.isdigit() and len(word) <= 2:  # «1.Limpia 2.Hidrata»
            return _NO
        if len(token := ahead.split()[0]) == len(ahead) and not final:
            return _WAIT
        if not _CAPITALISED.match(token) or _ADDRESS.search(token) or _DOMAIN.search(token):
            return _NO
        return self._unless_abbreviated(end, run, before, ahead, final)

    def _unless_abbreviated(self, end: int, run: str, before: str, ahead: str, final: bool) -> int:
        belongs = run == "." and belongs_to_word(before, ahead, final=final)
        return _WAIT if belongs is None else _NO if belongs else end

    # --- line breaks and clauses -----------------------------------------------------------------------

    def _line_break(self, tail: str, at: int, final: bool) -> int:
        nxt = _past(tail, at, _SPACE)
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
            joined = not found[0].strip(" \n\t") and len(found[0]) == 1
            if len(tail[: found.start()].split()) >= (JOINED_CLAUSE_WORDS if joined else FIRST_CLAUSE_WORDS):
                return found.start() + 1 if tail[found.start()] in ",;:" else found.start()
        return _WAIT if stop is None and not final else _NO


def _past(tail: str, at: int, run: re.Pattern[str]) -> int:
    """Where the run of characters that belong together, from `at` on, is over."""
    found = run.match(tail, at)
    return found.end() if found else at


def _list_item(tail: str, at: int, final: bool) -> bool | None:
    """Whether a list item begins at `at`; None: not to be told yet."""
    rest = tail[at : at + _LIST_ITEM_CHARS]
    if _LIST_ITEM.match(rest):
        return True
    open_ended = not final and len(rest) < _LIST_ITEM_CHARS
    return None if open_ended and any(_LIST_ITEM.match(rest + end) for end in _LIST_ITEM_ENDS) else False


def _is_open(mark: str, before: str) -> bool:
    """Whether a quote or emphasis was opened and waits to be closed."""
    return len(re.findall(re.escape(mark) + "+", before)) % 2 == 1
