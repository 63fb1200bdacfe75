"""What becomes of asking a simulated shop: the profile, what is missing of it, or the failure. Pure.

A fault shows as what the fetcher would make of it: what it retries comes later, what it cannot mend is a failure.
Shared by `sim.py` and `in_process.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from clara_kit.core import events as ev
from clara_kit.core.profile import ANONYMOUS, CustomerProfile
from clara_kit.core.settings import Settings
from clara_kit.world.faults import Fault

GIVE_UP_MS = 10_000.0  # as the fetcher does unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """`failed` (its time is still to be set) or `profile`; `late_ms` on top of the shop's own latency."""

    profile: CustomerProfile = ANONYMOUS
    failed: ev.ProviderFailed | None = None
    late_ms: float = 0.0
    warnings: tuple[str, ...] = ()


def shop_answer(profile: CustomerProfile, faults: Iterable[Fault], settings: Settings) -> Shown:
    """What the fetcher gives for this profile while these faults happen."""
    late_ms = 0.0
    warnings: list[str] = []
    for fault in faults:
        kind = _failure(fault)
        if kind is not None:
            failed = ev.ProviderFailed(
                at_ms=0.0,
                service="shop",
                kind=kind,
                message=f"Simulated fault: {fault}.",
                retryable=kind in ("stalled", "overloaded"),
            )
            stalled_ms = GIVE_UP_MS if kind == "stalled" else 0.0
            return Shown(
                failed=failed, late_ms=late_ms + fault.after_ms + stalled_ms, warnings=tuple(warnings)
            )
        if fault.kind in ("slow", "stall"):
            late_ms += fault.for_ms
        elif fault.kind == "truncate":
            profile = replace(profile, purchases=())
            warnings.append("Simulated fault: the shop answered in part; the orders are missing.")
        elif fault.detail == "PROTECTED":
            profile = replace(profile, first_name="")
            warnings.append("Simulated fault: the shop's plan does not allow personal fields.")
        else:
            late_ms += settings.initial_retry_delay_ms  # the fetcher tries again
    return Shown(profile=profile, late_ms=late_ms, warnings=tuple(warnings))


def _failure(fault: Fault) -> ev.FailureKind | None:
    """How a fault that cannot be mended shows; None for the others."""
    if fault.kind == "refuse" and fault.status not in (429, 500, 502, 503, 504):
        return "refused"
    if fault.kind == "error" and fault.detail in ("ACCESS_DENIED", "SHOP_INACTIVE", "MAX_COST_EXCEEDED"):
        return "refused"
    if fault.kind == "garble":
        return "protocol"
    if fault.kind == "stall" and (fault.for_ms == 0 or fault.for_ms > GIVE_UP_MS):
        return "stalled"
    return None
