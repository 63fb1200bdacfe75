"""What a profile says of itself: the mark that every plot bears, and what sending sound early was found to gain."""

from __future__ import annotations

from datetime import datetime

from clara_kit.lab.sentences import Language, table
from clara_kit.world.latency import STAGES, Found, LatencyProfile, Law


def calibrated_mark(profile: LatencyProfile, *, now: datetime | None = None, language: Language = "en") -> str:
    """«calibrated 3 days ago (12 of 15 stages)», or «never calibrated: published figures». now: by default that of this machine."""
    told = profile.calibrated
    if told is None:
        return table("calibration")["never"][language == "es"]
    if told.behind == "twins":
        return table("calibration")["twins"][language == "es"]
    at = datetime.fromisoformat(told.at)
    days = ((now or datetime.now(at.tzinfo)).date() - at.date()).days
    name = "today" if days < 1 else "yesterday" if days == 1 else "days"
    ago = table("calibration")[name][language == "es"].format(days=days)
    return table("calibration")["part"][language == "es"].format(ago=ago, measured=told.measured, all=len(STAGES))


def cells(found: Found, published: Law | None) -> tuple[str, str, str, str]:
    """How often it was measured, its median with the interval, its p95, and what is published: a row, without its name."""
    between = "–".join(map(_number, found.p50_between))
    return f"{found.n}", f"{_number(found.p50)} ({between})", _number(found.p95), f"{published or '—'}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def gains(profile: LatencyProfile, language: Language = "en") -> tuple[str, ...]:
    """What sending sound at once, and opening the avatar early, were found to gain; empty where nobody has measured it."""
    words, beside = table("calibration"), profile.calibrated.beside if profile.calibrated else {}
    told = []
    for name in ("avatar_gain_at_once", "avatar_gain_opened_early"):
        if (found := beside.get(name)) is not None:
            low, high = found.p50_between
            what = words[name][language == "es"].format(
                ms=f"{found.p50:.0f}", low=f"{low:.0f}", high=f"{high:.0f}", n=found.n
            )
            told.append(what if low > 0 or high < 0 else words["no_gain"][language == "es"].format(what=what))
    return tuple(told)
