"""Starting a campaign of the tests from a command.

What belongs here: the process. What does not: a campaign's options (`faults`, `worlds`).
"""

import os
import sys

from repayment_platform.settings import ROOT


def become(module: str, options: list[str]) -> None:
    """Become the campaign `module` of this checkout's tests; returns only by an `OSError`."""
    command = [sys.executable, "-P", "-m", module, *options]
    os.execve(command[0], command, os.environ | {"PYTHONPATH": str(ROOT)})  # noqa: S606
