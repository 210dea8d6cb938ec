"""`./run users`: who may use the operations screens.

What belongs here: the commands. What does not: users themselves (`web.operations.users`).
"""

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeVar

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

T = TypeVar("T")
app = typer.Typer(
    name="users",
    help="Who may use the operations screens, and in which role.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="The user's name.")]
RoleName = Annotated[
    Literal["viewer", "operator", "approver", "admin"],
    typer.Argument(help="What the user may do; each may do what those before it may."),
]
Ask = Annotated[
    bool, typer.Option("--ask", help="Type the password, instead of having a one-time one made.")
]


@app.command("list")
def list_users() -> None:
    """Show every user with role and state."""
    from repayment_platform.commands.tables import table
    from repayment_platform.web.operations.users import everyone

    with _connected() as connection:
        found = everyone(connection)
    rows = [
        (
            user.name,
            user.role.label,
            "active" if user.active else "disabled",
            "one-time" if user.must_change_password else "own",
        )
        for user in found
    ]
    table("Users", ("name", "role", "state", "password"), rows, "none yet; ./run users add")


@app.command()
def add(name: Name, role: RoleName, ask: Ask = False) -> None:
    """Add a user; shows the one-time password unless --ask lets you type one."""
    from repayment_platform.web.operations.users import Role, add

    password = _ask() if ask else None
    made = _change(lambda c: add(c, name, Role[role.upper()], password, _who()))
    _show(f"{name} is added as {role}.", made)


@app.command()
def role(name: Name, role: RoleName) -> None:
    """Give a user another role; holds from the next click on."""
    from repayment_platform.web.operations.users import Role, set_role

    _change(lambda c: set_role(c, name, Role[role.upper()], _who()))
    typer.echo(f"{name} is {role}.")


@app.command()
def disable(name: Name) -> None:
    """Keep a user out, at once."""
    from repayment_platform.web.operations.users import set_active

    _change(lambda c: set_active(c, name, False, _who()))
    typer.echo(f"{name} is disabled.")


@app.command()
def enable(name: Name) -> None:
    """Let a disabled user in again."""
    from repayment_platform.web.operations.users import set_active

    _change(lambda c: set_active(c, name, True, _who()))
    typer.echo(f"{name} is enabled.")


@app.command()
def password(name: Name, ask: Ask = False) -> None:
    """Give a user a new password, and end the user's sessions."""
    from repayment_platform.web.operations.users import set_password

    given = _ask() if ask else None
    made = _change(lambda c: set_password(c, name, given, _who()))
    _show(f"{name} has a new password.", made)


@contextmanager
def _connected() -> Iterator[psycopg.Connection[Any]]:
    with warehouse(settings_told()) as urls:
        migrate(urls)
        with psycopg.connect(urls.psycopg) as connection:
            yield connection


def _change(act: Callable[[psycopg.Connection[Any]], T]) -> T:
    from repayment_platform.web.operations.users import BadUser

    try:
        with _connected() as connection:
            return act(connection)
    except BadUser as error:
        raise SystemExit(f"users: {error}") from None


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    typed = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != typed:
        raise SystemExit("users: the two passwords differ")
    return typed


def _show(done: str, made: str | None) -> None:
    typer.echo(done)
    if made:
        typer.echo(f"One-time password, shown only now: {made}")


def _who() -> str:
    return f"{getpass.getuser()} (command line)"
