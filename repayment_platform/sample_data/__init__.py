"""Payments made up for the demo, tests and benchmarks, and the truth of what must be posted.

What belongs here: inventing payments as the lenders and gateways would report them, what the
platform must make of each, and delivering the webhooks. What does not: the platform's parsers,
keys or SQL; the truth is worked out on its own, or a bug in them would hide itself.
"""
