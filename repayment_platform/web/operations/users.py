"""Users of the operations screens, their roles and passwords.

What belongs here: CORE_USER. What does not: log-ins (`sessions`), forms, commands.
"""

import re
import secrets
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, LiteralString

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg import Connection
from psycopg.errors import UniqueViolation

from repayment_platform.warehouse.audit import record

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
LONGEST_GUESSED = 72
"""Characters that are looked at for how easy they are; more take too long."""
LEAST_SCORE = 3
"""Of zxcvbn's 0 to 4: 3 takes more than 10^8 guesses."""
_NAME = re.compile(r"[a-z][a-z0-9._-]{1,39}")
_hasher = PasswordHasher()


class Role(IntEnum):
    """Each may do what those before it may."""

    VIEWER = 1
    """Sees every screen, changes nothing."""
    OPERATOR = 2
    """Works: uploads files, asks for reconciliation, decides holds, pauses a lender."""
    APPROVER = 3
    """Lets money move: approves requests, resumes a lender, has a payment posted again."""
    ADMIN = 4
    """Sets a lender's limits. Users are managed with `./run users`."""

    @property
    def label(self) -> str:
        return self.name.lower()


class BadUser(ValueError):
    """The name, role or password cannot be used; the message says why."""


@dataclass(frozen=True)
class User:
    """Someone who may log in."""

    name: str
    role: Role
    active: bool
    must_change_password: bool


_ADD = """
INSERT INTO "CORE"."CORE_USER" (name, password_hash, role, must_change_password)
VALUES (%s, %s, %s, %s)
"""
_ALL = """
SELECT name, role, active, must_change_password FROM "CORE"."CORE_USER" ORDER BY name
"""
_NEW_HASH = """
UPDATE "CORE"."CORE_USER"
SET password_hash = %s, must_change_password = %s, password_changed_at = now() WHERE name = %s
"""
_SET_ROLE = 'UPDATE "CORE"."CORE_USER" SET role = %s WHERE name = %s'
_SET_ACTIVE = 'UPDATE "CORE"."CORE_USER" SET active = %s WHERE name = %s'
_ADMINS = """
SELECT name FROM "CORE"."CORE_USER" WHERE role = 'admin' AND active ORDER BY name FOR UPDATE
"""
_END_SESSIONS = 'DELETE FROM "CORE"."CORE_SESSION" WHERE user_name = %s'


def add(
    connection: Connection[Any], name: str, role: Role, password: str | None, by: str
) -> str | None:
    """Add a user; returns the one-time password made where none is given.

    Raises:
        BadUser: the name is taken or cannot be one, or the password is too weak.
    """
    if not _NAME.fullmatch(name):
        raise BadUser("a name is 2 to 40 of a-z, 0-9, '.', '_' and '-', and begins with a letter")
    made = None if password else secrets.token_urlsafe(12)
    hashed = _hash(name, password or made or "")
    try:
        with connection.transaction():
            connection.execute(_ADD, (name, hashed, role.label, password is None))
            record(connection, by, "user.add", name, role=role.label)
    except UniqueViolation:
        raise BadUser(f"there is a user {name} already") from None
    return made


def everyone(connection: Connection[Any]) -> list[User]:
    return [_user(*row) for row in connection.execute(_ALL).fetchall()]


def set_role(connection: Connection[Any], name: str, role: Role, by: str) -> None:
    """Takes effect with the user's next click.

    Raises:
        BadUser: there is no such user, or no admin would be left.
    """
    with connection.transaction():
        if role is not Role.ADMIN:
            _leave_an_admin(connection, name)
        _change(connection, name, _SET_ROLE, role.label)
        record(connection, by, "user.role", name, role=role.label)


def set_active(connection: Connection[Any], name: str, active: bool, by: str) -> None:
    """Let a user in, or keep the user out: all sessions end at once.

    Raises:
        BadUser: there is no such user, or no admin would be left.
    """
    with connection.transaction():
        if not active:
            _leave_an_admin(connection, name)
        _change(connection, name, _SET_ACTIVE, active)
        if not active:
            connection.execute(_END_SESSIONS, (name,))
        record(connection, by, "user.enable" if active else "user.disable", name)


def set_password(
    connection: Connection[Any], name: str, password: str | None, by: str
) -> str | None:
    """Give a password, which ends the user's sessions; returns a one-time one if none is given."""
    made = None if password else secrets.token_urlsafe(12)
    hashed = _hash(name, password or made or "")
    with connection.transaction():
        if not connection.execute(_NEW_HASH, (hashed, password is None, name)).rowcount:
            raise BadUser(f"there is no user {name}")
        connection.execute(_END_SESSIONS, (name,))
        record(connection, by, "user.password", name)
    return made


def verify(connection: Connection[Any], name: str, password: str) -> bool:
    """Whether an active user has this password; takes as long when there is no such user."""
    row = connection.execute(
        'SELECT password_hash FROM "CORE"."CORE_USER" WHERE name = %s AND active', (name,)
    ).fetchone()
    try:
        _hasher.verify(row[0] if row else _hash_of_nobody(), password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False
    return row is not None


def first_admin(connection: Connection[Any]) -> str | None:
    """Make the user `admin` when there is nobody yet; returns the one-time password then."""
    with connection.transaction():
        connection.execute('LOCK TABLE "CORE"."CORE_USER" IN SHARE ROW EXCLUSIVE MODE')
        if connection.execute('SELECT 1 FROM "CORE"."CORE_USER" LIMIT 1').fetchone():
            return None
        return add(connection, "admin", Role.ADMIN, None, "the first start")


def _leave_an_admin(connection: Connection[Any], name: str) -> None:
    """Refuse to take the last admin's rights; two such changes at once wait for each other."""
    admins = {row[0] for row in connection.execute(_ADMINS).fetchall()}
    if admins == {name}:
        raise BadUser(f"{name} is the last admin; make another one first")


def _change(
    connection: Connection[Any], name: str, statement: LiteralString, value: object
) -> None:
    if not connection.execute(statement, (value, name)).rowcount:
        raise BadUser(f"there is no user {name}")


def _user(name: str, role: str, active: bool, must_change: bool) -> User:
    return User(name, Role[role.upper()], active, must_change)


def _hash(name: str, password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BadUser(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if name in password.lower() or _is_easy(name, password):
        raise BadUser("the password is too easy to guess; take words that do not belong together")
    return _hasher.hash(password)


def _is_easy(name: str, password: str) -> bool:
    """Whether common passwords, words, dates and keys in a row lead to it within 10^8 guesses."""
    from zxcvbn import zxcvbn  # its lists take a while to load

    strength = zxcvbn(password[:LONGEST_GUESSED], user_inputs=[name, "repayment", "operations"])
    return bool(strength["score"] < LEAST_SCORE)


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash(secrets.token_hex())
