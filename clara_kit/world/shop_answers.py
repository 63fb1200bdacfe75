"""What the simulated shop shows: a pure timeline, beside those of the other services (`timelines.py`, `mouths.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from clara_kit.core import events as ev
from clara_kit.core.errors import FailureKind
from clara_kit.core.profile import ANONYMOUS, CustomerProfile
from clara_kit.world.faults import Fault
from clara_kit.world.timelines import refusal

SHOP_GIVES_UP_MS = 10_000.0  # as the fetcher does unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """`failed` (its time is still to be set) or `profile`; `late_ms` on top of the shop's own latency."""

    profile: CustomerProfile = ANONYMOUS
    failed: ev.ProviderFailed | None = None
    late_ms: float = 0.0
    warnings: tuple[str, ...] = ()


def shop_answer(profile: CustomerProfile, faults: Iterable[Fault]) -> Shown:
    """What the fetcher gives for this profile, asked once, while these faults happen."""
    late_ms = 0.0
    warnings: list[str] = []
    for fault in faults:
        kind = _shop_failure(fault)
        if kind is not None:
            failed = ev.ProviderFailed(
                at_ms=0.0,
                service="shop",
                kind=kind,
                message=f"Simulated fault: {fault}.",
                retryable=kind not in ("refused", "protocol"),
                retry_after_ms=(fault.for_ms or None) if fault.kind == "refuse" else None,
            )
            stalled_ms = SHOP_GIVES_UP_MS if kind == "stalled" else 0.0
            return Shown(failed=failed, late_ms=late_ms + fault.after_ms + stalled_ms, warnings=tuple(warnings))
        if fault.kind in ("slow", "stall"):
            late_ms += fault.for_ms
        elif fault.kind == "truncate":
            profile = replace(profile, purchases=())
            warnings.append("Simulated fault: the shop answered in part; the orders are missing.")
        elif fault.detail == "PROTECTED":
            profile = replace(profile, first_name="")
            warnings.append("Simulated fault: the shop's plan does not allow personal fields.")
    return Shown(profile=profile, late_ms=late_ms, warnings=tuple(warnings))


def _shop_failure(fault: Fault) -> FailureKind | None:
    """How a fault shows that one question cannot survive; None for the others."""
    match fault.kind:
        case "refuse":
            return refusal(fault.status)
        case "error" if fault.detail == "PROTECTED":
            return None
        case "error":
            refused = fault.detail in ("ACCESS_DENIED", "SHOP_INACTIVE", "MAX_COST_EXCEEDED")
            return "refused" if refused else "rate_limited" if fault.detail == "THROTTLED" else "overloaded"
        case "cut":
            return "cut"
        case "garble":
            return "protocol"
        case "stall" if fault.for_ms == 0 or fault.for_ms > SHOP_GIVES_UP_MS:
            return "stalled"
    return None
