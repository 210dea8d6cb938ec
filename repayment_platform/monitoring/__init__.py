"""Watching over the platform: what a person must be told of, and how it does.

What belongs here: finding trouble, incidents and telling of them, metrics, the checks of the
doctor. What does not: Dagster's own records (`defs` brings them), anything that posts or lands.
"""
