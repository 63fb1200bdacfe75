"""Reads events and touches nothing: trace codec, recorded runs, the latency ledger."""
