"""The sandbox's books: one SQLite file that outlives a kill of the process.

What belongs here: the schema, durable transactions, and plain reads and writes of loans and loan
transactions. What does not: lending rules (`loans`), idempotency (`commands`), HTTP.

One connection, used only from the event loop's thread, so transactions never interleave. WAL with
synchronous=NORMAL: a commit is in the operating system's hands before the answer leaves, which a
kill of the process cannot undo (a power cut could).
"""

import datetime
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

SCHEMA = """
CREATE TABLE IF NOT EXISTS loan (
    id INTEGER PRIMARY KEY,
    external_id TEXT NOT NULL UNIQUE,
    status INTEGER NOT NULL,
    client_active INTEGER NOT NULL,
    disbursed_on TEXT NOT NULL,
    currency TEXT NOT NULL,
    principal TEXT NOT NULL,
    balance TEXT NOT NULL,          -- what is still owed; negative when overpaid
    settled_on TEXT,                -- the date that closed or overpaid it
    schedule TEXT NOT NULL DEFAULT 'cumulative'
);
CREATE TABLE IF NOT EXISTS loan_transaction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    loan_id INTEGER NOT NULL REFERENCES loan (id),
    external_id TEXT UNIQUE,
    date TEXT NOT NULL,
    amount TEXT NOT NULL,
    principal_portion TEXT NOT NULL,
    balance TEXT NOT NULL,          -- of the loan, after this transaction
    submitted_on TEXT NOT NULL,
    payment_detail TEXT,
    reversed_on TEXT,
    manually_reversed INTEGER NOT NULL DEFAULT 0,
    reversal_external_id TEXT UNIQUE,
    replays TEXT NOT NULL DEFAULT '[]',  -- ids of the rows it took the place of, as JSON
    request_id INTEGER
);
CREATE INDEX IF NOT EXISTS loan_transaction_day ON loan_transaction (loan_id, date);
CREATE INDEX IF NOT EXISTS loan_transaction_request ON loan_transaction (request_id);
CREATE TABLE IF NOT EXISTS command (
    id INTEGER PRIMARY KEY,
    action TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    status INTEGER NOT NULL,
    result TEXT,
    result_status_code INTEGER,
    loan_id INTEGER,                -- with the next two: what a checker may approve later
    transaction_id INTEGER,
    body TEXT,
    UNIQUE (action, idempotency_key)
);
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY,
    started_at REAL NOT NULL,
    ended_at REAL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    operation TEXT NOT NULL,
    loan TEXT,
    external_id TEXT,
    idempotency_key TEXT,
    status INTEGER,
    faults TEXT NOT NULL DEFAULT '[]'
);
"""

_LAST = 2**62
"""Behind every id."""

NEWER_COLUMNS = (
    ("loan", "schedule TEXT NOT NULL DEFAULT 'cumulative'"),
    ("command", "loan_id INTEGER"),
    ("command", "transaction_id INTEGER"),
    ("command", "body TEXT"),
)
"""Added to a file that an earlier sandbox made."""

Schedule = Literal["cumulative", "recalculated", "progressive"]
"""Kinds of loans; `recalculated` is cumulative with interest recalculation."""


@dataclass(frozen=True)
class Loan:
    id: int
    external_id: str
    status: int
    client_active: bool
    disbursed_on: datetime.date
    currency: str
    principal: Decimal
    balance: Decimal
    settled_on: datetime.date | None
    schedule: Schedule


@dataclass(frozen=True)
class Transaction:
    """A repayment as stored. Of its amount, what is not principal was paid too much."""

    id: int
    loan_id: int
    external_id: str | None
    date: datetime.date
    amount: Decimal
    principal_portion: Decimal
    balance: Decimal
    submitted_on: datetime.date
    payment_detail: dict[str, Any] | None
    reversed_on: datetime.date | None
    manually_reversed: bool
    reversal_external_id: str | None
    replays: list[int]
    request_id: int | None


