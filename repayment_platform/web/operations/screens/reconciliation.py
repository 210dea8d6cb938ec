"""Reconciliation: recon records, and asking for some of them to be posted.

What belongs here: the list, the preview, making a request. What does not: which payments a
request may hold (`reconciliation`), requests once made (`requests`).
"""

from starlette.responses import Response

from repayment_platform.reconciliation import requests
from repayment_platform.reconciliation.preview import preview
from repayment_platform.reconciliation.requests import NothingToReconcile, SelectionChanged
from repayment_platform.reconciliation.selection import RECON_LENDERS, BadSelection, MatchStatus
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import Listing, count_words, download
from repayment_platform.web.operations.recon_list import CHANNELS, Filters
from repayment_platform.web.operations.users import Role


class Reconciliation(Screen):
    """Payments of GB, UGRO and Vivriti, and how their reports agree."""

    menu_label = "Reconciliation"
    icon = "fa-solid fa-scale-balanced"
    path = "/reconciliation"

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """Payments to reconcile, filtered."""
        filters = Filters.read(visit.query)
        query, values = filters.page()
        count_query, count_values = filters.count()
        count = visit.row(count_query, **count_values)["n"]
        listing = Listing.cut(
            visit.rows(query, **values), filters.after, count_words(count), _position
        )
        return self.show(
            visit,
            "reconciliation.html",
            listing=listing,
            filters=filters,
            channels=CHANNELS,
            matches=list(MatchStatus),
            recon_lenders=RECON_LENDERS,
        )

    @page(".csv", Role.VIEWER)
    def export(self, visit: Visit) -> Response:
        """The same rows, all of them, as CSV."""
        query, values = Filters.read(visit.query).page(limit=None)
        return download(self.admin.connect_long(), query, values, "reconciliation")

    @page("/preview", Role.OPERATOR, "POST")
    def preview(self, visit: Visit) -> Response:
        """What a request for the chosen payments would hold; changes nothing."""
        return self._preview(visit)

    @page("/request", Role.OPERATOR, "POST")
    def request(self, visit: Visit) -> Response:
        """Ask for what the preview showed. What has changed since is shown again."""
        why, digest = visit.text("why"), visit.text("digest")
        if len(why) < 3:
            return self._preview(visit, "Say why, for the audit log.", 422)
        try:
            selection = Filters.read(visit.form).selection(visit.connection, _picked(visit))
            made = requests.create(
                visit.connection,
                selection,
                digest,
                visit.user.username,
                why,
                visit.settings.recon_four_eyes,
            )
        except (SelectionChanged, NothingToReconcile, BadSelection) as error:
            return self._preview(visit, f"Nothing was requested: {error}.", 409)
        visit.tell(f"Request {made} is made.")
        return visit.go(f"/requests/{made}")

    def _preview(self, visit: Visit, problem: str = "", status: int = 200) -> Response:
        filters, picked = Filters.read(visit.form), _picked(visit)
        if not picked and visit.text("of") == "picked":
            visit.tell("Tick the payments that you mean first.", "warning")
            return visit.go("/reconciliation")
        try:
            shown = preview(visit.connection, filters.selection(visit.connection, picked))
        except BadSelection as error:
            visit.tell(f"{problem or 'Nothing to preview:'} {error}.".strip(), "warning")
            return visit.go("/reconciliation")
        return self.show(
            visit,
            "preview.html",
            status,
            title="Reconcile: preview",
            preview=shown,
            filters=filters,
            picked=picked,
            problem=problem,
            four_eyes=visit.settings.recon_four_eyes,
        )


def _picked(visit: Visit) -> tuple[str, ...]:
    """The keys that are ticked; none where the form means everything that is filtered."""
    if visit.text("of") != "picked":
        return ()
    return tuple(key for key in visit.form.getlist("key") if isinstance(key, str))


def _position(row: dict[str, object]) -> str:
    return f"{row['payment_date'] or ''}~{row['source_key']}"
