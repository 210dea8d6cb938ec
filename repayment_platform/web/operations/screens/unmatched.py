"""Payments whose loan nobody named: the list, the candidates, an operator's word.

What belongs here: the pages. What does not: candidates and their evidence (`reconciliation.loans`).
"""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from repayment_platform.exceptions.naming import NotMappable, map_loan
from repayment_platform.reconciliation.loans import candidates
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import Listing, count_words
from repayment_platform.web.operations.payment_list import Filters
from repayment_platform.web.operations.users import Role

_PAYMENT = """
SELECT t.*, m.loan_external_id AS mapped_loan, m.mapped_by, m.mapped_at
FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_LOAN_MAPPING" m
       ON m.payment_ref = t.payment_ref OR m.raw_id = t.first_raw_id
WHERE t.source_key = %(key)s
"""


class Unmatched(Screen):
    """Not in the menu: a tab of Exceptions."""

    menu_label = "Exceptions"
    path = "/exceptions/unmatched"
    add_to_menu = False

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """The list, newest first."""
        after = visit.query.get("after", "")
        filters = Filters(status="loan_unknown", after=after)
        query, values = filters.page()
        count_query, count_values = filters.count()
        count = count_words(visit.row(count_query, **count_values)["n"])
        listing = Listing.cut(
            visit.rows(query, **values),
            after,
            count,
            lambda row: f"{row['payment_date'] or ''}~{row['source_key']}",
        )
        return self.show(visit, "unmatched.html", listing=listing)

    @page("/{source_key}", Role.VIEWER)
    def one(self, visit: Visit) -> Response:
        """One payment with the loans that it may be of."""
        return self._one(visit)

    @page("/{source_key}", Role.OPERATOR, "POST")
    def map(self, visit: Visit) -> Response:
        """Say which loan it is of; it can be posted after the next dbt run."""
        key, why = visit.request.path_params["source_key"], visit.text("why")
        loan = visit.text("other_loan") or visit.text("loan")
        if not loan or len(why) < 3:
            return self._one(visit, "Choose or type a loan, and say why.")
        try:
            map_loan(visit.connection, key, loan, visit.user.username, why)
        except NotMappable as error:
            return self._one(visit, f"Nothing was changed: {error}.")
        visit.tell(f"It is of loan {loan.upper()} from the next run on.")
        return visit.go("/exceptions/unmatched")

    def _one(self, visit: Visit, problem: str = "") -> Response:
        payment = visit.row(_PAYMENT, key=visit.request.path_params["source_key"])
        if payment is None:
            raise HTTPException(404, "There is no payment with this key.")
        return self.show(
            visit,
            "map_loan.html",
            422 if problem else 200,
            title="Whose loan is it?",
            payment=payment,
            candidates=candidates(visit.connection, payment["source_key"]),
            problem=problem,
        )
