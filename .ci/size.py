"""Holds the size and the shape of the package: code lines of each room, of modules and classes, and no circles.

A code line has code on it: blanks, comments and docstrings are free, for a comment that argues why is wanted. Whoever
needs more room for something new raises a figure here, in the same commit and with its reason in the message.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

ROOMS = {  # code lines at the most
    "core": 1160, "conversation": 3570, "measure": 1480, "runtime": 2960, "audio": 1095, "prompts": 1460, "shop": 1085,
    "providers": 4710, "doctor": 900, "lab": 13480, "widgets": 4400, "cli": 665, "(top)": 415, "personalization": 20,
    "world": 8510, "cache": 1160,
}  # fmt: skip
WALK, WITHOUT_WORLD = 9130, 38450  # core, conversation, measure and runtime together; all but world
MODULE, CLASS = 260, 220
PACKAGE = Path("clara_kit")
_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


def code_lines(source: str, tree: ast.Module) -> set[int]:
    """The numbers of the lines with code on them."""
    strings: set[int] = set()
    for node in ast.walk(tree):
        for one in getattr(node, "body", ()) if isinstance(getattr(node, "body", ()), list) else ():
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str):
                strings.update(range(one.lineno, (one.end_lineno or one.lineno) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - strings


def imports(tree: ast.Module, modules: set[str]) -> set[str]:
    """The package's own modules that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & modules) or ({node.module} & modules)
    return found


def main() -> int:
    rooms: Counter[str] = Counter()
    wrong: list[str] = []
    sizes: list[int] = []
    lengths: list[int] = []
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    names = {path: ".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in trees}
    graph: dict[str, set[str]] = {}
    for path, tree in trees.items():
        lines = code_lines(path.read_text(encoding="utf-8"), tree)
        rooms[path.parts[1] if len(path.parts) > 2 else "(top)"] += len(lines)
        sizes += [len(lines)] if len(lines) > 5 else []
        if len(lines) > MODULE:
            wrong.append(f"{path} has {len(lines)} code lines, more than {MODULE}")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                length = sum(node.lineno <= line <= (node.end_lineno or 0) for line in lines)
                if not isinstance(node, ast.ClassDef):
                    lengths.append(length)
                elif length > CLASS:
                    wrong.append(f"{path}: {node.name} has {length} code lines, more than {CLASS}")
        if names[path] != "clara_kit":
            graph[names[path]] = imports(tree, set(names.values())) - {names[path], "clara_kit"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        wrong.append(f"a circle of imports: {' → '.join(exc.args[1])}")
    walk = sum(rooms[room] for room in ("core", "conversation", "measure", "runtime"))
    rest = sum(rooms.values()) - rooms["world"]
    wrong += [
        f"{room} has {n} code lines, more than {ROOMS.get(room, 0)}"
        for room, n in rooms.items()
        if n > ROOMS.get(room, 0)
    ]
    wrong += [f"{what}: {n} code lines, more than {most}" for what, n, most in (
        ("core, conversation, measure and runtime", walk, WALK), ("the package without world", rest, WITHOUT_WORLD),
    ) if n > most]  # fmt: skip
    print(f"clara_kit, code lines: {', '.join(f'{room} {n}' for room, n in rooms.most_common())}")
    print(f"the walk (core, conversation, measure, runtime) {walk}; without world {rest}")
    print(f"modules: {len(sizes)}, median {median(sizes):.0f}; functions: {len(lengths)}, median {median(lengths):.0f}")
    print("\n".join(f"too large: {w}" for w in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
