"""The formula of the keys: one definition, and a twin in Python that is its equal."""

from datetime import date
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repayment_platform.sources.keys import source_key
from repayment_platform_tests.dbt_once import compiled
from repayment_platform_tests.transformation.warehouse import Warehouse

_QUERY = """
SELECT {{ source_key('lender', 'loan', 'day', 'amount', 'n') }}
FROM (VALUES (%s::text, %s::text, %s::date, %s::numeric, %s::integer))
    AS payment (lender, loan, day, amount, n)
"""


def test_the_macro_and_its_python_twin_are_equal(models: Warehouse) -> None:
    query = compiled(models.urls, _QUERY).encode()

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        lender=st.text("ABCabcdz09_", min_size=1, max_size=8),
        loan=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
        day=st.dates(),
        amount=st.decimals(0, Decimal(10) ** 15, places=2) | st.integers(0, 10**9).map(Decimal),
        n=st.integers(0, 20),
    )
    def equal(lender: str, loan: str, day: date, amount: Decimal, n: int) -> None:
        row = models.connection.execute(query, (lender, loan, day, amount, n)).fetchone()
        assert row == (source_key(lender, loan, day, amount, n),)

    equal()


def test_the_formula_is_the_plain_concatenation(models: Warehouse) -> None:
    row = models.connection.execute("SELECT md5('UGROUGRO-LN-1232025-11-1912500.50')").fetchone()
    expected = source_key("ugro", "UGRO-LN-123", date(2025, 11, 19), Decimal("12500.5"))
    assert row == (expected,)
