"""The Payments list and one payment's story."""

import random
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from repayment_platform.web.operations.payment_list import OPEN_STATES, STATUSES
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import DAY, Browser, Site

KEYS = re.compile(r'class="key" href="[^"]*/payments/([0-9a-f]{32})"')


def pages(browser: Browser, path: str = "/payments", **query: str) -> Iterator[list[str]]:
    """The keys of each page of a list, following its link to the next one."""
    while True:
        page = browser.get(path, **query)
        assert page.status_code == 200
        yield KEYS.findall(page.text)
        following = re.search(r'rel="next" href="[^"]*after=([^"&]*)', page.text)
        if not following:
            return
        query["after"] = following[1].replace("%7E", "~")


def listed(browser: Browser, path: str = "/payments", **query: str) -> list[str]:
    return [key for page in pages(browser, path, **query) for key in page]


def fill(site: Site) -> list[dict[str, Any]]:
    """Payments in every state and without dates; returns what a plain query says of each."""
    dice = random.Random(5)
    for n in range(260):
        state = dice.choice(("success", "undone", *OPEN_STATES, "", ""))
        site.payment(
            state,
            dice.choice(("UGRO", "DMI", "GB")),
            f"UGRO-LN-{n % 7:06}" if state or n % 3 else None,
            day=DAY - timedelta(days=dice.randrange(20)) if state or n % 5 else None,
            is_success=bool(state) or n % 2 == 0,
            ref=f"razorpay:pay_{n:06}",
            utr=f"HDFCN{n:08}",
        )
    rows = site.connection.execute(
        """SELECT source_key, source_lender, payment_date, loan_external_id, is_success,
                  (SELECT state FROM "CORE"."CORE_OPEN_WORK" w WHERE w.source_key = t.source_key),
                  (SELECT status FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                   WHERE p.source_key = t.source_key)
           FROM "CORE"."CORE_TRANSACTION_DATA" t"""
    ).fetchall()
    names = ("key", "lender", "day", "loan", "is_success", "state", "posted")
    return [dict(zip(names, row, strict=True)) for row in rows]


def status(row: dict[str, Any]) -> str:
    if row["posted"] or row["state"]:
        return str(row["posted"] or row["state"])
    if not row["is_success"]:
        return "no_repayment"
    return "waiting" if row["loan"] else "loan_unknown"


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    newest = sorted(rows, key=lambda row: (row["day"] or date(1, 1, 1), row["key"]), reverse=True)
    return [row["key"] for row in newest]


def test_paging_shows_every_payment_once_newest_first_under_every_filter(site: Site) -> None:
    rows = fill(site)
    browser = site.as_role(Role.VIEWER)
    assert listed(browser) == in_order(rows)
    assert [len(page) for page in pages(browser)] == [50] * 5 + [10]
    for one in STATUSES:
        # What has not been fed to the list of open work yet is not on it.
        expected = [r for r in rows if status(r) == one and (r["state"] or one not in OPEN_STATES)]
        assert listed(browser, status=one) == in_order(expected), one
    last = DAY - timedelta(days=5)
    first = DAY - timedelta(days=9)
    for filters in (
        {},
        {"status": "failed"},
        {"status": "success"},
        {"status": "undone"},
        {"status": "no_repayment"},
    ):
        expected = [
            row
            for row in rows
            if row["lender"] == "DMI"
            and row["day"]
            and first <= row["day"] <= last
            and filters.get("status", status(row)) == status(row)
        ]
        days = {"from": str(first), "to": str(last), "lender": "DMI"}
        assert listed(browser, **days, **filters) == in_order(expected), filters


def test_a_search_finds_by_the_whole_or_the_beginning_of_each_of_its_ids(site: Site) -> None:
    wanted = site.payment("waiting", loan="UGRO-LN-004711", ref="razorpay:pay_Ab1", utr="HDFC77")
    site.payment("waiting", loan="UGRO-LN-001000", ref="razorpay:pay_Xy9", utr="ICIC88")
    browser = site.as_role(Role.VIEWER)
    for text in (
        "UGRO-LN-004711", "ugro-ln-0047", "razorpay:pay_Ab1", "pay_Ab1", "pay_A", "HDFC77",
        "hdfc7", wanted, wanted[:8], f"  {wanted.upper()} ",
    ):  # fmt: skip
        assert listed(browser, q=text) == [wanted], text
    for text in ("pay_ab1", "GRO-LN", "%", "_", "' OR 1=1 --", "x" * 300):
        assert listed(browser, q=text) == [], text
    assert listed(browser, q="UGRO-LN", status="failed") == []
    assert listed(browser, q="UGRO-LN", lender="GB") == []


