"""What a template may do, decided from its syntax tree before it ever renders.

The language is what a prompt needs: text, `{{ variable }}`, a few filters, `if`, `for`, and parts. No calls, no
assignments, no arithmetic, no way to a file; so the sandbox below it has nothing left to catch, and the work is
bounded by the length of the source. Also marks what comes from the customer, for whoever shows the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from jinja2 import nodes

from clara_kit.core.errors import TemplateError
from clara_kit.prompts.file import VARIABLES
from clara_kit.prompts.values import FIELDS

BLOCKS = ("static", "personal", "greeting")
FROM_CUSTOMER, FROM_SHOP, END = (
    "\ue000",
    "\ue001",
    "\ue002",
)  # private use: no text of ours or theirs has them
MOST_LOOPS, DEEPEST_LOOP = 20, 2
PART_NAME = re.compile(r"parts/[a-z0-9_]+\.md")

_ONLY_IN_CONDITIONS = ("first_name", "skin_type", "concerns", "purchases")  # of the personal block
_PLAIN = (
    nodes.Const, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.Concat,
    nodes.List, nodes.Tuple, nodes.Slice, nodes.If, nodes.TemplateData,
)  # fmt: skip


class Check:
    """The check of one file: a template, or (with `part`) one of its parts. Marks the tree it is given."""

    def __init__(self, file: str, declared: Collection[str], filters: Collection[str], *, part: bool) -> None:
        self.file, self.part = file, part
        self.parts: dict[str, int] = {}
        """The parts it includes, and in which line."""
        self._declared, self._filters = declared, filters
        self._loops = self._fences = 0

    def error(self, node: nodes.Node | int, message: str, hint: str) -> TemplateError:
        """An error that stands in this file at this node or line."""
        line = node if isinstance(node, int) else line_of(node)
        return TemplateError(message, hint=hint, file=self.file, line=line)

    def run(self, tree: nodes.Template, first_line: int) -> None:
        """Raises `TemplateError` for the first thing that is not allowed, else marks the tree."""
        if self.part:
            for node in tree.body:
                self._visit(node, Place("static", {}))
            return
        seen = [self._block(node) for node in tree.body if not self._is_blank(node)]
        for name in BLOCKS:
            if name not in seen:
                raise self.error(
                    first_line,
                    f"The block {name} is missing.",
                    f"add {{% block {name} %}} … {{% endblock %}}; it may be empty.",
                )

    def _is_blank(self, node: nodes.Node) -> bool:
        if not isinstance(node, nodes.Output):
            return False
        for child in node.nodes:
            text = child.data if isinstance(child, nodes.TemplateData) else "?"
            if text.strip():
                raise self.error(
                    child.lineno + text[: len(text) - len(text.lstrip())].count("\n"),
                    "Text outside the blocks would never be said or read.",
                    f"move it into one of the blocks {', '.join(BLOCKS)}.",
                )
        return True

    def _block(self, node: nodes.Node) -> str:
        if not isinstance(node, nodes.Block):
            raise self._refused(node, " outside the blocks")
        if node.name not in BLOCKS:
            raise self.error(
                node, f"There is no block {node.name}.", f"a template has the blocks {', '.join(BLOCKS)}."
            )
        for child in node.body:
            self._visit(child, Place(node.name, {}))
        return node.name

    # --- one node after the other ---------------------------------------------------------------------------

    def _visit(self, node: nodes.Node, place: Place) -> None:
        match node:
            case nodes.Output():
                self._output(node, place)
            case nodes.For():
                self._for(node, place)
            case nodes.Include():
                self._include(node, place)
            case nodes.Name():
                self._name(node, place)
            case nodes.Getattr():
                self._getattr(node, place)
            case nodes.Getitem():
                self._getitem(node, place)
            case nodes.Filter():
                self._filter(node, place)
            case _ if isinstance(node, _PLAIN):
                self._children(node, place)
            case _:
                raise self._refused(node)

    def _children(self, node: nodes.Node, place: Place) -> None:
        for child in node.iter_child_nodes():
            self._visit(child, place)

    def _output(self, node: nodes.Output, place: Place) -> None:
        out: list[nodes.Expr] = []
        for said in node.nodes:
            self._visit(said, place)
            if kind_of(said, place).startswith("list of "):
                raise self.error(
                    said, "This is a list, not text.", "put it together: {{ concerns|join_es }}."
                )
            names = {n.name for n in said_names(said) if n.name != "loop"}
            sources = {origin(name, place)[1] for name in names}
            if place.block == "personal":
                self._fenced(said, sources)
            mark = FROM_CUSTOMER if sources - {"catalog"} else FROM_SHOP if sources else ""
            data = [nodes.TemplateData(m, lineno=said.lineno) for m in (mark, END)] if mark else []
            out += [*data[:1], said, *data[1:]]
        node.nodes = out

    def _fenced(self, said: nodes.Node, sources: Collection[str]) -> None:
        """Words of the customer stand inside the fence, and nowhere else in the prompt."""
        for name in sources:
            if name in _ONLY_IN_CONDITIONS:
                raise self.error(
                    said,
                    f"{name} would stand in the prompt outside the fence, where it could pass for an instruction.",
                    "use {{ customer_data }}, which fences it; in the personal block it may stand in an {% if %}.",
                )
        self._fences += "customer_data" in sources
        if self._fences > 1:
            raise self.error(
                said,
                "customer_data stands here a second time.",
                "one fence is enough; put it outside the {% if %}.",
            )

    def _for(self, node: nodes.For, place: Place) -> None:
        self._loops += 1
        if place.loops == DEEPEST_LOOP or self._loops > MOST_LOOPS or node.recursive:
            raise self.error(
                node,
                "There are too many loops.",
                f"at most {MOST_LOOPS} in a template, {DEEPEST_LOOP} inside each other, none recursive.",
            )
        if not isinstance(node.target, nodes.Name) or node.target.name in {*VARIABLES, "loop"}:
            raise self.error(
                node,
                "A loop needs one new name for what it goes through.",
                "write {% for product in catalog %}.",
            )
        self._visit(node.iter, place)
        kind = kind_of(node.iter, place)
        if not kind.startswith("list of "):
            raise self.error(
                node,
                "This is no list to go through.",
                "loop over catalog, recommended, concerns or purchases.",
            )
        source = next((origin(n.name, place)[1] for n in said_names(node.iter)), "catalog")
        if place.block == "personal" and source in _ONLY_IN_CONDITIONS:
            self._fenced(node.iter, (source,))
        bound = {**place.bound, node.target.name: (kind[8:], source), "loop": ("loop", "catalog")}
        inside = replace(place, bound=bound, loops=place.loops + 1)
        for child in (*node.body, *([node.test] if node.test else [])):
            self._visit(child, inside)
        for child in node.else_:
            self._visit(child, place)

    def _include(self, node: nodes.Include, place: Place) -> None:
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if self.part or place.loops:
            raise self.error(
                node, "A part cannot be included here.", "include it in a block, outside of loops."
            )
        if not isinstance(name, str) or not PART_NAME.fullmatch(name) or node.ignore_missing:
            raise self.error(
                node,
                "Only a part can be included, by its name.",
                "write {% include 'parts/guard_rails.md' %}; the file lies in data/prompts/parts.",
            )
        self.parts.setdefault(name, node.lineno)

    def _name(self, node: nodes.Name, place: Place) -> None:
        if node.name in place.bound:
            return
        name = node.name
        if name not in VARIABLES:
            near = get_close_matches(name, [*VARIABLES, *place.bound], n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(VARIABLES)}."
            raise self.error(node, f"Nothing gives the variable {name}.", hint)
        if name not in self._declared:
            raise self.error(
                node, f"The variable {name} is not declared.", "add it to variables in the front matter."
            )
        if place.block == "static" and name != "catalog":
            where = "A part" if self.part else "The static block"
            raise self.error(
                node,
                f"{where} uses {name}: it would differ between customers, and nothing would be cached.",
                "move this into the personal block; only catalog may be used here.",
            )
        if place.block == "greeting" and name == "customer_data":
            raise self.error(
                node, "The greeting would read out all that is known.", "use first_name or skin_type."
            )

    def _getattr(self, node: nodes.Getattr, place: Place) -> None:
        self._visit(node.node, place)
        known = FIELDS.get(kind_of(node.node, place), ())
        if node.attr not in known:
            near = get_close_matches(node.attr, known, n=1)
            there = f"there are {', '.join(known)}." if known else "products and purchases have fields."
            raise self.error(
                node, f"There is no .{node.attr} here.", f"did you mean .{near[0]}?" if near else there
            )

    def _getitem(self, node: nodes.Getitem, place: Place) -> None:
        self._visit(node.node, place)
        number = isinstance(node.arg, nodes.Const) and type(node.arg.value) is int
        if not kind_of(node.node, place).startswith("list of ") or not (
            number or isinstance(node.arg, nodes.Slice)
        ):
            raise self.error(
                node, "Only a list has places, and they are numbers.", "write recommended[0] or concerns[:2]."
            )
        self._visit(node.arg, place)

    def _filter(self, node: nodes.Filter, place: Place) -> None:
        if node.name not in self._filters:
            near = get_close_matches(node.name, self._filters, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self._filters))}."
            raise self.error(node, f"There is no filter {node.name}.", hint)
        if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise self._refused(node)
        for child in (node.node, *node.args):
            self._visit(child, place)

    def _refused(self, node: nodes.Node, where: str = "") -> TemplateError:
        return self.error(
            node,
            f"Templates have no {type(node).__name__}{where}.",
            "a prompt needs only text, {{ variables }}, filters, {% if %}, {% for %} and {% include %}.",
        )


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
