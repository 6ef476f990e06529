"""`channel_levels`: levels per listing. Its view and definitions stand in `store.report_channel`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule
from oms_hub.store.report_channel import CHANNEL_LEVELS

_STATES = (
    "inactive", "unmapped", "duplicate", "ignored", "untracked", "not_writable", "pending", "no_level", "in_step",
    "rejected", "push_off", "waiting",
)  # fmt: skip

REPORT = Report(
    CHANNEL_LEVELS,
    (
        Rule("state is one of the known words", lambda frame: frame["state"].isin(_STATES)),
        Rule(
            "a level that is wanted is not negative",
            lambda frame: frame["desired"].isna() | (frame["desired"] >= 0).fillna(False),
        ),
        Rule(
            "a listing in step has acknowledged = desired",
            lambda frame: (frame["state"] != "in_step") | (frame["acknowledged"] == frame["desired"]).fillna(False),
        ),
    ),
)
