"""`./run doctor`: whether this installation can do its work, and what to do if not.

What belongs here: the command and showing the checks. What does not: the checks
(`monitoring.doctor`).
"""

from contextlib import ExitStack

import typer

from repayment_platform.settings import load_settings
from repayment_platform.warehouse.server import warehouse


def doctor() -> None:
    """Check database, dbt, Fineract, clocks, secrets, disk and daemon; changes nothing.

    Says what to do about each thing that is wrong. Exits with 1 if anything is.
    """
    from repayment_platform.monitoring.doctor import examine

    settings = load_settings()
    wrong = 0
    with ExitStack() as stack:
        urls = stack.enter_context(warehouse(settings, must_answer=False))
        if settings.uses_sandbox:
            from repayment_platform.sandbox.process import running_sandbox

            stack.enter_context(running_sandbox(settings.home, settings.sandbox_port))
        for check in examine(settings, urls):
            wrong += not check.right
            typer.echo(f"{'right' if check.right else 'WRONG'}  {check.name}: {check.seen}")
            if not check.right:
                typer.echo(f"       → {check.advice}")
    if wrong:
        raise SystemExit(f"{wrong} things are wrong")
    typer.echo("All is right.")
