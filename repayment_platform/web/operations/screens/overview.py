"""Overview: how things stand, and what needs a person now.

What belongs here: the page. What does not: its numbers (`overview_numbers`), its chart (`chart`).
"""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from repayment_platform.web.operations import overview_numbers
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.chart import chart
from repayment_platform.web.operations.users import Role

TODO = (
    ("requests", "/requests?state=awaiting_approval", "reconciliation requests await approval"),
    ("failed_requests", "/requests?state=failed", "reconciliation requests failed"),
    ("holds", "/exceptions", "holds await a decision"),
    ("unmatched", "/exceptions/unmatched", "payments came without a known loan"),
    ("exceptions", "/exceptions/posted", "payments to look at: refused, or changed after posting"),
    ("approvals", "/payments?status=awaiting_approval", "repayments await approval in Fineract"),
    ("recon", "/reconciliation", "payments await reconciliation"),
    ("failed_files", "/log?status=failed", "files failed in the last 7 days"),
    ("quarantined", "/log?rejected=yes", "rows were rejected and not corrected since"),
    ("quarantined_webhooks", "/log/webhooks", "webhooks could not be read"),
    ("paused", "/lenders", "lenders are paused"),
)
"""Number, where to act on it, what it counts; the most urgent first."""


class Overview(Screen):
    """The first page."""

    menu_label = "Overview"
    icon = "fa-solid fa-gauge-high"
    path = "/"
    route_name = "index"

    def is_active(self, request: Request) -> bool:
        return request.url.path == "/"

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """How things stand now."""
        now = datetime.now(UTC)
        numbers = overview_numbers.numbers(visit, now)
        waits = numbers.waits | {"unmatched": numbers.unmatched["payments"]}
        todo = [(waits[name], path, text) for name, path, text in TODO if waits[name]]
        return self.show(
            visit,
            "overview.html",
            numbers=numbers,
            todo=todo,
            chart=chart(numbers.days),
            runs=overview_numbers.runs(visit),
            next_run=overview_numbers.next_run(visit, now),
        )
