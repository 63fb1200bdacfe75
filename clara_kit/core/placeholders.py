"""What the shop knows of a person stays out of every trace and log: placeholders stand for it there.

Stands at the door of a conversation (`runtime/manager.py`, `world/sim.py`). Events that come in are hidden before
anything is decided upon them or written; texts that go out to the model and the avatar are filled again. So the
decisions, the trace and the run log know `{first_name}` and never a name, and a replay needs no name either.

Words are compared without regard to case and accents, as recognisers and models write them; each spelling gets
a placeholder of its own, so that `fill` is the exact inverse of `hide`. What a person says of themselves before the
profile has come, or what the shop does not know, is their own words and stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.profile import ANONYMOUS, CustomerProfile, fill, placeholders_in

NONE: Mapping[str, str] = MappingProxyType({})
_NAME_PARTS = 3  # a name of more words is hidden only as a whole: its words may be anything
_UTTERANCES = 4  # whose pieces are remembered: the sound of a cut one may still be told
_PART_CHARS = 3  # shorter parts of a name («de», «la») are words of their own

# The texts of events that may hold personal words; vendors' messages may quote what was sent to them.
_FREE_TEXT: dict[type, str] = {
    **dict.fromkeys((ev.TranscriptInterim, ev.TextTyped, ev.TurnEndExpected, ev.AnswerFound), "text"),
    **dict.fromkeys((ev.ProviderFailed, ev.ProviderWarned), "message"),
}


class Placeholders:
    """The words of one profile and what stands for them. Without a profile nothing is hidden.

    words: in its place, what `map` gave once: the same words are hidden by the same placeholders again.
    """

    def __init__(self, profile: CustomerProfile = ANONYMOUS, words: Mapping[str, str] = NONE) -> None:
        self._names: dict[str, str] = {}  # folded value -> name of its placeholder
        self._value_of: dict[str, str] = {}  # placeholder -> what it stands for
        self._streams: dict[int, Stream] = {}
        self._spoken: dict[int, list[str]] = {}  # pieces with placeholders, of the last utterances
        for name, value in _personal(profile):
            if value and fold(value) not in self._names:
                self._names[fold(value)] = name
                self._value_of[f"{{{name}}}"] = value
        for placeholder, value in words.items():
            if value.strip():
                self._names.setdefault(fold(value), placeholder[1:-1].partition("~")[0])
            self._value_of[placeholder] = value
        either = "|".join(map(re.escape, sorted(self._names, key=len, reverse=True)))
        self._pattern = re.compile(rf"(?<!\w)(?:{either})(?!\w)") if either else None
        self._longest = max(map(len, self._names), default=0)
        self._begins = {value[:end] for value in self._names for end in range(1, len(value) + 1)}
        self.is_empty = self._pattern is None
        """Nothing is known that would have to be hidden."""

    def fresh(self) -> Placeholders:
        """The same words for another conversation."""
        twin = copy(self)
        twin._value_of, twin._streams, twin._spoken = dict(self._value_of), {}, {}
        return twin

    @property
    def map(self) -> dict[str, str]:
        """Placeholder to value. Kept apart from the log; may be deleted."""
        return dict(self._value_of)

    def hide(self, text: str) -> str:
        """The text with a placeholder for each known value."""
        return self.hide_after("", text)

    def hide_after(self, before: str, text: str) -> str:
        """As `hide`, for a text that continues `before` (whose last letter may belong to the first word)."""
        if self._pattern is None:
            return text
        whole, start, out = before + text, len(before), []
        at = start
        for match in self._pattern.finditer(fold(whole), start):
            out += [whole[at : match.start()], self._placeholder(whole[match.start() : match.end()])]
            at = match.end()
        return "".join((*out, whole[at:]))

    def stream(self) -> Stream:
        """What hides a text that comes in pieces."""
        return Stream(self)

    def fill(self, text: str) -> str:
        """The text with every placeholder replaced by what it stands for; unknown ones stay."""
        return fill(text, self._value_of)

    def hidden_chars(self, hidden: str, filled_chars: int) -> int:
        """How many characters of `hidden` the first `filled_chars` of its filled text stand for."""
        at = spent = 0
        for match in placeholders_in(hidden):
            plain = match.start() - at
            if filled_chars <= spent + plain:
                return at + filled_chars - spent
            spent += plain + len(self._value_of.get(match.group(), match.group()))
            at = match.end()
            if filled_chars <= spent:
                return at
        return min(at + filled_chars - spent, len(hidden))

    def events(self, event: ev.Event) -> Iterable[ev.Event]:
        """The event without personal words: usually one; a reply held back in mid-word comes before its end."""
        if self._pattern is None:
            return (event,)
        match event:
            case ev.ReplyDelta():
                if event.reply_id not in self._streams:  # one reply at a time: another was cancelled
                    self._streams = {event.reply_id: Stream(self)}
                text = self._streams[event.reply_id].feed(event.text)
                return (event if text == event.text else replace(event, text=text),)  # perhaps empty: its time counts
            case ev.ReplyCompleted(reply_id=n) | ev.ProviderFailed(reply_id=int(n)) if n in self._streams:
                rest = self._streams.pop(n).feed("", last=True)
                held = (ev.ReplyDelta(at_ms=event.at_ms, reply_id=n, text=rest),) if rest else ()
                return (*held, self._shown(event))
            case ev.TranscriptFinal():
                return (replace(event, text=self.hide(event.text), words=self._words(event.words)),)
            case ev.SpeechVoiced() if event.words and event.utterance_id in self._spoken:
                text = " ".join(self._spoken[event.utterance_id])
                ends = (replace(w, char_end=self.hidden_chars(text, w.char_end)) for w in event.words)
                return (replace(event, words=tuple(ends)),)
        return (self._shown(event),)

    def filled(self, command: Any) -> Any:
        """A command as the world must know it."""
        if isinstance(command, do.Speak):
            if command.utterance_id not in self._spoken:
                self._spoken = {**dict([*self._spoken.items()][1 - _UTTERANCES :]), command.utterance_id: []}
            self._spoken[command.utterance_id].append(command.text)
            return replace(command, text=self.fill(command.text))
        changes: dict[str, Any] = {}
        if isinstance(command, do.RequestReply | do.AskBackup | do.ShowText):
            changes["text"] = self.fill(command.text)
        if isinstance(command, do.RequestReply | do.OpenBackup):
            changes["messages"] = tuple(replace(m, text=self.fill(m.text)) for m in command.messages)
        return replace(command, **changes) if changes else command

    def _shown(self, event: ev.Event) -> ev.Event:
        name = _FREE_TEXT.get(type(event))
        return event if name is None else replace(event, **{name: self.hide(getattr(event, name))})

    def _words(self, words: tuple[ev.Word, ...]) -> tuple[ev.Word, ...]:
        """Words that together are one value become one word."""
        assert self._pattern is not None
        values = self._pattern.finditer(fold(" ".join(w.text for w in words)))
        inside = {at for value in values for at in range(value.start() + 1, value.end())}
        out: list[ev.Word] = []
        group: list[ev.Word] = []
        end = -1
        for word in words:
            group.append(word)
            end += len(" ") + len(word.text)
            if end not in inside:  # else the value goes on in the next word
                text = self.hide(" ".join(w.text for w in group))
                out.append(replace(group[0], text=text, end_ms=word.end_ms))
                group = []
        return tuple(out)

    def _placeholder(self, value: str) -> str:
        name = self._names[fold(value)]
        plain = f"{{{name}}}"
        number = 1
        while self._value_of.setdefault(plain, value) != value:
            number += 1
            plain = f"{{{name}~{number}}}"
        return plain

    def held_from(self, before: str, text: str) -> int:
        """From where on `text` must wait: it may be, or become, the beginning of a value."""
        folded = fold(before + text)
        for at in range(max(len(before), len(folded) - self._longest), len(folded)):
            if folded[at:] in self._begins and (at == 0 or not folded[at - 1].isalnum()):
                return at - len(before)
        return len(text)


class Stream:
    """A reply that comes in pieces: a value cut in two is held back until the rest of it has come."""

    def __init__(self, of: Placeholders) -> None:
        self._of, self._before, self._held = of, "", ""

    def feed(self, delta: str, *, last: bool = False) -> str:
        """What can be shown by now."""
        text = self._held + delta
        end = len(text) if last else self._of.held_from(self._before, text)
        out, self._held = text[:end], text[end:]
        # The match may end where the next text begins: the lookahead must see that no letter follows there.
        hidden = self._of.hide_after(self._before, out)
        self._before = (self._before + out)[-1:]
        return hidden


def masked(text: str, words: Mapping[str, str]) -> str:
    """The text with placeholders for whatever they stand for, where a map of them is all that is known of a person."""
    return Placeholders(words=words).hide(text)


def _personal(profile: CustomerProfile) -> Iterator[tuple[str, str]]:
    """What must be hidden: names of placeholders and their values, the most important first."""
    yield "first_name", profile.first_name.strip()
    parts = profile.first_name.split()
    if 1 < len(parts) <= _NAME_PARTS:
        yield from ((f"first_name_{n}", part) for n, part in enumerate(parts, start=1) if len(part) >= _PART_CHARS)
    yield "skin_type", (profile.skin_type or "").lower()
    yield from ((f"concern_{n}", concern.strip().lower()) for n, concern in enumerate(profile.skin_concerns, start=1))
    yield from ((f"purchase_{n}", bought.title.strip()) for n, bought in enumerate(profile.purchases, start=1))


class _Folds(dict[int, str]):
    """Character by character without case and accents, so that positions stay; each is worked out once."""

    def __missing__(self, code: int) -> str:
        plain = unicodedata.normalize("NFD", chr(code))[0].lower()
        folded = self[code] = plain if len(plain) == 1 else chr(code)
        return folded


_FOLDS = _Folds()


def fold(text: str) -> str:
    """The text without case and accents, letter for letter: places in it are places in the text."""
    return text.translate(_FOLDS)
