"""What the engine reads of the table that dbt builds."""

CORE_TRANSACTION_DATA = """
CREATE TABLE "CORE"."CORE_TRANSACTION_DATA" (
    source_key text PRIMARY KEY, source_lender text NOT NULL, loan_external_id text,
    payment_date date, amount numeric(19, 2), is_success boolean NOT NULL, recon_source text,
    payment_ref text, not_repayment_reason text, batch bigint NOT NULL)
"""
