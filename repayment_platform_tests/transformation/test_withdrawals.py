"""What a correction withdraws, and what it leaves because another report stands."""

from typing import Any

import pytest

from repayment_platform_tests.transformation.platform import Platform, loan

COLLECTION = (
    "Application ID", "Received Amt", "Payment Collected Date", "Status", "Unique Token No",
)  # fmt: skip
PAYMENT = "RAW_DMI_PAYMENT_CSV"


def collected(*loans: int) -> list[list[str]]:
    """What the lender's payment file says of the payments that `loan` has in the NACH file."""
    return [[f"DMI-APP-{n}", "500.00", "06/11/2025", "Clear", f"T{n}"] for n in loans]


@pytest.mark.parametrize("posted_before", [True, False])
def test_what_another_source_still_reports_is_not_withdrawn(
    platform: Platform, posted_before: bool
) -> None:
    """Withdrawn first from one file, then from the last file that told of it."""
    nach = platform.land(loan(1, "A"), loan(2, "B"))
    payments = platform.land(*collected(1, 2), source=PAYMENT, header=COLLECTION)
    if posted_before:
        platform.run()
    one_less = collected(2)
    told: dict[str, Any] = {"source": PAYMENT, "header": COLLECTION, "supersedes": payments.file_id}
    preview = platform.land(*one_less, **told, preview=True)
    assert preview.changes
    assert (preview.changes.withdrawn, preview.changes.exceptions) == (1, 0)
    platform.land(*one_less, **told)
    core = platform.run()
    assert [core[f"DMI-APP-{n}"]["observations"] for n in (1, 2)] == [1, 2]
    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "500.00")]
    assert platform.table("CORE_EXCEPTION") == []

    preview = platform.land(loan(2, "B"), supersedes=nach.file_id, preview=True)
    assert preview.changes
    assert (preview.changes.withdrawn, preview.changes.exceptions) == (1, 1)
    platform.land(loan(2, "B"), supersedes=nach.file_id)
    core = platform.run()
    assert core["DMI-APP-1"]["outcome"] == "withdrawn"
    [exception] = platform.table("CORE_EXCEPTION")
    assert exception["source_key"] == core["DMI-APP-1"]["source_key"]
    assert exception["kind"] == "withdrawn_after_posting"
    assert platform.table("CORE_OPEN_WORK") == []


def test_what_no_source_reports_any_more_leaves_open_work(platform: Platform) -> None:
    nach = platform.land(loan(99, "A"))  # nobody knows loan 99
    payments = platform.land(*collected(99), source=PAYMENT, header=COLLECTION)
    platform.run()
    platform.land(source=PAYMENT, header=COLLECTION, supersedes=payments.file_id)
    platform.run()
    assert [each["state"] for each in platform.table("CORE_OPEN_WORK")] == ["failed"]
    platform.land(loan(1, "B"), supersedes=nach.file_id)
    platform.run()
    assert platform.table("CORE_OPEN_WORK") == []
    assert platform.ledger() == [("DMI-APP-1", "500.00")]


def test_a_payment_that_waits_leaves_open_work_when_it_is_withdrawn(platform: Platform) -> None:
    first = platform.land(loan(1, "A"), loan(99, ""))  # nobody knows loan 99
    platform.run()
    assert [each["state"] for each in platform.table("CORE_OPEN_WORK")] == ["failed"]
    preview = platform.land(loan(1, "A"), supersedes=first.file_id, preview=True)
    assert preview.changes
    assert [change.posting for change in preview.changes.examples] == ["failed"]
    assert preview.changes.exceptions == 0

    platform.land(loan(1, "A"), supersedes=first.file_id)
    platform.run()
    assert platform.table("CORE_OPEN_WORK") == []
    assert platform.ledger() == [("DMI-APP-1", "500.00")]
