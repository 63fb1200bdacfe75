"""Experiments: replaying and comparing recorded conversations."""
