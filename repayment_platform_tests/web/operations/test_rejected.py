"""Saying, on the payment's page, that its repayment was rejected in Fineract."""

from decimal import Decimal

from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import DAY, Site
from repayment_platform_tests.web.operations.test_repost import LOAN, site

__all__ = ["site"]


def test_an_approver_says_that_a_repayment_was_rejected_and_it_waits_again(site: Site) -> None:
    key = site.payment("awaiting_approval", loan=LOAN)
    site.insert(
        "CORE_POSTING_ATTEMPT",
        source_key=key,
        source_lender="UGRO",
        loan_external_id=LOAN,
        payment_date=DAY,
        amount=Decimal("100.00"),
        idempotency_key="k",
        run_id="run",
        worker=1,
        intended_at="2025-11-20 10:00+05:30",
        error_code="awaiting_approval",
    )
    page, path = f"/payments/{key}", f"/payments/{key}/rejected"
    offered = "It was rejected in Fineract"
    assert offered not in site.as_role(Role.OPERATOR).get(page).text
    approver = site.as_role(Role.APPROVER)
    assert offered in approver.get(page).text
    before = site.state()
    approver.post(path, {"why": ""})
    assert site.state() == before

    approver.post(path, {"why": "wrong button"})

    assert "once it is reconciled again" in approver.told()
    assert site.audited() == [("approver", "payment.rejected", key)]
    shown = approver.get(page).text
    assert "rejected in Fineract: wrong button" in shown
    assert offered not in shown
    approver.post(path, {"why": "once more"})
    assert "Nothing was changed: it does not await approval in Fineract" in approver.told()
