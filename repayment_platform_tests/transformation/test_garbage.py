"""No field of a webhook, whatever stands in it, stops a BASE view."""

import json
import random
from itertools import product
from typing import Any

import pytest

from repayment_platform_tests.transformation.test_observations import CASHFREE, RAZORPAY, sample
from repayment_platform_tests.transformation.warehouse import Warehouse

INCOMPRESSIBLE = f"{random.Random(1).getrandbits(64 * 200):x}"
"""No index takes so much."""
GARBAGE = (
    "abc", "", " ", "12,500", "1e400", "-1", "NaN", "infinity", "99999999999999999999", "0.001",
    "2025-02-30T10:00:00+05:30", "2025-13-01", "0000-01-01", "2025-11-19T25:00:00", "now",
    "2025-11-19T10:00:00+99:99", "99999999999999", -1, 1.5, 10**30, True, None, [], {"x": []},
    "UGRO-LN-" + "9" * 5000, "'; DROP", INCOMPRESSIBLE, f"2025-11-19T10:00:00.{'1' * 130}+05:30",
)  # fmt: skip


def spoiled(value: Any, path: tuple[str | int, ...], garbage: Any) -> Any:
    """`value` with what stands at `path` replaced."""
    if not path:
        return garbage
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = spoiled(copy[path[0]], path[1:], garbage)  # type: ignore[index]
    return copy


def numbered(event: Any, n: int) -> Any:
    """The event with other ids: a payment's reports are keyed one after another."""
    text = json.dumps(event)
    for known in ("SYN0000000", "51149000", "CFPay_synth"):
        text = text.replace(known, f"{known}{n:05}")
    return json.loads(text)


def paths(value: Any) -> list[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value)
    nested = [
        (key, *rest)
        for key, child in children
        if isinstance(child, dict | list)
        for rest in paths(child)
    ]
    return [(key,) for key in value] + nested if isinstance(value, dict) else nested


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (RAZORPAY, ("razorpay_payment_captured", "razorpay_refund_processed")),
        (
            CASHFREE,
            (
                "cashfree_payment_success",
                "cashfree_payment_link_event",
                "cashfree_subscription_payment_success_enach",
            ),
        ),
    ],
)
@pytest.mark.timeout(600)  # real models for each of many rows of garbage
def test_no_garbage_in_any_field_stops_dbt(
    models: Warehouse, table: str, names: tuple[str, ...]
) -> None:
    """One bad event must not stop dbt for ever. Each is of a payment of its own."""
    events: list[Any] = [[], None, "text"]
    for name in names:
        event = sample(name)
        events += [
            spoiled(numbered(event, n), path, value)
            for n, (path, value) in enumerate(product(paths(event), GARBAGE))
        ]
    with models.connection.cursor().copy(
        f'COPY "RAW"."{table}" (event_id, body, payload, headers, signed_by) FROM STDIN'
    ) as copy:
        for number, event in enumerate(events):
            copy.write_row((f"garbage_{number}", b"", json.dumps(event), "{}", 1))
    [observed] = models.rows(
        f'SELECT count(*) AS rows FROM "BASE"."{table.replace("RAW", "BASE")}"'
    )
    assert observed["rows"] > 1000
    assert models.assign_keys() == observed["rows"]


def test_no_id_of_a_file_is_too_long_for_dbt(models: Warehouse) -> None:
    long = {"ref": f"nach-dmi:{INCOMPRESSIBLE}", "utr": INCOMPRESSIBLE, "umrn": INCOMPRESSIBLE}
    models.file_row("RAW_DMI_NACH_CSV", f"DMI-APP-{'1' * 4000}", **long)
    models.file_row("RAW_DMI_NACH_CSV", "DMI-APP-1", **long)

    found = {(row["loan_external_id"], row["payment_ref"]) for row in models.build()}
    assert found == {(None, None), ("DMI-APP-1", None)}
