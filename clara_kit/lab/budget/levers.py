"""The levers on latency: what each does, whether its effect was published, whether the kit has it, and what it costs.

Every figure has a source and a mark. Where nobody has published one, it is unknown (`None`), never 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, Self

from msgspec import Meta
from msgspec.structs import replace

from clara_kit.core.checked import Checked
from clara_kit.core.errors import SettingsError
from clara_kit.core.events import Usage
from clara_kit.core.settings import Settings
from clara_kit.providers.llm.pricing import cost_usd
from clara_kit.providers.prices import USAGE

Mark = Literal["measured", "vendor", "estimate", "assumed", "calculated"]
"""Measured by a third party; a vendor's own claim; an estimate of ours; nothing is known; follows from other figures."""

FLUX_MS = (260.0, 500.0)  # p50 and p95, from the last word to the end of the turn
FINALIZED_MS = 352.0
EAGER_MS = (100.0, 200.0)
SENT_AHEAD_MS = (600.0, 700.0)
EXTRA_CALLS = 0.6
CUT_OFFS = 6 / 27


class Lever(NamedTuple):
    """mark and source: of its effect. setting: the one that switches it, empty where the kit has not built it yet.

    needs: without which it does nothing. cut_offs: how many turns are answered too early with it (None: not published;
    for most levers the question does not arise, and `ends_turns` is not set).
    """

    mark: Mark
    source: str
    setting: str = ""
    needs: str = ""
    ends_turns: bool = False
    cut_offs: float | None = None


LEVERS: dict[str, Lever] = {
    "chunked": Lever("calculated", "sentences are spoken while the rest is written: from the model's rate, an estimate", "enable_chunked_heygen"),
    "first_clause": Lever("calculated", "as sentences; Pipecat's first-sentence flush lowered a p95 from 880 to 503 ms (latency-budget.md 2026, n = 27)", "first_clause", needs="chunked"),
    "openers": Lever("calculated", "a prepared phrase needs neither model nor voice; nobody has published what customers think of one", "openers"),
    "cache": Lever("assumed", "a kept answer needs neither model nor voice; no shop has published how many questions come again", "enable_response_cache"),
    "pool": Lever("assumed", "the published figures are of warm connections; a cold one costs one or two round trips (assumed)", "enable_connection_pool"),
    "trim": Lever("measured", "150 to 250 ms of silence at the head of a voice's sound (kwindla/aiewf-eval README 2026): heard sooner, though the avatar says the same", "trim_lead_silence"),
    "finalize": Lever("measured", "a local ear ends the turn: 352 ms (p95 354) after the last word; 6 of 27 turns cut off (latency-budget.md 2026, English, n = 27)", ends_turns=True, cut_offs=CUT_OFFS),
    "flux": Lever("vendor", "Deepgram's quickstart 2026: about 260 ms to the end of a turn, 100 to 500; Spanish cut-offs are not published", ends_turns=True),
    "eager": Lever("measured", "100 to 200 ms sooner for 50 to 70 % more calls of the model (third parties, 2026)", needs="flux", ends_turns=True),
    "open_early": Lever("assumed", "the avatar begins with silence when the turn is over; nobody has published whether that helps", "open_avatar_early"),
    "send_ahead": Lever("assumed", "600 to 700 ms were measured on the classic realtime endpoint (pipecat PR 2399, 2025-08); for LITE nothing is published"),
}  # fmt: skip
UNPROVEN = ("open_early", "send_ahead")
"""Assumed for this avatar: shown apart from levers whose effect was published or follows from published figures."""

_Share = Annotated[float, Meta(ge=0, le=1)]
_Tokens = Annotated[int, Meta(ge=1, le=400)]


class Levers(Checked, frozen=True, kw_only=True):
    """Which levers are pulled; none: the plan's serial design."""

    error = SettingsError
    what = "A lever is wrong"
    hint = "see LEVERS for their names."

    chunked: bool = False
    first_clause: bool = False
    openers: bool = False
    cache: bool = False
    pool: bool = False
    trim: bool = False
    finalize: bool = False
    flux: bool = False
    eager: bool = False
    open_early: bool = False
    send_ahead: bool = False

    def __iter__(self) -> Iterator[str]:
        """The names of those that are pulled."""
        return (name for name in self.__struct_fields__ if getattr(self, name))

    def but(self, **changes: bool) -> Self:
        """The same with some of them moved. Raises `SettingsError`."""
        if unknown := [name for name in changes if name not in LEVERS]:
            self._raise([f"{name}: there is no such lever" for name in unknown])
        return replace(self, **changes)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those that these settings pull."""
        where = {name: lever.setting for name, lever in LEVERS.items() if lever.setting}
        return cls(**{n: bool(getattr(settings, s, getattr(settings.flags, s, False))) for n, s in where.items()})

    @property
    def settings(self) -> Settings:
        """The settings that pull them, as far as the kit has built them; what else there is is as in «fast»."""
        there = {lever.setting: getattr(self, name) for name, lever in LEVERS.items() if lever.setting}
        return Settings.preset("fast").with_changes(**there)


PLAN, FAST = Levers(), Levers.of(Settings.preset("fast"))
OPENERS = FAST.but(openers=True)


class Given(Checked, frozen=True, kw_only=True):
    """What is calculated for: the services' times, and replies, questions and connections of this kind.

    profile: a name in `data/latency/`, or a path. Tokens of the whole reply, up to where its first sentence can be cut, and
    its first clause, which `clause_share` of replies have (the kit's own 70 answers: 35, 20, 10 and 0.64). opener_ms: how long
    an opener sounds (None: one of the kit's own, «A ver,» or the like). hit_share: of questions that a
    kept answer fits (assumed). cold_share: of turns that have to connect first (assumed). slow_share: of the avatar's
    starts that take seconds (None: as the profile has it).
    """

    error = SettingsError
    what = "What is calculated for is wrong"
    hint = "shares are from 0 to 1, tokens from 1 to 400."

    profile: str = "published"
    reply_tokens: _Tokens = 60
    sentence_tokens: _Tokens = 22
    clause_tokens: _Tokens = 10
    clause_share: _Share = 0.64
    opener_ms: Annotated[float, Meta(ge=0, le=5000)] | None = None
    hit_share: _Share = 0.2
    cold_share: _Share = 0.0
    slow_share: _Share | None = None


class Cost(NamedTuple):
    """Of one turn. cut_off: the share of turns that are answered too early (None: nobody has published it)."""

    usd: float | None
    prompt_tokens: float
    output_tokens: float
    cut_off: float | None


def cost(levers: Levers, given: Given, model: str = Settings().llm_model) -> Cost:
    """What a turn costs with these levers: the model's tokens (a prompt of 3,000), and turns that are cut off."""
    calls = (1 - given.hit_share * levers.cache) * (1 + EXTRA_CALLS * (levers.eager and levers.flux))
    used = Usage(
        input_tokens=round(1000 * calls * USAGE.input_tokens), output_tokens=round(1000 * calls * given.reply_tokens)
    )
    usd = _of_a_turn(model, given.reply_tokens)
    cut_off = None if levers.flux or not levers.finalize else CUT_OFFS
    return Cost(None if usd is None else usd * calls, used.input_tokens / 1000, used.output_tokens / 1000, cut_off)


def _of_a_turn(model: str, tokens: int) -> float | None:
    return cost_usd(model, Usage(input_tokens=USAGE.input_tokens, output_tokens=tokens))
