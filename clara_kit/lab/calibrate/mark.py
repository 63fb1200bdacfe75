"""The mark that every plot bears: whether its latencies were measured, and how long ago."""

from __future__ import annotations

from datetime import datetime

from clara_kit.lab.sentences import Language, table
from clara_kit.world.latency import LatencyProfile


def calibrated_mark(profile: LatencyProfile, *, now: datetime | None = None, language: Language = "en") -> str:
    """«calibrated 3 days ago», or «never calibrated: published figures». now: by default that of this machine."""
    told = profile.calibrated
    if told is None:
        return table("calibration")["never"][language == "es"]
    if told.behind == "twins":
        return table("calibration")["twins"][language == "es"]
    at = datetime.fromisoformat(told.at)
    days = ((now or datetime.now(at.tzinfo)).date() - at.date()).days
    name = "today" if days < 1 else "yesterday" if days == 1 else "days"
    return table("calibration")[name][language == "es"].format(days=days)
