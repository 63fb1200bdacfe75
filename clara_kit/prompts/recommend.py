"""Which products fit a customer, and why: plain points that anybody can follow. Pure and deterministic.

A product must be in stock, made for this skin (where the skin is known) and not bought within the last month. Then it
gets points: 3 for each of the customer's concerns that it helps, 2 where it is made for this skin in particular and
not for every skin. As soon as anything that fits helps with a concern, what helps with none is left out. Most points
first; of equals the more basic step of a routine, then what is made for fewer other concerns, then the cheaper, then
by handle, so that neither the catalogue's order nor that of the concerns plays a part. Of each kind of product one is
named before a second of the same kind, so that three recommendations make a routine. The points are this kit's
choice, not a measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clara_kit.core.page import Figure, Html, escape, table
from clara_kit.core.profile import CustomerProfile
from clara_kit.prompts.catalog import Catalog, Product
from clara_kit.prompts.spanish import join_es

LATELY_DAYS = 30
POINTS_CONCERN = 3
POINTS_SKIN = 2
BASICS = ("Limpiador", "Hidratante", "Protector solar", "Sérum")  # the steps that come first; then all others


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, in English for the team and in Spanish for Clara."""

    english: str
    in_spanish: str

    def __str__(self) -> str:
        return self.english


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A product that fits. `score` in points, see the module."""

    product: Product
    score: int
    reasons: tuple[Reason, ...]

    @property
    def in_spanish(self) -> str:
        """The reasons as Clara may say them; empty where nothing is known of the customer."""
        return join_es([r.in_spanish for r in self.reasons if r.in_spanish])


@dataclass(frozen=True, slots=True)
class Recommendations(Sequence[Recommendation]):
    """The best first. `rejected`: every other product of the catalogue, with the reason."""

    chosen: tuple[Recommendation, ...] = ()
    rejected: tuple[tuple[Product, str], ...] = ()

    def __getitem__(self, at: Any) -> Any:
        return self.chosen[at]

    def __len__(self) -> int:
        return len(self.chosen)

    def _repr_html_(self) -> str:
        rows = [
            (
                Html(f"<b>{escape(r.product.title)}</b>"),
                Figure(r.product.price_text),
                Html(f"{escape('; '.join(map(str, r.reasons)))}<br><i lang='es'>{escape(r.in_spanish)}</i>"),
                r.score,
            )
            for r in self.chosen
        ]
        shown = table(rows, ("recommended", "price", "because", "points"))
        return (shown if rows else "<p>Nothing to recommend: too little is known, or nothing fits.</p>") + (
            f"<details><summary>The other {len(self.rejected)} products, and why not</summary>"
            f"{_by_reason(self.rejected)}</details>"
        )

    def __repr__(self) -> str:
        named = ", ".join(f"{r.product.title} ({r.score})" for r in self.chosen)
        return f"<Recommendations: {named or 'none'}; {len(self.rejected)} others>"


def recommend(profile: CustomerProfile, catalog: Catalog, n: int = 3) -> Recommendations:
    """The `n` products that fit best; fewer where fewer fit, none where neither skin nor concerns are known."""
    lately = [p for p in profile.purchases if p.days_ago <= LATELY_DAYS]
    handles, titles = {p.handle for p in lately if p.handle}, {p.title.casefold() for p in lately}
    why_not = {p.handle: _why_not(p, profile, handles, titles) for p in catalog}
    fitting = [_scored(p, profile) for p in catalog if not why_not[p.handle]]
    wanted = set(profile.skin_concerns)
    helping = {r.product.handle for r in fitting if not wanted.isdisjoint(r.product.concerns)}
    wins = (r for r in fitting if r.score > 0 and (not helping or r.product.handle in helping))
    chosen = _one_of_each_kind(sorted(wins, key=lambda r: _place(r, wanted)), n)
    for r in fitting:
        if helping and r.product.handle not in helping:
            why_not[r.product.handle] = "helps with none of the concerns"
        elif r.score == 0:
            why_not[r.product.handle] = "nothing known speaks for it"
        else:
            why_not[r.product.handle] = f"it fits ({r.score} points), others come first"
    named = {r.product.handle for r in chosen}
    return Recommendations(chosen, tuple((p, why_not[p.handle]) for p in catalog if p.handle not in named))


def _by_reason(rejected: Sequence[tuple[Product, str]]) -> str:
    """The rejected as a list with one line a reason; no colours, so that it reads in light and dark."""
    titles: dict[str, list[str]] = {}
    for product, why in rejected:
        titles.setdefault(why, []).append(product.title)
    lines = (f"<li><b>{escape(why)}</b>: {escape(', '.join(names))}</li>" for why, names in titles.items())
    return f"<ul>{''.join(lines)}</ul>"


def _why_not(product: Product, profile: CustomerProfile, lately: set[str], titles: set[str]) -> str:
    if product.stock <= 0:
        return "out of stock"
    if product.handle in lately or product.title.casefold() in titles:
        return f"bought within the last {LATELY_DAYS} days"
    if profile.skin_type is not None and profile.skin_type not in product.skin_types:
        return f"not made for {profile.skin_type} skin"
    return ""


def _scored(product: Product, profile: CustomerProfile) -> Recommendation:
    reasons: list[Reason] = []
    score = 0
    skin = profile.skin_type
    if skin is not None and not product.for_every_skin:
        score += POINTS_SKIN
        reasons.append(Reason(f"made for {skin} skin", f"va bien con la piel {skin.lower()}"))
    for concern in profile.skin_concerns:
        if concern in product.concerns:
            score += POINTS_CONCERN
            reasons.append(Reason(f"helps with {concern}", f"ayuda con {concern.lower()}"))
    if score and skin is not None and product.for_every_skin:
        reasons.append(Reason("fits every skin", "sirve para todo tipo de piel"))
    return Recommendation(product=product, score=score, reasons=tuple(reasons))


def _place(r: Recommendation, wanted: set[str]) -> tuple[int, int, int, int, str]:
    p = r.product
    step = BASICS.index(p.product_type) if p.product_type in BASICS else len(BASICS)
    return -r.score, step, len(set(p.concerns) - wanted), p.price_clp, p.handle


def _one_of_each_kind(ranked: Sequence[Recommendation], n: int) -> tuple[Recommendation, ...]:
    """The best of each kind in their order, then the rest in theirs."""
    best = {r.product.product_type: r for r in reversed(ranked)}
    return tuple(sorted(ranked, key=lambda r: best[r.product.product_type] is not r)[: max(0, n)])
