"""The same turns played by the kit's own decisions, in simulation: what the calculation is held to, and what can be heard.

The brain here writes replies of a given length at the times of a latency profile; it says nothing that a customer asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from clara_kit.core.rng import child_rng
from clara_kit.core.settings import Settings
from clara_kit.lab.budget.levers import Given
from clara_kit.measure.run import Run
from clara_kit.providers.llm.base import ReplyRequest
from clara_kit.world.answers import tokenize
from clara_kit.world.brain import Written
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.sim import simulate

_CLAUSE = "Para una piel como la tuya es lo mejor,"
_MORE = "y con eso la piel queda suave y limpia todo el día sin que brille ni se sienta tirante cuando sales de la casa"
QUESTION = "¿Me puedes contar qué cosa le viene mejor a mi piel?"


def sentence(tokens: int, clause: int | None = None) -> str:
    """A sentence that can be cut after so many tokens, with a clause that can be cut after `clause` of them."""
    begin = _filled(_CLAUSE.rstrip(","), clause - 1) + "," if clause else "Para una piel como la tuya es lo mejor"
    return _filled(begin, tokens - 1) + "."


def _filled(text: str, tokens: int) -> str:
    """The text, shortened or gone on with until it has so many tokens."""
    words, more = text.split(), _MORE.split()
    while len(words) > 1 and len(tokenize(" ".join(words))) > tokens:
        words.pop()
    for n in range(10 * tokens):
        if len(tokenize(" ".join((*words, more[n % len(more)])))) > tokens:
            break
        words.append(more[n % len(more)])
    short = tokens - len(tokenize(" ".join(words)))
    return " ".join(words) + "a" * (4 * short)  # what is wanting is a long word's


@dataclass
class Replies:
    """A brain: replies of the given length, each token at the profile's pace; equal seeds, equal replies."""

    given: Given
    profile: LatencyProfile
    seed: int = 0
    mode: str = "sim"

    def __post_init__(self) -> None:
        self._rngs: Mapping[str, Random] = {
            n: child_rng(self.seed, "replies", n) for n in ("llm_first_token", "llm_tokens_per_s", "clause")
        }
        of = self.given
        whole = (sentence(of.sentence_tokens, of.clause_tokens), sentence(of.sentence_tokens))
        rest = [_filled("Si quieres te cuento cómo se usa cada uno", of.reply_tokens - of.sentence_tokens - 1) + "."]
        self._texts = [
            tokenize(" ".join((first, *rest * (of.reply_tokens > of.sentence_tokens + 4)))) for first in whole
        ]

    def write(self, request: ReplyRequest, *, words: Mapping[str, str]) -> Written:
        """The next reply, whatever was asked."""
        rng = self._rngs
        first_ms = self.profile.draw("llm_first_token", rng["llm_first_token"])
        each_ms = 1000 / self.profile.draw("llm_tokens_per_s", rng["llm_tokens_per_s"])
        tokens = self._texts[rng["clause"].random() >= self.given.clause_share]
        chunks = tuple((round(first_ms + n * each_ms, 3), token) for n, token in enumerate(tokens))
        return Written(chunks=chunks, ends_ms=round(first_ms + len(tokens) * each_ms, 3), source="local")


def played(settings: Settings, given: Given | None = None, *, turns: int = 100, seed: int = 0) -> Run:
    """A conversation of so many turns, each with a reply of the given length. Simulated."""
    given = given or Given()
    profile = LatencyProfile.load(given.profile)
    if given.slow_share is not None:
        start = replace(profile.laws["avatar_start"], spike_share=given.slow_share)
        profile = replace(profile, laws={**profile.laws, "avatar_start": start})
    lines = [QUESTION] * turns
    return simulate(lines, settings, seed=seed, latency=profile, brain=Replies(given, profile, seed))
