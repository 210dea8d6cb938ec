"""When a payment that a person has ruled out is asked about anew.

What belongs here: SQL that finds such payments among those that changed, and that closes what is
answered by itself. What does not: what a ruling does meanwhile (dbt, `feed`, `claims`), the
decision on such a hold (`holds`).

"Same payment" and "not a repayment" are said of the money of that day. Without these holds what
comes to light later would be gone without a word: no run would post it, and no proof miss it.
"""

from repayment_platform.posting.holds import FACTS_OF_T

# For a statement in which `changed` holds rows of CORE_TRANSACTION_DATA, and whether each is
# `posted`: those that were ruled out with another loan, amount or date, or when their money was
# given back or their reports contradicted each other, which is not so any more.
ASK_ABOUT_OTHER_MONEY = f"""
    INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
    SELECT t.source_key, 'ruled_out_before',
           format('a person ruled it out as it was; now it is %%s rupees of %%s for loan %%s',
                  t.amount, t.payment_date, t.loan_external_id), {FACTS_OF_T}
    FROM changed t
    WHERE NOT t.posted AND NOT t.is_success AND t.outcome = 'success'
      AND t.key_rule <> 'provisional' AND t.loan_external_id IS NOT NULL
      AND (SELECT bool_or(h.decision IN ('same_payment', 'not_a_repayment'))
                  AND NOT bool_or(h.decision IN ('same_payment', 'not_a_repayment')
                                  AND h.facts @> {FACTS_OF_T}
                                  AND NOT h.facts ? 'refunded'
                                  AND (NOT h.facts ? 'conflict' OR t.conflict IS NOT NULL))
           FROM "CORE"."CORE_HOLD" h WHERE h.source_key = t.source_key)
    ON CONFLICT (source_key, reason_code) WHERE decision IS NULL
    DO UPDATE SET reason = EXCLUDED.reason, facts = EXCLUDED.facts
"""  # noqa: S608 (the part is a constant)

# For the same statement: payments that were ruled the same as one that is no repayment any more, or
# one of another loan or amount. Of money that was given back the feed tells otherwise.
ASK_ABOUT_OTHER_GONE = f"""
    INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
    SELECT DISTINCT ON (1) h.source_key, 'other_is_gone',
           format('a person ruled it the same as payment %%s, which now is %%s%%s', t.source_key,
                  CASE WHEN t.is_success THEN format('%%s rupees of %%s for loan %%s', t.amount,
                                                     t.payment_date, t.loan_external_id)
                       ELSE coalesce(t.not_repayment_reason, t.outcome) END,
                  CASE WHEN t.posted THEN ' and is to be undone in Fineract first' END),
           h.facts - 'other_key' || jsonb_build_object('other_is', other.facts)
    FROM changed t
    -- OFFSET 0: found by the key of the other, never by reading all that were ruled the same.
    CROSS JOIN LATERAL (SELECT * FROM "CORE"."CORE_HOLD" WHERE facts ->> 'other_key' = t.source_key
                        AND decision = 'same_payment' OFFSET 0) h
    CROSS JOIN LATERAL (SELECT {FACTS_OF_T} || jsonb_build_object('key', t.source_key)
                        AS facts) other
    WHERE t.outcome NOT IN ('refund', 'late_return')
      AND (NOT t.is_success OR (t.loan_external_id, t.amount)
           IS DISTINCT FROM (h.facts ->> 'loan', (h.facts ->> 'amount')::numeric))
      AND NOT EXISTS (SELECT FROM "CORE"."CORE_HOLD" known
                      WHERE known.source_key = h.source_key AND known.reason_code = 'other_is_gone'
                        AND known.facts @> jsonb_build_object('other_is', other.facts)
                        AND known.decided_by IS DISTINCT FROM 'CORE')
    ORDER BY 1, h.id DESC
    ON CONFLICT (source_key, reason_code) WHERE decision IS NULL
    DO UPDATE SET reason = EXCLUDED.reason, facts = EXCLUDED.facts
"""  # noqa: S608 (the part is a constant)

# What was asked and is no question any more: left open, its reason would ask for a second
# repayment. Should the question come again, it is asked again.
CLOSE_ANSWERED = (
    f"""
    UPDATE "CORE"."CORE_HOLD" h
    SET decision = ruling.decision, decided_by = 'CORE', decided_at = now(),
        decided_why = 'it is again as it was ruled out', facts = {FACTS_OF_T}
    FROM "CORE"."CORE_TRANSACTION_DATA" t, "CORE"."CORE_HOLD" ruling
    WHERE h.reason_code = 'ruled_out_before' AND h.decision IS NULL
      AND t.source_key = h.source_key AND ruling.source_key = h.source_key
      AND ruling.decision IN ('same_payment', 'not_a_repayment')
      AND ruling.facts @> {FACTS_OF_T}
      AND NOT ruling.facts ? 'refunded'
      AND (NOT ruling.facts ? 'conflict' OR t.conflict IS NOT NULL)
    """,  # noqa: S608 (the part is a constant)
    f"""
    UPDATE "CORE"."CORE_HOLD" h
    SET decision = 'release', decided_by = 'CORE', decided_at = now(), facts = {FACTS_OF_T},
        decided_why = 'nothing is refunded any more: the refund failed, or its report was corrected'
    FROM "CORE"."CORE_TRANSACTION_DATA" t
    WHERE h.reason_code = 'refunded' AND h.decision IS NULL AND t.source_key = h.source_key
      AND t.outcome NOT IN ('refund', 'late_return')
      AND NOT EXISTS (
          SELECT FROM "CORE"."CORE_HOLD" same
          JOIN "CORE"."CORE_TRANSACTION_DATA" back ON back.source_key = same.source_key
          WHERE same.facts ->> 'other_key' = h.source_key AND same.decision = 'same_payment'
            AND back.outcome IN ('refund', 'late_return'))
    """,  # noqa: S608 (the part is a constant)
    """
    UPDATE "CORE"."CORE_HOLD" h
    SET decision = 'same_payment', decided_by = 'CORE', decided_at = now(),
        decided_why = 'the other is there again'
    FROM "CORE"."CORE_TRANSACTION_DATA" t, "CORE"."CORE_HOLD" ruling
    WHERE h.reason_code = 'other_is_gone' AND h.decision IS NULL
      AND t.source_key = h.facts -> 'other_is' ->> 'key' AND t.is_success
      AND ruling.source_key = h.source_key AND ruling.decision = 'same_payment'
      AND ruling.facts ->> 'other_key' = t.source_key
      AND (t.loan_external_id, t.amount)
          = (ruling.facts ->> 'loan', (ruling.facts ->> 'amount')::numeric)
    """,
)
