"""What stands at a moment: keys, payments, questions, the ledger.

What belongs here: reading it, and whose money each payment is. What does not: whether that is right
(`judge`), what to do about it (`person`).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from psycopg import Connection

from repayment_platform_tests.worlds.calendar import Calendar
from repayment_platform_tests.worlds.ledger import Books, Posted
from repayment_platform_tests.worlds.truth import Movement, Report, Says

KEY = re.compile(r"\b[0-9a-f]{32}\b")
# The newest row of each observation, a proper one before a provisional one.
_KEYS = """
SELECT DISTINCT ON (raw_id) raw_id, source_key, rule FROM "CORE"."CORE_PAYMENT_KEY"
ORDER BY raw_id, rule = 'provisional', batch DESC
"""
_PAYMENTS = """
SELECT source_key, loan_external_id, amount, payment_date, is_success, outcome
FROM "CORE"."CORE_TRANSACTION_DATA"
"""
_HOLDS = """
SELECT id, source_key, reason_code, reason, facts FROM "CORE"."CORE_HOLD" WHERE decision IS NULL
ORDER BY id
"""
_EXCEPTIONS = """
SELECT id, source_key, kind, detail ->> 'what', detail FROM "CORE"."CORE_EXCEPTION" e
WHERE closed_at IS NULL AND NOT EXISTS (
    SELECT FROM "CORE"."CORE_HOLD" h
    WHERE h.source_key = e.source_key AND h.reason_code = e.kind AND h.decision IS NULL)
ORDER BY id
"""
_DIFFERS = """
SELECT 0, r.source_key, 'amount_differs', 'the sources differ about the amount', '{}'::jsonb
FROM "CORE"."CORE_RECON_RECORD" r
WHERE r.match_status = 'amount_differs'
  AND EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" w WHERE w.source_key = r.source_key)
