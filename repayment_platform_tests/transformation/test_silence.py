"""The proof that nothing is silent, each part of it made to fail."""

from collections.abc import Callable

import pytest

from repayment_platform.exceptions.silence import nothing_new_silent, nothing_silent
from repayment_platform.ledger.findings import Proof
from repayment_platform_tests.sources.reading import row
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_observations import RAZORPAY, razorpay

LOOKS = pytest.mark.parametrize("look", [nothing_silent, nothing_new_silent])


@LOOKS
def test_what_is_posted_waits_or_is_asked_about_is_not_silent(
    platform: Platform, look: Callable[[str], Proof]
) -> None:
    platform.land(loan(1, "P1"), row(Loan_Account_Number="", Presentation_Reference="P2"))
    platform.models.event(RAZORPAY, razorpay(currency="USD"))
    platform.run()
    proof = look(platform.models.urls.psycopg)
    assert (proof.findings, proof.checked) == ([], 3)


@LOOKS
@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (
            """DELETE FROM "CORE"."CORE_PAYMENT_KEY" WHERE payment_ref LIKE '%P2'""",
            "belongs to no payment",
        ),
        (
            """DELETE FROM "CORE"."CORE_TRANSACTION_DATA" WHERE payment_ref LIKE '%P2'""",
            "is not in CORE",
        ),
        (
            """UPDATE "CORE"."CORE_OPEN_WORK" SET state = 'held' WHERE payment_ref LIKE '%P2'""",
            "is held, and nothing asks about it",
        ),
        (
            """UPDATE "CORE"."CORE_TRANSACTION_DATA" SET is_success = false,
               not_repayment_reason = 'an error of ours' WHERE payment_ref LIKE '%P2'""",
            "is a success that nobody posts and nobody is asked about",
        ),
        (
            """UPDATE "CORE"."CORE_TRANSACTION_DATA" SET conflict = '90.00 rupees'
               WHERE payment_ref LIKE '%P2'""",
            "conflicting_reports is called for, and nobody is asked",
        ),
    ],
)
def test_what_nobody_would_hear_of_is_found(
    platform: Platform, look: Callable[[str], Proof], planted: str, found: str
) -> None:
    platform.pause(paused=True)
    platform.land(loan(1, "P1"), loan(2, "P2"))
    platform.run()
    platform.models.connection.execute(planted)
    findings = look(platform.models.urls.psycopg).findings
    assert any(found in finding for finding in findings)
