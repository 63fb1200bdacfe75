"""The twin of this vendor. `AnthropicTwin` is the door."""

from clara_kit.world.twins.anthropic.twin import AnthropicTwin

__all__ = ["AnthropicTwin"]
