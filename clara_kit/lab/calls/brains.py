"""What may write Clara's answers in a simulation instead of the scripted brain: `brain_for` makes it.

"recorded": answers that are kept; what is missing is asked of Claude once, with a key, and kept. "live": every answer is
asked anew, and the first to each request is kept. "local": a server on this machine that stands in for Claude.

A brain may be asked by several threads at once, and be sent to another process: there it takes the key from the
environment, for none is ever written anywhere.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from clara_kit.core import events as ev
from clara_kit.core.errors import ProviderError, SettingsError
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.profile import fill
from clara_kit.core.prompt import Prompt
from clara_kit.core.settings import Keys, Settings
from clara_kit.lab.calls.loop import Loop
from clara_kit.lab.calls.store import CallStore
from clara_kit.measure.run import Run
from clara_kit.providers import http
from clara_kit.providers.llm import calls
from clara_kit.providers.llm.base import LLMProvider, ReplyRequest
from clara_kit.providers.llm.claude_request import body_of, fixed_parameters, on_the_wire
from clara_kit.providers.llm.claude_tally import Tally
from clara_kit.providers.llm.local import LocalLLM
from clara_kit.runtime.clock import MonotonicClock
from clara_kit.runtime.config import load_keys
from clara_kit.world.brain import LLM, Brain, Source, Written
from clara_kit.world.personas import Persona

if TYPE_CHECKING:
    from clara_kit.providers.llm.recorded import Asking

TRIES = 5  # of a request that the vendor has no room for
_LONGEST_WAIT_MS = 60_000.0


def brain_for(
    llm: LLM, settings: Settings, *, keys: Keys | None = None, folder: str | Path | None = None,
    real_customers: bool = False,
) -> Brain | None:  # fmt: skip
    """What writes Clara's answers; None for "scripted", which `simulate` has by itself. Raises `SettingsError`.

    settings: the model, its parameters and its time limits. keys: default, the environment's; `Keys()`: nobody is asked,
    whatever the environment holds. folder: where answers are kept (`data/calls/`). real_customers: keep also answers
    to people who are not in `data/customers/` (apart from the others, and not in git).
    """
    if llm == "scripted":
        return None
    if llm == "local":
        return LocalBrain(settings, base_url=(load_keys() if keys is None else keys).local_llm_base_url)
    if llm not in ("recorded", "live"):
        raise SettingsError(f"There is no {llm!r} to write answers.", hint="use scripted, recorded, live or local.")
    return ClaudeBrain(llm, settings, keys=keys, folder=folder, real_customers=real_customers)


class ClaudeBrain:
    """Claude, or what is kept of it.

    may_ask: there is a key to ask with. on_played: gets every kept call that is played. `asked`, `spent_usd`: requests sent by this object, and what they cost so far.
    """

    def __init__(
        self, llm: Literal["recorded", "live"], settings: Settings, *, keys: Keys | None = None,
        folder: str | Path | None = None, real_customers: bool = False, who: calls.Who | None = None,
    ) -> None:  # fmt: skip
        keys = load_keys() if keys is None else keys
        if llm == "live":
            keys.need("anthropic_api_key")
        self.asked, self.spent_usd = 0, 0.0
        self.store = CallStore(folder)
        self._llm: Literal["recorded", "live"] = llm
        self._settings, self._keys, self._real = settings, keys, real_customers
        here: calls.Who = "twin" if http.is_loopback(keys.anthropic_base_url) else "anthropic"
        self.who: calls.Who = who or here
        self.may_ask = keys.anthropic_api_key is not None and self.who == here
        self.on_played: Callable[[calls.Call], object] | None = None
        self._fixed = fixed_parameters(settings.llm_model, settings.llm_max_tokens, settings.llm_temperature)
        self._loop = Loop()
        self._claude: LLMProvider | None = None
        self._lock = threading.Lock()
        self._one_by_one: dict[str, threading.Lock] = {}

    @property
    def mode(self) -> str:
        """What stands behind the model."""
        if self.who == "twin":
            return "twin" if self._llm == "live" else "recorded (twin)"
        return self._llm

    def write(self, request: ReplyRequest, *, words: Mapping[str, str]) -> Written:
        """See `Brain`. A request that is not kept, where nobody may be asked, fails as `calls.unknown` has it."""
        try:
            body = self.body(request)
        except ValueError as exc:
            return self._failed(http.failure("bad_input", f"The history cannot be sent: {exc}."))
        if self._llm == "live":
            return self._loop.run(self._ask(request, words))
        call = self.store.get(body, self.who)
        if call is None and not self.may_ask:
            return self._failed(calls.unknown(body, self.who))
        if call is None:
            with self._lock:
                alone = self._one_by_one.setdefault(calls.key_of(body, self.who), threading.Lock())
            with alone:  # equal requests of several threads are asked once
                call = self.store.get(body, self.who)
                if call is None:
                    return self._loop.run(self._ask(request, words))
        if self.on_played is not None:
            self.on_played(call)
        return written_of(call, words, "recorded")

    def body(self, request: ReplyRequest) -> calls.Json:
        """What is sent for it, but for the customer's words; raises ValueError where its history cannot be sent."""
        return on_the_wire(body_of(self._fixed, request))

    def close(self) -> None:
        """Close connections. It may be asked again."""
        claude, self._claude = self._claude, None
        if claude is not None:
            self._loop.run(claude.aclose())
        self._loop.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _in_another_process, (
            self._llm, self._settings, self.store.folder, self._real, self.who, self.may_ask,
        )  # fmt: skip

    def _failed(self, error: ProviderError) -> Written:
        return Written(
            chunks=(), ends_ms=0.0, source=self._llm, model=self._settings.llm_model, stop_reason="", failed=error
        )

    async def _ask(self, request: ReplyRequest, words: Mapping[str, str]) -> Written:
        from clara_kit.providers.llm.recorded import ASKING, Asking

        customer = invented(words)
        asking = Asking(
            words=words, notes=customer is not None or self._real, customer=customer or "", made=date.today().isoformat(),
        )  # fmt: skip
        ASKING.set(asking)
        wait_ms = 1000.0
        for left in reversed(range(TRIES)):
            written = await self._once(request, asking, private=customer is None)
            failed = written.failed
            if failed is None or written.chunks or failed.kind not in ("rate_limited", "overloaded") or not left:
                break
            # The simulation's own retries pass in virtual time: the vendor must not be asked at that pace.
            await asyncio.sleep(min(_LONGEST_WAIT_MS, max(wait_ms, failed.retry_after_ms or 0.0)) / 1000)
            wait_ms *= 2
        return written

    async def _once(self, request: ReplyRequest, asking: Asking, *, private: bool) -> Written:
        asking.call = None
        with self._lock:
            self.asked += 1
        async with self._provider().reply(request) as reply:
            events = [event async for event in reply]
        usage: ev.Usage | None = getattr(events[-1], "usage", None)
        with self._lock:
            self.spent_usd += (usage.cost_usd or 0.0) if usage is not None else 0.0
        if asking.call is not None:
            kept = self.store.keep(asking.call, private=private)
            return written_of(kept if self._llm == "recorded" else asking.call, asking.words, self._llm)
        if asking.notes and isinstance(events[-1], ev.ReplyCompleted):
            self.store.warn("An answer was not kept: its stream held something that is no event.")
        return told(events, self._llm, self._settings.llm_model)

    def _provider(self) -> LLMProvider:
        if self._claude is None:
            from clara_kit.providers.llm.claude import ClaudeStreamingLLM
            from clara_kit.providers.llm.recorded import through

            s = self._settings
            self._claude = ClaudeStreamingLLM(
                api_key=self._keys.need("anthropic_api_key"), base_url=self._keys.anthropic_base_url,
                clock=MonotonicClock(), model=s.llm_model, max_tokens=s.llm_max_tokens, temperature=s.llm_temperature,
                first_token_timeout_ms=s.llm_first_token_timeout_ms, stall_timeout_ms=s.llm_stall_timeout_ms,
                through=through(self.who),
            )  # fmt: skip
        return self._claude


