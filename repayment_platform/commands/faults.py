"""`./run faults`: the fault campaign.

What belongs here: the command and its options. What does not: the campaign, which stands with the
tests and is a process of its own.
"""

from pathlib import Path
from typing import Annotated

import typer

from repayment_platform.commands.campaign import become

_CAMPAIGN = "repayment_platform_tests.faults.campaign"


def faults(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to play.")] = 20,
    seed: Annotated[
        int | None, typer.Option(help="Play only this seed and print its whole story.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds to play side by side.")] = 1,
    stop: Annotated[bool, typer.Option("--stop", help="Stop at the first violation.")] = False,
    matrix: Annotated[
        Path | None, typer.Option(help="Write faults and outcomes to this markdown file.")
    ] = None,
) -> None:
    """Play random plans of payments, faults and kills on real parts, and judge what happened."""
    options = ["--seeds", str(seeds), "--jobs", str(jobs)]
    options += ["--seed", str(seed)] if seed is not None else []
    options += ["--matrix", str(matrix)] if matrix else []
    options += ["--stop"] if stop else []
    become(_CAMPAIGN, options)
