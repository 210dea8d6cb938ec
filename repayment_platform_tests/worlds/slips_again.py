"""Slips of whole files: sent again, in part, corrected, superseded, replayed.

Each takes a file's rows and the day on which it comes again, and returns the rows that have the
slip; the other rows come again as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

from repayment_platform_tests.worlds.reporting import shared_utr
from repayment_platform_tests.worlds.truth import STEP_DAYS, Report, Says, again

Rows = Sequence[Report]
_CORRECTED = 10
"""So many rows of a file are corrected at most."""


def _repeat(rows: Rows, at: int, **changes: Any) -> list[Report]:
    return [again(row, at, file="b", **changes) for row in rows]


def alone(row: Report) -> bool:
    """Whether nothing else reports its movement, and nothing has been taken back of it."""
    same = [r for r in row.story.reports if r.movement is row.movement]
    return len(same) == 1 and row.says is Says.PAID


def again_whole(rows: Rows, at: int) -> Rows:
    _repeat(rows, at)
    return rows


def again_part(rows: Rows, at: int) -> Rows:
    some = rows[: (len(rows) + 1) // 2 + 1]
    _repeat(some, at)
    return some


def _fewer_than_half(rows: Rows) -> Rows:
    """One row each of so many loans that the file is not reported again by them."""
    of_loans = {row.loan: row for row in rows}
    return list(of_loans.values())[: (len(of_loans) - 1) // 2]


def again_few(rows: Rows, at: int) -> Rows:
    some = _fewer_than_half(rows)
    _repeat(some, at)
    return some


def again_few_bare(rows: Rows, at: int) -> Rows:
    some = _fewer_than_half(rows)
    for row in some:
        row.utr = shared_utr(row.story, row.table)
    for row, told in zip(some, _repeat(some, at), strict=True):
        row.story.must_ask(row.movement, row, told)
    return some


def again_with_more(rows: Rows, at: int) -> Rows:
    _repeat(rows, at)
    story = rows[0].story
    new = story.moved(at - 1, 590, loan=story.another_loan())
    more = again(rows[0], at, file="b", loan=new.loan, amount=new.amount, day=new.day,
                 presented=new.day - 1 if rows[0].presented is not None else None,
                 umrn=rows[0].umrn and f"{rows[0].umrn[:-1]}X", utr=story.id("ICIC"),
                 ref=rows[0].ref and story.id("NPT"))  # fmt: skip
    more.movement = new
    return rows


def _changed(
    rows: Rows, at: int, change: Callable[[Report], dict[str, Any]], *, asked: bool
) -> Rows:
    """The whole file again, every row of it changed."""
    paid = [row for row in rows if row.says is Says.PAID]
    for row in rows:
        told = again(row, at, file="b", **change(row))
        if asked and row in paid:
            row.story.must_ask(row.movement, row, told)
    return paid


def again_settled_later(rows: Rows, at: int) -> Rows:
    for row in rows:
        row.movement.days.add(row.movement.day + 1)
    return _changed(rows, at, lambda row: {"day": (row.day or 0) + 1}, asked=False)


def again_settled_later_bare(rows: Rows, at: int) -> Rows:
    for row in again_settled_later(rows, at):
        row.story.may_ask(row.movement, row)
    return rows


def again_filled(rows: Rows, at: int) -> Rows:
    """The first file stated neither settlement nor UTR: its payments are of their presentation."""
    filled = [(row.day, row.utr) for row in rows]
    for row in rows:
        row.movement.days.add(row.presented or 0)
        row.day, row.utr = None, None
    for row, (day, utr) in zip(rows, filled, strict=True):
        again(row, at, file="b", day=day, utr=utr)
    return rows


def again_decimal(rows: Rows, at: int) -> Rows:
    return _changed(rows, at, lambda row: {"ref": row.ref and f"{row.ref}.0"}, asked=False)


def again_respelled(rows: Rows, at: int) -> Rows:
    return _changed(rows, at, lambda row: {"ref": (row.ref or "").lower()}, asked=True)


def again_reissued(rows: Rows, at: int) -> Rows:
    return _changed(rows, at, lambda row: {"ref": row.story.id("NPT")}, asked=True)


def _corrected(
    rows: Rows, at: int, correct: Callable[[Report], dict[str, Any]], *, asked: bool
) -> Rows:
    """The whole file again, some rows of it corrected; the correction is the truth."""
    chosen = [row for row in rows if alone(row)][:_CORRECTED]
    for row in rows:
        told = again(row, at, file="b", **(correct(row) if row in chosen else {}))
        if row in chosen and asked:
            row.story.must_ask(row.movement, row, told)
    return chosen


def _amount(row: Report) -> dict[str, Any]:
    row.movement.amount = row.amount * 2 + 30
    return {"amount": row.movement.amount}


def _loan(row: Report) -> dict[str, Any]:
    row.movement.loan = row.story.another_loan()
    return {"loan": row.movement.loan}


def _days(row: Report, by: int) -> dict[str, Any]:
    days = {row.movement.day + by}
    row.movement.days = days | row.movement.days if by <= 5 else days
    return {"day": (row.day or 0) + by, "presented": row.presented and row.presented + by}


def again_amount(rows: Rows, at: int) -> Rows:
    return _corrected(rows, at, _amount, asked=True)


def again_bare_amount(rows: Rows, at: int) -> Rows:
    """Nothing but loan and day is left of the row."""
    return _corrected(
        rows, at, lambda row: _amount(row) | {"ref": None, "utr": None, "umrn": None}, asked=True
    )


def again_loan(rows: Rows, at: int) -> Rows:
    return _corrected(rows, at, _loan, asked=True)


def again_day_near(rows: Rows, at: int) -> Rows:
    return _corrected(rows, at, lambda row: _days(row, 2), asked=False)


def again_day_far(rows: Rows, at: int) -> Rows:
    return _corrected(rows, at, lambda row: _days(row, 9), asked=True)


def _superseded(
    rows: Rows, at: int, correct: Callable[[Report], dict[str, Any]], *, asked: bool
) -> Rows:
    """A file in the place of this one, after its payments were posted: only what differs lands, and
    names the row it replaces."""
    at = max(at, (rows[0].step + 1) * STEP_DAYS + 1)
    chosen = [row for row in rows if alone(row)][:_CORRECTED]
    for row in chosen:
        told = again(row, at, file="s", **correct(row))
        told.replaces = row
        if asked:
            row.story.must_ask(row.movement, row, told)
    return chosen


def superseded_unchanged(rows: Rows, at: int) -> Rows:
    return _superseded(rows, at, lambda row: {"utr": row.story.id("ICIC")}, asked=False)


def superseded_amount(rows: Rows, at: int) -> Rows:
    return _superseded(rows, at, _amount, asked=True)


def superseded_loan(rows: Rows, at: int) -> Rows:
    return _superseded(rows, at, _loan, asked=True)


def superseded_day(rows: Rows, at: int) -> Rows:
    chosen = _superseded(rows, at, lambda row: _days(row, 1), asked=False)
    for row in chosen:
        row.story.may_ask(row.movement, row)
    return chosen


def superseded_all(rows: Rows, at: int) -> Rows:
    """Another movement altogether stands in the row's place; the first one never was."""

    def other(row: Report) -> dict[str, Any]:
        return {
            "ref": row.ref and row.story.id("NPT"),
            "utr": row.story.id("ICIC"),
            **_days(row, 4),
        }

    return _superseded(rows, at, other, asked=True)


def superseded_withdrawn(rows: Rows, at: int) -> Rows:
    chosen = _superseded(rows, at, lambda _: {}, asked=True)
    for row in chosen:
        told = next(r for r in row.story.reports if r.replaces is row)
        told.withdrawn = True
        row.movement.back.append((told, row.movement.amount))
    return chosen


def replayed_loan(rows: Rows, at: int) -> Rows:
    """The loan of some rows could not be read; a better mapping reads it."""
    chosen = [row for row in rows if alone(row)][:_CORRECTED]
    for row in chosen:
        told = again(row, at, file="r")
        told.replaces = row
        row.more = row.more | {"unread": True}
    return chosen
