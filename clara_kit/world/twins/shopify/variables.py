"""What is wrong with a query's ids and with the variables beside it, in the words of Shopify's server.

Next to `shopify_words.py`, which does it for the query itself. Shopify takes no id that is not a global id, wherever
one stands. Sources: graphql-ruby's variable validation and answers of Shopify's seen in public threads.
"""

from __future__ import annotations

import json
import re
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    type_from_ast,
    visit,
)
from graphql.language import DocumentNode, OperationDefinitionNode, StringValueNode, VariableDefinitionNode, print_ast

from clara_kit.world.twins.shopify.words import locations, path_of

Json = dict[str, Any]
Problem = tuple[list[Any], str]
_GID = re.compile(r"gid://shopify/\w+/\d+(\?.*)?")


def is_gid(value: Any) -> bool:
    """Whether a value is a global id, of whatever kind."""
    return isinstance(value, str) and _GID.fullmatch(value) is not None


class _Ids(Visitor):
    def __init__(self, info: TypeInfo, document: DocumentNode) -> None:
        super().__init__()
        self._info, self._document, self.errors = info, document, list[Json]()

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        kind = self._info.get_input_type()
        if kind is not None and get_named_type(kind).name == "ID" and not is_gid(node.value):
            exc = GraphQLError(f"Invalid global id '{node.value}'", node)
            code = {"code": "argumentLiteralsIncompatible", "typeName": "CoercionError"}
            self.errors.append({"message": exc.message, "locations": locations(exc),
                                "path": path_of(self._document, node), "extensions": code})  # fmt: skip


def id_errors(schema: GraphQLSchema, document: DocumentNode) -> list[Json]:
    """Ids written into a query that are no global ids."""
    info = TypeInfo(schema)
    ids = _Ids(info, document)
    visit(document, TypeInfoVisitor(info, ids))
    return ids.errors


def variable_errors(schema: GraphQLSchema, operation: OperationDefinitionNode, given: Json) -> list[Json]:
    """What is wrong with the values that came beside a query: one error a variable."""
    return [
        error
        for definition in operation.variable_definitions or ()
        if (error := _variable_error(schema, definition, given)) is not None
    ]


def _variable_error(schema: GraphQLSchema, definition: VariableDefinitionNode, given: Json) -> Json | None:
    name, kind = definition.variable.name.value, type_from_ast(schema, definition.type)
    if kind is None or (name not in given and definition.default_value is not None):
        return None
    value = given.get(name)
    problems = _problems(kind, value, [])
    if not problems:
        return None
    message = f"Variable ${name} of type {print_ast(definition.type)} was provided invalid value"
    where = [f"{'.'.join(map(str, path))} ({says})" for path, says in problems if path]
    told = [
        {"path": path, "explanation": says, **({"message": says} if "global id" in says else {})}
        for path, says in problems
    ]
    return {
        "message": message + (f" for {', '.join(where)}" if where else ""),
        "locations": locations(GraphQLError("", definition)),
        "extensions": {"code": "INVALID_VARIABLE", "value": value, "problems": told},
    }


def _problems(kind: Any, value: Any, path: list[Any]) -> list[Problem]:
    if isinstance(kind, GraphQLNonNull):
        return [(path, "Expected value to not be null")] if value is None else _problems(kind.of_type, value, path)
    if value is None:
        return []
    if isinstance(kind, GraphQLList):
        items = value if isinstance(value, list) else [value]
        return [p for n, item in enumerate(items) for p in _problems(kind.of_type, item, [*path, n])]
    if isinstance(kind, GraphQLInputObjectType):
        return _object_problems(kind, value, path)
    if isinstance(kind, GraphQLEnumType):
        known = isinstance(value, str) and value in kind.values
        says = f"Expected {json.dumps(value)} to be one of: {', '.join(kind.values)}"
        return [] if known else [(path, says)]
    return _scalar_problems(kind, value, path)


def _object_problems(kind: GraphQLInputObjectType, value: Any, path: list[Any]) -> list[Problem]:
    if not isinstance(value, dict):
        return [(path, f"Expected {json.dumps(value)} to be a key-value object.")]
    problems: list[Problem] = [
        ([*path, name], f"Field is not defined on {kind.name}") for name in value if name not in kind.fields
    ]
    for name, field in kind.fields.items():
        if name in value or isinstance(field.type, GraphQLNonNull):
            problems += _problems(field.type, value.get(name), [*path, name])
    if kind.is_one_of and len(value) != 1:
        says = f"'{kind.name}' requires exactly one argument, but {len(value)} were provided."
        problems.append((path, says))
    elif kind.is_one_of and None in value.values():
        problems.append(([*path, *value], f"'{kind.name}' requires exactly one argument to be non-null."))
    return problems


def _scalar_problems(kind: GraphQLScalarType, value: Any, path: list[Any]) -> list[Problem]:
    if kind.name == "ID":
        return [] if is_gid(value) else [(path, f"Invalid global id '{value}'")]
    try:
        kind.parse_value(value)
    except GraphQLError:
        return [(path, f"Could not coerce value {json.dumps(value)} to {kind.name}")]
    return []
