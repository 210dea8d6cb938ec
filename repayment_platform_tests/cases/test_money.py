"""Files of which money was posted twice, never or wrong: one repayment each, or a person is asked.

`N-TABLE.csv` of a folder lands in step N, and a run of the pipeline follows each step.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.results import FileResult
from repayment_platform_tests.cases.questions import questions
from repayment_platform_tests.databases import set_clock
from repayment_platform_tests.transformation.conftest import models, platform
from repayment_platform_tests.transformation.platform import Platform

__all__ = ["models", "platform"]
MONEY = Path(__file__).parent / "money"
LOANS = (
    "DMI-APP-901", "DMI-APP-902", "SHIV-LN-902", "ARTH-LN-9041", "ARTH-LN-9042", "IKF-LN-9051",
    "IKF-LN-9052", "IKF-LN-9053", "DMI-APP-906", "DMI-APP-9061", "ARTH-LN-906", "DMI-APP-908",
    "DMI-APP-9081", "DMI-APP-909", "DMI-APP-9091", "IKF-LN-910", "IKF-LN-9101", "IKF-LN-9102",
    "IKF-LN-9103", "IKF-LN-9104", "DMI-APP-911", "IKF-LN-001001", "IKF-LN-001002",
    *(f"IKF-LN-92{n:02}" for n in range(100)),
)  # fmt: skip
LAST_DAY = {
    "01": 10,
    "02": 7,
    "04": 6,
    "05": 5,
    "06": 6,
    "08": 8,
    "09": 5,
    "10": 25,
    "11": 7,
    "12": 10,
}
"""The last day of November 2026 that each case names; its files land on the next."""


@dataclass
class Case:
    """The files of a case, and what became of them."""

    platform: Platform
    folder: Path

    def step(self, number: int, variant: str = "") -> list[FileResult]:
        """Land the files of a step and run; `variant` is what follows the table in their names."""
        landed = []
        for file in sorted(self.folder.glob(f"{number}-*.csv")):
            table, _, told = file.stem.partition("-")[2].partition("-")
            if told == variant:
                urls = self.platform.models.urls
                landed.append(ingest_file(urls.psycopg, file, table, received_by="test"))
        self.platform.run()
        return landed

    def posted(self) -> Counter[str]:
        """How many repayments stand in the ledger, by loan."""
        rows = self.platform.sandbox.get("ledger")
        return Counter(row["loanExternalId"] for row in rows if not row["reversed"])

    def rupees(self, loan: str) -> list[str]:
        rows = self.platform.sandbox.get("ledger")
        return [r["amount"] for r in rows if r["loanExternalId"] == loan and not r["reversed"]]

    def asked(self) -> set[str]:
        """Loans of the payments that a person is asked about."""
        return {row["loan_external_id"] for row in questions(self.platform.models)}

    def asked_of(self, loan: str, on: date) -> bool:
        """Whether a person is asked about a payment of that day alone, by a hold of its own."""
        keys = {r["source_key"] for r in self.platform.models.core()
                if (r["loan_external_id"], r["payment_date"]) == (loan, on)}  # fmt: skip
        holds = self.platform.models.holds()
        return any(h["source_key"] in keys for h in holds if h["decision"] is None)

    def undo(self, loan: str) -> None:
        """Undo the loan's repayment in Fineract, as the exception asks for."""
        [key] = [r["externalId"] for r in self.platform.sandbox.get("ledger")
                 if r["loanExternalId"] == loan and not r["reversed"]]  # fmt: skip
        self.platform.sandbox.post(f"undo/{key}")


@pytest.fixture
def case(platform: Platform, request: pytest.FixtureRequest) -> Case:
    """The case that the test's marker names; all its loans exist."""
    marker = request.node.get_closest_marker("case")
    assert marker
    platform.sandbox.post("loans", [{"externalId": loan} for loan in LOANS])
    set_clock(platform.models.connection, date(2026, 11, LAST_DAY[marker.args[0][:2]] + 1))
    return Case(platform, MONEY / marker.args[0])


@pytest.mark.case("01_cleared_again_after_its_return")
def test_cleared_again_after_its_return_it_is_posted_or_asked_about(case: Case) -> None:
    case.step(1)
    case.step(2)
    assert "DMI-APP-901" in case.asked()
    case.undo("DMI-APP-901")
    case.step(3)
    assert case.posted()["DMI-APP-901"] == 1 or case.asked_of("DMI-APP-901", date(2026, 11, 10))


