"""What the expressions of a template are and whose words they give, told from the syntax tree alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jinja2 import nodes

_KINDS = {
    "first_name": "text", "skin_type": "text", "customer_data": "text", "concerns": "list of text",
    "purchases": "list of purchase", "recommended": "list of product", "catalog": "list of product",
}  # fmt: skip
_LISTS = ("skin_types", "concerns", "ingredients", "reasons")  # the fields of a product that are lists


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a template the check stands. `bound`: name of a loop's variable -> (what it is, who it is from)."""

    block: str
    bound: Mapping[str, tuple[str, str]]
    loops: int = 0


def origin(name: str, place: Place) -> tuple[str, str]:
    """What the name holds, and the variable it comes from."""
    return place.bound.get(name) or (_KINDS[name], name)


def kind_of(node: nodes.Node, place: Place) -> str:
    """«text», «product», «list of product» …: what a loop or a field needs to know."""
    match node:
        case nodes.Name():
            return origin(node.name, place)[0]
        case nodes.Getattr():
            return "list of text" if node.attr in _LISTS else "text"
        case nodes.Getitem(arg=nodes.Slice()):
            return kind_of(node.node, place)
        case nodes.Getitem() | nodes.Filter(name="first" | "last"):
            return kind_of(node.node, place).removeprefix("list of ") if node.node else ""
        case nodes.Filter(name="sayable" | "titles"):
            return "list of text"
    return "text"


def said_names(node: nodes.Node) -> Iterator[nodes.Name]:
    """The names whose words an expression can give: all but those of an inline condition."""
    if isinstance(node, nodes.Name):
        yield node
    for child in node.iter_child_nodes():
        if not (isinstance(node, nodes.CondExpr) and child is node.test):
            yield from said_names(child)


def line_of(node: nodes.Node) -> int:
    """The line of a node, or of the first inside it that has one."""
    inside = (n.lineno for n in node.find_all(nodes.Node) if n.lineno)
    return node.lineno or next(inside, 0)
