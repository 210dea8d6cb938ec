"""Having a refused payment sent again, on its page."""

from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import Site


def test_an_operator_has_a_refused_payment_sent_without_asking_first(site: Site) -> None:
    key = site.payment("failed", reason="Client is not active")
    page, path = f"/payments/{key}", f"/payments/{key}/send-again"
    assert "Send again" not in site.as_role(Role.VIEWER).get(page).text
    operator = site.as_role(Role.OPERATOR)
    assert "Send again" in operator.get(page).text
    before = site.state()
    operator.post(path, {"why": ""})
    assert site.state() == before

    operator.post(path, {"why": "the client is active again"})

    assert "to be sent again once it is reconciled again" in operator.told()
    assert site.audited() == [("operator", "payment.send_again", key)]
    shown = operator.get(page).text
    assert "to be sent again: the client is active again" in shown
    assert "Send it again" not in shown
    operator.post(path, {"why": "once more"})
    assert "Nothing was changed: it is none that Fineract refused" in operator.told()
