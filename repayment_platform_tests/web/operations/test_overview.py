"""The numbers of the Overview against plain SQL, on random payments."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from starlette.datastructures import FormData
from starlette.requests import Request

from repayment_platform.sources.dates import KOLKATA
from repayment_platform.web.operations import overview_numbers
from repayment_platform.web.operations.admin import Visit
from repayment_platform.web.operations.auth import Visitor
from repayment_platform.web.operations.chart import chart
from repayment_platform.web.operations.overview_numbers import CHART_DAYS
from repayment_platform.web.operations.payment_list import OPEN_STATES
from repayment_platform.web.operations.show import money, number
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import Site

LENDERS = ("ARTHMATE", "DMI", "GB", "UGRO", "VIVRITI")


def fill(site: Site, seed: int) -> None:
    """Payments in every state, posted at any time of the last 40 days."""
    dice = random.Random(seed)
    for _ in range(150):
        lender = dice.choice(LENDERS)
        state = dice.choice(("success", "success", "undone", *OPEN_STATES, ""))
        loan = None if not state and dice.random() < 0.6 else "LN-1"
        key = site.payment(
            state,
            lender,
            loan,
            f"{dice.randrange(1, 10**7)}.{dice.randrange(100):02}",
            recon="RAZORPAY" if lender in ("GB", "UGRO", "VIVRITI") else None,
            is_success=bool(state) or dice.random() < 0.8,
        )
        if state == "success":
            site.connection.execute(
                """UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
                   SET processed_at = now() - make_interval(mins => %s) WHERE source_key = %s""",
                (dice.randrange(40 * 24 * 60), key),
            )
        if state == "held":
            site.hold(key)
        if dice.random() < 0.2:
            site.exception(key)
    site.connection.execute(
        """UPDATE "CORE"."CORE_EXCEPTION" SET closed_at = now()
           WHERE NOT holds AND id % 3 = 0;
           UPDATE "CORE"."CORE_HOLD" SET decision = 'release' WHERE id % 3 = 0"""
    )


def fill_around(site: Site, seed: int) -> None:
    """What else may need a person: files, rows that were not read, requests, lenders."""
    dice = random.Random(seed)
    now = datetime.now(UTC)
    for _ in range(40):
        when = now - timedelta(days=dice.randrange(1, 14), hours=-1)
        status = dice.choice(("landed", "failed"))
        site.insert(
            "CORE_FILE_LOG", name="a.csv", status=status, received_by="test", received_at=when
        )
        file = site.one('SELECT max(id) FROM "CORE"."CORE_FILE_LOG"')
        site.insert(
            "CORE_QUARANTINE", raw_table="RAW_IKF_NACH_CSV", file_id=dice.choice((file, None)),
            reason_code="BAD_DATE", reason="no date", original="row", quarantined_at=when,
            replayed_at=dice.choice((None, None, now)),
        )  # fmt: skip
        if status == "landed" and dice.random() < 0.3:
            site.insert(
                "CORE_FILE_LOG", name="b.csv", status="landed", received_by="test",
                supersedes=file,
            )  # fmt: skip
        state = dice.choice(("awaiting_approval", "failed", "done", "refused"))
        site.insert(
            "CORE_RECON_REQUEST", requested_by="asha", state=state, why="paid", selection="{}",
            digest="none", payments=1, rupees=1,
        )  # fmt: skip
    for lender in LENDERS:
        site.insert("CORE_LENDER_SETTING", source_lender=lender, paused=lender != "DMI")


def visit(site: Site) -> Visit:
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    user = Visitor("viewer", None, Role.VIEWER)
    return Visit(request, user, site.settings, site.conninfo, site.connection, FormData())


@pytest.mark.parametrize("seed", [1, 2])
def test_the_numbers_of_the_overview_are_those_of_the_tables(site: Site, seed: int) -> None:
    fill(site, seed)
    fill_around(site, seed)
    now = datetime.now(UTC)
    found = overview_numbers.numbers(visit(site), now)
    work = site.connection.execute(
        """SELECT source_lender, count(*), sum(amount), count(*) FILTER (WHERE state = 'held'),
                  count(*) FILTER (WHERE state = 'failed'), min(since)
           FROM "CORE"."CORE_OPEN_WORK" GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    names = ("lender", "payments", "rupees", "held", "failed", "oldest")
    assert [tuple(row[name] for name in names) for row in found.backlog] == work

    posted = site.connection.execute(
        """SELECT processed_at, amount FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
           WHERE status = 'success'"""
    ).fetchall()
    per_day: dict[object, list[Decimal]] = {}
    for at, amount in posted:
        per_day.setdefault(at.astimezone(KOLKATA).date(), []).append(amount)
    today = now.astimezone(KOLKATA).date()
    assert [day for day, _, _ in found.days] == [
        today - timedelta(days=n) for n in reversed(range(CHART_DAYS))
    ]
    for day, payments, rupees in found.days:
        assert (payments, rupees) == (len(per_day.get(day, [])), sum(per_day.get(day, [])))
    assert found.posted["payments"] == len(per_day.get(today, []))
    assert found.posted["rupees"] == sum(per_day.get(today, []))

    counts = {
        "holds": """FROM "CORE"."CORE_HOLD" WHERE decision IS NULL""",
        "exceptions": """FROM "CORE"."CORE_EXCEPTION" WHERE closed_at IS NULL AND NOT holds""",
        "approvals": """FROM "CORE"."CORE_OPEN_WORK" WHERE state = 'awaiting_approval'""",
        "recon": """FROM "CORE"."CORE_OPEN_WORK"
                    WHERE state = 'waiting' AND recon_source IS NOT NULL""",
        "requests": """FROM "CORE"."CORE_RECON_REQUEST" WHERE state = 'awaiting_approval'""",
        "failed_requests": """FROM "CORE"."CORE_RECON_REQUEST" WHERE state = 'failed'""",
        "failed_files": """FROM "CORE"."CORE_FILE_LOG"
                           WHERE status = 'failed' AND now() - received_at < '7 days'""",
        "quarantined": """FROM "CORE"."CORE_QUARANTINE" JOIN "CORE"."CORE_FILE_LOG" f
                          ON f.id = file_id WHERE replayed_at IS NULL
                          AND file_id NOT IN (SELECT supersedes FROM "CORE"."CORE_FILE_LOG"
                                              WHERE supersedes IS NOT NULL)""",
        "quarantined_webhooks": """FROM "CORE"."CORE_QUARANTINE" WHERE file_id IS NULL
                                   AND replayed_at IS NULL""",
        "paused": """FROM "CORE"."CORE_LENDER_SETTING" WHERE paused""",
    }
    assert counts.keys() == found.waits.keys()
    for name, query in counts.items():
        assert found.waits[name] == site.one(f"SELECT count(*) {query}") > 0, name
    assert found.unmatched["payments"] == site.one(
        """SELECT count(*) FROM "CORE"."CORE_TRANSACTION_DATA"
           WHERE loan_external_id IS NULL AND is_success"""
    )
    assert found.unmatched["rupees"] == site.one(
        """SELECT sum(amount) FROM "CORE"."CORE_TRANSACTION_DATA"
           WHERE loan_external_id IS NULL AND is_success"""
    )
    assert sum(row["payments"] for row in found.failures) == site.one(
        """SELECT count(*) FROM "CORE"."CORE_OPEN_WORK" WHERE state = 'failed'"""
    )
    assert sum(row["payments"] for row in found.states) == site.one(
        'SELECT count(*) FROM "CORE"."CORE_TRANSACTION_DATA"'
    )
    by_state = {row["state"]: (row["payments"], row["rupees"]) for row in found.states}
    assert by_state["success"] == (len(posted), sum(amount for _, amount in posted))
    assert by_state["undone"] == site.one(
        """SELECT count(*), sum(amount) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
           WHERE status = 'undone'"""
    )
    page = site.as_role(Role.VIEWER).get("/").text
    assert number(found.posted["payments"]) in page
    assert money(found.posted["rupees"]) in page


