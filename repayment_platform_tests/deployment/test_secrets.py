"""`./run up` gives each part the secrets that it needs: read from the running processes."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from repayment_platform_tests.deployment.cluster import Cluster, make_roles
from repayment_platform_tests.faults.conftest import Installation
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.standing import COMMANDS, Up, processes
from repayment_platform_tests.web.receiving import SECRETS

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]
LOGIN = {"FINERACT_USERNAME": "word-user", "FINERACT_PASSWORD": "word-fineract"}
ALERTS = {"ALERT_URLS": "json://word-alerts.invalid/"}
WEBHOOKS = {name: f"word-{name.lower()}" for name in SECRETS}
RUNS = {*LOGIN, *ALERTS}
NEEDED = {
    "webhooks": set(WEBHOOKS),
    "operations": set(LOGIN),
    "metrics": set(),
    "dagster-webserver": set(),
    "dagster-daemon": RUNS,
    "code-server": RUNS,
    "sandbox": set(),
}


@pytest.fixture
def up(root: Path) -> Iterator[Up]:
    started = Up(Installation(root / "home", free_port()))
    yield started
    started.kill_everything()


def environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def secrets_in(environment: dict[str, str], owner: str) -> set[str]:
    """The names under which a secret stands there, whatever they are."""
    word = re.compile(f"word-|{owner}")
    return {name for name, value in environment.items() if word.search(value)}


def test_each_part_of_up_is_given_its_own_secrets_from_file_and_environment(
    cluster: Cluster, root: Path, up: Up
) -> None:
    owner, application, _ = make_roles(cluster)
    file = root / "settings.env"
    in_file = {"MIGRATION_DATABASE_URL": cluster.url("repayment", owner), **LOGIN}
    file.write_text("".join(f"{name}={value}\n" for name, value in in_file.items()))
    up.start(
        DATABASE_URL=cluster.url("repayment_application", application),
        REPAYMENT_ENV_FILE=str(file),
        **WEBHOOKS,
        **ALERTS,
    )
    found = {part: environment_of(up.pid(part)) for part in COMMANDS}
    assert {part: secrets_in(env, owner) for part, env in found.items()} == NEEDED
    assert [part for part, env in found.items() if application not in str(env)] == ["sandbox"]
    # Nor does whatever they have started since know more than they do.
    assert up.process
    known = {up.process.pid, *(up.pid(part) for part in COMMANDS)}
    for pid in set(processes(up.home)) - known:
        assert secrets_in(environment_of(pid), owner) <= RUNS, processes(up.home)[pid]
    assert not re.search(f"word-|{owner}|{application}", up.output)
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
