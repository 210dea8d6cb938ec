"""The comparison of what the facts call for with what is open.

What belongs here: putting the statement together, for payments that changed, and what was found
elsewhere; what follows for posting (`kept_back`). What does not: what the facts call for
(`called.sql`, `implausible.sql`), the kinds.
"""

from collections.abc import Collection, Mapping
from typing import Any, LiteralString

from psycopg import Connection

from repayment_platform.exceptions.kinds import KINDS, NO_RETRY_MENDS, RULINGS, Decision
from repayment_platform.ledger.differences import LEDGER_KINDS
from repayment_platform.ledger.instead import UNDONE as UNDONE_WORDS
from repayment_platform.warehouse.statements import statement

Parameters = dict[str, Any]


def _comparison(called: LiteralString) -> LiteralString:
    return statement(__file__, "compare.sql", called=called)


def kept_back(payment: LiteralString) -> LiteralString:
    """What keeps a payment from being posted now, for a statement in which `payment` names a row
    with its source_key, source_lender and payment_date: the state in which it waits, the reason,
    and the reason in brief; no row where it may be posted."""
    return statement(__file__, "kept_back.sql", payment=payment)


CALLED = statement(__file__, "called.sql")
OF_KEYS = _comparison(CALLED)
"""The comparison of the payments `keys`."""
OF_SUSPECTS = _comparison(statement(__file__, "implausible.sql"))
"""Opens what is implausible of the payments `keys`; closes nothing."""
OF_FOUND = _comparison(
    "SELECT * FROM jsonb_to_recordset(%(found)s) AS found"
    " (source_key text, kind text, holds boolean, facts jsonb, words text, detail jsonb)"
)
"""The comparison with what a look-up `found` of the payments `keys`."""

UNHEARD = statement(__file__, "unheard.sql")
"""What stands nowhere, of the reports from `first_row` and the payments after batch `after`, at
`most` so many lines."""


def parameters(**of_caller: Any) -> Parameters:
    """What the comparison with `called.sql` needs, with what its caller adds."""
    computed = [kind for kind in KINDS.values() if kind.gone and kind.by == "CORE"]
    return _parameters({kind.name: kind.gone or "" for kind in computed}, "CORE") | of_caller


def of_found(**of_caller: Any) -> Parameters:
    """What the comparison with a look-up's findings needs, with what its caller adds."""
    reasons = {kind: KINDS[kind].gone or "" for kind in LEDGER_KINDS}
    return _parameters(reasons, "look-up") | of_caller


def of_suspects(**of_caller: Any) -> Parameters:
    """What the search for implausible payments needs, with what its caller adds."""
    return _parameters({}, "CORE") | of_caller


def _parameters(reasons: Mapping[str, str], by: str) -> Parameters:
    never = [kind.name for kind in KINDS.values() if not kind.choice(Decision.RELEASE)]
    return {
        "kinds": list(reasons),
        "reasons": list(reasons.values()),
        "by": by,
        "no_retry_mends": [code.replace("*", "%") for code in NO_RETRY_MENDS],
        "computed": [kind.name for kind in KINDS.values() if kind.gone],
        "rulings": list(RULINGS),
        "never_released": never,
        "undone": UNDONE_WORDS,
    }


def compare(connection: Connection[Any], keys: Collection[str]) -> None:
    """Have the questions on these payments be what their facts call for."""
    connection.execute(OF_KEYS, parameters(keys=list(keys)))
