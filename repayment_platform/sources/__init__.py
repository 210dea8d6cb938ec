"""What payment sources send and how it is read: pure, without database, Dagster or HTTP.

What belongs here: the registry of lenders and sources, layouts, parsers of files, money and
dates. What does not: storing what was read (`landing`).
"""
