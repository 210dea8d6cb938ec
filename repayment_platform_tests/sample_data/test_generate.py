"""The sample as a whole: the same every time, complete, and true to itself."""

import hashlib
import json
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repayment_platform.sample_data import truth
from repayment_platform.sample_data.cases import MIXES
from repayment_platform.sample_data.generate import generate
from repayment_platform.sources.registry import LENDERS, SOURCES, Kind
from repayment_platform_tests.sample_data.conftest import TODAY

Truth = Mapping[str, Any]


def bytes_below(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def made(payments: int, seed: int, today: date = TODAY) -> Truth:
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), payments, seed, today)
        return truth.read(Path(folder, "truth.json"))


def test_the_same_arguments_give_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    random.seed(7)
    generate(tmp_path, 400, 1, TODAY)
    assert bytes_below(tmp_path) == bytes_below(sample)


def test_the_bytes_are_those_of_every_other_machine(sample: Path) -> None:
    """A change of the stories or forms changes the sum, and is then written here."""
    every = json.dumps(bytes_below(sample), sort_keys=True).encode()
    assert hashlib.sha256(every).hexdigest() == (
        "57229c0ea77311d9477b59d02530d42d72e9e3b491ed23e0458c0ce6abfee4f7"
    )


def test_another_seed_makes_other_payments(told: Truth) -> None:
    other = {payment["source_key"] for payment in made(400, 2)["payments"]}
    same = {payment["source_key"] for payment in told["payments"]} & other
    assert len(same) < len(other) / 10


@pytest.mark.parametrize("payments", [len(MIXES), 400])
def test_every_source_sends_something(tmp_path: Path, payments: int) -> None:
    generate(tmp_path, payments, 3, TODAY)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set(MIXES)
    assert all(any((tmp_path / table).iterdir()) for table in MIXES)


def test_the_mixes_of_stories_are_of_sources_that_there_are() -> None:
    assert set(MIXES) <= set(SOURCES)
    assert sum(share for share, _ in MIXES.values()) == 50


def test_fewer_payments_than_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"at least {len(MIXES)}"):
        generate(tmp_path, len(MIXES) - 1, 1, TODAY)


def test_the_demo_has_every_state_where_it_can_occur(told: Truth) -> None:
    states = {(payment["posting"], payment["state"]) for payment in told["payments"]}
    both = {"held", "no_loan", "not_a_payment"}
    assert states == (
        {("automated", state) for state in both | {"success", "failed"}}
        | {("recon", state) for state in both | {"recon"}}
    )


def test_the_truth_lists_every_file_and_every_delivery(sample: Path, told: Truth) -> None:
    listed = {Path(file["source"], file["name"]) for file in told["files"]}
    deliveries = Counter()
    found = set()
    for table, source in SOURCES.items():
        if source.kind is Kind.FILE:
            found |= {path.relative_to(sample) for path in (sample / table).iterdir()}
        else:
            deliveries[table] = len(list((sample / table).glob("*.headers.json")))
    assert found == listed
    assert deliveries == {t: sent["deliveries"] for t, sent in told["webhooks"].items()}


def test_loans_that_refuse_and_loans_that_are_missing_explain_the_failures(
    sample: Path, told: Truth
) -> None:
    loans = {loan["externalId"]: loan for loan in json.loads((sample / "loans.json").read_text())}
    assert {loan["status"] for loan in loans.values()} == {100, 300, 600, 601, 700}
    for payment in told["payments"]:
        if payment["state"] == "success":
            assert loans[payment["loan"]]["status"] in (300, 600, 700)
            assert loans[payment["loan"]]["disbursedOn"] < payment["date"]
        elif payment["state"] == "failed" and payment["loan"] in loans:
            assert loans[payment["loan"]]["status"] in (100, 601)
            assert payment["code"] == "error.msg.loan.must.be.active.fully.paid.or.overpaid"
        elif payment["state"] == "failed":
            assert payment["code"] == "error.msg.loan.external.id.invalid"


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    payments=st.integers(len(SOURCES), 300),
    today=st.dates(date(2020, 1, 1), date(2035, 12, 31)),
)
def test_the_truth_is_true_to_itself(seed: int, payments: int, today: date) -> None:
    told = made(payments, seed, today)
    entries = told["payments"]
    assert len(entries) == payments
    totals: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for entry in entries:
        totals[entry["lender"], entry["state"]].append(Decimal(entry["amount"]))
        assert date.fromisoformat(entry["date"]) < today
        assert entry["posting"] == LENDERS[entry["lender"]].posting
        if entry["loan"] is not None:
            text = f"{entry['lender']}{entry['loan']}{entry['date']}{entry['amount']}"
            assert entry["source_key"] == hashlib.md5(text.encode()).hexdigest()
    assert told["totals"] == {
        lender: {
            state: {"count": len(amounts), "amount": f"{sum(amounts):.2f}"}
            for (of, state), amounts in sorted(totals.items())
            if of == lender
        }
        for lender in {lender for lender, _ in totals}
    }


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_payments_of_different_stories_are_never_taken_for_one_another(seed: int) -> None:
    """Equal sums of one loan are of one and the same day, or further apart than any window."""
    window = timedelta(max(source.match_days for source in SOURCES.values()))
    reported: dict[tuple[str, str], list[set[date]]] = defaultdict(list)
    for entry in made(300, seed)["payments"]:
        if entry["loan"] is not None:
            dates = entry.get("key_dates", [entry["date"]])
            where = entry["loan"], entry["amount"]
            reported[where].append(set(map(date.fromisoformat, dates)))
    for reports in reported.values():
        for one, other in combinations(reports, 2):
            gaps = [abs(first - second) for first in one for second in other]
            assert min(gaps) > window or gaps == [timedelta(0)]
