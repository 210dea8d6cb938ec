"""The screens of the menu, one module each, in the order of the menu."""

from repayment_platform.web.operations.screens.account import Account
from repayment_platform.web.operations.screens.overview import Overview
from repayment_platform.web.operations.screens.payments import Payments

__all__ = ["SCREENS", "Overview"]
SCREENS = (Payments, Account)
