"""Puts one sandbox together.

What belongs here: which part gets which. What does not: behaviour.
"""

from starlette.applications import Starlette
from starlette.routing import Mount

from repayment_platform.sandbox.admin import Admin
from repayment_platform.sandbox.api import Fineract
from repayment_platform.sandbox.config import Config
from repayment_platform.sandbox.faults import Faults, Plan
from repayment_platform.sandbox.ledger import Ledger
from repayment_platform.sandbox.machine import Machine
from repayment_platform.sandbox.wire import WireLog


def create_app(config: Config, plan: Plan) -> Starlette:
    """The sandbox with `plan` in force until another is posted.

    Opens the ledger; raises sqlite3.DatabaseError when it is another's or no ledger.
    """
    ledger = Ledger(config.ledger)
    faults = Faults(plan)
    wire = WireLog(ledger, faults)
    machine = Machine(config.capacity)
    admin = Admin(config, ledger, faults, wire, machine)
    fineract = Fineract(config, ledger, faults, wire, machine)
    return Starlette(routes=[*admin.routes(), Mount("/", app=fineract)])
