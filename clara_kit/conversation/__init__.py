"""The decisions. Pure: no await, no I/O, no clock, no randomness. Comes after `core`; knows no vendor."""
