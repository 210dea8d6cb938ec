"""What the files of deploy/ name is there: parts, settings, ports, addresses, files."""

import fnmatch
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from starlette.testclient import TestClient

from repayment_platform.setting_names import known_names
from repayment_platform.settings import ROOT, SANDBOX, Settings
from repayment_platform.web import metrics, receiver
from repayment_platform.web.operations.app import create_app
from repayment_platform_tests.deployment.container import (
    FOLDER,
    default_ports,
    image_environment,
    services,
    variables,
)
from repayment_platform_tests.deployment.machine import PARTS

OURS = {name: service for name, service in services().items() if "build" in service}
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
DEFAULTS = default_ports()


def known_parts() -> set[str]:
    """What `deploy/start` says itself that it can start."""
    said = subprocess.run(
        (ROOT / "deploy/start", "nothing"),
        env={"PATH": "/usr/bin:/bin", "DATABASE_URL": "x", "REPAYMENT_HOME": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 2
    return set(re.findall(r"[a-z][a-z-]+", said.stderr.partition(": ")[2])) - {"or"}


def asked_of(service: dict[str, Any]) -> list[str]:
    check: list[str] = service["healthcheck"]["test"]
    return check[1:]


def test_every_service_of_ours_is_a_part_and_every_part_is_a_service() -> None:
    assert {tuple(service["command"]) for service in OURS.values()} == {
        (part,) for part in known_parts()
    }
    assert set(OURS) == {*PARTS, "migrate"} == known_parts()


def test_compose_and_the_image_name_settings_only() -> None:
    known = known_names(Settings.model_fields)
    for name, service in OURS.items():
        assert set(service["environment"]) <= known, name
    assert set(image_environment()) <= known
    assert set(dotenv_values(ROOT / "deploy/systemd/example.env")) <= known


def test_what_compose_takes_from_the_file_beside_it_is_what_the_example_has() -> None:
    assert variables() == set(dotenv_values(FOLDER / "example.env"))


def test_each_container_is_given_the_secrets_that_it_needs_and_no_others() -> None:
    given = {
        name: {word for word in service["environment"] if is_secret(word)}
        for name, service in OURS.items()
    }
    runs = {"FINERACT_USERNAME", "FINERACT_PASSWORD", "ALERT_URLS"}
    webhooks = {name for name in known_names(Settings.model_fields) if "_SECRETS_" in name}
    assert given == {
        "code-server": runs,
        "daemon": runs,
        "webserver": set(),
        "webhooks": webhooks,
        "operations": runs - {"ALERT_URLS"},
        "metrics": set(),
        "migrate": {"MIGRATION_DATABASE_URL"},
    }
    assert "repayment_reader:" in OURS["metrics"]["environment"]["DATABASE_URL"]
    owners = [n for n, s in OURS.items() if "POSTGRES_PASSWORD" in str(s["environment"])]
    assert owners == ["migrate"]


def is_secret(name: str) -> bool:
    parts = ("PASSWORD", "USERNAME", "_SECRETS_", "ALERT_URLS", "MIGRATION")
    return any(part in name for part in parts)


def test_every_health_check_asks_the_part_at_its_own_port() -> None:
    for name, service in OURS.items():
        if name == "migrate":
            continue
        program, *arguments = asked_of(service)
        if name == "code-server":
            assert (program, arguments[-2:]) == (
                "/opt/repayment/.venv/bin/dagster",
                ["-p", str(DEFAULTS[name])],
            )
            continue
        assert (ROOT / Path(program).relative_to("/opt/repayment")).stat().st_mode & 0o111
        if name != "daemon":
            assert f"http://127.0.0.1:{DEFAULTS[name]}/" in arguments[0]


@pytest.mark.parametrize("part", ["webhooks", "operations", "metrics"])
def test_the_address_that_is_asked_is_one_that_the_part_answers(part: str, tmp_path: Path) -> None:
    """The door's is in its own tests. Without a database a ready part says that it is not."""
    settings = Settings(
        _env_file=None, database_url=NOWHERE, repayment_home=tmp_path, fineract_base_url=SANDBOX
    )
    app = {
        "webhooks": lambda: receiver.create_app(settings, NOWHERE),
        "operations": lambda: create_app(settings, NOWHERE),
        "metrics": lambda: metrics.create_app(NOWHERE),
    }[part]()
    [url] = asked_of(OURS[part])[1:]
    with TestClient(app, url.rpartition("/")[0]) as client:
        assert client.get(url).status_code == (503 if url.endswith("/readyz") else 200)


def test_the_proxy_leads_to_parts_at_their_ports_and_dagster_to_its_path() -> None:
    caddyfile = (FOLDER / "Caddyfile").read_text()
    led = dict(re.findall(r"reverse_proxy ([a-z-]+):(\d+)", caddyfile))
    assert led == {n: str(DEFAULTS[n]) for n in ("webserver", "operations", "webhooks")}
    [path] = re.findall(r"handle (/\w+)\* {\n\t\treverse_proxy webserver", caddyfile)
    assert OURS["webserver"]["environment"]["DAGSTER_URL"].endswith(f"}}{path}")
    names = set(re.findall(r"{\$(\w+)}", caddyfile))
    assert names == set(services()["proxy"]["environment"])


def test_files_that_are_copied_or_mounted_are_there_and_secrets_and_state_are_not_copied() -> None:
    text = (FOLDER / "Containerfile").read_text()
    [entry] = re.findall(r'^ENTRYPOINT \["/opt/repayment/(.*)"\]$', text, re.MULTILINE)
    assert (ROOT / entry).stat().st_mode & 0o111
    build = OURS["migrate"]["build"]
    assert (FOLDER / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    for service in services().values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (FOLDER / volume.partition(":")[0]).is_file(), volume
    left_out = list(ignored())
    for name in (".env", ".data", ".git", ".venv", "deploy/container/.env", "dbt_project/target"):
        assert any(fnmatch.fnmatch(name, pattern) for pattern in left_out), name
    assert not any(fnmatch.fnmatch(n, p) for p in left_out for n in ("run", "uv.lock", entry))


def ignored() -> Iterator[str]:
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def test_the_unit_and_the_page_start_every_part() -> None:
    unit = (ROOT / "deploy/systemd/repayment@.service").read_text()
    [parts] = re.findall(r"enable --now repayment@{(.*)}", unit)
    assert set(parts.split(",")) == set(PARTS)
    assert "ExecStart=/opt/repayment/deploy/start %i\n" in unit
    assert (ROOT / "docs/deployment.md").read_text().count(f"repayment@{{{parts}}}") == 1
