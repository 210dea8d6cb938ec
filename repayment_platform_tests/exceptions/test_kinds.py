"""The registry of kinds, its page, and the questions that the SQL can ask."""

import re
from pathlib import Path

import pytest

from repayment_platform.exceptions.comparison import CALLED
from repayment_platform.exceptions.kinds import KINDS, Decision, Right
from repayment_platform.exceptions.page import page

DOCS = Path(__file__).parents[2] / "docs" / "exceptions.md"
TOLD_BY_OTHERS = {"possible_duplicate", "cleared_again", "another_loan", "by_hand"}


def test_the_page_is_what_the_registry_says() -> None:
    assert DOCS.read_text() == page()


def test_every_kind_that_closes_by_itself_is_asked_by_the_comparison() -> None:
    named = set(re.findall(r"'([a-z_]+)'", CALLED))
    named |= {f"{how}_after_posting" for how in ("changed", "refunded", "returned", "withdrawn")}
    computed = {kind.name for kind in KINDS.values() if kind.gone and kind.by == "CORE"}
    assert computed <= named | {"ledger_differs"}
    assert {kind.name for kind in KINDS.values() if not kind.gone} == TOLD_BY_OTHERS


@pytest.mark.parametrize("kind", ["refunded", "late_return"])
def test_only_an_approver_lets_money_be_posted_that_was_given_back(kind: str) -> None:
    release = KINDS[kind].choice(Decision.RELEASE)
    assert release
    assert release.right is Right.APPROVER
