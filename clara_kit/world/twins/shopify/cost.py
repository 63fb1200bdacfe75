"""What a query costs, and the bucket it is paid from.

By the rules that Shopify publishes (shopify.dev, API limits, 2026): a scalar is free, an object costs 1, a connection
as many of its objects as `first` or `last` ask for. The published rules leave details open, so the numbers here are
near the real ones, not equal to them. The bucket's size and rate differ between plans; these are settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLObjectType, get_named_type, get_operation_ast, value_from_ast_untyped
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)

from clara_kit.world.twins.shopify.graph import schema

MAX_QUERY_COST = 1000  # of a single query, on every plan
_FRAMES = ("Connection", "Edge", "PageInfo")  # around objects, and free themselves


class Cost:
    """Of one operation of a valid document: `requested` before it is executed, `actual(data)` afterwards."""

    def __init__(self, document: DocumentNode, operation: str | None, variables: Mapping[str, Any]) -> None:
        chosen = get_operation_ast(document, operation)
        assert chosen is not None, "the query was validated"
        defaults = {
            d.variable.name.value: value_from_ast_untyped(d.default_value)
            for d in chosen.variable_definitions or ()
            if d.default_value is not None
        }
        self._variables = {**defaults, **variables}
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._selection, self._root = chosen.selection_set, schema().query_type
        self.requested = self._asked(self._selection, self._root)

    def actual(self, data: Any) -> int:
        """Points of the objects that an answer really holds, never more than `requested`."""
        return min(self.requested, self._held(self._selection, self._root, data))

    def _fields(self, selection: SelectionSetNode, kind: Any) -> Iterator[tuple[FieldNode, Any]]:
        """Each field that has fields of its own, and its type."""
        for node in selection.selections:
            if isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                yield from self._fields(fragment.selection_set, schema().type_map[fragment.type_condition.name.value])
            elif isinstance(node, InlineFragmentNode):
                yield from self._fields(node.selection_set, kind)
            elif isinstance(node, FieldNode) and isinstance(kind, GraphQLObjectType) and node.selection_set:
                definition = kind.fields.get(node.name.value)
                if definition is not None:  # none: introspection, which is free
                    yield node, get_named_type(definition.type)

    def _asked(self, selection: SelectionSetNode | None, kind: Any) -> int:
        total = 0
        for node, inner in self._fields(selection, kind) if selection is not None else ():
            inside = self._asked(node.selection_set, inner)
            if inner.name.endswith("Connection"):
                total += max(1, inside) * self._wanted(node)
            else:
                total += inside + (not inner.name.endswith(_FRAMES))
        return total

    def _wanted(self, node: FieldNode) -> int:
        """How many objects a connection is asked for; 0 where execution will refuse it."""
        args = {a.name.value: value_from_ast_untyped(a.value, dict(self._variables)) for a in node.arguments or ()}
        wanted = args.get("first") or args.get("last")
        return max(0, wanted) if isinstance(wanted, int) else 0

    def _held(self, selection: SelectionSetNode | None, kind: Any, data: Any) -> int:
        if isinstance(data, list):
            return sum(self._held(selection, kind, each) for each in data)
        if not isinstance(data, dict) or selection is None:
            return 0
        total = int(kind is not self._root and not kind.name.endswith(_FRAMES))
        for node, inner in self._fields(selection, kind):
            total += self._held(node.selection_set, inner, data.get((node.alias or node.name).value))
        return total


@dataclass
class Bucket:
    """Points that come back at a steady rate. `clock` in seconds."""

    clock: Callable[[], float]
    maximum: float = 2000.0
    restore_rate: float = 100.0

    def __post_init__(self) -> None:
        self._level, self._at_s = self.maximum, self.clock()

    @property
    def available(self) -> float:
        """What is in it now."""
        now_s = self.clock()
        self._level = min(self.maximum, self._level + (now_s - self._at_s) * self.restore_rate)
        self._at_s = now_s
        return self._level

    def take(self, points: float) -> bool:
        """Pay, if there is enough."""
        if points > self.available:
            return False
        self._level -= points
        return True

    def give_back(self, points: float) -> None:
        """What was charged beforehand and not used."""
        self._level = min(self.maximum, self._level + max(0.0, points))

    def status(self) -> dict[str, float]:
        """As it stands in every answer."""
        return {
            "maximumAvailable": self.maximum,
            "currentlyAvailable": int(self.available),
            "restoreRate": self.restore_rate,
        }
