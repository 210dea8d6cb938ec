"""When doubt is settled, and what a request that left late may not do."""

import asyncio
from typing import Any

import pytest

from repayment_platform.posting.claims import Claims
from repayment_platform_tests.posting.conftest import Bench


def test_a_worker_that_is_held_up_after_its_intent_does_not_send(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1")
    write, held_up = Claims.write, [bench.settings.begin_within_seconds + 0.1]

    async def slow(self: Claims, asked: Any) -> Any:
        attempts = await write(self, asked)
        await asyncio.sleep(held_up.pop() if held_up else 0)
        return attempts

    monkeypatch.setattr(Claims, "write", slow)

    assert bench.post().total("posted") == 1

    assert bench.connection.execute(
        'SELECT outcome, settled_by, error_text FROM "CORE"."CORE_POSTING_ATTEMPT" ORDER BY id'
    ).fetchall() == [
        ("not_applied", "reply", "not sent: the worker was held up"),
        ("success", "reply", None),
    ]
    assert len(bench.posts()) == 1


def test_absence_is_proof_only_when_the_settle_time_has_passed_since_the_request_left(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1")
    bench.faults({"kind": "reset_before_work", "times": 1})

    bench.post()

    first, second = bench.posts()
    look_ups = [r["startedAt"] for r in bench.requests() if r["operation"] == "lookup"]
    assert first["startedAt"] + bench.settings.settle_seconds <= look_ups[-1] < second["startedAt"]
