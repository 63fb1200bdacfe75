"""Variants × scenarios × customers × seeds, played, kept and compared."""
