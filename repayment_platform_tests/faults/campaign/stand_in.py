"""The sandbox of one seed: started, killed, started again on the same ledger and port.

What belongs here: its process and its side door. What does not: its behaviour.
"""

import json
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import httptools  # noqa: F401 -- loaded here, once, for all that are forked
import uvloop  # noqa: F401

from repayment_platform.sandbox import __main__ as sandbox
from repayment_platform_tests.faults.campaign.history import Outage
from repayment_platform_tests.faults.campaign.processes import Child, fork
from repayment_platform_tests.faults.campaign.trouble import Rule
from repayment_platform_tests.ports import free_port

_START_SECONDS = 20.0


class StandIn:
    """A sandbox process that is brought back whenever it has died."""

    def __init__(self, home: Path, seed: int) -> None:
        self._home = home
        self._seed = seed
        self._rules: tuple[Rule, ...] = ()
        self._conflicts = False
        self._child: Child | None = None
        self._down_until = 0.0
        self.outages: list[Outage] = []
        self.starts = 0
        self.port = free_port()

    def start(self) -> None:
        arguments = ["sandbox", "--port", str(self.port), "--ledger", str(self._home / "ledger")]

        def serve() -> int:
            sys.argv = arguments
            return sandbox.main()

        self._child = fork(serve, self._home / "sandbox.log")
        self.starts += 1
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._child.is_gone or time.monotonic() > deadline:
                raise RuntimeError((self._home / "sandbox.log").read_text())
            time.sleep(0.01)
        self.install(self._rules, conflicts=self._conflicts)

    def bring_back(self, *, at_once: bool = False) -> bool:
        """Start it again if it has died and its time is over; whether it was started."""
        died = self._child is None or self._child.is_gone
        if not died:
            return False
        if not self.outages or self.outages[-1].back is not None:  # by a fault of its own
            self.outages.append(Outage(time.time()))
        if not at_once and time.monotonic() < self._down_until:
            return False
        self.start()
        self.outages[-1].back = time.time()
        return True

    def kill(self, for_seconds: float = 0.0) -> None:
        """It is not brought back for so long."""
        if self._child and not self._child.is_gone:
            self.outages.append(Outage(time.time()))
            self._down_until = time.monotonic() + for_seconds
            self._child.signal(signal.SIGKILL)
            self._child.wait(_START_SECONDS)

    def install(self, rules: tuple[Rule, ...], *, conflicts: bool = False) -> None:
        """Throw switches; they are thrown again, and drawn anew, after a restart."""
        self._rules, self._conflicts = rules, conflicts
        seed = self._seed * 100 + self.starts
        plan = {"seed": seed, "rules": list(rules), "retry_seconds": 0.05, "conflicts": conflicts}
        self.ask("/sandbox/faults", plan)

    def ask(self, path: str, body: Any = None) -> Any:
        """What its side door answers; it is brought back for that if it dies over it. What is
        asked must bear being asked twice."""
        try:
            return self._ask(path, body)
        except (urllib.error.URLError, ConnectionError):
            if not self.bring_back(at_once=True):
                raise
            return self._ask(path, body)

    def _ask(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def _answers(self) -> bool:
        try:
            self._ask("/sandbox/health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True
