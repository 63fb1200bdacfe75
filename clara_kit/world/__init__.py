"""Everything that stands in for the outside: scripted customers, a scripted brain, latencies, faults.

On them stand both `sim` (virtual time, thousands of turns a second) and the `twins` (loopback servers that
speak the vendors' own protocols). Whatever comes from here is simulated, and whoever shows it says so.
"""
