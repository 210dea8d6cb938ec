"""The registry: complete, and consistent in itself."""

import re
from collections import defaultdict

import pytest

from repayment_platform.sources.layouts import canonical
from repayment_platform.sources.registry import (
    LENDERS,
    SOURCES,
    Kind,
    Lender,
    Source,
    UnknownSource,
    automated_lenders,
    source_named,
)

FILES = [source for source in SOURCES.values() if source.kind is Kind.FILE]


def test_seven_lenders_send_through_sixteen_sources_and_there_may_be_more() -> None:
    assert len(SOURCES) >= 16
    assert {source.lender for source in SOURCES.values()} == set(LENDERS)
    assert automated_lenders()[:4] == ("ARTHMATE", "DMI", "IKF", "SHIVALIK")


def test_a_source_is_named_in_any_case_and_an_unknown_one_is_told_apart() -> None:
    assert source_named(" raw_dmi_nach_csv ").lender == "DMI"
    with pytest.raises(UnknownSource, match="the sources are: RAW_ARTHMATE_NACH_CSV"):
        source_named("RAW_NOBODY")


def test_sources_share_a_namespace_only_where_one_issuer_gives_the_ids() -> None:
    sharing: dict[str, set[str]] = defaultdict(set)
    for source in SOURCES.values():
        if source.ref_namespace:
            sharing[source.ref_namespace].add(source.lender)
    assert {name for name, lenders in sharing.items() if len(lenders) > 1} == {
        "razorpay", "cashfree",
    }  # fmt: skip


@pytest.mark.parametrize("source", FILES, ids=lambda source: source.table)
def test_every_file_source_knows_what_it_needs_and_reads_its_dates(source: Source) -> None:
    for layout in source.layouts:
        assert {"loan_ref", "amount", "payment_date"} <= layout.columns.keys()
        assert "status" in layout.columns or layout.default_outcome or layout.row_types
        for field, column in layout.columns.items():
            is_day = field.removesuffix("_else").endswith("_date")
            assert bool(column.date_formats) == is_day, field
        assert all(word == canonical(word) for word in layout.outcomes)


@pytest.mark.parametrize("lender", LENDERS.values(), ids=lambda lender: lender.code)
def test_a_lenders_loan_ids_are_its_own(lender: Lender) -> None:
    prefix = lender.loan_id_pattern.removesuffix("[0-9]+")
    assert re.fullmatch(lender.loan_id_pattern, f"{prefix}000123")
    others = [each for each in LENDERS.values() if each is not lender]
    assert not any(re.search(each.loan_id_pattern, f"{prefix}000123") for each in others)