class Ledger:
    """The one connection; raises sqlite3.OperationalError when another process has the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # The time-out lets a predecessor that is still shutting down let go of the file.
        self.db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.executescript(SCHEMA)
        for table, column in NEWER_COLUMNS:
            known = {row["name"] for row in self.db.execute(f"PRAGMA table_info({table})")}
            if column.split()[0] not in known:
                self.db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable on leaving. Never await inside."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def empty(self) -> None:
        """Forget all loans, transactions, commands and requests; ids begin at 1 again."""
        with self.transaction():
            for table in ("loan_transaction", "loan", "command", "request", "sqlite_sequence"):
                self.db.execute(f"DELETE FROM {table}")  # noqa: S608 -- names are ours

    def loan(self, *, id: int | None = None, external_id: str | None = None) -> Loan | None:
        column, value = ("id", id) if external_id is None else ("external_id", external_id)
        sql = f"SELECT * FROM loan WHERE {column} = ?"  # noqa: S608 -- one of two literals
        row = self.db.execute(sql, (value,)).fetchone()
        return None if row is None else _loan(row)

    def insert_loan(self, **columns: Any) -> None:
        self._insert("loan", columns)

    def update_loan(self, loan_id: int, **columns: Any) -> None:
        self._update("loan", loan_id, columns)

    def find(self, *, id: int | None = None, external_id: str | None = None) -> Transaction | None:
        """A loan transaction, reversed or not, on whatever loan."""
        column, value = ("id", id) if external_id is None else ("external_id", external_id)
        sql = f"SELECT * FROM loan_transaction WHERE {column} = ?"  # noqa: S608 -- as above
        row = self.db.execute(sql, (value,)).fetchone()
        return None if row is None else _transaction(row)

    def insert(self, **columns: Any) -> int:
        """Add a loan transaction and return its id; sqlite3.IntegrityError on a used externalId."""
        return self._insert("loan_transaction", columns)

    def update(self, transaction_id: int, **columns: Any) -> None:
        self._update("loan_transaction", transaction_id, columns)

    def transactions_of(self, loan_id: int) -> list[Transaction]:
        """What a loan look-up lists: rows reversed by a replay are hidden, undone ones are not."""
        sql = (
            "SELECT * FROM loan_transaction WHERE loan_id = ?"
            " AND (reversed_on IS NULL OR manually_reversed) ORDER BY date, id"
        )
        return [_transaction(row) for row in self.db.execute(sql, (loan_id,))]

    def live_after(
        self, loan_id: int, on: datetime.date, transaction_id: int | None = None
    ) -> list[Transaction]:
        """What counts in a loan's balance and is booked behind a day, or behind a row of it."""
        behind = _LAST if transaction_id is None else transaction_id
        sql = (
            "SELECT * FROM loan_transaction WHERE loan_id = ? AND reversed_on IS NULL"
            " AND (date, id) > (?, ?) ORDER BY date, id"
        )
        rows = self.db.execute(sql, (loan_id, on.isoformat(), behind))
        return [_transaction(row) for row in rows]

    def last_day_of(self, loan_id: int) -> datetime.date | None:
        """The day of the last repayment that counts; None without any."""
        sql = "SELECT max(date) FROM loan_transaction WHERE loan_id = ? AND reversed_on IS NULL"
        return _date(self.db.execute(sql, (loan_id,)).fetchone()[0])

    def undone_of(self, loan_id: int) -> Decimal:
        """The sum of what people undid on a loan."""
        sql = "SELECT amount FROM loan_transaction WHERE loan_id = ? AND manually_reversed"
        rows = self.db.execute(sql, (loan_id,))
        return sum((Decimal(row["amount"]) for row in rows), Decimal(0))

    def page(self, after: int, limit: int) -> list[tuple[Transaction, Loan]]:
        """What the lists of all loans show, in order of id."""
        sql = (
            "SELECT * FROM loan_transaction WHERE id > ?"
            " AND (reversed_on IS NULL OR manually_reversed) ORDER BY id LIMIT ?"
        )
        rows = [_transaction(row) for row in self.db.execute(sql, (after, limit))]
        loans = {loan_id: self.loan(id=loan_id) for loan_id in {row.loan_id for row in rows}}
        return [(row, loan) for row in rows if (loan := loans[row.loan_id]) is not None]

    def _insert(self, table: str, columns: dict[str, Any]) -> int:
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 -- names are ours
        return int(self.db.execute(sql, _stored(columns.values())).lastrowid or 0)

    def _update(self, table: str, row_id: int, columns: dict[str, Any]) -> None:
        sets = ", ".join(f"{name} = ?" for name in columns)
        sql = f"UPDATE {table} SET {sets} WHERE id = ?"  # noqa: S608 -- names are ours
        self.db.execute(sql, (*_stored(columns.values()), row_id))


def _stored(values: Iterable[Any]) -> list[Any]:
    """Decimals and dates as text, payment details and lists of ids as JSON."""
    return [
        str(value)
        if isinstance(value, Decimal | datetime.date)
        else json.dumps(value)
        if isinstance(value, dict | list)
        else value
        for value in values
    ]


def _date(text: str | None) -> datetime.date | None:
    return None if text is None else datetime.date.fromisoformat(text)


def _loan(row: sqlite3.Row) -> Loan:
    return Loan(
        **dict(row)
        | {
            "client_active": bool(row["client_active"]),
            "disbursed_on": datetime.date.fromisoformat(row["disbursed_on"]),
            "principal": Decimal(row["principal"]),
            "balance": Decimal(row["balance"]),
            "settled_on": _date(row["settled_on"]),
        }
    )


def _transaction(row: sqlite3.Row) -> Transaction:
    detail, replays = row["payment_detail"], json.loads(str(row["replays"] or "[]"))
    return Transaction(
        **dict(row)
        | {
            "date": datetime.date.fromisoformat(row["date"]),
            "amount": Decimal(row["amount"]),
            "principal_portion": Decimal(row["principal_portion"]),
            "balance": Decimal(row["balance"]),
            "submitted_on": datetime.date.fromisoformat(row["submitted_on"]),
            "payment_detail": None if detail is None else json.loads(detail),
            "reversed_on": _date(row["reversed_on"]),
            "manually_reversed": bool(row["manually_reversed"]),
            # An earlier sandbox stored a single id.
            "replays": replays if isinstance(replays, list) else [replays],
        }
    )
