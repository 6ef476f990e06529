"""What a query costs in the practice shop, and the bucket that pays for it.

What belongs here: points. Shopify does not publish its whole formula; this one is the plain version of what it does
publish (a scalar is free, an object one point, a connection two points and its nodes, a mutation ten), which never
charges less than the real one was seen to. Source: shopify.dev rate-limits page, seen 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import (
    FieldNode,
    GraphQLDirective,
    GraphQLIncludeDirective,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_directive_values,
    get_named_type,
    is_composite_type,
    is_list_type,
    value_from_ast_untyped,
)
from graphql.pyutils import Undefined

QUERY_MAX = 1000
MUTATION = 10


class CostMeter:
    """Counts the points of one operation.

    Args:
        schema: of the shop.
        variables: of the request.
    """

    def __init__(self, schema: GraphQLSchema, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables

    def requested(self, operation: OperationDefinitionNode) -> int:
        """Return what the operation may cost at most."""
        return self._operation(operation, None)

    def actual(self, operation: OperationDefinitionNode, data: Any) -> int:
        """Return what its answer cost."""
        return self._operation(operation, data if isinstance(data, dict) else {})

    def _operation(self, operation: OperationDefinitionNode, data: Any) -> int:
        if operation.operation.value == "mutation":
            return MUTATION * sum(isinstance(node, FieldNode) for node in operation.selection_set.selections)
        return self._selection(self._schema.query_type, operation.selection_set, data)

    def _selection(self, parent: Any, selection: SelectionSetNode | None, data: Any) -> int:
        if selection is None:
            return 0
        parts, branches = _parts(self._schema, parent, selection)
        total = sum(self._field(part, data) for part in parts)
        found = [0]
        for name, kind, inner in branches:
            if data is None or data.get("__typename", name) == name:
                found.append(self._selection(kind, inner, data))
        return total + max(found)

    def _field(self, part: _Part, data: Any) -> int:
        value = None if data is None else data.get(part.key)
        if (data is not None and value is None) or not self._is_included(part.node):
            return 0
        if part.of_node is not None:
            return self._connection(part, value)
        if part.is_list:
            return self._list(part, value)
        return 1 + self._selection(part.named, part.node.selection_set, value)

    def _list(self, part: _Part, rows: Any) -> int:
        inner = part.node.selection_set
        if rows is not None:
            return sum(1 + self._selection(part.named, inner, row) for row in rows if row is not None)
        ids = self._argument(part.node, "ids")
        count = len(ids) if isinstance(ids, list) else 1
        return count * (1 + self._selection(part.named, inner, None))

    def _connection(self, part: _Part, value: Any) -> int:
        nodes = next((field for field in _fields(part.node.selection_set) if field.name.value == "nodes"), None)
        if nodes is None:
            return 2
        if value is not None:
            rows = value.get("nodes") or ()
            return 2 + sum(1 + self._selection(part.of_node, nodes.selection_set, row) for row in rows)
        first = self._argument(part.node, "first")
        return 2 + int(first or 0) * (1 + self._selection(part.of_node, nodes.selection_set, None))

    def _argument(self, node: FieldNode, name: str) -> Any:
        for argument in node.arguments:
            if argument.name.value == name:
                value = value_from_ast_untyped(argument.value, dict(self._variables))
                return None if value is Undefined else value
        return None

    def _is_included(self, node: FieldNode) -> bool:
        found = get_directive_values(_INCLUDE, node, dict(self._variables)) if node.directives else None
        return found is None or bool(found["if"])


@dataclass(frozen=True, slots=True)
class _Part:
    """A field that costs something: an object, a list or a connection (`of_node` is what it connects to)."""

    node: FieldNode
    key: str
    named: Any
    is_list: bool
    of_node: Any


@lru_cache(maxsize=4096)
def _parts(
    schema: GraphQLSchema, parent: Any, selection: SelectionSetNode
) -> tuple[tuple[_Part, ...], tuple[tuple[str, Any, SelectionSetNode | None], ...]]:
    """Return a selection's fields that cost something, and its branches by type."""
    parts, branches = [], []
    for node in selection.selections:  # fragment spreads cost nothing: the connector uses none
        if isinstance(node, InlineFragmentNode):
            name = node.type_condition.name.value if node.type_condition else parent.name
            branches.append((name, schema.get_type(name), node.selection_set))
        elif isinstance(node, FieldNode) and node.name.value not in {"__typename", "pageInfo"}:
            part = _part(parent, node)
            parts += [] if part is None else [part]
    return tuple(parts), tuple(branches)


def _part(parent: Any, node: FieldNode) -> _Part | None:
    declared = parent.fields[node.name.value].type
    named = get_named_type(declared)
    if not is_composite_type(named):
        return None
    of_node = get_named_type(named.fields["nodes"].type) if named.name.endswith("Connection") else None
    is_list = is_list_type(getattr(declared, "of_type", declared)) or is_list_type(declared)
    return _Part(node, (node.alias or node.name).value, named, is_list, of_node)


def _fields(selection: SelectionSetNode | None) -> Iterator[FieldNode]:
    return (node for node in (() if selection is None else selection.selections) if isinstance(node, FieldNode))


_INCLUDE: GraphQLDirective = GraphQLIncludeDirective


class PointBucket:
    """The bucket of one app in one shop.

    Args:
        capacity: points at most.
        per_second: points restored.
        seconds: the shop's running clock.
    """

    def __init__(self, capacity: float, per_second: float, *, seconds: Callable[[], float]) -> None:
        self.capacity = capacity
        self.per_second = per_second
        self._seconds = seconds
        self._left = capacity
        self._read_at = seconds()

    def left(self) -> float:
        """Return the points left now."""
        now = self._seconds()
        self._left = min(self.capacity, self._left + (now - self._read_at) * self.per_second)
        self._read_at = now
        return self._left

    def pay(self, points: float) -> None:
        """Take points out."""
        self._left = self.left() - points

    def told(self, requested: int, actual: int | None) -> dict[str, Any]:
        """Return what an answer says of its cost."""
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": self.capacity,
                "currentlyAvailable": int(self.left()),
                "restoreRate": self.per_second,
            },
        }
