"""Is the difference real? Intervals and tests for the same customers meeting the same scenarios."""
