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
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from repayment_platform.sandbox.faults import Hits
from repayment_platform.sandbox.ledger import Ledger
from repayment_platform.sandbox.replies import (
    FineractError,
    Reply,
    data_integrity,
    lock_conflict,
    not_found,
    server_error,
    to_json,
)

Action = Literal["REPAYMENT", "ADJUST"]
PROCESSED, AWAITING_APPROVAL, REJECTED, UNDER_PROCESSING, ERROR = 1, 2, 3, 4, 5
CACHED = {"x-served-from-cache": "true"}


class NoAnswer(Exception):
    """The connection ends without a reply, after so long; None: when the client gives up."""

    def __init__(self, hang_seconds: float | None = 0) -> None:
        super().__init__(hang_seconds)
        self.hang_seconds = hang_seconds


@dataclass(frozen=True)
class Command:
    """What is asked; `body` is as sent, which is also what a 425 answers with."""

    action: Action
    key: str | None
    loan_id: int | None
    transaction_id: int | None
    body: str


@dataclass(frozen=True)
class Surroundings:
    """What happens around a command."""

    hits: Hits
    conflicts: bool
    """Whether two commands of one loan may get into each other's way."""
    answer_lost: bool
    """Whether the machine is too busy to answer after the work is done."""
    passes_checkers: bool
    """Whether what this user asks for needs no second person."""
    latency: Callable[[], float]
    """Seconds; drawn once, and spent while the key is under processing."""
    serve: Callable[[float], Awaitable[None]]
    """The machine's time for the work, and these seconds."""


Work = Callable[[], dict[str, Any]]


class Commands:
    """Runs commands at most once per (action, key)."""

    def __init__(self, ledger: Ledger, retry_seconds: Callable[[], float]) -> None:
        self.ledger = ledger
        self.retry_seconds = retry_seconds
        self._versions: Counter[int | None] = Counter()
        """How often each loan was changed since the start."""

    async def execute(self, command: Command, around: Surroundings, work: Work) -> Reply:
        """The answer of `work`, or of the call that used this key before. Raises `NoAnswer`."""
        if command.key is not None and (cached := await self._earlier(command)):
            return cached
        number = self._begin(command)
        try:
            await self._wait_for_loan(command.loan_id, around)
            return self._process(number, command, around, work)
        except FineractError as error:
            text = "" if around.hits.take("cached_error_empty") else to_json(error.body)
            self._finish(number, ERROR, error.status, text)
            return error.reply()

    def approve(self, number: int, work: Callable[[Command], dict[str, Any]]) -> Reply:
        """What a checker's approval does: the command is worked on now."""
        row = self._awaiting(number)
        try:
            with self.ledger.transaction():
                result = work(
                    Command(row["action"], None, row["loan_id"], row["transaction_id"], row["body"])
                )
        except FineractError as error:
            self._finish(number, ERROR, error.status, to_json(error.body))
            raise
        self._versions[row["loan_id"]] += 1
        self._finish(number, PROCESSED, 200, to_json(result))
        return Reply(200, to_json({"commandId": number} | result))

    def reject(self, number: int) -> Reply:
        """What a checker's rejection does: nothing is posted, and the key is never free again."""
        self._awaiting(number)
        self._finish(number, REJECTED, None, None)
        return Reply(200, to_json({"commandId": number}))

    def _awaiting(self, number: int) -> sqlite3.Row:
        row: sqlite3.Row | None = self.ledger.db.execute(
            "SELECT * FROM command WHERE id = ? AND status = ?", (number, AWAITING_APPROVAL)
        ).fetchone()
        if row is None:
            message = f"Audit with identifier {number} does not exist"
            raise not_found("error.msg.command.id.invalid", message, number)
        return row

    async def _wait_for_loan(self, loan_id: int | None, around: Surroundings) -> None:
        """Take the time of the work, anew when another command has changed the loan meanwhile.

        The third time is the last: a conflict, which burns the key.
        """
        step, latency = self.retry_seconds(), around.latency()
        for pause in (step, 2 * step, None):
            version = self._versions[loan_id]
            await around.serve(latency)
            if not around.conflicts or self._versions[loan_id] == version:
                return
            if pause is not None:
                await asyncio.sleep(pause)
        raise lock_conflict()

    async def _earlier(self, command: Command) -> Reply | None:
        """The stored answer of this key; a key in work is asked for three times, then 425."""
        if len(command.key or "") > 50:
            code = "error.msg.data.integrity.issue"
            raise data_integrity(code, "Data integrity issue with resource.")
        step = self.retry_seconds()
        for wait in (step, 2 * step, None):
            row = self.ledger.db.execute(
                "SELECT status, result, result_status_code FROM command"
                " WHERE action = ? AND idempotency_key = ?",
                (command.action, command.key),
            ).fetchone()
            if row is None:
                return None
            if row["status"] in (PROCESSED, ERROR):
                return Reply(row["result_status_code"], row["result"], headers=CACHED)
            if wait is not None:
                await asyncio.sleep(wait)
        return Reply(425, command.body, headers=CACHED)

    def _process(self, number: int, command: Command, around: Surroundings, work: Work) -> Reply:
        hits = around.hits
        if not around.passes_checkers and hits.take("maker_checker"):
            return self._put_before_checker(number, command, work)
        if hits.take("lock_conflict"):
            raise lock_conflict()
        if stuck := hits.take("stuck_key", applied=False):
            raise NoAnswer(stuck.ms / 1000)
        _crash(hits, "before_work")
        with self.ledger.transaction():
            result = to_json(work())
        self._versions[command.loan_id] += 1
        _crash(hits, "after_commit")
        if stuck := hits.take("stuck_key", applied=True):
            raise NoAnswer(stuck.ms / 1000)
        if hits.take("server_error_after_commit") or around.answer_lost:
            error = server_error("java.lang.NullPointerException")
            self._finish(number, PROCESSED, error.status, to_json(error.body))
            return error.reply()
        self._finish(number, PROCESSED, 200, result)
        return Reply(200, result)

    def _put_before_checker(self, number: int, command: Command, work: Work) -> Reply:
        """The work is tried, so that what is not allowed is refused, and taken back."""
        self.ledger.db.execute("BEGIN IMMEDIATE")
        try:
            work()
        finally:
            self.ledger.db.execute("ROLLBACK")
        self._finish(number, AWAITING_APPROVAL, None, None)
        changed = {"resourceId": command.transaction_id} if command.transaction_id else {}
        return Reply(200, to_json({"commandId": number, **changed, "rollbackTransaction": True}))

    def _begin(self, command: Command) -> int:
        with self.ledger.transaction():
            cursor = self.ledger.db.execute(
                "INSERT INTO command"
                " (action, idempotency_key, status, loan_id, transaction_id, body)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(command.action, command.key or str(uuid4()), UNDER_PROCESSING),
                    *(command.loan_id, command.transaction_id, command.body),
                ),
            )
        return int(cursor.lastrowid or 0)

    def _finish(self, command: int, status: int, code: int | None, result: str | None) -> None:
        with self.ledger.transaction():
            self.ledger.db.execute(
                "UPDATE command SET status = ?, result_status_code = ?, result = ? WHERE id = ?",
                (status, code, result, command),
            )


def _crash(hits: Hits, when: str) -> None:
    """End the process as a power cut would, between two commits."""
    if hits.take("crash", when=when):
        os.kill(os.getpid(), signal.SIGKILL)
