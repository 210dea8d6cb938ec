"""Reading landed files again with a corrected mapping."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repayment_platform.landing.replay import CannotReplay, ReplayResult, replay
from repayment_platform.sources import registry
from repayment_platform.sources.layouts import Column, Outcome
from repayment_platform.sources.registry import UnknownSource
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.landing.conftest import Ingest
from repayment_platform_tests.landing.tables import Connection, log, quarantine, raw, standing
from repayment_platform_tests.sources.reading import NACH, SAMPLES, row, text_of
from repayment_platform_tests.sources.test_ach_debit import BOUNCED, PAID, header
from repayment_platform_tests.sources.workbooks import write_workbook

Again = Callable[..., ReplayResult]
Correct = Callable[..., None]


@pytest.fixture
def again(database_urls: DatabaseUrls) -> Again:
    def read_again(source: str = NACH, **options: Any) -> ReplayResult:
        return replay(database_urls.psycopg, source, **options)

    return read_again


@pytest.fixture
def correct(monkeypatch: pytest.MonkeyPatch) -> Correct:
    """Correct the layouts of the source: fields, or other parts of a layout."""

    def correct_layouts(columns: dict[str, Column] | None = None, **parts: Any) -> None:
        source = registry.SOURCES[NACH]
        layouts = tuple(
            replace(each, columns={**each.columns, **(columns or {})}, **parts)
            for each in source.layouts
        )
        monkeypatch.setitem(registry.SOURCES, NACH, replace(source, layouts=layouts))

    return correct_layouts


def ref(n: int, **changes: str) -> list[str]:
    return row(Presentation_Reference=f"A{n}", Loan_Account_Number=f"DMI-APP-{n}", **changes)


def nach_outcomes(**more: Outcome) -> dict[str, Outcome]:
    return {**registry.SOURCES[NACH].layouts[0].outcomes, **more}


def test_what_reads_as_before_lands_nothing(
    ingest: Ingest, again: Again, connection: Connection
) -> None:
    ingest(text_of(ref(1), ref(2, Status="BOUNCE", Reason_Code="4"), ref(3, Amount="1,00,000.50")))
    before = raw(connection)
    result = again()
    assert (result.rows_read, result.changes.unchanged, result.left) == (3, 3, {})
    assert raw(connection) == before


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("nach_generic_lender_mis.csv", "RAW_ARTHMATE_NACH_CSV"),
        ("payment_file_dmi_collection_update.csv", "RAW_DMI_PAYMENT_CSV"),
        ("payment_file_vivriti_like.csv", "RAW_VIVRITI_PAYMENT_CSV"),
        ("razorpay_payments_report.csv", "RAW_UGRO_PAYMENT_RAZORPAY"),
        ("razorpay_settlement_recon_dashboard.csv", "RAW_UGRO_PAYMENT_RAZORPAY"),
        ("cashfree_settlement_recon_two_section.csv", "RAW_GB_PAYMENT_CASHFREE"),
    ],
)
def test_every_sample_reads_as_it_did(
    ingest: Ingest, again: Again, connection: Connection, name: str, table: str
) -> None:
    landed = ingest(SAMPLES / name, table)
    result = again(table)
    assert result.changes.unchanged == landed.rows_landed > 0
    assert len(raw(connection, table)) == landed.rows_landed


def test_only_rows_that_read_differently_land_and_name_what_they_replace(
    ingest: Ingest, again: Again, correct: Correct, connection: Connection
) -> None:
    file = ingest(text_of(ref(1), ref(2, Status="SUBMITTED"), ref(3)))
    [_, wrong, _] = raw(connection)
    correct(outcomes=nach_outcomes(submitted=Outcome.SUCCESS))

    preview = again(preview=True)
    assert len(raw(connection)) == 3
    result = again()
    assert (preview.changes, preview.preview) == (result.changes, True)
    assert (result.changes.changed, result.changes.unchanged) == (1, 2)
    [change] = result.changes.examples
    assert change.old
    assert change.new
    assert (change.old.outcome, change.new.outcome) == ("pending", "success")

    added = raw(connection)[3]
    same = ("file_id", "row_number", "cells", "loan_ref", "payment_ref", "amount", "payment_date")
    assert {name: added[name] for name in same} == {name: wrong[name] for name in same}
    assert (added["outcome"], added["replaces_id"]) == ("success", wrong["id"])
    assert added["file_id"] == file.file_id
    assert again().changes.changed == 0
    assert len(raw(connection)) == 4


def test_a_quarantined_row_that_can_be_read_lands_and_its_record_says_so(
    ingest: Ingest, again: Again, correct: Correct, connection: Connection
) -> None:
    ingest(text_of(ref(1), ref(2, Status="DONE"), ref(3, Amount="x"), ["cut", "off"]))
    assert again().still_quarantined == 2  # a row that is cut off was never split into cells
    correct(outcomes=nach_outcomes(done=Outcome.SUCCESS))
    result = again()
    assert (result.changes.added, result.still_quarantined) == (1, 1)
    landed = raw(connection)[1]
    assert (landed["row_number"], landed["loan_ref"], landed["replaces_id"]) == (
        3, "DMI-APP-2", None,
    )  # fmt: skip
    records = {each["row_number"]: each["replayed_as"] for each in quarantine(connection)}
    assert records == {3: landed["id"], 4: None, 5: None}
    [entry] = log(connection)
    assert (entry["rows_read"], entry["rows_landed"], entry["rows_quarantined"]) == (4, 2, 2)
    assert again().changes.added == 0


def test_a_row_that_cannot_be_read_any_more_is_left_as_it_stands(
    ingest: Ingest, again: Again, correct: Correct, connection: Connection
) -> None:
    ingest(text_of(ref(1), ref(2)))
    before = raw(connection)
    correct({"amount": Column(("UTR",), required=True)})
    assert again().left == {"BAD_DECIMAL": 2}
    correct({"amount": Column(("No such column",), required=True)})
    assert again().left == {"MISSING_HEADER_COLUMN": 2}
    assert raw(connection) == before


def test_a_mapping_that_gives_several_payments_one_reference_changes_nothing(
    ingest: Ingest, again: Again, correct: Correct, connection: Connection
) -> None:
    ingest(text_of(ref(1), ref(2), ref(3, Reason="Accepted")))
    before = raw(connection)
    correct({"payment_id": Column(("Reason",))})
    ingest(text_of(ref(4, Reason="Paid"), ref(5, Reason="Paid")))  # refused from the start
    assert again().changes.examples[0].new.payment_ref is None  # type: ignore[union-attr]
    correct({"payment_id": Column(("Status",))})
    result = again()
    assert result.left == {"REFERENCE_NOT_UNIQUE": 3}
    assert result.still_quarantined == 2
    assert raw(connection)[:3] == before


def test_rows_with_a_reference_that_was_not_unique_land_once_it_is(
    ingest: Ingest, again: Again, correct: Correct, connection: Connection
) -> None:
    correct({"payment_id": Column(("Settlement Date",))})
    ingest(text_of(ref(1), ref(2)))
    assert raw(connection) == []
    correct({"payment_id": Column(("Presentation Reference",))})
    assert again().changes.added == 2
    assert [each["payment_ref"] for each in raw(connection)] == ["nach-dmi:A1", "nach-dmi:A2"]


def test_a_superseded_file_is_replayed_as_what_stands_of_it(
    ingest: Ingest, again: Again, correct: Correct, connection: Connection
) -> None:
    first = ingest(text_of(ref(1), ref(2, Status="DONE"), ref(3), ref(4)))
    second = ingest(
        text_of(ref(1), ref(2, Status="DONE", Amount="7"), ref(3, Amount="8")),
        supersedes=first.file_id,
        withdraw_missing=True,
    )
    correct(outcomes=nach_outcomes(done=Outcome.SUCCESS))
    with pytest.raises(CannotReplay, match=f"{first.file_id} is not a file of {NACH} that landed"):
        again(file_id=first.file_id)
    result = again(file_id=second.file_id)
    assert (result.rows_read, result.changes.added, result.changes.unchanged) == (3, 1, 2)
    stands = sorted((each["loan_ref"], str(each["amount"])) for each in standing(connection))
    assert stands == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "7.00"), ("DMI-APP-3", "8.00")]


def test_workbooks_and_fixed_width_files_are_replayed_too(
    ingest: Ingest, again: Again, connection: Connection, tmp_path: Path
) -> None:
    book = tmp_path / "book.xlsx"
    lines = text_of(ref(1), ref(2, Status="odd\ttext")).splitlines()
    write_workbook(book, {"Sheet": [line.split(",") for line in lines]})
    ingest(book)
    ingest("\n".join([header(2, 2_130_050), PAID, BOUNCED]))
    result = again()
    assert result.changes.unchanged == len(raw(connection)) > 1
    assert result.still_quarantined == 1
    assert result.left == {}


def test_what_is_no_source_or_no_file_of_it_is_refused(ingest: Ingest, again: Again) -> None:
    other = ingest(text_of(ref(1)), "RAW_IKF_NACH_CSV")
    with pytest.raises(UnknownSource):
        again("RAW_NOBODY_CSV")
    with pytest.raises(CannotReplay):
        again(file_id=other.file_id)
    with pytest.raises(CannotReplay, match="has no files"):
        again("RAW_UGRO_RAZORPAY_API", file_id=1)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "Amount": st.sampled_from(["5", "1,000.50", "x", "₹ 7", "4.255"]),
                "Status": st.sampled_from(["SUCCESS", "BOUNCE", "odd", "98"]),
                "Reason": st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])),
                "Presentation_Reference": st.sampled_from(["", "A", "B", "=1", "5E+11"]),
            }
        ),
        max_size=12,
    )
)
def test_a_replay_with_the_same_mapping_never_lands_anything(
    ingest: Ingest, again: Again, connection: Connection, rows: list[dict[str, str]]
) -> None:
    connection.execute(f'TRUNCATE "RAW"."{NACH}", "CORE"."CORE_FILE_LOG" CASCADE')
    ingest(text_of(*(row(**changes) for changes in rows)))
    before = raw(connection)
    result = again()
    assert (result.changes.unchanged, result.left) == (len(before), {})
    assert raw(connection) == before
