"""What a person is asked about, whichever table asks."""

from repayment_platform_tests.transformation.warehouse import Row, Warehouse

_ASKED = """
SELECT t.source_key, t.loan_external_id, t.payment_ref, h.reason
FROM "CORE"."CORE_TRANSACTION_DATA" t
JOIN "CORE"."CORE_HOLD" h USING (source_key) WHERE h.decision IS NULL
UNION
SELECT t.source_key, t.loan_external_id, t.payment_ref, e.detail ->> 'what'
FROM "CORE"."CORE_TRANSACTION_DATA" t
JOIN "CORE"."CORE_EXCEPTION" e USING (source_key)
WHERE e.closed_at IS NULL AND NOT e.holds
"""


def questions(models: Warehouse) -> list[Row]:
    """Open holds and exceptions, each with its payment's key, loan and reference."""
    return models.rows(_ASKED)
