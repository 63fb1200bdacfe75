"""Measures the vendors by a fixed protocol, and writes what it finds as a latency profile of one's own."""
