"""What models and voices have in common."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Warms(Protocol):
    """A provider that can open its connection before it is needed, which saves the first answer the way. Optional."""

    async def warm(self) -> None:
        """Connect, or make sure of it; cheap where the connection stands, and costs nothing at the vendor.

        Raises `ProviderError`. A caller may pass over that: what is wrong will show with the first request.
        """
