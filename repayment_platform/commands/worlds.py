"""`./run worlds`: the campaign of truth.

What belongs here: the command and its options. What does not: the campaign, which stands with the
tests and is a process of its own.
"""

from typing import Annotated

import typer

from repayment_platform.commands.campaign import become

_CAMPAIGN = "repayment_platform_tests.worlds"


def worlds(
    seeds: Annotated[int, typer.Option(min=1, help="How many worlds to play.")] = 40,
    seed: Annotated[
        int | None, typer.Option(help="Play only this world and print everything in it.")
    ] = None,
    loans: Annotated[int, typer.Option(min=4, help="Stories of a world.")] = 16,
    show: Annotated[int, typer.Option(min=0, help="So many failures are told.")] = 5,
    partition: Annotated[
        bool, typer.Option("--partition", help="Only compare keys given in one run and in many.")
    ] = False,
) -> None:
    """Play worlds of loans whose truth is known, with slips, and judge the ledger against it."""
    options = ["--seeds", str(seeds), "--loans", str(loans), "--show", str(show)]
    options += ["--seed", str(seed)] if seed is not None else []
    options += ["--partition"] if partition else []
    become(_CAMPAIGN, options)
