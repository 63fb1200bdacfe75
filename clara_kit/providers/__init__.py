"""The vendors, each behind a small Protocol: one folder a Protocol (base.py), one vendor a file.

Comes after `core`; before `runtime`, which alone calls it. Knows nothing of conversations: it turns a
vendor's messages into events and never decides anything. Every class takes its key and base address as
arguments, so that any server that speaks the protocol can stand behind it.
"""
