"""What a conversation finds ready: answers to frequent questions (`clara_kit.cache`), and the sound of what Clara often says.

Between the session and both. Whether an answer is looked for, given or trusted is decided elsewhere; here is known whose it is,
of which shop, day, prompt and model. Nothing of it may hold a conversation up: what a disk does is waited for in a thread, and
whatever fails means that nothing is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clara_kit.cache.faq import FAQ
from clara_kit.cache.responses import Entry, Hit, Miss, ResponseCache, Scope
from clara_kit.cache.scope import depends_on, shop_marks
from clara_kit.conversation.chunking import chunker_for
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.lexicon import plain
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.clock import Clock
from clara_kit.core.outside import place
from clara_kit.core.profile import placeholders_in
from clara_kit.runtime.profile import ProfileLoader
from clara_kit.runtime.sounds import Sounds

if TYPE_CHECKING:
    from clara_kit.runtime.services import Services

log = logging.getLogger("clara_kit.runtime")
_WRITTEN_S = 0.5  # for what is still being written at the end
_FEWEST_WORDS = 2  # of a question by which it is foreseen
_FORESEEN = 3  # answers at most whose sound is made though one of them may be asked for
_PERSONAL = {"skin", "catalog", "customer"}  # what is recommended to one may be wrong for another


class KeptAnswers:
    """Of one conversation. services: as they are now, for the model may be exchanged."""

    def __init__(
        self, services: Callable[[], Services], clock: Clock, feed: Callable[[ev.Event], object], talks: Conversation,
        profile: ProfileLoader, sounds: Sounds,
    ) -> None:  # fmt: skip
        self._services, self._clock, self._feed, self._talks = services, clock, feed, talks
        self._profile, self._sounds = profile, sounds
        self._cache: asyncio.Future[ResponseCache] = asyncio.get_running_loop().create_future()
        self._shop: dict[str, str] = {}
        self._ways: list[tuple[tuple[str, ...], Entry]] = []  # how each answer is asked for
        self._foreseen: tuple[str, ...] = ()
        self._foreseeing: asyncio.Task[None] | None = None
        self._writing: set[asyncio.Future[None]] = set()

    @property
    def _ready(self) -> bool:
        return self._cache.done() and not self._cache.cancelled()

    @property
    def hands(self) -> dict[type, Callable[[Any], object]]:
        """What is done here, by command."""
        return {
            do.LookUpAnswer: lambda command: self._tasks.create_task(self._look_up(command)),
            do.StoreAnswer: self._store,
            do.DistrustAnswer: self._distrust,
        }

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Read what is kept, while the greeting is spoken."""
        self._tasks = tasks
        if self._services().settings.flags.enable_response_cache:
            tasks.create_task(self._open())

    async def _open(self) -> None:
        try:
            cache = await asyncio.to_thread(self._read)
            self._ways = await asyncio.to_thread(_ways, cache)
            self._cache.set_result(cache)
        except Exception as exc:  # a file that somebody edits must not end a conversation
            log.warning("The frequent questions cannot be read, and nothing is kept: %s", exc)
            self._cache.cancel()

    def _read(self) -> ResponseCache:
        services = self._services()
        self._shop = shop_marks(services.catalog) if services.catalog is not None else {}
        if services.answers is not None:
            return services.answers
        kept_in = services.kept_in("llm")
        path = None if kept_in is None else kept_in / "answers.sqlite3"
        return ResponseCache(path, faq=FAQ, expire_h=services.settings.answers_expire_h)

    # --- by command ------------------------------------------------------------------------------------

    async def _look_up(self, command: do.LookUpAnswer) -> None:
        found = await self._found(self._profile.placeholders.fill(command.question))
        ids: dict[str, Any] = {"at_ms": self._clock.now_ms(), "turn_id": command.turn_id}
        if isinstance(found, Hit):
            self._sounds.worth(self._pieces(found.entry))
            self._feed(ev.AnswerFound(**ids, text=found.answer, why=found.why))
        else:
            self._feed(ev.AnswerNotFound(**ids, why=found.why))

    async def _found(self, question: str) -> Hit | Miss:
        if not self._ready:
            return Miss("what is kept cannot be read" if self._cache.done() else "what is kept is not read yet")
        cache, general, own = self._cache.result(), *self._scopes()
        try:
            found = await asyncio.to_thread(cache.look_up, question, own)
            return (
                found
                if isinstance(found, Hit) or own == general
                else await asyncio.to_thread(cache.look_up, question, general)
            )
        except Exception as exc:
            log.error("looking up an answer failed: %s", place(exc))
            return Miss("looking it up failed")

    def _store(self, command: do.StoreAnswer) -> None:
        hidden = {found.group()[1:-1].partition("~")[0] for found in placeholders_in(command.question + command.answer)}
        if hidden - {"skin_type"}:
            return  # words of one customer's, which no file shall hold
        question, answer = map(self._profile.placeholders.fill, (command.question, command.answer))
        general, own = self._scopes()
        scope = own if depends_on(question, answer) & _PERSONAL else general
        self._write("remember", question, answer, scope, follows=command.follows)

    def _distrust(self, command: do.DistrustAnswer) -> None:
        self._write("distrust", *map(self._profile.placeholders.fill, (command.question, command.answer)))

    def _write(self, what: str, *args: Any, **named: Any) -> None:
        """What was heard to its end is kept, also where that is the end of the conversation."""
        if not self._ready:
            return

        def write() -> None:
            try:
                getattr(cache, what)(*args, **named)
            except Exception as exc:
                log.error("keeping an answer failed (%s): %s", what, place(exc))

        cache = self._cache.result()
        writing = asyncio.get_running_loop().run_in_executor(None, write)
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def aclose(self) -> None:
        """Wait for what is being written."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=_WRITTEN_S)

    def _scopes(self) -> tuple[Scope, Scope]:
        """For an answer that everybody may get, and for one that was given to whom the model knew something of."""
        services, profile = self._services(), self._profile
        personal = self._talks.settings.flags.enable_personalization
        known = profile.briefing.profile if profile.briefing is not None and personal else None
        mode, model = services.modes["llm"], services.settings.llm_model
        general = Scope(
            customer=services.customer_key if known is not None and not known.is_anonymous else "",
            skin=(known.skin_type or "") if known is not None else "",
            date=today_in_chile(),
            prompt=profile.prompt_mark,
            model=f"{mode} {model}",  # what a stand-in said is never given for a model's
            **self._shop,
        )
        return general, replace(general, prompt=profile.prompt(personal=personal).hash)

    # --- before it is asked ----------------------------------------------------------------------------

    def saw(self, event: ev.Event) -> None:
        """While she still speaks: let the sound of what she may be asking for be made meanwhile."""
        if type(event) is not ev.TranscriptInterim or self._sounds.voice is None or not self._ready:
            return
        asked = f"{self._talks.talk.turn.question} {event.text}"
        words = tuple(plain(asked))
        busy = self._foreseeing is not None and not self._foreseeing.done()
        if not busy and len(words) >= _FEWEST_WORDS and words != self._foreseen:
            self._foreseen = words
            self._foreseeing = self._tasks.create_task(self._foresee(asked, words))

    async def _foresee(self, asked: str, words: tuple[str, ...]) -> None:
        """By the ways of asking that begin so, the one that is whole first, and by what is most like it: for sound that is
        made in vain misleads nobody."""
        cache, scopes = self._cache.result(), self._scopes()
        may_be = {e.id: e for way, e in self._ways if way[: len(words)] == words}
        may_be |= {near.entry.id: near.entry for near in await asyncio.to_thread(cache.nearest, asked, _FORESEEN)}
        hold = [e for e in may_be.values() if any(not cache.holds(e, scope) for scope in scopes)]
        pieces = [self._pieces(entry) for entry in hold[:_FORESEEN]]
        firsts, rest = [p[0] for p in pieces if p], [text for p in pieces for text in p[1:]]
        await self._sounds.prepare((*firsts, *rest))

    def _pieces(self, entry: Entry) -> tuple[str, ...]:
        """As they will be spoken; none of what is one customer's alone."""
        if any(name == "customer" for name, _ in entry.depends):
            return ()
        chunker = chunker_for(self._talks.settings)
        return (*chunker.feed(entry.answer), *chunker.flush())


def _ways(cache: ResponseCache) -> list[tuple[tuple[str, ...], Entry]]:
    """How each answer is asked for, the shortest first."""
    ways = [(tuple(plain(way)), entry) for entry in cache.entries() for way in (entry.question, *entry.ways)]
    return sorted(ways, key=lambda way: len(way[0]))


def today_in_chile() -> str:
    """The day there, as ISO has it."""
    try:
        return datetime.now(ZoneInfo("America/Santiago")).date().isoformat()
    except ZoneInfoNotFoundError:  # a machine without the table of zones; Santiago is three or four hours behind
        return datetime.now().astimezone().date().isoformat()
