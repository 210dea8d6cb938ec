"""Faults planted on purpose, to see that the tests of `./run test` find them."""
