"""Reconciliation: what an operator asks to be posted, who approves it, what came of it.

What belongs here: choosing recon payments, the preview, requests and their states, an operator's
word on a loan. What does not: setting sources against each other (dbt's CORE_RECON_RECORD),
posting (`posting`), starting runs (`defs`), screens (`web`).
"""
