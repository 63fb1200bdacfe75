"""The latency budget: which levers bring the first sound below a target, how often, and at what cost."""