@pytest.mark.case("02_upi_and_nach_taken_for_one")
@pytest.mark.parametrize("loan", ["DMI-APP-902", "SHIV-LN-902"])
def test_a_upi_payment_and_a_cleared_debit_are_two_or_asked_about(case: Case, loan: str) -> None:
    case.step(1)
    assert case.posted()[loan] == 1
    case.step(2)
    assert case.posted()[loan] == 2 or loan in case.asked()


@pytest.mark.case("04_file_sent_again_without_supersedes")
def test_a_file_sent_again_with_its_settlement_date_is_one_repayment(case: Case) -> None:
    case.step(1)
    case.step(2)
    assert case.posted()["ARTH-LN-9041"] == 1


@pytest.mark.case("04_file_sent_again_without_supersedes")
def test_a_file_sent_again_with_a_corrected_amount_is_one_repayment_and_asked(case: Case) -> None:
    case.step(1)
    case.step(2)
    assert (case.posted()["ARTH-LN-9042"], "ARTH-LN-9042" in case.asked()) == (1, True)


@pytest.mark.case("05_reference_spelled_otherwise")
@pytest.mark.parametrize("loan", ["IKF-LN-9051", "IKF-LN-9052", "IKF-LN-9053"])
def test_a_reference_spelled_otherwise_is_one_repayment(case: Case, loan: str) -> None:
    case.step(1)
    case.step(2)
    assert case.posted()[loan] == 1


@pytest.mark.case("06_bounce_after_success")
@pytest.mark.parametrize("loan", ["DMI-APP-906", "DMI-APP-9061", "ARTH-LN-906"])
def test_a_bounce_after_the_success_is_asked_about(case: Case, loan: str) -> None:
    case.step(1)
    assert case.posted()[loan] == 1
    case.step(2)
    assert loan in case.asked()


@pytest.mark.case("08_return_names_another_loan")
def test_a_return_that_names_another_loan_is_a_question_of_its_own(case: Case) -> None:
    case.step(1)
    case.step(2)
    assert case.posted() == {"DMI-APP-908": 1, "DMI-APP-9081": 1}
    assert "DMI-APP-908" not in case.asked()
    assert case.asked()


@pytest.mark.case("09_two_loans_in_one_cell")
def test_two_loans_in_one_cell_are_no_loan(case: Case) -> None:
    case.step(1)
    assert case.posted() == {}
    assert [row["loan_external_id"] for row in case.platform.models.core()] == [None]


@pytest.mark.case("10_implausible_money_or_day")
def test_paise_taken_for_rupees_are_not_posted_unasked(case: Case) -> None:
    case.step(1)
    usual = case.posted().total()
    assert usual == len((case.folder / "1-RAW_IKF_NACH_CSV.csv").read_text().splitlines()) - 1
    [file] = case.step(2)
    assert case.posted().total() == usual
    assert file.error or {"IKF-LN-910", "IKF-LN-9101"} <= case.asked()


@pytest.mark.case("10_implausible_money_or_day")
def test_a_file_with_days_that_can_only_be_read_month_first_is_refused(case: Case) -> None:
    case.step(1)
    [file] = case.step(2, "us-dates")
    assert file.reason_code == "DOUBTFUL_DAYS"


@pytest.mark.case("10_implausible_money_or_day")
def test_a_payment_of_last_year_is_held(case: Case) -> None:
    case.step(1)
    case.step(2, "last-year")
    assert ("IKF-LN-9104" in case.posted(), "IKF-LN-9104" in case.asked()) == (False, True)


@pytest.mark.case("11_six_days_apart_one_utr")
def test_two_sources_of_one_utr_six_days_apart_are_one_repayment(case: Case) -> None:
    case.step(1)
    assert case.posted()["DMI-APP-911"] == 1


@pytest.mark.case("12_reference_resaved_by_a_spreadsheet")
@pytest.mark.parametrize("loan", ["IKF-LN-001001", "IKF-LN-001002"])
def test_a_reference_resaved_by_a_spreadsheet_is_one_repayment(case: Case, loan: str) -> None:
    case.step(1)
    case.step(2)
    assert case.posted()[loan] == 1
