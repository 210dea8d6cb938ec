"""What the engine reads of the table that dbt builds."""

CORE_TRANSACTION_DATA = """
CREATE TABLE "CORE"."CORE_TRANSACTION_DATA" (
    source_key text PRIMARY KEY, source_lender text NOT NULL, loan_external_id text,
    payment_date date, amount numeric(19, 2), is_success boolean NOT NULL, recon_source text,
    payment_ref text, outcome text NOT NULL DEFAULT 'success', not_repayment_reason text,
    refunded_amount numeric(19, 2) NOT NULL DEFAULT 0, key_rule text NOT NULL DEFAULT 'new',
    batch bigint NOT NULL, conflict text)
"""
