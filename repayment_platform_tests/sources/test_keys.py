"""The formula of source_key; that SQL computes the same is proven beside the macro."""

from datetime import date
from decimal import Decimal
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.sources.keys import repost_id, source_key

DAY = date(2025, 11, 5)


def test_the_key_is_the_md5_of_lender_loan_date_and_amount_put_together() -> None:
    expected = md5(b"DMIDMI-APP-7712025-11-056250.00").hexdigest()
    assert source_key("dmi", "DMI-APP-771", DAY, Decimal("6250")) == expected


def test_another_payment_of_the_same_formula_has_its_number_in_the_key() -> None:
    expected = md5(b"DMIDMI-APP-7712025-11-056250.00#2").hexdigest()
    assert source_key("DMI", "DMI-APP-771", DAY, Decimal("6250.0"), 2) == expected


def test_the_external_id_of_a_repost_is_the_md5_of_the_keys_text_and_its_number() -> None:
    facts = ("dmi", "DMI-APP-771", DAY, Decimal("6250"))
    expected = md5(b"DMIDMI-APP-7712025-11-056250.00#r1").hexdigest()
    assert repost_id(*facts, 0, k=1) == expected
    expected = md5(b"DMIDMI-APP-7712025-11-056250.00#2#r12").hexdigest()
    assert repost_id(*facts, 2, k=12) == expected


@given(st.integers(1, 10**12), st.integers(0, 6))
def test_trailing_zeros_of_an_amount_make_no_other_key(paise: int, zeros: int) -> None:
    amount = Decimal(paise).scaleb(-2)
    longer = Decimal(f"{amount:.2f}{'0' * zeros}")
    assert source_key("GB", "GB-LN-1", DAY, amount) == source_key("GB", "GB-LN-1", DAY, longer)


@pytest.mark.parametrize("amount", ["1.001", "NaN", "Infinity"])
def test_an_amount_that_is_not_whole_paise_has_no_key(amount: str) -> None:
    with pytest.raises(ValueError, match="whole paise"):
        source_key("GB", "GB-LN-1", DAY, Decimal(amount))
