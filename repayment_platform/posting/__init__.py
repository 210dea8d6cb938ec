"""The posting engine: takes unposted payments of CORE to Fineract, each exactly once.

What belongs here: which payment is due, the intent that is committed before a request leaves,
what a reply means for the payment, and how a doubtful request is settled. What does not: the
HTTP contract (`fineract`), how payments come to be (`landing`, dbt), who asked for a recon
posting (`reconciliation`), Dagster (`defs`).
"""
