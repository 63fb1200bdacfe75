"""The twin of this vendor. `LiveAvatarTwin` is the door."""

from clara_kit.world.twins.liveavatar.twin import LiveAvatarTwin

__all__ = ["LiveAvatarTwin"]
