"""Prints the size of the package: lines of each room, the median module, the longest functions."""

import ast
from collections import Counter
from pathlib import Path
from statistics import median

rooms: Counter[str] = Counter()
modules: list[int] = []
functions: list[tuple[int, str]] = []
for path in sorted(Path("clara_kit").rglob("*.py")):
    source = path.read_text(encoding="utf-8")
    lines = sum(1 for line in source.splitlines() if line.strip())
    rooms[path.parts[1] if len(path.parts) > 2 else "(top)"] += lines
    if lines > 5:
        modules.append(lines)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.append(((node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}"))

functions.sort(reverse=True)
print(f"clara_kit: {sum(rooms.values())} lines; " + ", ".join(f"{room} {n}" for room, n in rooms.most_common()))
print(
    f"modules: {len(modules)}, median {median(modules):.0f} lines; functions: {len(functions)}, median {median(n for n, _ in functions):.0f}"
)
print("longest: " + "; ".join(f"{where} ({n})" for n, where in functions[:3]))
