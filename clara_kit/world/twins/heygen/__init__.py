"""The twin of this vendor. `HeyGenTwin` is the door."""

from clara_kit.world.twins.heygen.twin import HeyGenTwin

__all__ = ["HeyGenTwin"]
