"""What became of a payment, from the words and codes of its row.

What belongs here: weighing row type, status and reason against each other. What does not:
the vocabularies (`layouts`, `nach`), finding the cells (`rows`).
"""

from repayment_platform.sources import nach
from repayment_platform.sources.layouts import Layout, Outcome, canonical
from repayment_platform.sources.refusals import BadValue, RowReason


def resolve_outcome(
    layout: Layout,
    row_type: str | None,
    status: str | None,
    code: str | None,
    reason: str | None,
) -> Outcome:
    """The outcome of a row whose cells say this; `code` is a `reason_code`, None if none.

    A refund or the like is what its row type says, unless its status says that it failed.
    A status and a reason code must agree on whether money came; where both say that it did
    not, the code is the more exact. Nothing becomes a success that is not named as one.

    Raises:
        BadValue: UNSUPPORTED_ROW_TYPE, MISSING_VALUE, UNKNOWN_VALUE or CONTRADICTORY_STATUS.
    """
    if layout.row_types:
        kind = canonical(row_type or "")
        if kind not in layout.row_types:
            raise BadValue(RowReason.UNSUPPORTED_ROW_TYPE, f"row type {row_type!r} is not known")
        if (fixed := layout.row_types[kind]) is not None:
            return Outcome.FAILED if _of_status(layout, status) is Outcome.FAILED else fixed
    if layout.default_outcome is not None:
        return layout.default_outcome
    by_status = _of_status(layout, status)
    by_code = layout.reason_codes.get(code or "")
    if by_status is None and status and by_code in (None, Outcome.SUCCESS):
        raise BadValue(RowReason.UNKNOWN_VALUE, f"status {status!r} is not known")
    if by_status is None and by_code is None:
        raise BadValue(RowReason.MISSING_VALUE, "neither status nor reason code tells the outcome")
    if by_status is None or by_code is None:
        return by_status or by_code  # type: ignore[return-value]  # one of them is there
    if (by_status is Outcome.SUCCESS) != (by_code is Outcome.SUCCESS):
        raise BadValue(
            RowReason.CONTRADICTORY_STATUS,
            f"status {status!r} contradicts reason code {code} ({reason or 'no text'})",
        )
    return by_status if by_status is Outcome.LATE_RETURN else by_code


def _of_status(layout: Layout, status: str | None) -> Outcome | None:
    known = layout.outcomes.get(canonical(status or ""))
    if known is None and status and layout.reason_codes and not status.isdigit():
        return layout.reason_codes.get(nach.code_in(status) or "")
    return known
