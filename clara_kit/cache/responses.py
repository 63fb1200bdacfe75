"""Answers to frequent questions, kept: curated ones (`faq.py`) and those that a model gave and customers heard to their end.

A wrong answer is worse than a slow one. An answer is given again only to a question that means the same (`meaning.py`), and
only while everything that it depends on is the same (`scope.py`). What is merely similar is proposed, and named with what
differs. Whoever asks comes after: the runtime on disk, the simulation in memory. Nothing here raises for what a disk does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from threading import RLock

from clara_kit.cache.entries import Entry, Hit, Index, Miss, Near, Remembered, curated_entry, key_of, read_entry
from clara_kit.cache.faq import FAQ, Curated, checked, read_faq
from clara_kit.cache.guard import differences, similarity
from clara_kit.cache.meaning import NAMELESS, Meaning, meaning
from clara_kit.cache.scope import BACK, NAMES, NEEDED, PASSING, UNSURE, Scope, depends_on, names_customer
from clara_kit.core.errors import SettingsError
from clara_kit.data_files import fingerprint
from clara_kit.store import Store

__all__ = ["Entry", "Hit", "Miss", "Near", "Remembered", "ResponseCache", "Scope", "usual_cache"]

LOST_TRUST = 0.5  # each time somebody interrupts or corrects an answer; gone after two
MOST_CHARS = 1_200  # of an answer: more is no answer to a frequent question
_PREFIX = "answer:"
_COMPARED = 200  # entries at most, of which the nearest is named


class ResponseCache:
    """Kept answers. Safe to ask from several threads.

    path: a file on disk for what is learnt, None for memory alone. faq: a folder or file of curated answers, or the entries
    themselves; None for none. now: seconds since 1970. expire_h: how long a learnt answer lives, 0 for none is learnt.
    `hash` stands for the curated answers in a run's inputs.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        faq: Path | str | Iterable[Curated] | None = None,
        now: Callable[[], float] = time.time,
        expire_h: float = 168.0,
    ) -> None:
        self._now, self._expire_s, self._lock = now, expire_h * 3600, RLock()
        self._store = Store(path, clock=now) if path is not None else None
        self.curated = read_faq(faq) if isinstance(faq, Path | str) else checked(tuple(faq or ()))
        self.hash = fingerprint(self.curated)
        self._distrusted: dict[str, float] = {}  # of what was said to a question, by `_said`
        self._learnt: dict[str, Entry] = {}
        self._index = Index()
        self._stamp: tuple[int, int, int] | None = None
        for one in self.curated:
            self._index.add(curated_entry(one))
        self._load()

    # --- asking -----------------------------------------------------------------------------------------

    def look_up(self, question: str, scope: Scope = Scope()) -> Hit | Miss:  # noqa: B008 - it is frozen
        """The kept answer to this question in this state of things, or why there is none."""
        meant = meaning(question)
        if not meant.marks:
            return Miss("nothing was asked")
        with self._lock:
            self._load()
            found = self._index.same.get(meant.words, []) or self._index.same.get(key_of(meant), [])
            if meant.follows:  # but for a curated way that says the same words
                found = [f for f in found if f[0].origin == "curated" and meaning(f[1]).words == meant.words]
                if meant.follows != NAMELESS or not found:
                    return Miss(meant.follows)
            fallen = ""
            for entry, way in sorted(found, key=lambda f: (f[0].origin, -(f[0].expires_at or 0.0))):
                if fallen_now := self.holds(entry, scope):
                    fallen = fallen or f"«{way}» has an answer ({entry.id}), but {fallen_now}"
                    continue
                how = "the same words" if meaning(way).words == meant.words else "other words for the same"
                return Hit(
                    entry.answer,
                    f"{entry.origin} {entry.id}, asked as «{way}»: {how}",
                    self._trusted(entry),
                    self._trust(entry),
                )
            if fallen:
                return Miss(fallen)
            near = next(iter(self.nearest(question, 1)), None)
        return Miss(f"nothing that is kept asks the same; {near.why}" if near else "nothing like it is kept", near)

    def holds(self, entry: Entry, scope: Scope) -> str:
        """ "" where the entry may be used in this state of things, else why not."""
        if self._trust(entry) <= 0:
            return "it was interrupted or corrected too often"
        if entry.expires_at is not None and entry.expires_at <= self._now():
            return "it has expired"
        for name, values in entry.depends:
            value = scope.value(name)
            same = value in values or (name == "skin" and value.casefold() in map(str.casefold, values))
            if not same and not (entry.origin == "curated" and value == "" and name != "skin"):
                return f"it was given for another {name}" if values else f"nobody wrote down for which {name}"
        first, last = entry.days
        if (first or last) and not (first <= scope.value("date") <= (last or "~") and scope.value("date")):
            return f"it holds from {first or 'ever'} until {last or 'ever'}, and it is {scope.value('date') or 'no known day'}"
        return ""

    def nearest(self, question: str, n: int = 3) -> tuple[Near, ...]:
        """The most similar ways of asking, best first, and what differs; in whatever state of things."""
        meant = meaning(question)
        with self._lock:
            overlap: Counter[int] = Counter()
            ways: dict[int, tuple[Entry, str]] = {}
            for mark in sorted(meant.marks, key=lambda m: (len(self._index.by_mark.get(m, ())), m)):
                for pair in self._index.by_mark.get(mark, ())[:_COMPARED]:
                    overlap[id(pair)] += 1
                    ways[id(pair)] = pair
                if len(ways) >= _COMPARED:
                    break
        best: dict[str, Near] = {}
        for who, _ in overlap.most_common(8 * n):
            entry, way = ways[who]
            alike = similarity(meant, meaning(way))
            if entry.id not in best or alike > best[entry.id].similarity:
                differs, why = differences(meant, meaning(way))
                best[entry.id] = Near(
                    entry, way, round(alike, 3), differs, f"closest is «{way}» ({entry.id}, {alike:.2f}): {why}"
                )
        return tuple(sorted(best.values(), key=lambda near: (-near.similarity, near.entry.id))[:n])

    def entries(self) -> tuple[Entry, ...]:
        """Everything that is kept and has not expired, curated entries first."""
        with self._lock:
            self._load()
            learnt = [e for e in self._learnt.values() if e.expires_at is None or e.expires_at > self._now()]
        return tuple(self._trusted(e) for e in (*map(curated_entry, self.curated), *sorted(learnt, key=lambda e: e.id)))

    # --- keeping ----------------------------------------------------------------------------------------

    def remember(
        self, question: str, answer: str, scope: Scope, depends: Iterable[str] | None = None, *, follows: bool = False
    ) -> Remembered:
        """Keep an answer for whoever asks the same, or say why not.

        depends: names of `Scope`; empty for a general answer; None to tell it from the words. follows: something had been
        said before, which question or answer may lean on. Raises `SettingsError` for a name that `Scope` lacks.
        """
        names = _named(depends)
        meant = meaning(question)
        if why := self._unfit(question, answer, meant, declared=names is not None, follows=follows):
            return Remembered(False, why)
        if names is None:
            names = depends_on(question, answer)
        if names_customer(question, answer, scope.value("customer")):
            names |= {"customer"}  # whatever was declared
        if missing := sorted(name for name in names & NEEDED if not scope.value(name)):
            return Remembered(False, f"it depends on the {missing[0]}, which is not known")
        holds = tuple((name, (scope.value(name),)) for name in NAMES if name in names)
        meant_by = repr((meant.whole, sorted(meant.marks), meant.order, holds))
        id_ = sha256(meant_by.encode()).hexdigest()[:12]
        entry = Entry(id_, question, answer, holds, expires_at=self._now() + self._expire_s)
        with self._lock:
            self._load()
            if self._distrusted.get(_said(meant, answer), 1.0) <= 0:
                return Remembered(False, "it was interrupted or corrected too often")
            if (before := self._learnt.get(id_)) is not None:
                self._index.remove(before)
            self._learnt[id_] = entry
            self._index.add(entry)
            self._write(entry, scope.value("customer") if "customer" in names else "")
        what = ", ".join(name for name in NAMES if name in names)
        return Remembered(True, f"kept; it depends on {what}" if what else "kept, as a general answer")

    def distrust(self, question: str, answer: str) -> float:
        """The answer was interrupted or corrected; says how far it is trusted now. At 0 it is given no more."""
        said = _said(meaning(question), answer)
        with self._lock:
            self._load()  # another process may have heard the same
            trust = self._distrusted[said] = max(0.0, self._distrusted.get(said, 1.0) - LOST_TRUST)
            if self._store is not None:
                self._store.put(f"trust:{said}", trust, ttl_s=max(self._expire_s, 30 * 86400.0))
                self._stamp = self._stamped()
        return trust

    def forget(self, question: str = "", *, customer: str = "") -> int:
        """Delete what was learnt: for one question, of one customer, or everything; says how many answers went."""
        wanted = key_of(meaning(question)) if question else None
        with self._lock:
            self._load()
            gone = [
                e for e in self._learnt.values()
                if (wanted is None or key_of(meaning(e.question)) == wanted)
                and (not customer or ("customer", (customer,)) in e.depends)
            ]  # fmt: skip
            for entry in gone:
                self._index.remove(self._learnt.pop(entry.id))
                if self._store is not None:
                    self._store.delete(_PREFIX + entry.id)
            self._stamp = self._stamped()
        return len(gone)

    def with_asked(self, entry_id: str, more: Iterable[str]) -> ResponseCache:
        """A draft: the curated entries with more ways of asking for one of them, in memory. Raises `ScriptError`."""
        import msgspec

        entries = [msgspec.structs.replace(e, asked=(*e.asked, *more)) if e.id == entry_id else e for e in self.curated]
        return ResponseCache(faq=entries, now=self._now)

    # --- within -----------------------------------------------------------------------------------------

    def _unfit(self, question: str, answer: str, meant: Meaning, *, declared: bool, follows: bool) -> str:
        if self._expire_s <= 0:
            return "nothing is learnt (answers_expire_h is 0)"
        if not meant.marks or not answer.strip():
            return "there is no question or no answer"
        if meant.follows:
            return meant.follows
        if len(answer) > MOST_CHARS:
            return f"it is longer than {MOST_CHARS} characters"
        if PASSING.search(question.casefold()):
            return "it asks of this very hour, or of what was said another time"
        if UNSURE.search(answer.casefold()):
            return "it says that it does not know"
        if not declared and not meant.whole:
            return "what is asked cannot be told, so neither what it depends on"
        if follows and BACK.search(answer.casefold()):
            return "it leans on what was said before"
        return ""

    def _trust(self, entry: Entry) -> float:
        if not self._distrusted:
            return entry.trust
        return min(
            self._distrusted.get(_said(meaning(way), entry.answer), 1.0) for way in (entry.question, *entry.ways)
        )

    def _trusted(self, entry: Entry) -> Entry:
        trust = self._trust(entry)
        return entry if trust == entry.trust else replace(entry, trust=trust)

    def _write(self, entry: Entry, customer: str) -> None:
        if self._store is None:
            return
        held = {"question": entry.question, "answer": entry.answer, "depends": entry.depends, "until": entry.expires_at}
        self._store.put(_PREFIX + entry.id, held, ttl_s=self._expire_s, tag=customer)
        self._stamp = self._stamped()

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            file = self._store.path.stat() if self._store is not None else None
        except OSError:
            return None
        return (file.st_mtime_ns, file.st_size, file.st_ino) if file else None

    def _load(self) -> None:
        """What is on disk, read again where somebody else wrote there."""
        if self._store is None or (stamp := self._stamped()) is None or stamp == self._stamp:
            return
        self._stamp = stamp
        for entry in self._learnt.values():
            self._index.remove(entry)
        self._learnt.clear()
        for key, kept in self._store.items():
            value = kept.json()
            if key.startswith("trust:") and isinstance(value, int | float):
                self._distrusted[key.removeprefix("trust:")] = float(value)
            elif key.startswith(_PREFIX) and (read := read_entry(key.removeprefix(_PREFIX), value)) is not None:
                self._learnt[read.id] = read
                self._index.add(read)


@lru_cache(maxsize=4)
def _usual(entries: tuple[Curated, ...]) -> ResponseCache:
    return ResponseCache(faq=entries, now=lambda: 0.0)


def usual_cache() -> ResponseCache:
    """The curated answers of `data/faq/`, in memory, for everybody who asks; equal for equal files. Not to be written to."""
    return _usual(read_faq(FAQ))


def _said(meant: Meaning, answer: str) -> str:
    return sha256(f"{sorted(meant.marks)} {meant.order} {answer.strip()}".encode()).hexdigest()[:16]


def _named(depends: Iterable[str] | None) -> frozenset[str] | None:
    if depends is None:
        return None
    names = frozenset((depends,) if isinstance(depends, str) else depends)
    if unknown := sorted(names - {*NAMES}):
        raise SettingsError(f"An answer cannot depend on {unknown[0]!r}.", hint=f"there are {', '.join(NAMES)}.")
    return names
