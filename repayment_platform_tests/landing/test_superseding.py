"""A corrected file in the place of an earlier one: what lands and what goes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repayment_platform.landing.changes import Changes
from repayment_platform.landing.results import FileResult
from repayment_platform_tests.landing.conftest import Ingest
from repayment_platform_tests.landing.tables import Connection, Row, log, raw, standing
from repayment_platform_tests.sources.reading import NACH, row, text_of


def loan(n: int, ref: str = "", **changes: str) -> list[str]:
    """A row of loan n; without a reference, if none is given."""
    return row(Loan_Account_Number=f"DMI-APP-{n}", Presentation_Reference=ref, **changes)


def changes_of(result: FileResult) -> Changes:
    assert result.error is None, result.error
    assert result.changes is not None
    return result.changes


def counted(result: FileResult) -> dict[str, int]:
    names = ("added", "changed", "withdrawn", "restated", "unchanged")
    return {name: n for name in names if (n := getattr(changes_of(result), name))}


def test_only_what_differs_lands_and_what_is_gone_is_withdrawn(
    ingest: Ingest, connection: Connection
) -> None:
    first = ingest(text_of(*(loan(n, f"A{n}") for n in range(4))))
    ids = [each["id"] for each in raw(connection)]
    corrected = [loan(0, "A0"), loan(1, "A1", Amount="501"), loan(3, "A3"), loan(9, "A9")]
    result = ingest(text_of(*corrected), supersedes=first.file_id)

    assert counted(result) == {"added": 1, "changed": 1, "withdrawn": 1, "unchanged": 2}
    assert (result.rows_read, result.rows_landed, result.counts.rows_duplicate) == (4, 2, 2)  # type: ignore[union-attr]
    landed = [
        (r["loan_ref"], r["outcome"], str(r["amount"]), r["replaces_id"], r["row_number"])
        for r in raw(connection)[4:]
    ]
    assert landed == [
        ("DMI-APP-1", "success", "501.00", ids[1], 3),
        ("DMI-APP-9", "success", "500.00", None, 5),
        ("DMI-APP-2", "withdrawn", "500.00", ids[2], 4),
    ]
    assert {r["file_id"] for r in raw(connection)[4:]} == {result.file_id}
    entry = log(connection)[1]
    told = {name: entry[name] for name in ("supersedes", "rows_duplicate", "rows_withdrawn")}
    assert told == {"supersedes": first.file_id, "rows_duplicate": 2, "rows_withdrawn": 1}


def test_a_preview_tells_each_change_and_changes_nothing(
    ingest: Ingest, connection: Connection
) -> None:
    first = ingest(text_of(loan(1, "A"), loan(2, "B")))
    corrected = text_of(loan(1, "A", Amount="501", Settlement_Date="07/11/2025"), loan(3, "C"))
    before = raw(connection)
    seen = changes_of(ingest(corrected, supersedes=first.file_id, preview=True))
    assert raw(connection) == before
    assert len(log(connection)) == 1
    told = [(c.kind, c.row_number, c.old and c.old.loan_ref, c.new and c.new.loan_ref)
            for c in seen.examples]  # fmt: skip
    assert told == [
        ("changed", 2, "DMI-APP-1", "DMI-APP-1"),
        ("added", 3, None, "DMI-APP-3"),
        ("withdrawn", 3, "DMI-APP-2", None),
    ]
    changed = seen.examples[0]
    assert changed.old
    assert changed.new
    assert (str(changed.old.amount), str(changed.new.amount)) == ("500.00", "501.00")
    assert (changed.old.payment_date.day, changed.new.payment_date.day) == (6, 7)
    assert (changed.source_key, changed.posting, seen.exceptions) == (None, None, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([loan(1)], [loan(1, Amount="501")]),
        ([loan(1)], [loan(1, Settlement_Date="07/11/2025")]),
        ([loan(1)], [loan(1, Status="BOUNCE", Reason_Code="04")]),
        ([loan(1)], [loan(2, UTR="")]),  # the same mandate, day and amount
        ([loan(1, UMRN="")], [loan(2, UMRN="")]),  # the same UTR, day and amount
        ([loan(1)], [loan(1, "NEW")]),
        ([loan(1)], [loan(1, UMRN="", UTR="", Amount="7", Status="BOUNCE", Reason_Code="04")]),
        ([loan(1, "OLD")], [loan(1, "NEW", Amount="7")]),
        ([loan(1)], [loan(1, UMRN="", UTR="", Amount="7", Settlement_Date="09/11/2025")]),
    ],
)
def test_a_row_is_known_by_what_was_not_corrected(
    ingest: Ingest, connection: Connection, old: list[list[str]], new: list[list[str]]
) -> None:
    others = [
        loan(n, UMRN=f"HDFC{n:016}", UTR=f"U{n}", Settlement_Date="01/11/2025") for n in (7, 8)
    ]
    first = ingest(text_of(*others, *old))
    result = ingest(text_of(*new, *reversed(others)), supersedes=first.file_id)
    assert counted(result) == {"changed": 1, "unchanged": 2}
    assert raw(connection)[-1]["replaces_id"] == raw(connection)[2]["id"]


def test_a_reference_outweighs_whatever_else_is_the_same(
    ingest: Ingest, connection: Connection
) -> None:
    first = ingest(text_of(loan(1, "A", Amount="100"), loan(1, "B", Amount="200")))
    ingest(
        text_of(loan(1, "A", Amount="200"), loan(1, "B", Amount="100")), supersedes=first.file_id
    )
    ref_of = {each["id"]: each["payment_ref"] for each in raw(connection)}
    corrections = [each for each in raw(connection) if each["replaces_id"]]
    assert len(corrections) == 2
    assert all(ref_of[each["replaces_id"]] == each["payment_ref"] for each in corrections)


def test_what_was_withdrawn_is_not_withdrawn_again(ingest: Ingest) -> None:
    first = ingest(text_of(loan(1, "A"), loan(2, "B")))
    second = ingest(text_of(loan(1, "A", Amount="7")), supersedes=first.file_id)
    third = ingest(text_of(loan(1, "A", Amount="8")), supersedes=second.file_id)
    assert (counted(second), counted(third)) == (
        {"changed": 1, "withdrawn": 1}, {"changed": 1},
    )  # fmt: skip


def test_equal_rows_are_counted_out_one_by_one(ingest: Ingest, connection: Connection) -> None:
    first = ingest(text_of(loan(1), loan(1), loan(1)))
    result = ingest(text_of(loan(1), loan(1, Amount="7")), supersedes=first.file_id)
    assert counted(result) == {"changed": 1, "withdrawn": 1, "unchanged": 1}
    assert [str(each["amount"]) for each in standing(connection)] == ["500.00", "7.00"]


def test_a_payment_with_fewer_rows_than_before_is_not_withdrawn(
    ingest: Ingest, connection: Connection
) -> None:
    pending = loan(1, "A", Status="BANK EXTENDED", Reason_Code="98")
    first = ingest(text_of(pending, loan(1, "A")))
    result = ingest(text_of(loan(1, "A")), supersedes=first.file_id)
    assert counted(result) == {"changed": 1}
    assert [each["outcome"] for each in standing(connection)] == ["success", "success"]
    assert (result.rows_read, result.rows_landed) == (1, 1)


def test_what_is_no_fact_of_the_payment_lands_and_is_no_change_of_it(
    ingest: Ingest, connection: Connection
) -> None:
    first = ingest(text_of(loan(1, "A")))
    result = ingest(text_of(loan(1, "A", Reason="accepted by the bank")), supersedes=first.file_id)
    assert counted(result) == {"restated": 1}
    assert changes_of(result).examples == []
    assert raw(connection)[1]["reason_text"] == "accepted by the bank"


def test_a_correction_of_a_correction_names_the_first_row_of_all(
    ingest: Ingest, connection: Connection
) -> None:
    first = ingest(text_of(loan(1, "A"), loan(2, "B"), loan(3, "C")))
    second = ingest(text_of(loan(1, "A", Amount="501"), loan(2, "B")), supersedes=first.file_id)
    again = text_of(loan(1, "A", Amount="502"), loan(2, "B", Amount="7"), loan(3, "C"))
    third = ingest(again, supersedes=second.file_id)
    assert counted(third) == {"changed": 3}  # the third one is back again
    ids = [each["id"] for each in raw(connection)[:3]]
    assert [each["replaces_id"] for each in raw(connection)[-3:]] == ids
    assert [str(each["amount"]) for each in standing(connection)] == ["502.00", "7.00", "500.00"]


def test_a_large_file_is_superseded_in_seconds(ingest: Ingest) -> None:
    rows = [loan(n, UMRN=f"HDFC{n:016}", UTR=f"U{n // 50}") for n in range(20_000)]
    first = ingest(text_of(*rows))
    rows[7:] = [loan(n, UMRN=f"HDFC{n:016}", UTR="U", Amount="7") for n in range(7, 20_000)]
    result = ingest(text_of(*rows), supersedes=first.file_id)
    assert counted(result) == {"changed": 19_993, "unchanged": 7}
    assert result.seconds < 30  # two or three


@st.composite
def files(draw: st.DrawFn) -> list[list[str]]:
    """Rows that are easily mistaken for each other, references of one payment each."""
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        ref = draw(st.sampled_from(["", "", "A", "B"]))
        number = {"A": 1, "B": 2}.get(ref) or draw(st.integers(1, 3))
        amount = {"A": "100", "B": "200"}.get(ref) or draw(st.sampled_from(["100", "200", "x"]))
        status = draw(st.sampled_from(["SUCCESS", "BOUNCE"]))
        day = draw(st.sampled_from(["06/11/2025", "07/11/2025"]))
        utr = draw(st.sampled_from(["", "U1"]))
        reason = draw(st.sampled_from(["OK", "Success"])) if status == "SUCCESS" else ""
        rows.append(loan(number, ref, Amount=amount, Status=status, Settlement_Date=day, UTR=utr,
                         Reason=reason))  # fmt: skip
    return rows


def told_by(rows: list[Row]) -> tuple[list[str], set[str]]:
    """What rows say: of those without a reference each, of the others what is said at all."""
    said = [
        (each["payment_ref"], str([each[name] for name in ("loan_ref", "payment_date", "amount",
                                                           "outcome", "utr", "reason_text")]))
        for each in rows
    ]  # fmt: skip
    return (
        sorted(text for ref, text in said if ref is None),
        {f"{ref[-1]} {text}" for ref, text in said if ref},
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(versions=st.lists(files(), min_size=2, max_size=4))
def test_whatever_was_corrected_the_last_file_is_what_stands(
    ingest: Ingest, connection: Connection, versions: list[list[list[str]]]
) -> None:
    alone = "RAW_IKF_NACH_CSV"
    connection.execute(f'TRUNCATE "RAW"."{NACH}", "RAW"."{alone}", "CORE"."CORE_FILE_LOG" CASCADE')
    in_force, last = None, versions[0]
    for version in versions:
        result = ingest(text_of(*version), supersedes=in_force, withdraw_missing=True)
        if result.duplicate_of is None:
            in_force, last = result.file_id, version
    ingest(text_of(*last), alone)

    assert told_by(standing(connection)) == told_by(raw(connection, alone))
    for entry in log(connection):
        assert entry["rows_read"] == sum(
            entry[f"rows_{name}"] for name in ("landed", "quarantined", "duplicate")
        )
    first_ids = {each["id"] for each in raw(connection) if each["replaces_id"] is None}
    assert {each["replaces_id"] for each in raw(connection)} <= first_ids | {None}
