"""Dagster's old runs are deleted, the young and the unfinished stay."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.purge import delete_run


@dg.job
def some_job() -> None:
    """Do nothing."""


def run_ids(world):
    return {run.run_id for run in world.instance.get_runs() if run.job_name == "some_job"}


def test_ended_runs_beyond_the_limit_go_with_their_events_some_at_a_time(world):
    ended = [some_job.execute_in_process(instance=world.instance).run_id for _ in range(3)]
    going = world.instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.STARTED, run_id=None).run_id
    world.hub.clock.now = datetime.now(UTC) + timedelta(days=29)
    assert world.run("purge_old_runs").success
    assert run_ids(world) == {*ended, going}
    world.hub.clock.advance(2 * 86_400)
    assert world.run("purge_old_runs", delete_old_runs={"at_most": 2}).success
    assert run_ids(world) == {ended[2], going}
    assert world.instance.all_logs(ended[0]) == []
    assert world.run("purge_old_runs").success
    assert run_ids(world) == {going}


def test_how_old_a_run_may_be_is_the_jobs_configuration(world):
    ended = some_job.execute_in_process(instance=world.instance).run_id
    world.hub.clock.now = datetime.now(UTC) + timedelta(days=5)
    world.run("purge_old_runs", delete_old_runs={"older_than_days": 6})
    assert run_ids(world) == {ended}
    world.run("purge_old_runs", delete_old_runs={"older_than_days": 4})
    assert run_ids(world) == set()


def test_on_sqlite_no_file_of_a_deleted_run_is_left(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        run_id, kept_id = (some_job.execute_in_process(instance=instance).run_id for _ in range(2))
        logs = tmp_path / "storage" / run_id
        assert (tmp_path / "history" / "runs" / f"{run_id}.db").is_file()
        delete_run(instance, run_id)
        assert [path for path in tmp_path.rglob("*") if run_id in path.name] == []
        assert not logs.exists()
        assert (tmp_path / "history" / "runs" / f"{kept_id}.db").is_file()
        assert [run.run_id for run in instance.get_runs()] == [kept_id]
