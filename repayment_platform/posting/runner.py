"""Starting a posting run from synchronous code, and ending it gracefully when told to.

What belongs here: the event loop and the signals. What does not: what a run does (`engine`).
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

from repayment_platform.ledger.workers import StopSwitch
from repayment_platform.posting import engine
from repayment_platform.posting.model import QueueLine, Selection, Summary
from repayment_platform.settings import Settings


def run_posting(
    settings: Settings,
    conninfo: str,
    selection: Selection,
    run_id: str,
    *,
    progress: engine.Progress = lambda _summary, _doing: None,
) -> Summary:
    """Post what is due. On SIGINT or SIGTERM what is in flight is finished and recorded first.

    Raises: what `engine.post` raises.
    """

    async def main() -> Summary:
        switch = StopSwitch()
        with _stopping(switch):
            return await engine.post(
                settings, conninfo, selection, run_id, progress=progress, switch=switch
            )

    return asyncio.run(main())


def inspect_queue(conninfo: str, selection: Selection, run_id: str) -> list[QueueLine]:
    """The queue as a run starting now would see it; changes nothing. Raises `engine.NoCore`."""
    return asyncio.run(engine.inspect(conninfo, selection, run_id))


@contextmanager
def _stopping(switch: StopSwitch) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a graceful stop; signals reach the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def stop(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        reason = f"stopped on request ({name})"
        loop.call_soon_threadsafe(partial(switch.stop, reason, is_request=True))

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
