"""What a template may do, decided from its syntax tree before it ever renders.

The language is what a prompt needs: text, `{{ variable }}`, a few filters, `if`, `for`, and parts. No calls, no
assignments, no arithmetic, no way to a file; so the sandbox below it has nothing left to catch, and the work is
bounded by the length of the source. Also marks what comes from the customer, for whoever shows the prompt: here, for
the tree says whose words an expression gives also where values lose it (`~`, slices, filters, numbers).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from jinja2 import nodes
from jinja2.visitor import NodeVisitor

from clara_kit.core.errors import TemplateError
from clara_kit.prompts.file import VARIABLES
from clara_kit.prompts.refusals import near, refusal
from clara_kit.prompts.values import FIELDS

BLOCKS = ("static", "personal", "greeting")
FROM_CUSTOMER, FROM_SHOP, END = "\ue000\ue001\ue002"  # private use: no text of ours or theirs has them
MOST_LOOPS, DEEPEST_LOOP = 20, 2
PART_NAME = re.compile(r"parts/[a-z0-9_]+\.md")

_ONLY_IN_CONDITIONS = ("first_name", "skin_type", "concerns", "purchases")  # of the personal block
_PLAIN = (
    nodes.Const, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.Concat,
    nodes.List, nodes.Tuple, nodes.Slice, nodes.If, nodes.TemplateData,
)  # fmt: skip
_LIST = "list of "
_KINDS = {
    "first_name": "text", "skin_type": "text", "customer_data": "text", "concerns": "list of text",
    "purchases": "list of purchase", "recommended": "list of product", "catalog": "list of product",
}  # fmt: skip
LISTS = ("skin_types", "concerns", "ingredients", "reasons")  # the fields of a product that are lists


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a template the check stands. `bound`: name of a loop's variable -> (what it is, who it is from)."""

    block: str
    bound: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    loops: int = 0

    def origin(self, name: str) -> tuple[str, str]:
        """What the name holds, and the variable it comes from."""
        return self.bound.get(name) or (_KINDS[name], name)

    def kind(self, node: nodes.Node) -> str:
        """«text», «product», «list of product» …: what a loop or a field needs to know."""
        match node:
            case nodes.Name():
                return self.origin(node.name)[0]
            case nodes.Getattr() if node.attr in LISTS:
                return "list of text"
            case nodes.Getitem(arg=nodes.Slice()):
                return self.kind(node.node)
            case nodes.Getitem() | nodes.Filter(name="first" | "last"):
                return self.kind(node.node).removeprefix(_LIST) if node.node else ""
            case nodes.Filter(name="sayable" | "titles"):
                return "list of text"
        return "text"

    def sources(self, node: nodes.Node) -> Iterator[str]:
        """The variables whose words an expression can give: all but those of an inline condition."""
        if isinstance(node, nodes.Name):
            yield self.origin(node.name)[1]
        for child in node.iter_child_nodes():
            if not (isinstance(node, nodes.CondExpr) and child is node.test):
                yield from self.sources(child)


