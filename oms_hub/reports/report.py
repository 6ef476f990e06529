"""What a report is to the program: its description and the rules that its rows keep.

What belongs here: the types. Each report has a module of its own, named after its table, with its `REPORT`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from oms_hub.store.report_columns import ReportDefinition
from oms_hub.store.report_refresh import stored_reports


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds in every row of a report.

    Attributes:
        sentence: the rule in words, as a problem's text shows it.
        holds: takes a frame that is not empty, returns a boolean per row.
    """

    sentence: str
    holds: Callable[[pd.DataFrame], pd.Series[bool]]


@dataclass(frozen=True, slots=True)
class Report:
    """One report: what it shows, and the rules that its rows keep beyond types, key and gaps."""

    definition: ReportDefinition
    rules: tuple[Rule, ...] = ()

    @property
    def name(self) -> str:
        """Return the name of its table or view, which is also its name on the command line."""
        return self.definition.name

    @property
    def is_stored(self) -> bool:
        """Return whether a refresh writes its rows; otherwise they are computed when read."""
        return self.name in stored_reports()


def not_negative(*names: str) -> tuple[Rule, ...]:
    """Return one rule per column: its values are at least zero."""
    return tuple(_not_negative(name) for name in names)


def _not_negative(name: str) -> Rule:
    return Rule(f"{name} is not negative", lambda frame: frame[name] >= 0)


def share(name: str) -> Rule:
    """Return the rule that a column's values are 0 to 1 where they are known."""
    return Rule(f"{name} is 0 to 1 where it is known", lambda frame: within(frame[name].dropna(), 0, 1, frame))


def within(known: pd.Series[Any], least: int, most: int, frame: pd.DataFrame) -> pd.Series[bool]:
    """Return, for every row of a frame, whether its value lies within bounds; rows without a known value pass."""
    return known.between(least, most).reindex(frame.index, fill_value=True)


def known_together(*names: str) -> Rule:
    """Return the rule that columns are known in the same rows, and missing in the others."""
    return Rule(
        f"{', '.join(names)} are known in the same rows",
        lambda frame: frame[list(names)].isna().nunique(axis=1) == 1,
    )
