"""Answers to frequent questions that are kept: which, for whom, how long, and why one is not reused."""
