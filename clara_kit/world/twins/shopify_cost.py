"""What a query costs, and the bucket it is paid from.

By the rules that Shopify publishes (shopify.dev, API limits, 2026): a scalar is free, an object costs 1, a connection
as many of its objects as `first` or `last` ask for. The published rules leave details open, so the numbers here are
near the real ones, not equal to them. The bucket's size and rate differ between plans; these are settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLObjectType, get_named_type, value_from_ast_untyped
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from clara_kit.world.twins.shopify_graph import schema

MAX_QUERY_COST = 1000  # of a single query, on every plan


def requested_cost(document: DocumentNode, variables: Mapping[str, Any]) -> int:
    """Points that a query may cost at most, before it is executed."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    root = schema().query_type
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return sum(_of(d.selection_set, root, variables, fragments) for d in operations)


def _of(
    selection: SelectionSetNode | None, kind: Any, variables: Mapping[str, Any], fragments: Mapping[str, Any]
) -> int:
    total = 0
    for node in selection.selections if selection is not None else ():
        if isinstance(node, FragmentSpreadNode):
            fragment = fragments[node.name.value]
            total += _of(
                fragment.selection_set,
                schema().type_map[fragment.type_condition.name.value],
                variables,
                fragments,
            )
        elif isinstance(node, InlineFragmentNode):
            total += _of(node.selection_set, kind, variables, fragments)
        elif isinstance(node, FieldNode) and isinstance(kind, GraphQLObjectType):
            total += _field(node, kind, variables, fragments)
    return total


def _field(
    node: FieldNode, kind: GraphQLObjectType, variables: Mapping[str, Any], fragments: Mapping[str, Any]
) -> int:
    definition = kind.fields.get(node.name.value)
    if definition is None or node.selection_set is None:
        return 0
    inner = get_named_type(definition.type)
    inside = _of(node.selection_set, inner, variables, fragments)
    if inner.name.endswith("Connection"):
        args = {a.name.value: value_from_ast_untyped(a.value, dict(variables)) for a in node.arguments or ()}
        wanted = args.get("first") or args.get("last")
        return max(1, inside) * (wanted if isinstance(wanted, int) else 0)  # execution will refuse the rest
    return inside if inner.name.endswith(("Edge", "PageInfo")) else 1 + inside


def actual_cost(data: Any) -> int:
    """Points of the objects that an answer really holds."""
    if isinstance(data, list):
        return sum(map(actual_cost, data))
    if not isinstance(data, dict):
        return 0
    frame = bool({"nodes", "edges", "node", "pageInfo"} & set(data))  # a connection or an edge: free
    inside = sum(actual_cost(v) for k, v in data.items() if k not in ("pageInfo", "jsonValue"))
    return inside if frame else 1 + inside


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
