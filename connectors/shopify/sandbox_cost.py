"""What a query costs in the practice shop, and the bucket that pays for it.

What belongs here: points. Shopify does not publish its whole formula; this one is the plain version of what it does
publish (a scalar is free, an object one point, a connection two points and its nodes, a mutation ten), which never
charges less than the real one was seen to. Source: shopify.dev rate-limits page, seen 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
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
        is_mutation = operation.operation.value == "mutation"
        root = self._schema.mutation_type if is_mutation else self._schema.query_type
        total = 0
        for field in self._fields(operation.selection_set):
            total += MUTATION if is_mutation else self._field(root, field, data)
        return total

    def _selection(self, parent: Any, selection: SelectionSetNode | None, data: Any) -> int:
        if selection is None:
            return 0
        total, branches = 0, [0]
        for node in selection.selections:
            if isinstance(node, FieldNode):
                total += self._field(parent, node, data) if self._is_included(node) else 0
            elif isinstance(node, InlineFragmentNode):
                name = node.type_condition.name.value if node.type_condition else parent.name
                if data is None or data.get("__typename", name) == name:
                    branches.append(self._selection(self._schema.get_type(name), node.selection_set, data))
        return total + max(branches)

    def _field(self, parent: Any, node: FieldNode, data: Any) -> int:
        name = node.name.value
        if name in {"__typename", "pageInfo"}:
            return 0
        declared = parent.fields[name].type
        named = get_named_type(declared)
        if not is_composite_type(named):
            return 0
        value = None if data is None else data.get((node.alias or node.name).value)
        if data is not None and value is None:
            return 0
        if named.name.endswith("Connection"):
            return self._connection(named, node, value)
        if is_list_type(getattr(declared, "of_type", declared)) or is_list_type(declared):
            return self._list(named, node, value)
        return 1 + self._selection(named, node.selection_set, value)

    def _list(self, named: Any, node: FieldNode, rows: Any) -> int:
        if rows is not None:
            return sum(1 + self._selection(named, node.selection_set, row) for row in rows if row is not None)
        ids = self._argument(node, "ids")
        count = len(ids) if isinstance(ids, list) else 1
        return count * (1 + self._selection(named, node.selection_set, None))

    def _connection(self, named: Any, node: FieldNode, value: Any) -> int:
        for field in self._fields(node.selection_set):
            if field.name.value == "nodes":
                of_node = get_named_type(named.fields["nodes"].type)
                if value is not None:
                    rows = value.get("nodes") or ()
                    return 2 + sum(1 + self._selection(of_node, field.selection_set, row) for row in rows)
                first = self._argument(node, "first")
                return 2 + int(first or 0) * (1 + self._selection(of_node, field.selection_set, None))
        return 2

    def _argument(self, node: FieldNode, name: str) -> Any:
        for argument in node.arguments:
            if argument.name.value == name:
                value = value_from_ast_untyped(argument.value, dict(self._variables))
                return None if value is Undefined else value
        return None

    def _is_included(self, node: FieldNode) -> bool:
        found = get_directive_values(_INCLUDE, node, dict(self._variables))
        return found is None or bool(found["if"])

    @staticmethod
    def _fields(selection: SelectionSetNode | None) -> Iterator[FieldNode]:
        for node in () if selection is None else selection.selections:
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, FragmentSpreadNode):  # the connector uses none; the shop's author may
                continue


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
