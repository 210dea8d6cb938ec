"""Settlements as the page shows them: each UTR with its sums, paged without a gap."""

import re

from repayment_platform.web.operations.listing import PAGE_ROWS
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import Site


def test_a_settlement_shows_its_sums_and_the_pages_have_each_once(site: Site) -> None:
    total = PAGE_ROWS + 7
    for n in range(total):
        _settle(site, f"UTR{n:04}", day=None if n % 9 == 0 else f"2026-11-{n % 5 + 1:02}")
    browser = site.as_role(Role.VIEWER)
    page = browser.get("/reconciliation/settlements").text
    assert "not announced by the gateway" in page
    assert "98.00" in page
    seen = re.findall(r">(UTR\d{4})<", page)
    assert len(seen) == PAGE_ROWS
    following = re.search(r'rel="next" href="([^"]*)"', page)
    assert following
    seen += re.findall(r">(UTR\d{4})<", browser.client.get(following[1].replace("&amp;", "&")).text)
    assert sorted(seen) == [f"UTR{n:04}" for n in range(total)]


def test_settlements_are_narrowed_to_a_lender_and_nonsense_narrows_nothing(site: Site) -> None:
    _settle(site, "UTR0001", day="2026-11-01")
    browser = site.as_role(Role.VIEWER)
    for query in ({}, {"lender": "UGRO"}, {"differs": "yes"}, {"after": "~~"}, {"lender": "x"}):
        assert "UTR0001" in browser.get("/reconciliation/settlements", **query).text, query
    assert "UTR0001" not in browser.get("/reconciliation/settlements", lender="GB").text


def _settle(site: Site, utr: str, day: str | None) -> None:
    site.insert(
        "CORE_SETTLEMENT_LINES",
        source_lender="UGRO",
        settlement_utr=utr,
        settled_on=day,
        lines=1,
        unread_lines=0,
        gross="100.00",
        refunds="0.00",
        fees="2.00",
        net="98.00",
    )
