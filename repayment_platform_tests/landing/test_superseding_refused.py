"""Corrections that are not taken, and what it needs for them to be taken after all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.results import FileResult
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.landing.conftest import Ingest
from repayment_platform_tests.landing.tables import Connection, log, quarantine, raw, standing
from repayment_platform_tests.landing.test_superseding import counted, loan
from repayment_platform_tests.sources.reading import NACH, text_of


def test_what_is_missing_is_not_withdrawn_while_rows_cannot_be_read(
    ingest: Ingest, connection: Connection
) -> None:
    """The row that cannot be read may be the one that is missing."""
    first = ingest(text_of(loan(1, "A"), loan(2, "B")))
    before = raw(connection)
    corrected = text_of(loan(1, "A"), loan(2, "B", Amount="x"))
    seen = ingest(corrected, supersedes=first.file_id, preview=True)
    assert (counted(seen), seen.rows_quarantined) == ({"withdrawn": 1, "unchanged": 1}, 1)

    refused = ingest(corrected, supersedes=first.file_id)
    assert refused.reason_code == "ROWS_MISSING"
    assert "missing (1) while others cannot be read (1)" in str(refused.error)
    assert (raw(connection), quarantine(connection)) == (before, [])
    assert log(connection)[-1]["supersedes"] is None

    taken = ingest(corrected, supersedes=first.file_id, withdraw_missing=True)
    assert counted(taken) == {"withdrawn": 1, "unchanged": 1}
    assert taken.quarantined == {"BAD_DECIMAL": 1}
    assert taken.rows_read == 2


def test_rows_that_cannot_be_read_do_not_stop_a_correction_that_misses_none(
    ingest: Ingest, connection: Connection
) -> None:
    first = ingest(text_of(loan(1, "A")))
    result = ingest(
        text_of(loan(1, "A", Amount="7"), loan(2, Amount="x")), supersedes=first.file_id
    )
    assert (counted(result), result.rows_quarantined) == ({"changed": 1}, 1)


def test_an_earlier_version_can_be_brought_back(ingest: Ingest, connection: Connection) -> None:
    """Its bytes landed before, and its rows name the first of their chain."""
    versions = [text_of(loan(1, "A"), loan(2, "B")), text_of(loan(1, "A", Amount="7"))]
    in_force = ingest(versions[0]).file_id
    ids = [each["id"] for each in raw(connection)]
    for turn in range(1, 5):
        result = ingest(versions[turn % 2], supersedes=in_force)
        assert result.status == "landed"
        in_force = result.file_id
    assert {each["replaces_id"] for each in raw(connection)[2:]} == set(ids)
    assert [str(each["amount"]) for each in standing(connection)] == ["500.00", "500.00"]
    assert counted(result) == {"changed": 2}
    assert [each["restored_by"] for each in log(connection)] == [3, 4, 5, None, None]

    again = ingest(versions[0])
    assert (again.status, again.duplicate_of) == ("duplicate", in_force)


def test_only_what_the_file_in_force_replaced_can_be_brought_back(
    ingest: Ingest, connection: Connection
) -> None:
    """The same bytes in another place would be the same money twice."""
    text = text_of(loan(1, "A"))
    first = ingest(text)
    other = ingest(text_of(loan(2, "B")))
    second = ingest(text_of(loan(1, "A", Amount="7")), supersedes=first.file_id)
    before = raw(connection)
    for file_id in (first.file_id, other.file_id, 999):
        assert ingest(text, supersedes=file_id).duplicate_of == first.file_id
    current = text_of(loan(1, "A", Amount="7"))
    assert ingest(current, supersedes=second.file_id).duplicate_of == second.file_id
    assert raw(connection) == before


def test_a_file_that_cannot_be_superseded_is_refused_with_the_reason(
    ingest: Ingest, connection: Connection, tmp_path: Path
) -> None:
    first = ingest(text_of(loan(1, "A")))
    other = ingest(text_of(loan(1, "A")), "RAW_IKF_NACH_CSV")
    failed = ingest("nothing")
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(text_of(loan(1, "A")), newline="")
    duplicate = ingest(renamed)
    second = ingest(text_of(loan(1, "A", Amount="7")), supersedes=first.file_id)
    before = raw(connection)
    for file_id, told in {
        999: "there is no file 999",
        other.file_id: "is of RAW_IKF_NACH_CSV, not of RAW_DMI_NACH_CSV",
        failed.file_id: "is failed and has no rows",
        duplicate.file_id: f"is a duplicate; supersede file {first.file_id}",
        first.file_id: f"is superseded by file {second.file_id} already; supersede that one",
    }.items():
        result = ingest(text_of(loan(1, "A", Amount="8")), supersedes=file_id)
        assert result.reason_code == "CANNOT_SUPERSEDE"
        assert told in str(result.error)
        assert log(connection)[-1]["error"] == result.error
    assert raw(connection) == before


def test_a_correction_that_cannot_be_taken_leaves_the_old_file_in_force(
    ingest: Ingest, connection: Connection
) -> None:
    first = ingest(text_of(loan(1, "A"), loan(2, "B")))
    before = raw(connection)
    wrong_total = text_of(loan(1, "A"), ["Total", "", "", "7", *[""] * 5])
    assert ingest(wrong_total, supersedes=first.file_id).reason_code == "CONTROL_TOTAL_MISMATCH"
    assert raw(connection) == before
    assert log(connection)[1]["supersedes"] is None
    assert ingest(text_of(loan(1, "A")), supersedes=first.file_id).status == "landed"


def test_of_two_corrections_at_once_one_is_refused(
    database_urls: DatabaseUrls, ingest: Ingest, connection: Connection, tmp_path: Path
) -> None:
    first = ingest(text_of(*(loan(n, f"A{n}") for n in range(300))))

    def correct(amount: int) -> FileResult:
        path = tmp_path / f"{amount}.csv"
        path.write_text(text_of(*(loan(n, f"A{n}", Amount=f"{amount}") for n in range(300))))
        return ingest_file(
            database_urls.psycopg, path, NACH, received_by="test", supersedes=first.file_id
        )

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(correct, (7, 8)))
    assert sorted(result.status for result in results) == ["failed", "landed"]
    assert len(raw(connection)) == 600