def test_an_undone_payment_says_so_and_offers_to_be_posted_again(site: Site) -> None:
    asked = site.payment("undone")
    site.hold(asked, "reversed_in_ledger")
    settled = site.payment(
        "undone", is_success=False, outcome="refund", not_repayment_reason="refunded"
    )
    approver = site.as_role(Role.APPROVER)
    for key, more in ((asked, "Decide"), (settled, "Nothing is asked: refunded.")):
        page = approver.get(f"/payments/{key}").text
        assert "it was undone in the ledger." in page
        assert "Post again" in page
        assert more in page
        assert listed(approver, q=key, status="undone") == [key]
        assert listed(approver, q=key, status="held") == []
    assert listed(approver, status="undone") == sorted((asked, settled), reverse=True)
    assert listed(approver, status="held") == []


def test_filters_that_make_no_sense_filter_nothing(site: Site) -> None:
    key = site.payment("waiting")
    browser = site.as_role(Role.VIEWER)
    assert listed(browser, lender="NOBODY", status="nothing", **{"from": "31-02-2026"}) == [key]
    assert browser.get("/payments", after="garbage~").status_code == 200


def test_a_download_has_every_row_of_the_filter_and_no_formula(site: Site) -> None:
    key = site.payment("failed", reason="=cmd|' /C calc'!A0")
    other = site.payment("waiting", lender="GB")
    sent = site.as_role(Role.VIEWER).get("/payments.csv", lender="UGRO")
    assert sent.headers["content-disposition"].startswith("attachment")
    header, line = sent.text.splitlines()
    assert header.startswith("payment_date,lender,loan,amount,status")
    assert key in line
    assert "'=cmd" in line
    assert other not in sent.text


def test_text_of_a_source_is_shown_as_text(site: Site) -> None:
    key = site.payment("failed", loan="<script>alert(1)</script>", reason="<b>bold</b>")
    browser = site.as_role(Role.VIEWER)
    for path in ("/payments", f"/payments/{key}"):
        page = browser.get(path).text
        assert "<script>alert" not in page
        assert "<b>bold" not in page


def test_a_payment_tells_its_story_in_order(site: Site) -> None:
    key = site.payment("success", ref="razorpay:pay_1")
    run = site.connection.execute
    run(
        """INSERT INTO "RAW"."RAW_UGRO_RAZORPAY_API"
           (id, event_id, event_type, body, payload, headers, signed_by, landed_at)
           VALUES (77, 'evt_1', 'payment.captured', %s, %s, '{}', 1, now() - interval '5 h')""",
        (b'{"amount":100.10}', '{"amount":100.10}'),
    )
    site.insert(
        "CORE_PAYMENT_KEY", raw_id=77, raw_table="RAW_UGRO_RAZORPAY_API", source_key=key,
        rule="new", source_lender="UGRO", reports=True, batch=1, keyed_at="2026-11-20",
    )  # fmt: skip
    hold = site.hold(key)
    run(
        """UPDATE "CORE"."CORE_HOLD" SET held_at = now() - interval '4 h', decision = 'release',
           decided_by = 'asha', decided_why = 'seen', decided_at = now() - interval '3 h'
           WHERE id = %s""",
        (hold,),
    )
    run(
        """INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender,
               loan_external_id, payment_date, amount, idempotency_key, run_id, worker,
               intended_at, outcome, settled_by, settled_at, http_status, resource_id)
           VALUES (%s, 'UGRO', 'UGRO-LN-000001', '2026-11-20', 100, 'k', 'run', 1,
                   now() - interval '2 h', 'success', 'reply', now() - interval '1 h', 200, 4711)
        """,
        (key,),
    )
    site.exception(key)
    page = site.as_role(Role.VIEWER).get(f"/payments/{key}").text
    told = [
        "Received", "evt_1", "Held for a person", "Decided by asha", "Sent to Fineract",
        "Posted in Fineract", "transaction 4711", "Exception: refunded after posting",
    ]  # fmt: skip
    story = page[page.index("Its story") :]
    places = [story.index(text) for text in told]
    assert places == sorted(places)
    assert "100.10" in story, "the number as it was sent"


def test_a_webhook_that_no_run_has_read_is_told_from_one_that_is_no_payment(site: Site) -> None:
    for number in (77, 78):
        site.connection.execute(
            """INSERT INTO "RAW"."RAW_UGRO_RAZORPAY_API"
               (id, event_id, event_type, body, headers, signed_by)
               VALUES (%s, %s, 'payment.failed', '{}', '{}', 1)""",
            (number, f"evt_{number}"),
        )
    site.connection.execute(
        """UPDATE "CORE"."CORE_RAW_CUT" SET cut_id = 77, keyed_to = 77
           WHERE raw_table = 'RAW_UGRO_RAZORPAY_API'"""
    )
    page = site.as_role(Role.VIEWER).get("/log/webhooks").text
    [unread, read] = page.split("payment.failed")[1:]
    assert "read by the next run" in unread
    assert "read by the next run" not in read
    assert ">none<" in read


@pytest.mark.parametrize("key", ["0" * 32, "nonsense", "%27"])
def test_a_key_that_no_payment_has_is_not_found(site: Site, key: str) -> None:
    assert site.as_role(Role.VIEWER).get(f"/payments/{key}").status_code == 404
