"""The list of a loan's transactions, page by page, in which Fineract prints much otherwise.

What belongs here: its shape. What does not: shapes of everything else (`views`).
"""

from datetime import date

from repayment_platform.sandbox.ledger import Loan, Transaction
from repayment_platform.sandbox.views import REPAYMENT, View, transaction_views


def transaction_page(rows: list[Transaction], loan: Loan, number: int, size: int) -> View:
    """The list of a loan's transactions; `number` counts pages of `size` from 0."""
    everything = transaction_views(rows, loan)
    shown = everything[number * size : (number + 1) * size]
    pages = -(-len(everything) // size)
    unsorted = {"empty": True, "sorted": False, "unsorted": True}
    return {
        "content": [_listed(view) for view in shown],
        "pageable": {
            "pageNumber": number,
            "pageSize": size,
            "sort": unsorted,
            "offset": number * size,
            "paged": True,
            "unpaged": False,
        },
        "totalElements": len(everything),
        "totalPages": pages,
        "last": number + 1 >= pages,
        "size": size,
        "number": number,
        "numberOfElements": len(shown),
        "sort": unsorted,
        "first": number == 0,
        "empty": not shown,
    }


def _listed(full: View) -> View:
    """In a list dates are texts; nothings of the split are left out, missing ids are not."""
    view: View = {
        key: value.isoformat() if isinstance(value, date) else value
        for key, value in full.items()
        if value or not key.endswith("Portion")
    }
    currency = {key: view["currency"][key] for key in ("code", "decimalPlaces", "inMultiplesOf")}
    return view | {
        "type": full["type"] | {"repaymentType": full["type"] is REPAYMENT},
        "currency": currency,
        "externalId": full.get("externalId"),
        "transactionDate": view["date"],
        "transactionType": full["type"]["value"].upper(),
        "reversalExternalId": full.get("reversalExternalId"),
    }
