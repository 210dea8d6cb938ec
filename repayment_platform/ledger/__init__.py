"""The ledger that we post to: whose it is, and how it differs from what we recorded.

What belongs here: asking Fineract about what stands, and comparing. What does not: what a person
is asked about it (`exceptions`), posting (`posting`); neither is imported here.
"""
