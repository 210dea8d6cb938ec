"""Files into RAW: all or nothing, once, every row accounted for."""

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from repayment_platform.landing import file_log, files
from repayment_platform.landing.results import Arrival, FileResult, FileStatus
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.landing.conftest import Ingest
from repayment_platform_tests.landing.tables import Connection, log, quarantine, raw
from repayment_platform_tests.sources.reading import HEADER, NACH, SAMPLES, row, text_of


def test_a_file_lands_with_its_cells_and_its_values(ingest: Ingest, connection: Connection) -> None:
    result = ingest(SAMPLES / "nach_generic_lender_mis.csv", "raw_arthmate_nach_csv")
    assert (result.status, result.rows_read, result.rows_landed) == ("landed", 4, 4)
    rows = raw(connection, "RAW_ARTHMATE_NACH_CSV")
    assert [each["row_number"] for each in rows] == [2, 3, 4, 5]
    assert {each["file_id"] for each in rows} == {result.file_id}
    assert rows[1]["cells"]["Customer Name"] == " B BORROWER "
    assert rows[1]["cells"]["Amount"] == "1,25,000.00"
    assert (str(rows[1]["amount"]), rows[1]["outcome"], rows[1]["reason_code"]) == (
        "125000.00", "return", "04",
    )  # fmt: skip


def test_the_log_says_what_was_in_the_file(ingest: Ingest, connection: Connection) -> None:
    path = SAMPLES / "nach_generic_lender_mis.csv"
    ingest(path, "RAW_ARTHMATE_NACH_CSV")
    (entry,) = log(connection)
    expected = {
        "raw_table": "RAW_ARTHMATE_NACH_CSV", "source_lender": "ARTHMATE", "name": path.name,
        "size_bytes": path.stat().st_size, "encoding": "utf-8", "delimiter": ",",
        "layout": "nach", "rows_read": 4, "rows_landed": 4, "rows_quarantined": 0,
        "status": "landed", "error": None, "received_by": "test",
    }  # fmt: skip
    assert {name: entry[name] for name in expected} == expected
    assert len(entry["sha256"]) == 64
    assert entry["seconds"] > 0
    assert entry["control_totals"]["declared"] == [
        {"line": 6, "amount": "153300.50", "agrees": True}
    ]


def test_a_row_with_a_bad_amount_is_quarantined_with_its_text(
    ingest: Ingest, connection: Connection
) -> None:
    result = ingest(text_of(row(), row(Amount="12,5OO.00"), row(Presentation_Reference="NPT2")))
    assert (result.rows_read, result.rows_landed, result.rows_quarantined) == (3, 2, 1)
    (bad,) = quarantine(connection)
    assert (bad["reason_code"], bad["row_number"], bad["raw_table"]) == ("BAD_DECIMAL", 3, NACH)
    assert bad["file_id"] == result.file_id
    assert bad["original"].startswith('DMI-APP-1,HDFC7011311230001234,06/11/2025,"12,5OO.00"')
    assert result.quarantined == {"BAD_DECIMAL": 1}
    assert result.examples[0].row_number == 3


def test_the_same_bytes_again_are_a_duplicate_under_any_name(
    ingest: Ingest, connection: Connection, tmp_path: Path
) -> None:
    text = text_of(row())
    first = ingest(text)
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(text, newline="")
    again = ingest(renamed)
    assert (again.status, again.duplicate_of) == ("duplicate", first.file_id)
    assert len(raw(connection)) == 1
    assert [(e["status"], e["duplicate_of"]) for e in log(connection)] == [
        ("landed", None),
        ("duplicate", first.file_id),
    ]
    entry = log(connection)[1]
    assert (again.rows_read, again.rows_duplicate, again.rows_landed) == (1, 1, 0)
    assert (entry["rows_read"], entry["rows_duplicate"]) == (1, 1)


def test_a_file_that_failed_may_be_sent_again(ingest: Ingest, connection: Connection) -> None:
    bad = text_of(row(), ["Total", "", "", "501.00", *[""] * 5])
    assert [ingest(bad).status, ingest(bad).status] == ["failed", "failed"]
    assert ingest(text_of(row())).status == "landed"


def test_one_file_brought_by_several_at_once_lands_once(
    ingest: Ingest, connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    path.write_text(text_of(*(row(Presentation_Reference=f"NPT{n}") for n in range(3000))))
    start = threading.Barrier(4)

    def land(_: int) -> FileResult:
        start.wait()
        return ingest(path)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(land, range(4)))
    assert sorted(result.status for result in results) == [*["duplicate"] * 3, "landed"]
    assert len(raw(connection)) == 3000
    landed = next(result.file_id for result in results if result.status is FileStatus.LANDED)
    assert {result.duplicate_of for result in results} == {None, landed}


