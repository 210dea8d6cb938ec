"""Random JSON of every type at every place of what providers send, through the real models."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repayment_platform.sources.registry import SOURCES, Kind, Source
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_garbage import numbered, paths, spoiled
from repayment_platform_tests.transformation.test_observations import (
    CASHFREE,
    RAZORPAY,
    SAMPLES,
    razorpay,
)
from repayment_platform_tests.transformation.test_successes_without_repayment import cashfree, told
from repayment_platform_tests.transformation.warehouse import Warehouse

ENDLESS = "100." + "0" * 20_000
"""PostgreSQL casts no more than 16,383 digits behind the point."""
STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
LOOKS_RIGHT = st.sampled_from(
    [
        ENDLESS, "9" * 20_000, "0" * 20_000 + "1", "1e400", "1E5", "٤٢", "१२३.५०", "-0", "+1",
        "9999999999999.99", "99999999999999999.99", "99999999999", "2025-02-29", "٢٠٢٥-١١-١٩",
        "2025-11-19T24:00:00", "2025-11-19T23:59:60Z", "2025-11-19T10:00:00-14:59", "2999-12-31",
        "1000-01-01T00:00:00+14:00", "31/02/2025", "20/11/2025 10:15", "infinity", "(((", "-.",
        "UGRO-LN-१२३", "GB-LN-1, GB-LN-2", "\\", "%s", "\n", "REFUND_STATUS_WEBHOOK", "SUCCESS",
        "refunded", "payment.dispute.lost", "DISPUTE_CLOSED", "MERCHANT_LOST",
    ]
)  # fmt: skip
NUMERALS = st.text(st.sampled_from("0123456789.-+eE:TZ/ ,٣५"), max_size=40)
SCALAR = (
    LOOKS_RIGHT
    | NUMERALS
    | st.text(STORABLE, max_size=30)
    | st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.decimals(allow_nan=False, allow_infinity=False).map(str)
    | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(STORABLE, max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
GATEWAYS = [source for source in SOURCES.values() if source.kind is not Kind.FILE]
FILES = [source for source in SOURCES.values() if source.kind is Kind.FILE]
PROPERTY = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def events_of(source: Source) -> list[Any]:
    files = sorted(SAMPLES.glob(f"{source.kind}_*.json"))
    return [json.loads(file.read_text()) for file in files]


def spoiled_everywhere(data: st.DataObject, event: Any, n: int) -> Iterator[Any]:
    """The event once for each of its places, with something else there."""
    for offset, path in enumerate(paths(event)):
        yield spoiled(numbered(event, n + offset), path, data.draw(JSON))


def read_everything(models: Warehouse, source: Source) -> None:
    """Every column of the BASE view and of what is announced of payouts."""
    models.base(source.table)
    models.rows('SELECT * FROM "CORE"."CORE_SETTLEMENT"')


@pytest.mark.parametrize("source", GATEWAYS, ids=lambda source: source.table)
def test_no_json_at_any_place_of_a_webhook_stops_the_models(
    models: Warehouse, source: Source
) -> None:
    landed = 0

    @PROPERTY
    @given(st.data())
    def deliver(data: st.DataObject) -> None:
        nonlocal landed
        event = data.draw(st.sampled_from(events_of(source)))
        for spoilt in spoiled_everywhere(data, event, landed):
            kind = spoilt.get("event") or spoilt.get("type") if isinstance(spoilt, dict) else None
            models.event(source.table, spoilt, event_type=kind if isinstance(kind, str) else None)
            landed += 1
        read_everything(models, source)

    deliver()
    models.build_all()
    models.rows('SELECT * FROM "CORE"."CORE_RECON_RECORD"')
    assert landed > 100


@pytest.mark.parametrize("source", FILES, ids=lambda source: source.table)
def test_no_cell_of_a_file_stops_the_models(models: Warehouse, source: Source) -> None:
    """The typed columns are the loader's; the texts, and cells read again by a view, are the
    sender's."""
    texts = ("loan_ref", "payment_ref", "utr", "umrn", "method", "reason_code", "reason_text")
    headers = headers_of(source)
    landed = 0

    @PROPERTY
    @given(st.data())
    def land(data: st.DataObject) -> None:
        nonlocal landed
        text = LOOKS_RIGHT | NUMERALS | st.text(STORABLE, max_size=30)
        columns: dict[str, Any] = {name: data.draw(st.none() | text) for name in texts}
        cells = {header: data.draw(JSON) for header in headers}
        models.file_row(
            source.table,
            columns.pop("loan_ref"),
            data.draw(st.none() | st.decimals(-(10**17) + 1, 10**17 - 1, places=2)),
            ref=columns.pop("payment_ref"),
            outcome=data.draw(st.sampled_from(["success", "refund", "late_return", "failed"])),
            cells=json.dumps(cells),
            **columns,
        )
        landed += 1
        read_everything(models, source)

    land()
    models.build_all()
    assert landed >= PROPERTY.max_examples


def headers_of(source: Source) -> list[str]:
    """Every header under which a view may look for a cell."""
    columns = (column for layout in source.layouts for column in layout.columns.values())
    return sorted({alias for column in columns for alias in column.aliases})


@pytest.mark.parametrize(
    ("table", "event", "name"),
    [
        (RAZORPAY, razorpay(amount=ENDLESS), "razorpay:pay_SYN0000000001 (UGRO)"),
        (CASHFREE, cashfree(payment_amount=ENDLESS), "cashfree:5114900000001 (GB)"),
    ],
)
def test_an_amount_without_an_end_is_told_and_the_run_goes_on_for_all_others(
    platform: Platform, table: str, event: Any, name: str
) -> None:
    platform.models.file_row("RAW_DMI_NACH_CSV", "DMI-APP-1", "1000.00", ref="nach-dmi:1")
    [(_, what)] = told(platform, (table, event))
    assert what.startswith(name)
    assert "unreadable" in what
    assert platform.ledger() == [("DMI-APP-1", "1000.00")]
