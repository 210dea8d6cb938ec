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
        self._child: Child | None = None
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
        self.install(self._rules)

    def bring_back(self) -> bool:
        """Start it again if it has died; whether it had."""
        died = self._child is None or self._child.is_gone
        if died:
            self.start()
        return died

    def kill(self) -> None:
        if self._child:
            self._child.signal(signal.SIGKILL)
            self._child.wait(_START_SECONDS)

    def install(self, rules: tuple[Rule, ...]) -> None:
        """Throw switches; they are thrown again, and drawn anew, after a restart."""
        self._rules = rules
        plan = {"seed": self._seed * 100 + self.starts, "rules": list(rules), "retry_seconds": 0.05}
        self.ask("/sandbox/faults", plan)

    def ask(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def _answers(self) -> bool:
        try:
            self.ask("/sandbox/health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True
