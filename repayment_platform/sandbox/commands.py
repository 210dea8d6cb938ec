"""Idempotency: the command table that remembers what became of each Idempotency-Key.

What belongs here: a key's life (under processing, processed, error, awaiting approval) and the
cached answers. What does not: what a command does (`loans`).

A key is shared by all loans and bodies of one action, never expires, and is burnt by an error.
Its steps are commits of their own, so a kill between them leaves it under processing for ever,
with or without the money posted.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from repayment_platform.sandbox.faults import Hits
from repayment_platform.sandbox.ledger import Ledger
from repayment_platform.sandbox.replies import (
    FineractError,
    Reply,
    data_integrity,
    lock_conflict,
    server_error,
    to_json,
)

PROCESSED, AWAITING_APPROVAL, UNDER_PROCESSING, ERROR = 1, 2, 4, 5
CACHED = {"x-served-from-cache": "true"}


class NoAnswer(Exception):
    """The connection ends without a reply, after so long; None: when the client gives up."""

    def __init__(self, hang_seconds: float | None = 0) -> None:
        super().__init__(hang_seconds)
        self.hang_seconds = hang_seconds


class Commands:
    """Runs commands at most once per (action, key)."""

    def __init__(self, ledger: Ledger, retry_seconds: Callable[[], float]) -> None:
        self.ledger = ledger
        self.retry_seconds = retry_seconds

    async def execute(
        self,
        action: str,
        key: str | None,
        body: str,
        hits: Hits,
        work: Callable[[], dict[str, Any]],
        delay: Callable[[], Awaitable[None]],
    ) -> Reply:
        """The answer of `work`, or of the call that used this key before.

        `body` is this call's own request, which is what a 425 answers with. `delay` is awaited
        while the key is under processing. Raises `NoAnswer`.
        """
        if key is not None and (cached := await self._earlier(action, key, body)):
            return cached
        command = self._begin(action, key or str(uuid4()))
        await delay()
        try:
            return self._process(command, hits, work)
        except FineractError as error:
            text = "" if hits.take("cached_error_empty") else to_json(error.body)
            self._finish(command, ERROR, error.status, text)
            return error.reply()

    async def _earlier(self, action: str, key: str, body: str) -> Reply | None:
        """The stored answer of this key; a key in work is asked for three times, then 425."""
        if len(key) > 50:
            code = "error.msg.data.integrity.issue"
            raise data_integrity(code, "Data integrity issue with resource.")
        step = self.retry_seconds()
        for wait in (step, 2 * step, None):
            row = self.ledger.db.execute(
                "SELECT status, result, result_status_code FROM command"
                " WHERE action = ? AND idempotency_key = ?",
                (action, key),
            ).fetchone()
            if row is None:
                return None
            if row["status"] in (PROCESSED, ERROR):
                return Reply(row["result_status_code"], row["result"], headers=CACHED)
            if wait is not None:
                await asyncio.sleep(wait)
        return Reply(425, body, headers=CACHED)

    def _process(self, command: int, hits: Hits, work: Callable[[], dict[str, Any]]) -> Reply:
        if hits.take("maker_checker"):
            self._finish(command, AWAITING_APPROVAL, None, None)
            return Reply(200, to_json(_awaiting_approval(command)))
        if hits.take("lock_conflict"):
            raise lock_conflict()
        if stuck := hits.take("stuck_key", applied=False):
            raise NoAnswer(stuck.ms / 1000)
        _crash(hits, "before_work")
        with self.ledger.transaction():
            result = to_json(work())
        _crash(hits, "after_commit")
        if stuck := hits.take("stuck_key", applied=True):
            raise NoAnswer(stuck.ms / 1000)
        if hits.take("server_error_after_commit"):
            error = server_error("java.lang.NullPointerException")
            self._finish(command, PROCESSED, error.status, to_json(error.body))
            return error.reply()
        self._finish(command, PROCESSED, 200, result)
        return Reply(200, result)

    def _begin(self, action: str, key: str) -> int:
        with self.ledger.transaction():
            cursor = self.ledger.db.execute(
                "INSERT INTO command (action, idempotency_key, status) VALUES (?, ?, ?)",
                (action, key, UNDER_PROCESSING),
            )
        return int(cursor.lastrowid or 0)

    def _finish(self, command: int, status: int, code: int | None, result: str | None) -> None:
        with self.ledger.transaction():
            self.ledger.db.execute(
                "UPDATE command SET status = ?, result_status_code = ?, result = ? WHERE id = ?",
                (status, code, result, command),
            )


def _awaiting_approval(command: int) -> dict[str, Any]:
    return {
        "commandId": command,
        "rollbackTransaction": True,
        "resourceExternalId": {},
        "subResourceExternalId": {},
    }


def _crash(hits: Hits, when: str) -> None:
    """End the process as a power cut would, between two commits."""
    if hits.take("crash", when=when):
        os.kill(os.getpid(), signal.SIGKILL)
