"""A person who knows the truth: decides each open question rightly.

What belongs here: what is right to decide. What does not: whether it had to be asked (`judge`),
how a decision is recorded (the platform's own acts).
"""

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from repayment_platform.exceptions import decisions
from repayment_platform.exceptions.gone import NotReposted
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.naming import NotMappable, map_loan
from repayment_platform.exceptions.reposting import repost
from repayment_platform.settings import Settings
from repayment_platform_tests.worlds.judge import is_right
from repayment_platform_tests.worlds.ledger import Books, Posted
from repayment_platform_tests.worlds.slips_gateways import NAME_LOAN
from repayment_platform_tests.worlds.slips_restored import FOLDED_ANEW, FORGET
from repayment_platform_tests.worlds.slips_values import LOSE
from repayment_platform_tests.worlds.standing import Question, Standing
from repayment_platform_tests.worlds.truth import Movement
from repayment_platform_tests.worlds.world import World

WHO, WHY = "asha", "as it was"
_ANEW = re.compile(r"^changed since [a-z ]+: ")
_OF_POSTING = (
    "CORE_POSTING_ATTEMPT", "CORE_TRANSACTION_DATA_PROCESSED", "CORE_EXCEPTION",
    "CORE_LEDGER_ANSWER",
)  # fmt: skip
_REFUSALS = (
    decisions.NoSuchException,
    decisions.HasChanged,
    decisions.NeedsRepost,
    decisions.NotOfItsKind,
    decisions.RuledOut,
)


def shown(question: Question, standing: Standing) -> tuple[Any, ...]:
    """What a person sees of a question: its words, and the payment."""
    return _ANEW.sub("", question.words), standing.payments.get(question.key)


