"""Making a folder of sample data.

What belongs here: how many payments, in which folder. What does not: the command line.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from repayment_platform.sample_data.cases import MIXES, Teller
from repayment_platform.sample_data.folder import Folder

FEWEST = len(MIXES)
"""One payment for each source."""


def generate(
    root: Path,
    payments: int,
    seed: int,
    today: date,
    progress: Callable[[int], object] = lambda _done: None,
) -> Folder:
    """Write a sample of exactly `payments` payments, whatever becomes of them, below `root`.

    The same arguments give the same bytes on every machine. `root` must exist and be empty.

    Raises:
        ValueError: fewer payments than sources.
        OSError: the folder cannot be written.
    """
    if payments < FEWEST:
        raise ValueError(f"at least {FEWEST} payments are needed, one for each source")
    with Folder(root, seed, today) as folder:
        teller = Teller(folder.world, folder)
        while folder.payments < payments:
            # No story makes more than two, so only the last one must be plain.
            teller.tell(plain=folder.payments == payments - 1)
            progress(folder.payments)
    return folder
