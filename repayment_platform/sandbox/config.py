"""How one sandbox process is set up.

What belongs here: start-up options. What does not: run-time switches (`faults`).
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from repayment_platform.sandbox.machine import Capacity

API = "/fineract-provider/api/v1"
TENANT_ZONE = ZoneInfo("Asia/Kolkata")
"""The default tenant's time zone; "today" is a date in it unless a business date is fixed."""

Flavour = Literal["postgres", "mysql"]
"""The database below decides how a duplicate externalId is answered."""


@dataclass(frozen=True)
class Config:
    """`latency_ms` is added to every request; a repayment spends it before its money is posted."""

    ledger: Path
    latency_ms: int = 0
    user: str = "mifos"
    password: str = field(default="password", repr=False)
    tenant: str = "default"
    business_date: date | None = None
    duplicate_flavour: Flavour = "postgres"
    conflicts: bool = False
    """Commands of one loan that are under way at once get into each other's way."""
    capacity: Capacity = field(default_factory=Capacity)
    """At the start; `POST /sandbox/machine` changes it."""

    def today(self, days_behind: int = 0) -> date:
        """The business date, `days_behind` days late when the end-of-day job is."""
        today = self.business_date or datetime.now(TENANT_ZONE).date()
        return today - timedelta(days=days_behind)
