"""Commands that change the books: repayments, adjustments, and a checker's word on them.

What belongs here: from a request to a command and its surroundings. What does not: keys and
cached answers (`commands`), rules (`loans`), looking things up (`api`).
"""

from typing import Any

from starlette.requests import Request

from repayment_platform.sandbox import loans, replies, validation
from repayment_platform.sandbox.commands import Action, Command, Commands, Surroundings
from repayment_platform.sandbox.config import Config
from repayment_platform.sandbox.faults import Faults
from repayment_platform.sandbox.ledger import Ledger
from repayment_platform.sandbox.machine import Machine
from repayment_platform.sandbox.replies import Reply
from repayment_platform.sandbox.wire import Exchange

_OTHER_COMMANDS = (
    "writeoff waiveinterest close close-rescheduled undowriteoff recoverypayment prepayloan"
    " refundbycash foreclosure creditbalancerefund charge-off merchantissuedrefund payoutrefund"
    " goodwillcredit"
)
"""Known to Fineract, and more than the sandbox's user may do."""


class Changes:
    """Takes commands for one ledger."""

    def __init__(self, config: Config, ledger: Ledger, faults: Faults, machine: Machine) -> None:
        self.config = config
        self.ledger = ledger
        self.faults = faults
        self.machine = machine
        self.commands = Commands(ledger, lambda: faults.plan.retry_seconds)

    async def ask(self, exchange: Exchange) -> Reply:
        """Checks before the idempotency key is looked at; they leave it unused."""
        target = exchange.target
        loan = self.ledger.loan(id=target.loan_id, external_id=target.loan_external_id)
        changed = None
        if target.loan_external_id is not None:
            loan = loans.require_loan(self.ledger, None, target.loan_external_id)
            if target.external_id is not None:
                changed = loans.require_transaction(
                    self.ledger, loan, None, target.external_id, changing=True
                )
        adjusting = target.operation == "adjustment"
        if not adjusting:
            _refuse_other_commands(exchange.request)
        action: Action = "ADJUST" if adjusting else "REPAYMENT"
        self.faults.plan.require(f"{action}_LOAN")
        if exchange.hits.take("not_authorized"):
            raise replies.not_authorized(f"{action}_LOAN")
        if exchange.hits.take("job_running"):
            raise replies.job_running("Update Loan Arrears Ageing")
        body = validation.parse_object(exchange.body)
        command = Command(
            action,
            exchange.idempotency_key,
            loan.id if loan else target.loan_id,
            changed.id if changed else target.transaction_id,
            exchange.body.decode(errors="replace"),
        )
        async with self.machine.command() as answer_lost:
            around = Surroundings(
                exchange.hits,
                self.config.conflicts or self.faults.plan.conflicts,
                answer_lost,
                self.faults.plan.may("CHECKER_SUPER_USER"),
                lambda: self._latency(exchange),
                self.machine.serve,
            )
            return await self.commands.execute(
                command, around, lambda: self._work(exchange, command, body)
            )

    def _work(
        self, exchange: Exchange, command: Command, body: validation.Body | None
    ) -> dict[str, Any]:
        """Do what the command says, now; call inside a ledger transaction."""
        if command.action == "ADJUST":
            entry = validation.validate_adjustment(body)
            loan = loans.require_loan(self.ledger, command.loan_id, None)
            old = loans.require_transaction(
                self.ledger, loan, command.transaction_id, None, changing=True
            )
            return loans.adjust(self.ledger, loan, old, entry, self._circumstances(exchange))
        entry = validation.validate_repayment(body)
        now = self._circumstances(exchange)
        loan = loans.require_loan(self.ledger, command.loan_id, None)
        result = loans.repay(self.ledger, loan, entry, now)
        exchange.posted = result["resourceId"]
        return result

    async def check(self, exchange: Exchange, number: int) -> Reply:
        """A checker approves or rejects what a maker asked for."""
        await self.delay(exchange)
        decision = exchange.request.query_params.get("command")
        if decision == "reject":
            return self.commands.reject(number)
        if decision != "approve":
            raise replies.unsupported_command(decision)

        def work(command: Command) -> dict[str, Any]:
            return self._work(exchange, command, validation.parse_object(command.body.encode()))

        return self.commands.approve(number, work)

    def _circumstances(self, exchange: Exchange) -> loans.Circumstances:
        behind = exchange.hits.take("business_date_behind")
        mysql = exchange.hits.take("mysql_duplicate")
        return loans.Circumstances(
            today=self.config.today(behind.days if behind else 0),
            flavour="mysql" if mysql else self.config.duplicate_flavour,
            request_id=exchange.id,
        )

    async def delay(self, exchange: Exchange) -> None:
        """The time that a request takes: its turn on the machine, and what faults add."""
        await self.machine.serve(self._latency(exchange))

    def _latency(self, exchange: Exchange) -> float:
        return self.config.latency_ms / 1000 + exchange.hits.latency(self.faults.rng)


def _refuse_other_commands(request: Request) -> None:
    command = request.query_params.get("command")
    name = (command or "").strip().lower()
    if name in _OTHER_COMMANDS.split():
        raise replies.not_authorized(f"{name.upper()}_LOAN")
    if name != "repayment":
        raise replies.unsupported_command(command)
