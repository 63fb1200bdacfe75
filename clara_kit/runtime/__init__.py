"""Carries out what the conversation decides: tasks, sockets, clocks, files. The only side that awaits."""