@dataclass
class Person:
    """Decides, undoes in the ledger, and has posted again."""

    connection: Connection[Any]
    settings: Settings
    books: Books
    said: list[str] = field(default_factory=list)
    """What was decided, for the story that is printed."""
    to_repost: set[str] = field(default_factory=set)
    answered: dict[tuple[str, str], set[tuple[Any, ...]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """What was decided of a payment and kind, by what was shown of it."""
    may_reconcile: set[str] = field(default_factory=set)
    """Payments of which the sources differ, and that are right as they are."""
    _worlds: dict[int, World] = field(default_factory=dict)

    def decide(self, worlds: list[World], standing: Standing, step: int) -> int:
        """Decide what is open; returns how many acts that took."""
        self._standing, self._undone, acts = standing, set[int](), len(self.said)
        self._worlds = {id(m): w for w in worlds for s in w.stories for m in s.movements}
        for world in worlds:
            for story in world.stories:
                for _, act, about in (each for each in story.acts if each[0] == step):
                    self._act(act, *about)
        for question in standing.questions:
            if question.alarms and (movement := standing.movement_of(question.key)):
                self._answer(question, movement)
        self._repost()
        return len(self.said) - acts

    def _act(self, act: str, movement: Movement, loan: str) -> None:
        if act == LOSE:
            for _, posted in self._standing.live_of(movement):
                self.books.lose(posted)
                self._say(f"{act}: {posted}")
        elif act == FORGET:
            for key in sorted(self._standing.keys_of(movement)):
                self._forget(key)
                if loan == FOLDED_ANEW:
                    decisions.fold_again(self.connection, key, act)
                self._say(f"{act}: {key}")
        elif act == NAME_LOAN:
            for key in sorted(self._standing.keys_of(movement)):
                try:
                    map_loan(self.connection, key, loan, WHO, WHY)
                    self._say(f"{act} of {key}: {loan}")
                except NotMappable as why:
                    self._say(f"{act} of {key}: refused, {why}")

    def _forget(self, key: str) -> None:
        """What a restore does to what the platform knows of a payment's posting."""
        for table in _OF_POSTING:
            delete = f'DELETE FROM "CORE"."{table}" WHERE source_key = %s'
            self.connection.execute(delete.encode(), (key,))

    def _answer(self, question: Question, movement: Movement) -> None:
        """What is right about a question on a payment that is this movement's money."""
        world = self._worlds.get(id(movement))
        if world is None:  # what never moved
            self._close(question, Decision.NOT_A_REPAYMENT)
            return
        if self._name_anew(question.key, movement):
            return
        fits = self._fits(question.key, movement, world)
        kept = self._undo_others(movement, world, is_known=fits)
        if movement.left() == 0:
            self._close(question, Decision.NOT_A_REPAYMENT)
        elif kept is not None:
            is_it = kept == question.key
            self._close(question, Decision.RELEASE if is_it else Decision.SAME_PAYMENT)
        elif fits and self._standing.is_one_too_many(question.key):
            self._close(question, Decision.SAME_PAYMENT)
        elif fits:
            self._post(question, movement)
        elif any(self._fits(k, movement, world) for k in self._standing.keys_of(movement)):
            self._close(question, Decision.NOT_A_REPAYMENT)

    def _undo_others(self, movement: Movement, world: World, *, is_known: bool) -> str | None:
        """Undo in the ledger what is not to stand; returns the payment whose repayment is.

        What is wrong there stays until something right can take its place.
        """
        live = [
            (key, posted)
            for key, posted in self._standing.live_of(movement)
            if posted.id not in self._undone
        ]
        right = [(key, posted) for key, posted in live if is_right(world, movement, posted)]
        kept = right[:1] if movement.left() > 0 else []
        if kept or is_known or movement.left() == 0:
            for each in live:
                if each not in kept:
                    self._undo(each[1])
        return kept[0][0] if kept else None

    def _fits(self, key: str, movement: Movement, world: World) -> bool:
        """Whether the payment is, with the facts that it has, what moved."""
        payment = self._standing.payments.get(key)
        if payment is None:
            return False
        days = {world.calendar.date(day) for day in movement.days}
        is_its_amount = payment.amount in (movement.amount, movement.left())
        return payment.loan == movement.loan and is_its_amount and payment.date in days

    def _post(self, question: Question, movement: Movement) -> None:
        """It is to be posted, for the first time or again."""
        if question.where == "amount_differs":
            self.may_reconcile.add(question.key)
        elif question.where == "exception" and question.key in self._standing.sent:
            self.to_repost.add(question.key)
        else:
            is_rest = question.kind == "refunded" and 0 < movement.left() < movement.amount
            self._close(question, Decision.POST_REST if is_rest else Decision.RELEASE)

    def _name_anew(self, key: str, movement: Movement) -> bool:
        """Take a wrong word on the payment's loan back, if nobody but a person named it."""
        payment = self._standing.payments.get(key)
        if payment is None or payment.loan in (None, movement.loan):
            return False
        try:
            map_loan(self.connection, key, movement.loan, WHO, WHY)
        except NotMappable:
            return False
        self._say(f"names {movement.loan} as the loan of {key}")
        return True

    def _close(self, question: Question, decision: Decision) -> None:
        """Decide a hold; of an exception say that it is as it should be."""
        if question.where == "amount_differs":
            return  # it is not asked for, and stays in its list
        about = f"{question.where} {question.id} {question.kind} of {question.key}"
        if question.where == "exception":
            self._say(f"closes {about}: {question.words}")
            decisions.close(self.connection, question.id, WHO, WHY)
            self.answered[question.key, question.kind].add(shown(question, self._standing))
            return
        try:
            decisions.decide(self.connection, question.id, decision, WHO, WHY)
            self._say(f"{decision}: {about}: {question.words}")
            self.answered[question.key, question.kind].add(shown(question, self._standing))
        except _REFUSALS as why:
            self._say(f"{decision}: {about}: refused, {why}")
            if isinstance(why, decisions.NeedsRepost):
                self.to_repost.add(question.key)

    def _undo(self, posted: Posted) -> None:
        self.books.undo(posted)
        self._undone.add(posted.id)
        self._say(f"undoes in the ledger: {posted}")

    def _repost(self) -> None:
        """Have posted again what is to stand and was undone."""
        if not self.to_repost:
            return
        came = asyncio.run(repost(self.settings, self.connection, sorted(self.to_repost), WHO, WHY))
        for key, what in came.items():
            self._say(f"posts again {key}: {what}")
            if not (isinstance(what, NotReposted) and "ask again from" in str(what)):
                self.to_repost.discard(key)

    def _say(self, what: str) -> None:
        self.said.append(what)
