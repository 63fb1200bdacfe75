"""The twin that plays the model's vendor for a test, and the key it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clara_kit.core.settings import Keys
from clara_kit.world.answers import AnswerBook
from clara_kit.world.faults import FaultBox
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer


class Vendor:
    """The twin, and what it was asked."""

    def __init__(self, kind: type[AnthropicTwin] = AnthropicTwin) -> None:
        self.faults = FaultBox(())
        context = TwinContext(profile=LatencyProfile.load("fast"), faults=self.faults)
        self.twin: Any = kind(context, AnswerBook.load())
        self.server = TwinServer([self.twin])

    @property
    def keys(self) -> Keys:
        """A key, and where the twin listens."""
        return Keys(anthropic_api_key="test-key", anthropic_base_url=self.server.addresses["anthropic"]["base_url"])  # type: ignore[arg-type]


def playing(vendor: Vendor) -> Iterator[Vendor]:
    """The vendor, for as long as a test needs it."""
    with vendor.server:
        yield vendor