@pytest.mark.parametrize(
    ("content", "source", "code"),
    [
        ("anything", "RAW_NOBODY_CSV", "UNKNOWN_SOURCE"),
        ("anything", "RAW_UGRO_RAZORPAY_API", "UNKNOWN_SOURCE"),
        ("", NACH, "EMPTY_FILE"),
        ("no table\n", NACH, "NOT_A_TABLE"),
        ("Loan Account Number,Amount,Status\n1,2,3\n", NACH, "MISSING_HEADER_COLUMN"),
        (text_of(row(), ["Total", "", "", "7", *[""] * 5]), NACH, "CONTROL_TOTAL_MISMATCH"),
    ],
)
def test_a_file_that_cannot_be_taken_is_entered_as_failed_and_lands_nothing(
    ingest: Ingest, connection: Connection, content: str | bytes, source: str, code: str
) -> None:
    result = ingest(content, source)
    assert result.status is FileStatus.FAILED
    assert result.reason_code == code
    (entry,) = log(connection)
    assert (entry["status"], entry["error"], entry["id"]) == (
        "failed", result.error, result.file_id,
    )  # fmt: skip
    assert not raw(connection)
    assert not quarantine(connection)


def test_a_file_that_is_not_there_or_no_file_is_entered_as_failed(
    ingest: Ingest, connection: Connection, tmp_path: Path
) -> None:
    assert ingest(tmp_path / "nowhere.csv").reason_code == "UNREADABLE_FILE"
    assert ingest(tmp_path).reason_code == "UNREADABLE_FILE"
    assert [(e["name"], e["sha256"]) for e in log(connection)] == [
        ("nowhere.csv", None), (tmp_path.name, None),
    ]  # fmt: skip


