"""The words everyone shares: events, commands, states, settings, errors. Imports nothing else of the kit."""
