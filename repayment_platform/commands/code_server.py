"""Dagster's code server, as `./run up` starts it: in the embedded database from start to end.

What belongs here: that the process joins the server once. Its sensors tick every few seconds, and
each would have to join it, and leave it, otherwise. What does not: the definitions.
"""

import os
import sys
from importlib.metadata import entry_points

from repayment_platform.commands.platform import NO_FORK_HANDLERS
from repayment_platform.settings import load_settings
from repayment_platform.warehouse.server import warehouse

MODULE = "repayment_platform.definitions"


def main() -> None:
    """Run `dagster api grpc` on our definitions with this process's arguments."""
    os.environ |= NO_FORK_HANDLERS
    with warehouse(load_settings(), must_answer=False):
        sys.argv[1:1] = ("api", "grpc", "-m", MODULE)
        (dagster,) = entry_points(group="console_scripts", name="dagster")
        dagster.load()()


if __name__ == "__main__":
    main()
