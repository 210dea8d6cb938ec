"""No more is under way than the pace allows; what a run learns of it is told."""

import asyncio
import time
from typing import Any

import pytest

from repayment_platform.fineract import contract as fineract
from repayment_platform.fineract.contract import Reply
from repayment_platform.posting import engine
from repayment_platform.posting.model import Summary
from repayment_platform.posting.pace import Pace
from repayment_platform.posting.permits import Permits
from repayment_platform_tests.posting.conftest import AUTOMATED, DAY, Bench
from repayment_platform_tests.posting.test_claims import INTEND

CONFLICT = "error.msg.platform.service.lock.conflict"


def fixed(number: int) -> Permits:
    return Permits(Pace(number, floor=number))


def test_no_more_have_one_than_there_are_and_who_waits_longest_is_first() -> None:
    async def course() -> tuple[int, list[int]]:
        permits, holders, most, order = fixed(3), set(), 0, []

        async def work(number: int) -> None:
            nonlocal most
            async with permits.one():
                order.append(number)
                holders.add(number)
                most = max(most, len(holders))
                await asyncio.sleep(0.001)
                holders.remove(number)

        await asyncio.gather(*(work(number) for number in range(20)))
        return most, order

    assert asyncio.run(course()) == (3, list(range(20)))


@pytest.mark.parametrize("is_granted", [True, False])
def test_who_is_cancelled_in_the_line_takes_no_permit_along(is_granted: bool) -> None:
    async def course() -> None:
        permits = fixed(1)
        first = permits.one()
        await first.__aenter__()
        gone = asyncio.create_task(permits.one().__aenter__())
        await asyncio.sleep(0)
        if is_granted:
            await first.__aexit__(None, None, None)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        if not is_granted:
            await first.__aexit__(None, None, None)
        async with asyncio.timeout(5), permits.one():
            pass

    asyncio.run(course())


def test_a_number_that_falls_takes_nobodys_permit_but_gives_out_no_new_one() -> None:
    class Falling(Pace):
        limit = 2  # type: ignore[assignment]

    async def course() -> list[str]:
        pace, told = Falling(2), []
        permits = Permits(pace)

        async def work(name: str, until: asyncio.Event) -> None:
            async with permits.one():
                told.append(name)
                await until.wait()

        ends = [asyncio.Event() for _ in range(3)]
        tasks = [
            asyncio.create_task(work(name, end)) for name, end in zip("abc", ends, strict=True)
        ]
        await asyncio.sleep(0)
        pace.limit = 1  # type: ignore[misc]
        ends[0].set()
        await asyncio.wait(tasks[:1])
        assert told == ["a", "b"]
        ends[1].set()
        ends[2].set()
        await asyncio.gather(*tasks)
        return told

    assert asyncio.run(course()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        (fineract.Posted(1), "answered"),
        (fineract.Refused("error.msg.loan.closed", "closed", 403), None),
        (fineract.Transient(CONFLICT, "try again"), "troubled"),
        (fineract.Transient("http.429", "too many", 1), "troubled"),
        (fineract.Transient("error.msg.loan.locked", "end of day"), None),
        (fineract.Unreached("connection", "refused"), "troubled"),
        (fineract.Unknown("HTTP 500", server_trouble=True), "troubled"),
        (fineract.Unknown("duplicate", already_there=True), None),
        (fineract.SystemFault("http.401", "password"), None),
    ],
)
def test_what_an_answer_says_of_the_pace(reply: Reply, counts: str | None) -> None:
    told: list[str] = []

    class Noting(Pace):
        def answered(self, *_when: float) -> None:
            told.append("answered")

        def troubled(self, *_when: float) -> None:
            told.append("troubled")

    async def course() -> None:
        permits = Permits(Noting(5))
        async with permits.one():
            permits.replied(reply, time.monotonic())

    asyncio.run(course())
    assert told == ([counts] if counts else [])


# ── a run on real parts ─────────────────────────────────────────────────────────────────────


def post(bench: Bench, pace: Pace, run: str = "run-1", **changed: Any) -> Summary:
    settings = bench.settings.model_copy(update=changed)
    return asyncio.run(engine.post(settings, bench.conninfo, AUTOMATED, run, pace=pace))


def payments(bench: Bench, loans: int) -> set[str]:
    names = [f"LN-{n}" for n in range(loans)]
    bench.loans(*names)
    return {bench.payment(name) for name in names}


def most_at_once(requests: list[dict[str, Any]]) -> int:
    return max(
        sum(other["startedAt"] <= one["startedAt"] < other["endedAt"] for other in requests)
        for one in requests
    )


def test_repayments_tries_and_look_ups_are_all_sent_with_a_permit(bench: Bench) -> None:
    keys = payments(bench, 12)
    for n in range(20, 26):
        bench.connection.execute(INTEND, (f"k{n}", f"LN-{n}", DAY, None))
    bench.faults(
        {"kind": "latency", "ms": 20, "on": "any"},
        {"kind": "too_many_requests", "times": 2, "retry_after": 0},
    )

    summary = post(bench, Pace(2, floor=2), posting_workers=8)

    assert {key for key, state in bench.states().items() if state == "success"} == keys
    assert {request["operation"] for request in bench.requests()} == {"repayment", "lookup"}
    assert most_at_once(bench.requests()) == 2
    assert summary.pace is not None
    assert summary.pace.limit == 2


def test_an_intent_is_written_only_when_its_request_may_leave(bench: Bench) -> None:
    """Of many workers with one permit, each claims after the answer to the one before."""
    payments(bench, 8)
    bench.faults({"kind": "latency", "ms": 30})

    post(bench, Pace(1, floor=1), posting_workers=8)

    by_clock = time.time() - time.monotonic()
    answered = sorted(request["endedAt"] + by_clock for request in bench.posts())
    intended = bench.connection.execute(
        'SELECT extract(epoch FROM intended_at)::float8 FROM "CORE"."CORE_POSTING_ATTEMPT" '
        "ORDER BY intended_at"
    ).fetchall()
    for (at,), before in zip(intended[1:], answered, strict=False):
        assert at >= before - 0.005


def test_a_run_begins_with_one_at_a_time_and_grows_and_tells_of_it(bench: Bench) -> None:
    payments(bench, 60)
    bench.faults({"kind": "latency", "ms": 20})
    pace = Pace(6)

    summary = post(bench, pace, posting_workers=6)

    assert summary.pace == pace.standing
    assert 1 < pace.standing.highest <= 6
    row = bench.one(
        "SELECT run_id, under_way, highest, latency_seconds, former, why, changed_at IS NULL "
        'FROM "CORE"."CORE_POSTING_PACE"'
    )
    known = pace.standing
    told = (known.limit, known.highest, known.latency_seconds, known.former, known.why, False)
    assert row == ("run-1", *told)


def test_the_latest_run_that_sent_something_is_the_one_that_is_told_of(bench: Bench) -> None:
    payments(bench, 3)
    for run in ("first", "second", "third"):
        if run == "second":
            bench.payment("LN-1", "250.00")
        post(bench, Pace(5), run)
    assert bench.one('SELECT run_id FROM "CORE"."CORE_POSTING_PACE"') == ("second",)
