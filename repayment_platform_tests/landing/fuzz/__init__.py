"""Damaged payment files in any number, and what must be true of each.

What belongs here: damaging files, reading or landing them, and judging what became of them. What
does not: tests of single quirks (`test_files`, `sources`).
"""
