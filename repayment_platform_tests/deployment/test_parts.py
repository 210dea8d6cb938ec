"""The parts as docs/deployment.md installs them, on a PostgreSQL of somebody else's: from the
roles to a repayment that an operator launches, and down again."""

import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import API_PATH, ROOT
from repayment_platform.sources.dates import KOLKATA
from repayment_platform_tests.deployment.cluster import Cluster, make_roles
from repayment_platform_tests.deployment.container import PORTS, Container, default_ports, services
from repayment_platform_tests.deployment.machine import PARTS, Machine, hand_over, installed
from repayment_platform_tests.deployment.proxy import SITE, Visitor
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.sources.reading import NACH, row, text_of
from repayment_platform_tests.waiting import wait_until
from repayment_platform_tests.web.receiving import SECRETS, payment, razorpay_headers

pytestmark = [pytest.mark.whole, pytest.mark.timeout(900)]
PASSWORD = "wind over the paddy"
LAUNCH = """
mutation($params: ExecutionParams!) { launched: launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
PIPELINE = {
    "repositoryLocationName": "repayment_platform",
    "repositoryName": "__repository__",
    "jobName": "repayment_pipeline",
}


@pytest.fixture
def machine(root: Path) -> Iterator[Machine]:
    made = installed(Machine, root)
    yield made
    made.kill_all()


@pytest.fixture
def container(root: Path) -> Iterator[Container]:
    made = installed(Container, root)
    yield made
    made.kill_all()


@pytest.fixture
def fineract(tmp_path: Path) -> Iterator[int]:
    """A sandbox that stands where a Fineract would; its port."""
    port = free_port()
    with running_sandbox(tmp_path / "fineract", port):
        loans = [{"externalId": "DMI-APP-1"}]
        httpx.post(f"http://127.0.0.1:{port}/sandbox/loans", json=loans).raise_for_status()
        yield port


def settle(
    machine: Machine, cluster: Cluster, fineract: int, passwords: tuple[str, str, str]
) -> dict[str, int]:
    """Fill in /etc/repayment; returns the port of each part."""
    owner, application, reader = passwords
    ports = {part: free_port() for part in PORTS}
    login = {"FINERACT_USERNAME": "mifos", "FINERACT_PASSWORD": "password"}
    runs = login | {"ALERT_URLS": ""}
    machine.configure(
        {
            "DATABASE_URL": cluster.url("repayment_application", application),
            "REPAYMENT_HOME": str(machine.home),
            "FINERACT_BASE_URL": f"http://127.0.0.1:{fineract}{API_PATH}",
            "FINERACT_ALLOWED_HOSTS": "127.0.0.1",
            **{name: str(ports[part]) for part, name in PORTS.items()},
        },
        {
            "code-server": runs,
            "daemon": runs,
            "operations": login,
            "webhooks": SECRETS,
            "metrics": {"DATABASE_URL": cluster.url("repayment_reader", reader)},
            "migrate": {"MIGRATION_DATABASE_URL": cluster.url("repayment", owner)},
        },
    )
    return ports


def migrate_as_documented(machine: Machine) -> None:
    """The page's own line, in the administrator's shell."""
    page = (ROOT / "docs/deployment.md").read_text()
    [line] = [each for each in page.splitlines() if "./run migrate; set +a" in each]
    done = machine.run(("sh", "-eu", "-c", machine.there(line)), as_user=False)
    assert done.returncode == 0, done.stdout + done.stderr


def doctor_as_documented(machine: Machine) -> str:
    """The last line that it says; the page's own command, in the shell of the parts' user."""
    page = (ROOT / "docs/deployment.md").read_text()
    [command] = re.findall(r"^sudo -u repayment (sh -c '[^']*doctor')$", page, re.MULTILINE)
    done = machine.run(("sh", "-eu", "-c", machine.there(command)))
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def is_well(machine: Machine, part: str, ports: Mapping[str, int]) -> bool:
    """What compose asks of this part, asked of this machine."""
    _, *test = services()[part]["healthcheck"]["test"]
    here = {str(port): str(ports[each]) for each, port in default_ports().items()}
    command = re.sub(r"\b\d{4}\b", lambda found: here[found[0]], " ".join(test))
    done = machine.run(machine.there(command).split(), **machine.environment(part))
    return done.returncode == 0


def until_well(machine: Machine, ports: Mapping[str, int]) -> None:
    for part in PARTS:
        try:
            wait_until(lambda part=part: is_well(machine, part, ports), 180)  # type: ignore[misc]
        except AssertionError:
            raise AssertionError(f"{part} is not well:\n{machine.log(part)}") from None


@contextmanager
def application(machine: Machine) -> Iterator[psycopg.Connection[Any]]:
    url = machine.environment("webserver")["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def drop_a_file(machine: Machine) -> None:
    """As a lender's SFTP client does."""
    day = datetime.now(KOLKATA).date() - timedelta(days=1)
    file = machine.home / "inbox" / NACH / "nach.csv"
    wait_until(file.parent.is_dir, 120)
    file.write_text(text_of(row(Settlement_Date=f"{day:%d/%m/%Y}")))
    file.chmod(0o644)


