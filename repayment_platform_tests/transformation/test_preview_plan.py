"""A preview of reconciliation among many payments reads those of its lender and days."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from repayment_platform.reconciliation.preview import judged
from repayment_platform.reconciliation.selection import Selection
from repayment_platform_tests.transformation.warehouse import Warehouse

PAYMENTS, DAYS = 200_000, 500
FIRST = date(2025, 1, 1)
FILL = f"""
INSERT INTO "CORE"."CORE_TRANSACTION_DATA" (source_key, source_lender, loan_external_id,
    payment_date, amount, is_success, recon_source, outcome, refunded_amount, key_rule,
    observations, sources, first_raw_id, last_raw_id, first_landed_at, last_landed_at, batch)
SELECT md5(n::text), (ARRAY['UGRO', 'GB', 'VIVRITI', 'DMI'])[n % 4 + 1], 'LN-' || n,
    '{FIRST}'::date + n % {DAYS}, 100, true, CASE WHEN n % 4 < 3 THEN 'NACH' END, 'success', 0,
    'new', 1, '{{}}', n, n, now(), now(), n / 100
FROM generate_series(1, {PAYMENTS}) n;
INSERT INTO "CORE"."CORE_RECON_RECORD" (source_key, source_lender, recon_source,
    loan_external_id, payment_date, amount, match_status, match_reason, payer_marks,
    first_landed_at, last_landed_at, batch)
SELECT source_key, source_lender, recon_source, loan_external_id, payment_date, amount,
    'matched', 'as a test has it', '{{}}', first_landed_at, last_landed_at, batch
FROM "CORE"."CORE_TRANSACTION_DATA" WHERE recon_source IS NOT NULL;
ANALYZE "CORE"."CORE_TRANSACTION_DATA", "CORE"."CORE_RECON_RECORD"
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


@pytest.mark.parametrize("days", [1, 7])
def test_a_preview_by_lender_and_days_reads_them_by_an_index(models: Warehouse, days: int) -> None:
    models.connection.execute(FILL)
    last = FIRST + timedelta(days - 1)
    chosen = Selection(lender="UGRO", first_day=FIRST, last_day=last)
    query, values = judged(
        chosen, "SELECT count(*) AS n, max(payments) AS total FROM judged, total"
    )
    [row] = models.rows(query, values)
    [explained] = models.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", values)
    read = list(nodes(explained["QUERY PLAN"][0]["Plan"]))

    big = ("CORE_TRANSACTION_DATA", "CORE_RECON_RECORD")
    scans = [each for each in read if each.get("Relation Name") in big]
    assert {each["Relation Name"] for each in scans} == set(big)
    assert not any(each["Node Type"] == "Seq Scan" for each in scans)
    rows = [each["Actual Rows"] * each["Actual Loops"] for each in scans]
    assert row["n"] == row["total"] > 0
    assert max(rows) <= row["n"]
