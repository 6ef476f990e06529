"""What Dagster sees of the hub: names are a promise, everything that acts by itself is off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import build_defs
from oms_hub.store.report_ties import TIES
from oms_hub.testing.fake_channel import fake_channel

ROOT = Path(__file__).resolve().parents[2]
REPORT_NAMES = {
    "abc", "channel_levels", "channel_profit_daily", "customers_rfm", "demand_hourly", "exceptions", "fulfilment_daily",
    "inventory_daily", "payments_daily", "reconciliation_daily", "reorder", "restatements", "returns_daily",
    "sales_base_daily", "sales_by_sku_daily", "sales_daily", "sku_costs", "stock_ageing", "stock_cover", "stock_levels",
    "sync_health",
}  # fmt: skip


@pytest.fixture(scope="module")
def defs():
    return build_defs(channels={"fake": fake_channel(), "till": fake_channel(name="till", stock_write=None)})


@pytest.fixture(scope="module")
def specs(defs):
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_assets_are_named_by_layer_and_channel(specs):
    assert set(specs) >= {f"out__{name}" for name in REPORT_NAMES}
    assert {name for name in specs if not name.startswith("out__")} == {
        "raw_fake__orders",
        "raw_fake__listings",
        "raw_fake__stock",
        "out_fake__stock_push",
        "raw_fake__reconciled_orders",
        "raw_till__orders",
        "raw_till__reconciled_orders",
        "raw_till__listings",
        "core__orders",
        "core__allocations",
        "core__push_plan",
        "core__alerts",
    }


def test_assets_are_grouped_by_layer_and_channel(specs):
    groups = {name: spec.group_name for name, spec in specs.items() if not name.startswith("out__")}
    assert groups == {
        "raw_fake__orders": "raw_fake",
        "raw_fake__listings": "raw_fake",
        "raw_fake__stock": "raw_fake",
        "out_fake__stock_push": "out_fake",
        "raw_fake__reconciled_orders": "raw_fake",
        "raw_till__orders": "raw_till",
        "raw_till__reconciled_orders": "raw_till",
        "raw_till__listings": "raw_till",
        "core__orders": "core",
        "core__allocations": "core",
        "core__push_plan": "core",
        "core__alerts": "core",
    }
    assert {spec.group_name for name, spec in specs.items() if name.startswith("out__")} == {"reports"}


def test_every_asset_has_description_owner_kinds_and_columns(specs):
    for name, spec in specs.items():
        assert spec.description, name
        assert spec.owners == ["team:data-engineering"], name
        assert "postgres" in spec.kinds, name
        schema = spec.metadata["dagster/column_schema"]
        assert len(schema.columns) > 3, name


def test_the_columns_are_those_of_the_tables(specs):
    columns = [column.name for column in specs["out__sales_daily"].metadata["dagster/column_schema"].columns]
    assert columns[:5] == ["merchant", "connection", "business_date", "currency", "channel"]
    assert specs["out__sales_daily"].metadata["dagster/table_name"] == "reports.sales_daily"
    orders = {column.name for column in specs["core__orders"].metadata["dagster/column_schema"].columns}
    assert orders >= {"connection_id", "channel_order_id", "placed_at", "total", "currency"}


def test_connections_are_the_only_partitions(specs):
    partitioned = {name for name, spec in specs.items() if spec.partitions_def is not None}
    assert {specs[name].partitions_def.name for name in partitioned} == {"connections"}
    assert partitioned == {name for name in specs if "__" in name} - {
        "core__allocations",
        "core__push_plan",
        "core__alerts",
    } - {name for name in specs if name.startswith("out__")}


def test_there_is_a_job_for_each_piece_of_work(defs):
    jobs = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert jobs == {
        "sync_fake", "listings_fake", "deliver_fake", "reconcile_fake", "sync_till", "listings_till", "reconcile_till", "normalise_orders", "plan_push",
        "refresh_report_tables", "sync_shard", "purge_old_runs", "tell_alerts",
    }  # fmt: skip
    assert all(defs.resolve_job_def(name).description for name in jobs)


def test_schedules_and_sensors_are_off_until_somebody_turns_them_on(defs):
    schedules = {schedule.name: schedule for schedule in defs.schedules}
    assert {name: schedule.cron_schedule for name, schedule in schedules.items()} == {
        "sync_fake_schedule": "*/5 * * * *",
        "sync_till_schedule": "*/5 * * * *",
        "listings_fake_schedule": "17 4 * * *",
        "listings_till_schedule": "17 4 * * *",
        "reconcile_fake_schedule": "37 4 * * *",
        "reconcile_till_schedule": "37 4 * * *",
        "sync_shard_schedule": "*/5 * * * *",
        "refresh_report_tables_schedule": "5 * * * *",
        "purge_old_runs_schedule": "40 3 * * 0",
    }
    sensors = {sensor.name: sensor for sensor in defs.sensors}
    assert set(sensors) == {
        "new_connections", "normalise_waiting", "plan_when_stock_changed", "deliver_due_fake", "tell_of_alerts",
        "tell_of_failures",
    }  # fmt: skip
    for schedule in schedules.values():
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
        assert schedule.description
    for sensor in sensors.values():
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
        assert sensor.description


def test_checks_that_keep_wrong_data_back_are_blocking(defs):
    graph = defs.resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    others = {key.name for key in graph.asset_check_keys} - blocking
    assert blocking == {
        "raw_has_order_or_exception", "totals_tie", "ledger_is_balance", "no_lost_movement", "no_unreadable_payload",
        *TIES,
    }  # fmt: skip
    assert others == {"connections_are_fresh", "keeps_its_contract"}


def test_runs_have_one_process(defs):
    assert defs.executor is dg.in_process_executor


def test_the_installed_channels_are_loaded_by_the_registry():
    keys = {key.to_user_string() for key in build_defs().resolve_all_asset_keys()}
    assert keys >= {"raw_shopify__orders", "raw_woocommerce__orders", "raw_pos_feed__orders"}


@pytest.mark.slow
def test_the_code_location_loads_in_a_fresh_interpreter_from_any_folder(tmp_path):
    program = str(Path(sys.executable).with_name("dagster"))
    environment = {**os.environ, "DAGSTER_HOME": str(ROOT), "OMS_HUB_HOME": str(tmp_path)}
    environment.pop("OMS_HUB_DAGSTER_DATABASE_URL", None)
    done = subprocess.run(
        [program, "definitions", "validate", "-w", str(ROOT / "workspace.yaml")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location oms_hub" in done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == []
