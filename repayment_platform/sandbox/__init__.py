"""A Fineract stand-in: a process of its own with a ledger of its own.

What belongs here: Fineract's repayment contract (statuses, bodies, idempotency, loan rules) as
seen over HTTP, switches for its faults, and starting and stopping the process. What does not:
anything imported from the rest of the platform; a bug shared with the client would hide itself.
"""
