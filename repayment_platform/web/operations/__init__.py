"""The operations screens: what happened to every payment, and the acts that need a person.

What belongs here: pages, forms, who may see and do what. What does not: the acts themselves
(`posting`, `reconciliation`, `landing`), the webhook receiver.
"""
