"""What a killed run leaves behind, and what the next run makes of it."""

import multiprocessing
import time
from datetime import timedelta

import pytest

from repayment_platform.posting.runner import run_posting
from repayment_platform_tests.posting.conftest import AUTOMATED, DAY, Bench

pytestmark = pytest.mark.faults

WORKERS, LOANS = 50, 120
# Two thirds of the time-out are for connecting: fifty at once, on a machine with other work.
QUICK = {"fineract_timeout_seconds": 6, "fineract_settle_seconds": 1.2}


def test_a_kill_amid_fifty_requests_leaves_fifty_in_doubt_at_most_and_the_next_run_settles_them(
    bench: Bench,
) -> None:
    names = [f"LN-{n:03}" for n in range(LOANS)]
    bench.loans(*names)
    keys = {bench.payment(name, "10.00", DAY + timedelta(n)) for name in names for n in (0, 1)}
    bench.faults({"kind": "latency", "ms": 150, "jitter_ms": 150})

    kill_amid_requests(bench, after=WORKERS + 10)
    in_doubt = open_attempts(bench)
    bench.faults()
    bench.post(posting_workers=WORKERS, **QUICK)

    assert 0 < len(in_doubt) <= WORKERS
    assert open_attempts(bench) == []
    assert {key for key, _, _ in bench.ledger()} == keys
    assert bench.states() == dict.fromkeys(keys, "success")
    assert len(bench.posts()) <= len(keys) + WORKERS
    assert bench.one(
        'SELECT count(*), bool_and(settled_by = %s) FROM "CORE"."CORE_POSTING_ATTEMPT" '
        "WHERE id = ANY (%s)",
        *("lookup", in_doubt),
    ) == (len(in_doubt), True)
    sent_before_the_end_was_known = bench.one(
        'SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT" a '
        'JOIN "CORE"."CORE_POSTING_ATTEMPT" later USING (loan_external_id) '
        "WHERE a.id = ANY (%s) AND later.id > a.id AND later.intended_at < a.settled_at",
        in_doubt,
    )
    assert sent_before_the_end_was_known == (0,)


def kill_amid_requests(bench: Bench, after: int) -> None:
    """SIGKILL a run when so many of its requests have arrived."""
    settings = bench.settings.model_copy(update={"posting_workers": WORKERS, **QUICK})
    run = multiprocessing.get_context("spawn").Process(
        target=run_posting, args=(settings, bench.conninfo, AUTOMATED, "run-killed")
    )
    run.start()
    deadline = time.monotonic() + 60
    while len(bench.posts()) < after:
        assert time.monotonic() < deadline
        assert run.is_alive()
        time.sleep(0.01)
    run.kill()
    run.join()


def open_attempts(bench: Bench) -> list[int]:
    query = 'SELECT id FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE settled_at IS NULL ORDER BY id'
    return [number for (number,) in bench.connection.execute(query)]
