"""The reports as dbt sources: a `sources.yml` made from the definitions, so that it is never behind."""

from __future__ import annotations

import json
from collections.abc import Iterator

from oms_hub.reports.registry import REPORTS
from oms_hub.reports.report import Report
from oms_hub.store.report_schema import SCHEMA

_HEAD = f"""version: 2

sources:
  - name: oms_hub
    description: "Report tables of oms-hub; made by: oms-hub report sources"
    schema: {SCHEMA}
    tables:
"""


def dbt_sources() -> str:
    """Return the file: every report with its columns, their types and comments, and which of them are never null."""
    return _HEAD + "".join(line for report in REPORTS.values() for line in _table(report))


def _table(report: Report) -> Iterator[str]:
    definition = report.definition
    yield f"      - name: {definition.name}\n"
    yield f"        description: {_quoted(f'{definition.title}. {definition.comment}')}\n"
    yield f"        meta: {{key: [{', '.join(definition.key)}]}}\n"
    yield "        columns:\n"
    for column in definition.columns:
        yield f"          - name: {column.name}\n"
        yield f"            description: {_quoted(column.comment)}\n"
        yield f"            data_type: {_quoted(column.kind.value)}\n"
        if not column.has_gaps:
            yield "            data_tests: [not_null]\n"


def _quoted(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)
