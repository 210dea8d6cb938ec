"""The screens, one module each, in the order of the menu."""

from repayment_platform.web.operations.screens.account import Account
from repayment_platform.web.operations.screens.audit import Audit
from repayment_platform.web.operations.screens.exceptions import Exceptions
from repayment_platform.web.operations.screens.lenders import Lenders
from repayment_platform.web.operations.screens.log import Log
from repayment_platform.web.operations.screens.overview import Overview
from repayment_platform.web.operations.screens.payments import Payments
from repayment_platform.web.operations.screens.reconciliation import Reconciliation
from repayment_platform.web.operations.screens.requests import Requests
from repayment_platform.web.operations.screens.settlements import Settlements
from repayment_platform.web.operations.screens.unmatched import Unmatched
from repayment_platform.web.operations.screens.upload import Upload

__all__ = ["SCREENS", "Overview"]
SCREENS = (
    Payments,
    Log,
    Reconciliation,
    Requests,
    Exceptions,
    Lenders,
    Audit,
    Settlements,
    Unmatched,
    Upload,
    Account,
)
