"""Lands loan repayments, unifies them and posts each to Apache Fineract exactly once."""
