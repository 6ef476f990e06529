"""The short way through graphql-core answers exactly as the library's own."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import ExecutionContext, build_schema, execute_sync, parse

from connectors.shopify.sandbox_execution import PracticeExecution

SCHEMA = build_schema("""
    scalar Money
    enum Colour { RED GREEN }
    interface Named { name: String! }
    type Query { shop: Shop, must: Shop!, named: Named, at(place: String): Shop, nothing: Int! }
    type Shop implements Named {
        name: String!, size: Int, ratio: Float, open: Boolean, colour: Colour, price: Money
        owner: Owner, boss: Owner!, owners: [Owner!]!, sizes: [Int]
    }
    type Owner implements Named { name: String!, shop: Shop }
""")
OWNER = {"name": "Ana"}
SHOP: dict[str, Any] = {
    "name": "Café", "size": 3, "ratio": 2, "open": True, "colour": "RED", "price": "1.50",
    "owner": OWNER, "boss": OWNER, "owners": [OWNER, OWNER], "sizes": [1, None],
}  # fmt: skip
ALL = "name size ratio open colour price owner { name } boss { name } owners { name } sizes"


def answered(context: type[ExecutionContext], text: str, root: dict[str, Any]) -> tuple[Any, list[Any]]:
    result = execute_sync(
        SCHEMA,
        parse(text),
        root_value=root,
        field_resolver=lambda source, info, **arguments: (
            found(**arguments) if callable(found := source.get(info.field_name)) else found
        ),
        type_resolver=lambda value, _info, _kind: "Shop" if "size" in value else "Owner",
        execution_context_class=context,
    )
    return result.data, [error.formatted for error in result.errors or ()]


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (f"{{ shop {{ {ALL} }} }}", {}),
        ("{ shop { a: name b: owner { c: name } __typename } }", {}),
        ("{ named { name ... on Shop { size } } }", {}),
        ("{ at(place: \"here\") { name } }", {}),
        ("{ shop { size owner { name } } }", {"size": None, "owner": None}),
        ("{ shop { size name } }", {"size": "three"}),
        ("{ shop { size name } }", {"size": 2**40}),
        ("{ shop { colour name } }", {"colour": "BLUE"}),
        ("{ shop { name size } }", {"name": None}),
        ("{ shop { size boss { name } } }", {"boss": {"name": None}}),
        ("{ shop { size owner { name } } }", {"owner": {"name": None}}),
        ("{ must { boss { name } } shop { name } }", {"boss": None}),
        ("{ shop { size } }", {"size": lambda: 7}),
        ("{ shop { name nonsense } }", {}),
        ("{ shop { name @skip(if: true) size } }", {}),
    ],
)  # fmt: skip
def test_every_answer_and_every_error_is_the_librarys_own(text: str, changes: dict[str, Any]) -> None:
    shop = {**SHOP, **changes}
    root = {"shop": shop, "must": shop, "named": shop, "at": lambda place: {"name": place}, "nothing": None}
    assert answered(PracticeExecution, text, root) == answered(ExecutionContext, text, root)


def test_sources_that_are_no_plain_dicts_go_the_long_way() -> None:
    class Kept(dict[str, Any]):
        """A mapping of its own."""

    root = {"shop": Kept(SHOP)}
    text = "{ shop { name owner { name } } }"
    assert answered(PracticeExecution, text, root) == ({"shop": {"name": "Café", "owner": {"name": "Ana"}}}, [])