class LocalBrain:
    """A server on this machine that stands in for Claude. Its answers are not kept: they say nothing of Claude's.

    Where `llm_model` is one of Claude's, the first model that the server lists is asked.
    """

    mode = "local"

    def __init__(self, settings: Settings, *, base_url: str) -> None:
        self._settings, self._base_url = settings, base_url
        self._loop = Loop()
        self._llm: LocalLLM | None = None
        _ = LocalLLM(base_url=base_url, clock=MonotonicClock())  # an address that is none is told at once

    def write(self, request: ReplyRequest, *, words: Mapping[str, str]) -> Written:
        """See `Brain`."""
        prompt = Prompt(static=request.prompt.static, personal=fill(request.prompt.personal, words))
        messages = tuple(replace(m, text=fill(m.text, words)) for m in request.messages)
        return self._loop.run(self._ask(ReplyRequest(reply_id=request.reply_id, prompt=prompt, messages=messages)))

    def close(self) -> None:
        """Close connections. It may be asked again."""
        llm, self._llm = self._llm, None
        if llm is not None:
            self._loop.run(llm.aclose())
        self._loop.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(LocalBrain, base_url=self._base_url), (self._settings,)

    async def _ask(self, request: ReplyRequest) -> Written:
        if self._llm is None:
            self._llm = LocalLLM.of(self._settings, self._base_url, MonotonicClock())
        async with self._llm.reply(request) as reply:
            events = [event async for event in reply]
        return told(events, "local", self._llm.model)


