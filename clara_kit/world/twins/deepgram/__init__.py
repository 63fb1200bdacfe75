"""The twin of this vendor. `DeepgramTwin` is the door."""

from clara_kit.world.twins.deepgram.twin import DeepgramTwin

__all__ = ["DeepgramTwin"]