"""
_EXTERNAL = """
SELECT coalesce(external_id, source_key), source_key FROM "CORE"."CORE_POSTING_ATTEMPT"
"""


@dataclass(frozen=True)
class Payment:
    """A payment as CORE has it."""

    key: str
    loan: str | None
    amount: Decimal | None
    date: date | None
    is_success: bool
    outcome: str


@dataclass(frozen=True)
class Question:
    """What a person is asked: an open hold or exception, or what stands in a list of its own."""

    where: str
    """`hold`, `exception` or `amount_differs`."""
    id: int
    key: str
    kind: str
    words: str
    names: frozenset[str]
    """The payments that it names."""

    @property
    def alarms(self) -> bool:
        """Whether somebody is called to it. A loan may be named by the next report."""
        return self.kind != "loan_unknown"


@dataclass
class Standing:
    """What stands, with the truth beside it."""

    calendars: dict[int, Calendar]
    """Of each movement."""
    key_of: dict[int, str] = field(default_factory=dict)
    rules: dict[int, str] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    rows: dict[str, list[Report]] = field(default_factory=lambda: defaultdict(list))
    """Of each payment the rows that belong to it, in order of arrival."""
    questions: list[Question] = field(default_factory=list)
    live: dict[str, list[Posted]] = field(default_factory=lambda: defaultdict(list))
    """Of each payment its repayments in the ledger."""
    sent: set[str] = field(default_factory=set)
    """Payments that were sent to the ledger, whatever came of it."""

    def keys_of(self, movement: Movement) -> set[str]:
        """The payments that have a report of the movement."""
        rows = self._reports[id(movement)]
        return {self.key_of[row.raw_id] for row in rows if row.raw_id in self.key_of}

    def movement_of(self, key: str) -> Movement | None:
        """Whose money a payment is. Reports of equal money may have been taken for one another's:
        then each payment is one of the movements that it has reports of, as far as there are so
        many, first those that it has the facts of."""
        if key in self._owner:
            return self._owner[key]
        rows = self.rows.get(key, [])
        paid = [row for row in rows if row.says is Says.PAID and not row.withdrawn]
        kept = [row for row in paid if row.movement.left() > 0]
        return next((row.movement for row in (*kept, *paid, *rows)), None)

    def is_one_too_many(self, key: str) -> bool:
        """Whether as many other payments as really moved have the reports of its movements."""
        return key not in self._owner

    def live_of(self, movement: Movement) -> list[tuple[str, Posted]]:
        """The repayments in the ledger that are this movement's."""
        return [
            (key, posted)
            for key in sorted(self.keys_of(movement))
            if self.live.get(key) and self.movement_of(key) is movement
            for posted in self.live[key]
        ]

    def about(self, movement: Movement) -> list[Question]:
        """The open questions that name a payment of the movement."""
        keys = self.keys_of(movement)
        return [q for key in keys for q in self._naming.get(key, ())]

    def asked_about(self, key: str) -> list[Question]:
        """The open questions about a payment that call somebody."""
        return [q for q in self._naming.get(key, ()) if q.key == key and q.alarms]

    def link(self, reports: Iterable[Report]) -> None:
        """Put the rows of the stories beside what stands."""
        self._reports: dict[int, list[Report]] = defaultdict(list)
        for report in reports:
            self._reports[id(report.movement)].append(report)
            if report.raw_id in self.key_of:
                self.rows[self.key_of[report.raw_id]].append(report)
        for rows in self.rows.values():
            rows.sort(key=lambda row: row.raw_id or 0)
        self._owner = self._share_out()
        self._naming: dict[str, list[Question]] = defaultdict(list)
        for question in self.questions:
            for key in question.names:
                self._naming[key].append(question)

    def _share_out(self) -> dict[str, Movement]:
        """Payments to movements, each to one at most; posted ones first."""
        loose: dict[str, list[Movement]] = {}
        exact: dict[str, list[Movement]] = {}
        for key in sorted(
            self.rows, key=lambda key: (not self.live.get(key), self.rows[key][0].raw_id)
        ):
            loose[key] = [
                row.movement
                for row in self.rows[key]
                if row.says is Says.PAID and not row.withdrawn and row.movement.left() > 0
            ]
            exact[key] = [m for m in loose[key] if self._has_facts(key, m)]
        owners: dict[int, str] = {}
        movements = {id(m): m for each in loose.values() for m in each}
        for edges in (exact, loose):
            matched = set(owners.values())
            for key in edges:
                if key not in matched:
                    _augment(key, edges, owners, set())
        return {key: movements[number] for number, key in owners.items()}

    def _has_facts(self, key: str, movement: Movement) -> bool:
        payment = self.payments.get(key)
        days = {self.calendars[id(movement)].date(day) for day in movement.days}
        if payment is None or payment.date not in days:
            return False
        is_its_amount = payment.amount in (movement.amount, movement.left())
        return payment.loan == movement.loan and is_its_amount


def _augment(
    key: str, edges: dict[str, list[Movement]], owners: dict[int, str], seen: set[int]
) -> bool:
    """Give a payment a movement, if others can move over for it."""
    for movement in edges[key]:
        number = id(movement)
        if number not in seen:
            seen.add(number)
            if number not in owners or _augment(owners[number], edges, owners, seen):
                owners[number] = key
                return True
    return False


def read(
    connection: Connection[Any],
    books: Books,
    reports: Iterable[Report],
    calendars: dict[int, Calendar],
) -> Standing:
    """What stands now."""
    standing = Standing(calendars)
    for raw_id, key, rule in connection.execute(_KEYS):
        standing.key_of[raw_id], standing.rules[raw_id] = key, rule
    for row in connection.execute(_PAYMENTS):
        standing.payments[row[0]] = Payment(*row)
    for where, query in (
        ("hold", _HOLDS), ("exception", _EXCEPTIONS), ("amount_differs", _DIFFERS)
    ):  # fmt: skip
        for number, key, kind, words, facts in connection.execute(query):
            names = frozenset(KEY.findall(f"{key} {words} {json.dumps(facts)}"))
            standing.questions.append(Question(where, number, key or "", kind, words or "", names))
    key_of: dict[str, str] = dict(connection.execute(_EXTERNAL).fetchall())
    for posted in books.live():
        external_id = posted.external_id or ""  # the key, unless it was posted again
        standing.live[key_of.get(external_id, external_id)].append(posted)
    standing.sent = set(key_of.values())
    standing.link(reports)
    return standing
