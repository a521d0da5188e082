"""Records with made-up figures, for tests that keep them and read them back."""

from datetime import UTC, datetime, timedelta

from storage.records import CapturePolicy, Endpoint, Execution, Report, Run, Schedule, Trial, Variant

NOW = datetime(2024, 5, 1, 13, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


def run(run_id: str = "r1", *, experiment: str = "demo", created_at: datetime = NOW) -> Run:
    """A run that has begun."""
    return Run(
        id=run_id,
        experiment=experiment,
        status="running",
        data="flights.csv",
        data_digest="0" * 64,
        rows=1000,
        target="late",
        task="binary",
        metric="roc_auc",
        budget_s=60.0,
        seed=2**63 - 1,
        created_at=created_at,
    )


def trial(number: int = 0, *, run_id: str = "r1") -> Trial:
    """A trial that ended."""
    params = {"learning_rate": 0.1, "num_leaves": 31, "extra_trees": False}
    return Trial(run_id, number, "lightgbm", params, "completed", 0.9, (0.89, 0.91), 1.5, rounds=120)


def endpoint_record(name: str = "demo", *, capture: bool = False) -> Endpoint:
    """An endpoint whose one variant is `m:1`, in no store."""
    return Endpoint(name, (Variant("main", "m", 1),), 1, NOW, NOW, capture=CapturePolicy(share=float(capture)))


def report(report_id: str = "d1", *, endpoint: str = "late", created_at: datetime = NOW) -> Report:
    """A drift report without its blobs."""
    return Report(
        report_id, endpoint, "flights", 1, NOW - HOUR, NOW, "drift", True, 500, "1" * 64, "2" * 64, created_at
    )


def schedule(endpoint: str, cron: str = "0 * * * *") -> Schedule:
    """An hourly schedule."""
    return Schedule(endpoint, endpoint, cron, 0.05, NOW)


def execution(schedule: str = "late", *, scheduled_at: datetime = NOW) -> Execution:
    """A due time as it is claimed."""
    return Execution(schedule, scheduled_at, "running", scheduled_at)