def test_a_file_that_grows_while_it_is_read_is_not_landed(
    ingest: Ingest, connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    path.write_text(text_of(row()))

    def grow(done: int, total: int) -> None:
        with path.open("a") as file:
            file.write(",".join(row()) + "\n")

    assert ingest(path, progress=grow).reason_code == "FILE_CHANGED"
    assert not raw(connection)


def test_a_header_without_rows_lands_as_an_empty_file(
    ingest: Ingest, connection: Connection
) -> None:
    result = ingest(text_of())
    assert (result.status, result.rows_read) == ("landed", 0)
    assert log(connection)[0]["status"] == "landed"


def test_a_preview_says_what_would_happen_and_changes_nothing(
    ingest: Ingest, connection: Connection
) -> None:
    text = text_of(row(), row(Amount="x"), row(Status="BOUNCE", Presentation_Reference="NPT2"))
    preview = ingest(text, preview=True)
    assert preview.preview
    assert (preview.rows_read, preview.rows_landed, preview.quarantined) == (
        3, 2, {"BAD_DECIMAL": 1},
    )  # fmt: skip
    assert preview.counts is not None
    assert preview.counts.outcomes == {"success": 1, "return": 1}
    assert [*raw(connection), *quarantine(connection), *log(connection)] == []
    assert ingest(b"", preview=True).reason_code == "EMPTY_FILE"
    assert not log(connection)
    ingest(text)
    assert ingest(text, preview=True).status is FileStatus.DUPLICATE


def test_rows_that_share_a_reference_but_not_the_money_are_quarantined(
    ingest: Ingest, connection: Connection
) -> None:
    result = ingest(
        text_of(
            row(Presentation_Reference="A"),
            row(Presentation_Reference="A", Loan_Account_Number="DMI-APP-2"),
            row(Presentation_Reference="B"),
            row(Presentation_Reference="B", Amount="501"),
            row(Presentation_Reference="C"),
        )
    )
    assert result.quarantined == {"REFERENCE_NOT_UNIQUE": 4}
    assert (result.rows_read, result.rows_landed) == (5, 1)
    assert [each["payment_ref"] for each in raw(connection)] == ["nach-dmi:C"]
    assert [each["row_number"] for each in quarantine(connection)] == [2, 3, 4, 5]
    assert json.loads(quarantine(connection)[0]["original"])["Presentation Reference"] == "A"


def test_money_taken_back_may_be_a_part_and_need_not_name_the_loan(ingest: Ingest) -> None:
    back = {"Status": "Reversed", "Amount": "200.00", "Loan_Account_Number": ""}
    result = ingest(text_of(row(), row(**back)))
    assert (result.rows_landed, result.quarantined) == (2, {})


def test_comparing_references_costs_no_more_than_reading_the_rows(ingest: Ingest) -> None:
    alone = [row(Presentation_Reference=f"A{n}") for n in range(20_000)]
    shared = [row(Presentation_Reference=f"S{n // 2}", Amount=f"{n}") for n in range(2_000)]
    result = ingest(text_of(*alone, *shared))
    assert result.quarantined == {"REFERENCE_NOT_UNIQUE": 2_000}
    assert result.seconds < 20  # a second or two; minutes when each is compared with every other


def test_the_planner_knows_of_a_large_file_at_once(
    ingest: Ingest, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ANALYZE_FROM", 10)
    # 0 instead of -1 where PostgreSQL has looked at the empty table by itself.
    planned = f"""SELECT greatest(reltuples, 0) FROM pg_class
                  WHERE oid = '"RAW"."{NACH}"'::regclass"""
    ingest(text_of(*(row(Presentation_Reference=f"A{n}") for n in range(9))))
    assert connection.execute(planned).fetchone() == (0,)
    ingest(text_of(*(row(Presentation_Reference=f"B{n}") for n in range(10))))
    assert connection.execute(planned).fetchone() == (19,)


def test_rows_that_report_one_payment_several_times_stay(
    ingest: Ingest, connection: Connection
) -> None:
    result = ingest(
        text_of(
            row(Status="BANK EXTENDED", Reason_Code="98"),
            row(),
            row(Loan_Account_Number=" dmi-app-1/EMI5"),
            row(Loan_Account_Number=""),
            row(),
        )
    )
    assert (result.rows_landed, result.rows_quarantined) == (5, 0)


def test_part_of_a_payment_may_be_given_back(ingest: Ingest, connection: Connection) -> None:
    header = ["entity_id", "type", "amount", "created_at", "payment_id", "notes"]
    rows = [
        *[["pay_A", "payment", "500", "19/11/2025 08:40:00", "", '{"loan_id":"UGRO-LN-1"}']] * 2,
        ["rfnd_B", "refund", "200", "20/11/2025 08:40:00", "pay_A", "[]"],
    ]
    result = ingest(text_of(*rows, header=header), "RAW_UGRO_PAYMENT_RAZORPAY")
    assert (result.rows_landed, result.rows_quarantined) == (3, 0)


def test_progress_reaches_the_end_of_the_file(ingest: Ingest) -> None:
    seen: list[tuple[int, int]] = []
    ingest(text_of(row()), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0


def test_what_a_dead_process_left_landing_is_closed_and_what_lands_now_is_not(
    database_urls: DatabaseUrls, connection: Connection
) -> None:
    dead = file_log.register(connection, Arrival("dead.csv", "test"))
    alive = file_log.register(connection, Arrival("alive.csv", "test"))
    with psycopg.connect(database_urls.psycopg) as other:
        file_log.claim(other, alive)
        assert file_log.close_interrupted(connection) == 1
    entries = {entry["id"]: entry for entry in log(connection)}
    assert entries[dead]["status"] == "failed"
    assert entries[dead]["error"].startswith("INTERRUPTED")
    assert entries[alive]["status"] == "landed"


def test_a_file_that_was_taken_for_interrupted_and_lands_says_so_no_more(
    database_urls: DatabaseUrls, connection: Connection
) -> None:
    """Another process may come between its entry and its landing."""
    alive = file_log.register(connection, Arrival("alive.csv", "test"))
    assert file_log.close_interrupted(connection) == 1
    file_log.claim(connection, alive)
    [entry] = log(connection)
    assert (entry["status"], entry["error"]) == ("landed", None)


@pytest.mark.faults
def test_a_process_killed_in_the_middle_leaves_nothing_and_the_file_lands_next_time(
    database_urls: DatabaseUrls, ingest: Ingest, connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "file.csv"
    path.write_text(text_of(row()), newline="")
    killed = (
        "import os, signal, sys\n"
        "from repayment_platform.landing.files import ingest_file\n"
        "die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "ingest_file(sys.argv[1], sys.argv[2], sys.argv[3], received_by='test', progress=die)\n"
    )
    command = (sys.executable, "-c", killed, database_urls.psycopg, str(path), NACH)
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    while connection.execute(others).fetchone() != (1,):
        time.sleep(0.01)
    assert ingest(path).status == "landed"
    assert len(raw(connection)) == 1
    assert [(e["status"], str(e["error"])[:11]) for e in log(connection)] == [
        ("failed", "INTERRUPTED"),
        ("landed", "None"),
    ]


def test_a_file_of_nothing_but_bad_rows_lands_as_a_file_of_quarantined_rows(
    ingest: Ingest, connection: Connection
) -> None:
    result = ingest(text_of(*[["x"] * len(HEADER)] * 50))
    assert (result.status, result.rows_landed, result.rows_quarantined) == ("landed", 0, 50)
    assert len(quarantine(connection)) == 50
