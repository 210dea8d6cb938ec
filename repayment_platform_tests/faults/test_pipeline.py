"""The pipeline as processes that are killed, doubled and repeated."""

import os
import signal
import time

import httpx
import pytest

from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import API_PATH
from repayment_platform_tests.faults.conftest import Installation

pytestmark = [pytest.mark.whole, pytest.mark.faults, pytest.mark.timeout(300)]


def test_a_pipeline_killed_in_the_middle_posts_the_rest_once_when_run_again_at_once(
    installation: Installation,
) -> None:
    killed = installation.start("pipeline")
    wait_for_postings(installation, 10)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    some = len(installation.ledger())

    installation.run("pipeline")

    assert 10 <= some < len(installation.ledger())
    assert installation.differences() == []
    assert installation.sql(
        'SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE settled_at IS NULL'
    ) == [["0"]]
    assert installation.sql("SELECT status, count(*) FROM dagster.runs GROUP BY 1 ORDER BY 1") == [
        ["FAILURE", "1"],
        ["SUCCESS", "1"],
    ]


def test_two_pipelines_at_once_post_every_payment_once(installation: Installation) -> None:
    both = [installation.start("pipeline") for _ in range(2)]
    outputs = [process.communicate(timeout=240)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    assert installation.differences() == []


def test_a_pipeline_without_fineract_ends_with_one_error_and_the_next_posts_everything(
    installation: Installation,
) -> None:
    root = f"http://127.0.0.1:{installation.sandbox_port}"
    real = {"FINERACT_BASE_URL": root + API_PATH, "FINERACT_ALLOWED_HOSTS": "127.0.0.1"}
    os.kill(httpx.get(f"{root}/sandbox/health").json()["pid"], signal.SIGKILL)

    down = installation.start("pipeline", FINERACT_PATIENCE_SECONDS="3", **real)
    output, _ = down.communicate(timeout=180)

    assert down.returncode == 1
    assert output.count("has not answered once in 3 s") == 1, output
    assert output.count("no connection to Fineract") == 1, output
    assert "posting_complete: posting stopped early" in output, output
    processed = 'SELECT count(*) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'
    assert installation.sql(processed) == [["0"]]
    with running_sandbox(installation.home, installation.sandbox_port):
        up = installation.start("pipeline", "--skip-dbt", **real)
        output, _ = up.communicate(timeout=180)
        assert up.returncode == 0, output
        assert installation.differences() == []


def wait_for_postings(installation: Installation, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(installation.ledger()) < count:
        assert time.monotonic() < deadline, "nothing was posted"
        time.sleep(0.02)


END_THE_RUNS_SESSION = """
SELECT pg_terminate_backend(l.pid)
FROM pg_locks AS l CROSS JOIN dagster.runs AS r
WHERE l.locktype = 'advisory' AND r.status = 'STARTED'
  AND ((l.classid::bigint << 32) | l.objid::bigint)
      = hashtextextended('dagster run ' || r.run_id, 0)
"""


def test_a_pipeline_whose_lock_is_lost_ends_and_says_so_and_the_next_posts_the_rest(
    installation: Installation,
) -> None:
    health = httpx.get(f"http://127.0.0.1:{installation.sandbox_port}/sandbox/health")
    fineract = health.json()["pid"]
    losing = installation.start("pipeline")
    wait_for_postings(installation, 5)
    os.kill(fineract, signal.SIGSTOP)  # or the run might be over before its lock is lost
    installation.run("sql", END_THE_RUNS_SESSION)
    os.kill(fineract, signal.SIGCONT)
    output, _ = losing.communicate(timeout=180)
    assert losing.returncode == 1, output
    assert "the lock was lost" in output, output

    installation.run("pipeline")
    assert installation.differences() == []
