"""An installation of one role goes on working, and is parted as docs/deployment.md says."""

from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from repayment_platform.sources.dates import KOLKATA
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import Commands, commands_on
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.deployment.cluster import Cluster, documented_roles
from repayment_platform_tests.sources.reading import NACH, row, text_of

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]
OLD, NEW, READER = "of-the-one-role", "of-the-application", "of-the-reader"
RELATIONS = """
SELECT nspname, pg_get_userbyid(relowner), count(*) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE nspname IN ('RAW', 'BASE', 'dagster') AND relkind IN ('r', 'v')
GROUP BY 1, 2 ORDER BY 1, 2
"""


def post_one(run: Commands, folder: Path, loan: int) -> None:
    """A file of one payment lands, and a run posts it."""
    day = datetime.now(KOLKATA).date() - timedelta(days=1)
    file = folder / f"nach-{loan}.csv"
    cells = row(
        Loan_Account_Number=f"DMI-APP-{loan}",
        UMRN=f"HDFC{loan:016}",
        UTR=f"ICIC53101234567{loan}",
        Presentation_Reference=f"NPT{loan}",
        Settlement_Date=f"{day:%d/%m/%Y}",
    )
    file.write_text(text_of(cells))
    for command in (("ingest", str(file), "--source", NACH), ("pipeline",)):
        done = run(*command)
        assert done.code == 0, done.stdout + done.stderr


def rights(run: Commands) -> str:
    """What the doctor says of them."""
    said = run("doctor").stdout.splitlines()
    [line] = [line for line in said if line.partition("  ")[2].startswith("rights: ")]
    return line


def test_one_role_becomes_three_by_the_steps_of_the_page_and_posts_on(
    cluster: Cluster, root: Path, sandbox: Sandbox
) -> None:
    cluster.administer(
        f"CREATE ROLE repayment LOGIN PASSWORD '{OLD}'",
        "CREATE DATABASE repayment OWNER repayment",
    )
    sandbox.post("loans", [{"externalId": f"DMI-APP-{n}"} for n in (1, 2, 3)])
    old = cluster.url("repayment", OLD)
    alone = commands_on(DatabaseUrls.parse(old), sandbox)
    assert alone("migrate").code == 0
    post_one(alone, root, 1)
    assert "repayment may change " in rights(alone)

    words = iter((NEW, READER))
    for statement in documented_roles():
        if "repayment_" in statement:
            cluster.administer(
                statement.replace("…", next(words)) if "…" in statement else statement
            )
    post_one(alone, root, 2)
    new = commands_on(DatabaseUrls.parse(cluster.url("repayment_application", NEW)), sandbox)
    migrated = new("migrate", MIGRATION_DATABASE_URL=old)
    assert migrated.code == 0, migrated.stderr
    post_one(new, root, 3)
    assert rights(new).startswith("right")
    posted = [each["loanExternalId"] for each in sandbox.get("ledger")]
    assert sorted(posted) == ["DMI-APP-1", "DMI-APP-2", "DMI-APP-3"]

    with psycopg.connect(old) as owner:
        owners = {(schema, who) for schema, who, _ in owner.execute(RELATIONS)}
    application = "repayment_application"
    assert owners == {("RAW", "repayment"), ("BASE", application), ("dagster", application)}
    with psycopg.connect(cluster.url(application, NEW), autocommit=True) as connection:
        for refused in (f'DELETE FROM "RAW"."{NACH}"', 'DELETE FROM "CORE"."CORE_AUDIT_LOG"'):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(refused.encode())
    with psycopg.connect(cluster.url("repayment_reader", READER), autocommit=True) as reader:
        landed = reader.execute(f'SELECT count(*) FROM "RAW"."{NACH}"'.encode()).fetchone()
        assert landed == (3,)
        reader.execute('SELECT * FROM "CORE"."CORE_TRANSACTION_DATA"')
        with pytest.raises(InsufficientPrivilege):
            reader.execute('SELECT * FROM "CORE"."CORE_SESSION"')
