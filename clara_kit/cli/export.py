"""`clara export FOLDER`: what the shop's application needs of the kit, in any language."""

from __future__ import annotations

from clara_kit.core.outside import printable
from clara_kit.lab.export.export import export as written


def export(folder: str, *, conversations: int) -> int:
    """Write it and say what it is. Returns the exit code."""
    print(printable(f"Playing {conversations:,} conversations; a thousand take less than a minute on most machines."))
    done = written(folder, conversations)
    print(
        printable(
            f"{done.folder}: {done.conversations:,} conversations with {done.steps:,} events, "
            f"{done.size_bytes / 1e6:.1f} MB. Begin with its README.md."
        )
    )
    if done.changed is not None:
        print(printable(f"Since the former export {done.changed:,} conversations go otherwise."))
    if done.untried:
        print(printable(f"In no conversation of it: {', '.join(done.untried)}."))
    return 0