def launched_by_an_operator(machine: Machine, ports: Mapping[str, int]) -> str:
    """Log in and launch the pipeline, through the proxy; returns the id of the run."""
    add = ("./run", "users", "add", "asha", "operator", "--ask")
    added = machine.run(add, typed=f"{PASSWORD}\n", **machine.environment("operations"))
    assert added.returncode == 0, added.stderr
    asha = Visitor(ports["operations"], ports["webserver"])
    runs = f"{SITE}/dagster/runs"
    page = asha.get("/dagster/runs", headers={"accept": "text/html"})
    assert page.headers["location"].startswith(f"{SITE}/login?next=")
    assert asha.log_in("asha", PASSWORD, runs) == runs
    assert asha.get("/dagster/runs", headers={"accept": "text/html"}).status_code == 200
    launched = asha.graphql(LAUNCH, {"params": {"selector": PIPELINE}})["launched"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def start_and_post(machine: Machine, ports: Mapping[str, int], fineract: int) -> None:
    """All parts at once, a webhook, a file, and a run that an operator launches."""
    for part in PARTS:
        machine.start(part)
    until_well(machine, ports)
    body = payment(1)
    hook = f"http://127.0.0.1:{ports['webhooks']}/webhooks/razorpay/ugro"
    sent = httpx.post(hook, content=body, headers=razorpay_headers(body, "evt_1"), trust_env=False)
    assert sent.status_code == 200, sent.text
    drop_a_file(machine)
    with application(machine) as connection:
        landed = f'SELECT count(*) FROM "RAW"."{NACH}"'.encode()
        wait_until(lambda: connection.execute(landed).fetchone() == (1,), 180)
        run_id = launched_by_an_operator(machine, ports)
        status = "SELECT status FROM dagster.runs WHERE run_id = %s"
        ended = {("SUCCESS",), ("FAILURE",)}
        wait_until(lambda: connection.execute(status, (run_id,)).fetchone() in ended, 240)
        events = 'SELECT event_id FROM "RAW"."RAW_UGRO_RAZORPAY_API"'
        assert connection.execute(events).fetchall() == [("evt_1",)]
        who = """SELECT who FROM "CORE"."CORE_AUDIT_LOG" WHERE subject = %s"""
        assert connection.execute(who, (f"run {run_id}",)).fetchall() == [("asha",)]
    ledger = httpx.get(f"http://127.0.0.1:{fineract}/sandbox/ledger").json()
    posted = [(each["loanExternalId"], each["amount"]) for each in ledger]
    assert posted == [("DMI-APP-1", "500.00")], machine.log("code-server")


def test_installed_as_the_page_says_it_takes_payments_and_posts_them_and_ends(
    cluster: Cluster, machine: Machine, fineract: int
) -> None:
    passwords = make_roles(cluster)
    hand_over(machine, machine.project / "dbt_project")
    ports = settle(machine, cluster, fineract, passwords)
    migrate_as_documented(machine)
    start_and_post(machine, ports, fineract)
    where = f"Database: repayment on 127.0.0.1, port {cluster.port}. Ledger: "
    assert [part for part in PARTS if where not in machine.log(part)] == ["metrics"]
    assert all(word not in machine.log(part) for part in PARTS for word in passwords)
    assert doctor_as_documented(machine) == "All is right."
    assert stat.S_IMODE(machine.home.stat().st_mode) == 0o700
    assert {part: machine.stop(part) for part in reversed(PARTS)} == dict.fromkeys(PARTS, 0)


def test_with_what_compose_gives_them_and_a_project_that_cannot_be_written_the_parts_do_as_much(
    cluster: Cluster, container: Container, fineract: int
) -> None:
    owner, application, reader = (secrets.token_hex(8) for _ in range(3))
    # What the image of PostgreSQL makes of POSTGRES_USER; the roles are those of roles.sh.
    cluster.administer(f"CREATE ROLE repayment SUPERUSER LOGIN PASSWORD '{owner}'")
    cluster.administer("CREATE DATABASE repayment OWNER repayment")
    script = (container.project / "deploy/container/roles.sh").read_text()
    for statement in re.findall(r"^CREATE ROLE .*;$", script, re.MULTILINE):
        for name, word in (("application", application), ("reader", reader)):
            statement = statement.replace(f":'{name}'", f"'{word}'")
        cluster.administer(statement)
    container.fill_in(
        {
            "POSTGRES_PASSWORD": owner,
            "APPLICATION_PASSWORD": application,
            "READER_PASSWORD": reader,
            "FINERACT_BASE_URL": f"http://127.0.0.1:{fineract}{API_PATH}",
            "FINERACT_ALLOWED_HOSTS": "127.0.0.1",
            "FINERACT_USERNAME": "mifos",
            "FINERACT_PASSWORD": "password",
            **SECRETS,
        }
    )
    ports = {part: free_port() for part in PORTS}
    container.hosts = {"postgres:5432": f"127.0.0.1:{cluster.port}", "code-server": "127.0.0.1"}
    container.more = {name: str(ports[part]) for part, name in PORTS.items()}
    build = "from repayment_platform.warehouse.dbt import prepare; prepare()"
    assert build in (container.project / "deploy/container/Containerfile").read_text()
    built = container.run((container.project / ".venv/bin/python", "-c", build), as_user=False)
    assert built.returncode == 0, built.stderr
    container.start("migrate")
    assert container.running.pop("migrate").wait(120) == 0, container.log("migrate")
    start_and_post(container, ports, fineract)
    assert {part: container.stop(part) for part in reversed(PARTS)} == dict.fromkeys(PARTS, 0)
