"""What is wrong with a query, in the words of Shopify's server.

graphql-core finds the mistakes; Shopify runs graphql-ruby, whose messages, codes and paths clients see. Those that the
kit's users may meet are put into its words here; the rest keep graphql-core's, which say the same. Sources:
graphql-ruby's static validation and answers of Shopify's seen in public threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from graphql import GraphQLError
from graphql.language import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
)

Json = dict[str, Any]
Worded = tuple[str, Json]


def validation_error(exc: GraphQLError, document: DocumentNode) -> Json:
    """One mistake in a query."""
    found = _worded(exc)
    message, extensions = found or (exc.message, {})
    error: Json = {"message": message, "locations": locations(exc)}
    if exc.nodes:
        error["path"] = path_of(document, exc.nodes[0])
    return {**error, "extensions": extensions} if extensions else error


def locations(exc: GraphQLError) -> list[Json]:
    """Where in the query, from 1."""
    return [{"line": at.line, "column": at.column} for at in exc.locations or ()]


def _unknown_field(name: str, kind: str) -> Worded:
    code = {"code": "undefinedField", "typeName": kind, "fieldName": name}
    return f"Field '{name}' doesn't exist on type '{kind}'", code


def _missing_argument(field: str, argument: str) -> Worded:
    code = {"code": "missingRequiredArguments", "className": "Field", "name": field, "arguments": argument}
    return f"Field '{field}' is missing required arguments: {argument}", code


def _unknown_argument(argument: str, field: str) -> Worded:
    code = {"code": "argumentNotAccepted", "name": field, "typeName": "Field", "argumentName": argument}
    return f"Field '{field}' doesn't accept argument '{argument}'", code


def _unused(variable: str, operation: str | None) -> Worded:
    code = {"code": "variableNotUsed", "variableName": variable}
    return f"Variable ${variable} is declared by {operation or 'anonymous query'} but not used", code


def _undefined(variable: str, operation: str | None) -> Worded:
    code = {"code": "variableNotDefined", "variableName": variable}
    return f"Variable ${variable} is used by {operation or 'anonymous query'} but not declared", code


def _bare(field: str, kind: str) -> Worded:
    says = f"field '{field}' returns {kind.strip('[]!')} but has no selections."
    code = {"code": "selectionMismatch", "nodeName": f"field '{field}'", "typeName": kind.strip("[]!")}
    return f"Field must have selections ({says} Did you mean '{field} {{ ... }}'?)", code


def _unknown_type(kind: str) -> Worded:
    return f"{kind} isn't a defined input type", {"code": "variableRequiresValidType", "typeName": kind}


_WORDS: tuple[tuple[str, Callable[..., Worded]], ...] = (
    (r"Cannot query field '(\w+)' on type '(\w+)'", _unknown_field),
    (r"Argument '\w+\.(\w+)\((\w+):\)' of type .* is required", _missing_argument),
    (r"Unknown argument '(\w+)' on field '\w+\.(\w+)'", _unknown_argument),
    (r"Variable '\$(\w+)' is never used(?: in operation '(\w+)')?", _unused),
    (r"Variable '\$(\w+)' is not defined(?: by operation '(\w+)')?", _undefined),
    (r"Field '(\w+)' of type '([^']+)' must have a selection", _bare),
    (r"Unknown type '(\w+)'", _unknown_type),
)


def _worded(exc: GraphQLError) -> Worded | None:
    for pattern, words in _WORDS:
        found = re.match(pattern, exc.message)
        if found:
            return words(*found.groups())
    return None


def path_of(document: DocumentNode, node: Node) -> list[str]:
    """Where a node stands: operation, fields, argument."""
    for definition in document.definitions:
        below = _below(definition, node)
        if below is not None:
            return below
    return []


def _below(at: Node, node: Node) -> list[str] | None:
    label = _label(at)
    if at is node:
        return label
    for key in at.keys:
        value = getattr(at, key, None)
        for child in value if isinstance(value, list | tuple) else (value,):
            below = _below(child, node) if isinstance(child, Node) else None
            if below is not None:
                return label + below
    return None


def _label(node: Node) -> list[str]:
    match node:
        case OperationDefinitionNode():
            return [f"{node.operation.value} {node.name.value if node.name else ''}".strip()]
        case FragmentDefinitionNode():
            return [f"fragment {node.name.value}"]
        case FieldNode():
            return [(node.alias or node.name).value]
        case InlineFragmentNode():
            return [f"... on {node.type_condition.name.value}" if node.type_condition else "..."]
        case ArgumentNode():
            return [node.name.value]
    return []
