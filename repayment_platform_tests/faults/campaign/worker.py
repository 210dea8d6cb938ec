"""The posting run under trial: the platform's own `run_posting` in a process of its own.

What belongs here: its settings, its exit code, and the points at which it can be made to end.
What does not: any change to what the engine does.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.trust import trusting
from repayment_platform.posting.claims import Claims
from repayment_platform.posting.model import PostingStopped, Selection
from repayment_platform.posting.results import Results
from repayment_platform.posting.runner import run_posting
from repayment_platform.settings import SANDBOX, Settings
from repayment_platform_tests.faults.campaign.plan import LENDERS, RECON_LENDER
from repayment_platform_tests.faults.campaign.trouble import PATIENCE_SECONDS, Doom, RunOrder

TIMEOUT_SECONDS = 0.3
SETTLE_SECONDS = 0.7
"""All times are a fortieth or so of those of a real installation, so that ninety seconds without
Fineract are two; the engine's pauses shrink with the patience (`trouble.PATIENCE_SECONDS`)."""
DONE, STOPPED, NO_DATABASE = 0, 3, 4
"""Exit codes; any other means that the engine itself failed."""

trusting(None)  # loaded once, before the forks


@dataclass(frozen=True)
class Surroundings:
    """Where a run finds its database and the sandbox."""

    conninfo: str
    sandbox_port: int
    home: Path

    def settings(self, workers: int = 4, patience: float = PATIENCE_SECONDS) -> Settings:
        return Settings(
            _env_file=None,
            database_url=self.conninfo,
            repayment_home=self.home,
            fineract_base_url=SANDBOX,
            sandbox_port=self.sandbox_port,
            fineract_timeout_seconds=TIMEOUT_SECONDS,
            fineract_settle_seconds=SETTLE_SECONDS,
            fineract_patience_seconds=patience,
            posting_workers=workers,
        )


def work(order: RunOrder, around: Surroundings) -> int:
    """Run to the end and tell by the exit code how it ended."""
    if order.doom:
        _lay_in_wait(order.doom)
    is_recon = order.recon_keys is not None
    lenders = (*LENDERS, RECON_LENDER) if is_recon else LENDERS
    selection = Selection(lenders, order.limit, order.recon_keys)
    # Every connection of the run tells who it is; the campaign's triggers write that down.
    conninfo = f"{around.conninfo}&application_name={order.run_id}"
    settings = around.settings(order.workers, order.patience)
    try:
        run_posting(settings, conninfo, selection, order.run_id)
    except PostingStopped as stopped:
        sys.stdout.write(f"stopped: {stopped}\n")
        return STOPPED
    except psycopg.OperationalError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        # 57…: shut down, terminated; none at all: the connection broke or could not be made.
        return NO_DATABASE if (error.sqlstate or "57").startswith("57") else 1
    return DONE


def _lay_in_wait(doom: Doom) -> None:
    """Wrap the method at the point, so that reaching it for the n-th time is the end."""
    count = 0

    def reached() -> None:
        nonlocal count
        count += 1
        if count == doom.nth:
            os.kill(os.getpid(), signal.SIGSTOP if doom.freeze else signal.SIGKILL)

    when, _, what = doom.point.partition(" ")
    owner, name = {
        "claim": (Claims, "write"),
        "record": (Results, "write"),
        "send": (FineractClient, "post_repayment"),
        "flight": (FineractClient, "post_repayment"),
        "reply": (FineractClient, "post_repayment"),
    }[what]
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def wrapped(*args: Any) -> Any:
        if when == "before":
            reached()
        elif when == "in":
            asyncio.get_running_loop().call_later(0.01, reached)
        result = await original(*args)
        if when == "after":
            reached()
        return result

    setattr(owner, name, wrapped)