class Check(NodeVisitor):
    """The check of one file: a template, or (with `part`) one of its parts. Marks the tree it is given.

    What has no method of its own here and is not plain is refused.
    """

    def __init__(self, file: str, declared: Collection[str], filters: Collection[str], *, part: bool) -> None:
        self.file, self.part = file, part
        self.parts: dict[str, int] = {}
        """The parts it includes, and in which line."""
        self.used: dict[str, set[str]] = {block: set() for block in BLOCKS}
        """The variables that each block reads."""
        self.constants: set[object] = set()
        """Its numbers and texts, and the lists of products that it reads, as `.reasons`."""
        self._declared, self._filters = declared, filters
        self._loops = self._fences = 0

    def no(self, node: nodes.Node | int, why: str, /, **found: object) -> TemplateError:
        """A refusal that stands in this file at this line, or at the first of this node that is known."""
        if isinstance(node, nodes.Node):
            node = node.lineno or next((n.lineno for n in node.find_all(nodes.Node) if n.lineno), 0)
        return refusal(why, file=self.file, line=node, **found)

    def run(self, tree: nodes.Template, first_line: int) -> None:
        """Raises `TemplateError` for the first thing that is not allowed, else marks the tree."""
        if self.part:
            return self._all(tree.body, Place("static"))
        seen = [self._block(node) for node in tree.body if not self._is_blank(node)]
        for name in BLOCKS:
            if name not in seen:
                raise self.no(first_line, "block missing", name=name)

    def _is_blank(self, node: nodes.Node) -> bool:
        for child in node.nodes if isinstance(node, nodes.Output) else ():
            text = child.data if isinstance(child, nodes.TemplateData) else "?"
            if text.strip():
                line = child.lineno + text[: len(text) - len(text.lstrip())].count("\n")
                raise self.no(line, "outside", known=BLOCKS)
        return isinstance(node, nodes.Output)

    def _block(self, node: nodes.Node) -> str:
        if not isinstance(node, nodes.Block):
            raise self.no(node, "refused", what=f"{type(node).__name__} outside the blocks")
        if node.name not in BLOCKS:
            raise self.no(node, "block unknown", name=node.name, known=BLOCKS)
        self._all(node.body, Place(node.name))
        return node.name

    # --- one node after the other ---------------------------------------------------------------------------

    def _all(self, several: Iterable[nodes.Node], place: Place) -> None:
        for node in several:
            self.visit(node, place)

    def generic_visit(self, node: nodes.Node, place: Place) -> None:
        if not isinstance(node, _PLAIN):
            raise self.no(node, "refused", what=type(node).__name__)
        if isinstance(node, nodes.Const):
            self.constants.add(node.value)
        self._all(node.iter_child_nodes(), place)

    def visit_Output(self, node: nodes.Output, place: Place) -> None:
        out: list[nodes.Expr] = []
        for said in node.nodes:
            self.visit(said, place)
            if place.kind(said).startswith(_LIST):
                raise self.no(said, "list")
            sources = set(place.sources(said)) - {"loop"}
            if place.block == "personal":
                self._fenced(said, sources)
            marks = (FROM_CUSTOMER if sources - {"catalog"} else FROM_SHOP, END) if sources else ("", "")
            before, after = (nodes.TemplateData(mark, lineno=said.lineno) for mark in marks)
            out += [before, said, after] if sources else [said]
        node.nodes = out

    def _fenced(self, said: nodes.Node, sources: Collection[str]) -> None:
        """Words of the customer stand inside the fence, and nowhere else in the prompt."""
        for name in sources:
            if name in _ONLY_IN_CONDITIONS:
                raise self.no(said, "unfenced", name=name)
        self._fences += "customer_data" in sources
        if self._fences > 1:
            raise self.no(said, "two fences")

    def visit_For(self, node: nodes.For, place: Place) -> None:
        self._loops += 1
        if place.loops == DEEPEST_LOOP or self._loops > MOST_LOOPS or node.recursive:
            raise self.no(node, "loops", most=MOST_LOOPS, deepest=DEEPEST_LOOP)
        if not isinstance(node.target, nodes.Name) or node.target.name in {*VARIABLES, "loop"}:
            raise self.no(node, "loop name")
        self.visit(node.iter, place)
        kind = place.kind(node.iter)
        if not kind.startswith(_LIST):
            raise self.no(node, "no list")
        source = next(place.sources(node.iter), "catalog")
        if place.block == "personal" and source in _ONLY_IN_CONDITIONS:
            raise self.no(node.iter, "unfenced", name=source)
        one = {node.target.name: (kind.removeprefix(_LIST), source), "loop": ("loop", "loop")}
        inside = replace(place, bound={**place.bound, **one}, loops=place.loops + 1)
        self._all((*node.body, *filter(None, [node.test])), inside)
        self._all(node.else_, place)

    def visit_Include(self, node: nodes.Include, place: Place) -> None:
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if self.part or place.loops:
            raise self.no(node, "include here")
        if not isinstance(name, str) or not PART_NAME.fullmatch(name) or node.ignore_missing:
            raise self.no(node, "include what")
        self.parts.setdefault(name, node.lineno)
        self.used[place.block] |= {"catalog"} & set(self._declared)  # the only one that a part may read

    def visit_Name(self, node: nodes.Name, place: Place) -> None:
        name = node.name
        if name in place.bound:
            return
        if name not in VARIABLES:
            raise self.no(node, "name", name=name, near=near(name, [*VARIABLES, *place.bound]))
        if name not in self._declared:
            raise self.no(node, "undeclared", name=name)
        if place.block == "static" and name != "catalog":
            where = "A part" if self.part else "The static block"
            raise self.no(node, "not cached", where=where, name=name)
        if place.block == "greeting" and name == "customer_data":
            raise self.no(node, "read out")
        self.used[place.block].add(name)

    def visit_Getattr(self, node: nodes.Getattr, place: Place) -> None:
        self.visit(node.node, place)
        known = [f".{name}" for name in FIELDS.get(place.kind(node.node), ())]
        if f".{node.attr}" not in known:
            otherwise = "" if known else "products and purchases have fields."
            raise self.no(node, "field", name=node.attr, near=near(f".{node.attr}", known, otherwise))
        if node.attr in LISTS:
            self.constants.add(f".{node.attr}")

    def visit_Getitem(self, node: nodes.Getitem, place: Place) -> None:
        self.visit(node.node, place)
        number = isinstance(node.arg, nodes.Const) and type(node.arg.value) is int
        if not place.kind(node.node).startswith(_LIST) or not (number or isinstance(node.arg, nodes.Slice)):
            raise self.no(node, "places")
        self.visit(node.arg, place)

    def visit_Filter(self, node: nodes.Filter, place: Place) -> None:
        if node.name not in self._filters:
            raise self.no(node, "filter", name=node.name, near=near(node.name, sorted(self._filters)))
        if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise self.no(node, "refused", what="Filter")
        self._all((node.node, *node.args), place)
