"""Making the changes of a plan in CORE, in the operators' tables and in Fineract.

What belongs here: how each change is made, as dbt, an operator or Fineract's staff would.
What does not: when (`play`).
"""

import base64
import json
import urllib.request
from datetime import date, timedelta

from repayment_platform_tests.faults.campaign.place import Database
from repayment_platform_tests.faults.campaign.plan import (
    LIMIT,
    RUN_LIMIT,
    Change,
    Hold,
    LoseWorkList,
    MakeLoan,
    Pause,
    Plan,
    Put,
)
from repayment_platform_tests.faults.campaign.stand_in import StandIn

_PUT = """
INSERT INTO "CORE"."CORE_TRANSACTION_DATA" (source_key, source_lender, loan_external_id,
    payment_date, amount, is_success, recon_source, payment_ref, batch, outcome, refunded_amount,
    key_rule, observations, sources, first_raw_id, last_raw_id, first_landed_at, last_landed_at)
SELECT %(key)s, %(lender)s, %(loan)s, %(day)s, %(amount)s, %(is_success)s, %(recon_source)s,
       %(payment_ref)s, coalesce(max(batch), 0) + 1, 'success', 0,
       'new', 1, '{}', 1, 1, now(), now()
FROM "CORE"."CORE_TRANSACTION_DATA"
ON CONFLICT (source_key) DO UPDATE SET loan_external_id = EXCLUDED.loan_external_id,
    payment_date = EXCLUDED.payment_date, amount = EXCLUDED.amount,
    is_success = EXCLUDED.is_success, batch = EXCLUDED.batch
"""
_HOLD = """
INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
VALUES (%s, 'possible_duplicate', 'is this the same money?', '{}') ON CONFLICT DO NOTHING
"""
_RELEASE = """
UPDATE "CORE"."CORE_HOLD" SET decision = 'release', decided_by = 'campaign', decided_at = now()
WHERE source_key = %s AND reason_code = 'possible_duplicate' AND decision IS NULL
"""
_PAUSE = """
INSERT INTO "CORE"."CORE_LENDER_SETTING" AS s (source_lender, paused, paused_why)
VALUES (%s, %s, 'the campaign says so')
ON CONFLICT (source_lender) DO UPDATE SET paused = EXCLUDED.paused
"""
_LIMITS = """
INSERT INTO "CORE"."CORE_LENDER_SETTING" AS s (source_lender, max_payment, max_run_count)
VALUES (%s, %s, %s)
ON CONFLICT (source_lender) DO UPDATE
SET max_payment = coalesce(EXCLUDED.max_payment, s.max_payment),
    max_run_count = coalesce(EXCLUDED.max_run_count, s.max_run_count)
"""
_LOSE_WORK_LIST = """
LOCK TABLE "CORE"."CORE_OPEN_WORK" IN ACCESS EXCLUSIVE MODE;
DELETE FROM "CORE"."CORE_OPEN_WORK";
UPDATE "CORE"."CORE_WORK_FEED" SET batch = 0
"""
_STATUSES = {"closed": 600, "overpaid": 700, "written_off": 601}
_UNKNOWN_AT_FIRST = ("unknown", "late")


class Changes:
    """Makes changes in one seed's database and sandbox."""

    def __init__(self, database: Database, stand_in: StandIn) -> None:
        self._database = database
        self._stand_in = stand_in

    def prepare(self, plan: Plan) -> None:
        """Loans, limits and what Fineract holds from before."""
        loans = [name for name, kind in plan.loans.items() if kind not in _UNKNOWN_AT_FIRST]
        self._make_loans({name: plan.loans[name] for name in loans})
        for put in plan.already_there:
            self._post(put)
        if plan.limited:
            self._database.ask(_LIMITS, (plan.limited, LIMIT, None))
        if plan.run_limited:
            self._database.ask(_LIMITS, (plan.run_limited, None, RUN_LIMIT))

    def make(self, change: Change) -> None:
        match change:
            case Put(key=key, facts=facts):
                self._database.ask(_PUT, {"key": key, **vars(facts)})
            case Hold(key=key, released=released):
                self._database.ask(_RELEASE if released else _HOLD, (key,))
            case Pause(lender=lender, paused=paused):
                self._database.ask(_PAUSE, (lender, paused))
            case MakeLoan(loan=loan):
                self._stand_in.bring_back(at_once=True)
                self._make_loans({loan: "active"})
            case LoseWorkList():
                self._database.ask(_LOSE_WORK_LIST)

    def _make_loans(self, kinds: dict[str, str]) -> None:
        tomorrow = (date.today() + timedelta(days=2)).isoformat()  # noqa: DTZ011 -- far enough
        body = [
            {
                "externalId": name,
                "status": _STATUSES.get(kind, 300),
                "clientActive": kind != "inactive",
                **({"disbursedOn": tomorrow} if kind == "young" else {}),
            }
            for name, kind in kinds.items()
        ]
        self._stand_in.ask("/sandbox/loans", body)

    def _post(self, put: Put) -> None:
        """A repayment that was posted before, by whoever it was."""
        facts = put.facts
        path = f"/fineract-provider/api/v1/loans/external-id/{facts.loan}/transactions"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._stand_in.port}{path}?command=repayment",
            data=json.dumps(
                {
                    "dateFormat": "yyyy-MM-dd",
                    "locale": "en",
                    "transactionDate": facts.day.isoformat(),
                    "transactionAmount": str(facts.amount),
                    "externalId": put.key,
                }
            ).encode(),
            headers={
                "Authorization": "Basic " + base64.b64encode(b"mifos:password").decode(),
                "Content-Type": "application/json",
                "Fineract-Platform-TenantId": "default",
            },
        )
        urllib.request.urlopen(request, timeout=10).close()
