"""Who may do what in Dagster, as the second part of docs/access.md.

What belongs here: the page. What does not: the rules (`door_rules`), the screens' part
(`web.operations.access_table`). Run as a module it writes the whole page anew:
`python -m repayment_platform.defs.door_table > docs/access.md`.
"""

import sys
import tempfile
from pathlib import Path

from repayment_platform.defs.door_rules import MUTATIONS, ROUTES
from repayment_platform.settings import SANDBOX, Settings
from repayment_platform.web.operations.access_table import access_page
from repayment_platform.web.operations.app import create_app
from repayment_platform.web.operations.users import Role

_INTRO = """
## Dagster

Behind the same log-in, below DAGSTER_URL. Made from the same registry that the door keeps to; tests
compare it with Dagster's own routes and GraphQL schema, and try each with each role. `/healthz`
answers anybody `ok`. A GET changes nothing, and GraphQL is not read from an address. A viewer's
requests are read-only to Dagster itself as well.

| Path | Method | What | anybody | viewer | operator | approver | admin |
|---|---|---|---|---|---|---|---|
"""
_OPERATIONS = """
| GraphQL operation | anybody | viewer | operator | approver | admin |
|---|---|---|---|---|---|
"""
LOOKING = ("every query", "every subscription, over a websocket")


def door_page() -> str:
    """Dagster's part of the page."""
    routes = [
        f"| `{rule.path}` | {method} | {rule.what} | {_marks(role)} |\n"
        for rule in ROUTES
        for method, role in rule.methods.items()
    ]
    looking = [f"| {what} | {_marks(Role.VIEWER)} |\n" for what in LOOKING]
    changing = [f"| mutation `{name}` | {_marks(role)} |\n" for name, role in MUTATIONS.items()]
    return _INTRO + "".join(routes) + _OPERATIONS + "".join(looking + changing)


def _marks(least: Role | None) -> str:
    allowed = [least is not None and role >= least for role in Role]
    return " | ".join("yes" if each else "no" for each in (False, *allowed))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(_env_file=None, repayment_home=Path(home), fineract_base_url=SANDBOX)
        sys.stdout.write(access_page(create_app(settings, "")) + door_page())