def test_an_empty_database_has_an_overview_and_every_list_says_what_comes_there(
    site: Site,
) -> None:
    browser = site.as_role(Role.VIEWER)
    for path in (
        "/", "/payments", "/log", "/log/webhooks", "/reconciliation", "/requests",
        "/exceptions", "/exceptions/unmatched", "/exceptions/posted",
    ):  # fmt: skip
        sent = browser.get(path)
        assert sent.status_code == 200, path
        assert "empty-title" in sent.text, path


def test_the_next_run_is_at_the_half_hour_unless_the_schedule_is_off(site: Site) -> None:
    for minute, due in ((0, (9, 30)), (29, (9, 30)), (30, (10, 0)), (59, (10, 0))):
        now = datetime(2026, 11, 20, 9, minute, tzinfo=KOLKATA)
        found = overview_numbers.next_run(visit(site), now)
        assert found
        assert (found.hour, found.minute) == due


def test_the_chart_names_its_unit_and_the_tallest_bar_is_the_greatest_day() -> None:
    first = datetime(2026, 11, 1, tzinfo=UTC).date()
    amounts = [Decimal(n * 100_000) for n in (1, 5, 3)]
    drawn = chart([(first + timedelta(days=n), 1, a) for n, a in enumerate(amounts)])
    assert drawn.unit == "₹ lakh"
    assert [text for _, text in drawn.lines] == ["0", "1.5", "3", "4.5", "6"]
    heights = [bar.height for bar in drawn.bars]
    assert heights[1] == pytest.approx(5 * heights[0])
    assert "₹" in drawn.bars[0].title
    assert not drawn.is_empty
    nothing = chart([(first, 0, Decimal(0))])
    assert nothing.bars[0].height == 0
    assert nothing.is_empty
