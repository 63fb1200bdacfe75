"""Every text that an error of the kit may be made of, read from the code: for the test that each has its Spanish.

A call counts that makes an error (`SettingsError(...)`), or whose function says that it returns one (`-> ProviderError`),
and a class's `what` and `hint`. What is given is followed to its texts: through names that are assigned in the same
function or module, choices (`a if b else c`), sums, and tables (`_SAYS[kind]`). What comes from elsewhere (`exc.message`)
is an error's own text again, or a vendor's.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import clara_kit

KIT = Path(clara_kit.__file__).parent
ROOMS = (
    "core", "prompts", "shop", "runtime", "lab", "measure", "providers", "widgets", "world", "audio",
    "doctor/keys.py", "doctor/shop.py", "data_files.py", "store.py", "turns.py",
)  # fmt: skip
TWINS = tuple(
    f"world/twins/{name}" for name in ("anthropic", "deepgram", "elevenlabs", "heygen", "liveavatar", "shopify")
)
ERRORS = ("Error", "ProviderRefused", "ProviderUnavailable", "InvalidTransition", "KeyAnswer", "ProviderFailed")
OTHERS = {*dir(builtins), "ConstructorError", "GraphQLError"}  # caught and worded anew, or nobody's
TELLS = {"hang_up", "near", "check", "disk"}  # these hand on a text that ends up in an error
TABLES = {"_SAYS", "HINTS", "_HINTS", "_USUAL_HINTS", "hints", "hint", "what"}


def files() -> Iterator[Path]:
    """The modules of the rooms that a widget can reach; a twin's answers are its vendor's words."""
    for room in ROOMS:
        path = KIT / room
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            if not str(file.relative_to(KIT)).startswith(TWINS):
                yield file


def messages() -> dict[str, str]:
    """Each text as a template (`{}` where something is put in), and where it stands."""
    trees = {file: ast.parse(file.read_text("utf-8")) for file in files()}
    nodes = {file: [*ast.walk(tree)] for file, tree in trees.items()}
    makers = {
        node.name for several in nodes.values() for node in several
        if isinstance(node, ast.FunctionDef) and node.returns is not None and _is_error(ast.unparse(node.returns))
    }  # fmt: skip
    found: dict[str, str] = {}
    names = {  # of entries in tables, as `refusal("too long", ...)` has them
        key.value for several in nodes.values() for name, value in map(_target, several)
        if name in TABLES and isinstance(value, ast.Dict) for key in value.keys if isinstance(key, ast.Constant)
    }  # fmt: skip
    for file, tree in trees.items():
        given = [(scope, one) for scope, call in _calls(tree, tree) if _counts(call, makers)
                 for one in [*call.args, *(k.value for k in call.keywords if k.arg)]]  # fmt: skip
        given += [(tree, value) for name, value in map(_target, nodes[file]) if name in TABLES]
        given += [(node, one.value) for node in nodes[file] if isinstance(node, ast.FunctionDef) and node.name == "near"
                  for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]  # fmt: skip
        for scope, one in given:
            for text in _texts(one, scope, tree, frozenset()):
                text = re.sub(r"\$[a-z]+", "{}", text)
                if " " in text.strip() and re.search("[a-zA-Z]", text.replace("{}", "")) and text not in names:
                    found.setdefault(text, f"{file.relative_to(KIT)}:{one.lineno}")
    return found


def _is_error(name: str) -> bool:
    return name.split(" |")[0].strip("'\"").endswith(ERRORS)


def _counts(call: ast.Call, makers: set[str]) -> bool:
    owner, _, name = ast.unparse(call.func).rpartition(".")
    return owner != "log" and name not in OTHERS and (name in makers or name in TELLS or _is_error(name))


def _calls(node: ast.AST, scope: ast.AST) -> Iterator[tuple[ast.AST, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield scope, child
        yield from _calls(child, child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else scope)


def _texts(node: ast.AST, scope: ast.AST, module: ast.Module, seen: frozenset[str]) -> Iterator[str]:
    """What an expression may say."""

    def each(several: list[ast.AST]) -> Iterator[str]:
        for one in several:
            yield from _texts(one, scope, module, seen)

    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr():
            yield "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
            yield from each([part.value for part in node.values if isinstance(part, ast.FormattedValue)])
        case ast.IfExp():
            yield from each([node.body, node.orelse])
        case ast.BoolOp(values=several) | ast.Tuple(elts=several) | ast.List(elts=several) | ast.Dict(values=several):
            yield from each(several)
        case ast.BinOp(op=ast.Add()):
            left, right = ([*_texts(side, scope, module, seen)] or ["{}"] for side in (node.left, node.right))
            yield from (a + b for a in left for b in right)
        case ast.Name(id=name) if name not in seen:
            for value in _assigned(name, scope, module):
                yield from _texts(value, scope, module, seen | {name})
        case ast.Call(func=ast.Attribute(attr="join"), args=[several]):
            yield from _texts(several, scope, module, seen)
        case (
            ast.Subscript(value=ast.Name() as table)
            | ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="get"))
        ):
            yield from _texts(table, scope, module, seen)


def _target(node: ast.AST) -> tuple[str, ast.AST | None]:
    match node:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.AST() as value)
            | ast.AugAssign(target=ast.Name(id=name), value=value)
        ):
            return name, value
    return "", None


def _assigned(name: str, scope: ast.AST, module: ast.Module) -> Iterator[ast.AST]:
    """The values that a name gets in this function, or in its module."""
    for node in [*ast.walk(scope), *module.body] if scope is not module else module.body:
        target, value = _target(node)
        if target == name and value is not None:
            yield value
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=value):
                same = isinstance(value, ast.Tuple) and len(value.elts) == len(names)
                yield from (
                    value.elts[n] if same else value  # type: ignore[attr-defined]
                    for n, one in enumerate(names) if isinstance(one, ast.Name) and one.id == name
                )  # fmt: skip
            case ast.For(target=ast.Tuple(elts=names), iter=several):
                if any(isinstance(one, ast.Name) and one.id == name for one in names):
                    yield several
