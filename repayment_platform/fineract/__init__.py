"""Apache Fineract over HTTP: post a repayment, look one up, read a loan.

What belongs here: Fineract's contract, its errors and what each proves. What does not: our
tables, retries, waiting, and what becomes of a payment after a reply (`posting`).
"""