def told(events: Sequence[ev.Event], source: Source, model: str) -> Written:
    """A reply's events as what was written, counted from the first of them: the request."""
    end, began_ms, failed = events[-1], events[0].at_ms, None
    if isinstance(end, ev.ProviderFailed):
        names = ("hint", "kind", "retryable", "retry_after_ms")
        failed = ProviderError(end.message, **{name: getattr(end, name) for name in names})
    return Written(
        chunks=tuple((round(e.at_ms - began_ms, 1), e.text) for e in events if isinstance(e, ev.ReplyDelta)),
        ends_ms=round(end.at_ms - began_ms, 1), source=source, model=model,
        stop_reason=getattr(end, "stop_reason", ""), usage=getattr(end, "usage", None), failed=failed,
    )  # fmt: skip


def written_of(call: calls.Call, words: Mapping[str, str], source: Source) -> Written:
    """A kept call as the provider would tell it, without the vendor's library: equal calls, equal answers."""
    tally, chunks, at_ms = Tally(), list[tuple[float, str]](), 0.0
    for at_ms, event in calls.events_of(call, words):
        if text := tally.take(calls.as_object(event)):
            chunks.append((at_ms, text))
    model = str(call.body.get("model", ""))
    return Written(
        chunks=tuple(chunks), ends_ms=at_ms, source=source, model=model, stop_reason=tally.stop_reason,
        usage=tally.usage(model),
    )  # fmt: skip


@lru_cache(maxsize=1)
def _everybody() -> dict[frozenset[tuple[str, str]], str]:
    """The words of each invented customer, and the name."""
    return {frozenset(Placeholders(one.profile).map.items()): one.name for one in Persona.all()}


def invented(words: Mapping[str, str]) -> str | None:
    """The name of the invented customer whose words these are; empty for a stranger, None for anybody else."""
    if not words:
        return ""
    return _everybody().get(frozenset((name, word) for name, word in words.items() if "~" not in name))


def not_recorded(run: Run) -> tuple[str, ...]:
    """What Clara could not answer because it is not kept and nobody may be asked: the messages, in order.

    A run that has any is not tested, whatever else came of it.
    """
    failed = (e for e in run.events if isinstance(e, ev.ProviderFailed) and e.service == "llm")
    return tuple(dict.fromkeys(e.message for e in failed if e.message.startswith(calls.UNKNOWN)))


def _in_another_process(
    llm: Literal["recorded", "live"], settings: Settings, folder: Path, real: bool, who: calls.Who, may_ask: bool
) -> ClaudeBrain:
    keys = None if may_ask else Keys()
    return ClaudeBrain(llm, settings, keys=keys, folder=folder, real_customers=real, who=who)
